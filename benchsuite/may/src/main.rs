//! may: a coroutine with a stack of its own for each connection.

#![forbid(unsafe_code)]

use may::go;
use may::net::{TcpListener, TcpStream};
use peer::{BUFFER_BYTES, Conversation, Options, burn, refused};
use std::io::{self, Read, Write};
use std::net::SocketAddr;

fn main() -> io::Result<()> {
    let options = Options::parse(&[]);
    may::config().set_workers(options.threads);
    let listener = TcpListener::bind(options.listen)?;
    let address: SocketAddr = listener.local_addr()?;
    options.say(address, "may", "epoll");
    let service = options.service;
    // In a coroutine, for a worker to accept: this thread would have to be woken for each client.
    let accepting = go!(move || {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    let conversation = Conversation::new(service);
                    // An error is the peer's: it ends this connection and nothing else.
                    go!(move || serve(stream, conversation).unwrap_or_default());
                }
                Err(error) => refused(error),
            }
        }
    });
    accepting.join().map_err(|_| io::Error::other("the coroutine that accepts has panicked"))
}

fn serve(mut stream: TcpStream, mut conversation: Conversation) -> io::Result<()> {
    stream.set_nodelay(true)?;
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
