//! smol: a task for each connection, on one executor that several threads run.

#![forbid(unsafe_code)]

use peer::{BUFFER_BYTES, Conversation, Options, Service, burn, refused};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, Executor, block_on, future, unblock};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;

static EXECUTOR: Executor<'static> = Executor::new();

fn main() -> io::Result<()> {
    let options = Options::parse(&[("--burn-in", &["task", "pool"])]);
    let in_pool = options.own("--burn-in") == "pool";
    let listener = options.listener()?;
    options.say(listener.local_addr()?, "smol", "epoll");
    // Each by `block_on` of its own, so that a thread with nothing to run waits for the sockets itself.
    for _ in 1..options.threads {
        thread::spawn(|| block_on(EXECUTOR.run(future::pending::<()>())));
    }
    let listener = Async::new(listener)?;
    block_on(EXECUTOR.run(EXECUTOR.spawn(accept(listener, options.service, in_pool))));
    Ok(())
}

async fn accept(listener: Async<TcpListener>, service: Service, in_pool: bool) {
    loop {
        match listener.accept().await {
            // What the task ends with is the peer's error: it ends this connection and nothing else.
            Ok((stream, _)) => EXECUTOR.spawn(serve(stream, service, in_pool)).detach(),
            Err(error) => refused(error),
        }
    }
}

async fn serve(mut stream: Async<TcpStream>, service: Service, in_pool: bool) -> io::Result<()> {
    let mut conversation = Conversation::new(service);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let received = match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => &buffer[..count],
        };
        match conversation.rounds(received) {
            0 => {}
            rounds if in_pool => unblock(move || burn(rounds)).await,
            rounds => burn(rounds),
        }
        stream.write_all(received).await?;
    }
}
