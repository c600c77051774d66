//! A thread for each connection, by the standard library alone.

#![forbid(unsafe_code)]

use peer::{Conversation, Options, burn, give_up, refused};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;

/// Both as under Doorbell's `blocking`. The buffer is on the heap, so that a stack needs little.
const BUFFER_BYTES: usize = 16 * 1024;
const STACK_BYTES: usize = 256 * 1024;

fn main() -> io::Result<()> {
    let options = Options::parse(&[]);
    let listener = options.listener()?;
    options.say(listener.local_addr()?, "threads", "blocking");
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let conversation = Conversation::new(options.service);
                let thread = thread::Builder::new().stack_size(STACK_BYTES);
                // An error is the peer's: it ends this connection and nothing else.
                let started = thread.spawn(|| serve(stream, conversation).unwrap_or_default());
                started.unwrap_or_else(|error| give_up(format!("a thread: {error}")));
            }
            Err(error) => refused(error),
        }
    }
}

fn serve(mut stream: TcpStream, mut conversation: Conversation) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let received = match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => &buffer[..count],
        };
        burn(conversation.rounds(received));
        stream.write_all(received)?;
    }
}
