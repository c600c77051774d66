//! tokio-uring: one runtime a thread, a task for each connection, the buffer lent to the ring.

#![forbid(unsafe_code)]

use peer::{BUFFER_BYTES, Conversation, Options, Service, burn, refused};
use std::io;
use std::thread;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let options = Options::parse(&[("--ring", &["default", "coop"])]);
    let coop = options.own("--ring") == "coop";
    let listeners = options.listeners()?;
    options.say(listeners[0].local_addr()?, "tokio-uring", "io_uring");
    let service = options.service;
    let threads: Vec<_> =
        listeners.into_iter().map(|listener| thread::spawn(move || run(listener, service, coop))).collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("no runtime panics"))
}

fn run(listener: std::net::TcpListener, service: Service, coop: bool) -> io::Result<()> {
    let mut ring = tokio_uring::uring_builder();
    if coop {
        ring.setup_coop_taskrun().setup_taskrun_flag();
    }
    let mut runtime = tokio_uring::builder();
    runtime.entries(1024).uring_builder(&ring).start(accept(TcpListener::from_std(listener), service));
    Ok(())
}

async fn accept(listener: TcpListener, service: Service) {
    loop {
        match listener.accept().await {
            // What the task ends with is the peer's error: it ends this connection and nothing else.
            Ok((stream, _)) => drop(tokio_uring::spawn(serve(stream, service))),
            Err(error) => refused(error),
        }
    }
}

async fn serve(stream: TcpStream, service: Service) -> io::Result<()> {
    let mut conversation = Conversation::new(service);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let (received, lent) = stream.read(buffer).await;
        let count = match received? {
            0 => return Ok(()),
            count => count,
        };
        burn(conversation.rounds(&lent[..count]));
        let (sent, lent) = stream.write_all(lent.slice(..count)).await;
        sent?;
        buffer = lent.into_inner();
    }
}
