//! glommio: one executor a thread, a task for each connection.

#![forbid(unsafe_code)]

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement, executor, spawn_local};
use peer::{BUFFER_BYTES, Conversation, Options, Service, burn, refused};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};

/// What a connection needs to know.
#[derive(Clone, Copy)]
struct Manner {
    service: Service,
    /// A costly request is computed by the pool for blocking work, and not in the task.
    in_pool: bool,
}

fn main() -> io::Result<()> {
    let options = Options::parse(&[("--burn-in", &["task", "pool"])]);
    let manner = Manner { service: options.service, in_pool: options.own("--burn-in") == "pool" };
    // glommio listens by itself, and shares the port among its executors.
    let (_reserved, address) = options.reserve()?;
    let (listens, listening) = channel();
    let executors: Vec<_> = (0..options.threads)
        .map(|_| {
            let listens = listens.clone();
            // Whoever starts the server says on which processors it runs.
            let builder = LocalExecutorBuilder::new(Placement::Unbound);
            builder.spawn(move || accept(address, manner, listens))
        })
        .collect::<Result<_, _>>()
        .map_err(io::Error::from)?;
    drop(listens);
    // The first client may come as soon as the line is out. An executor that failed says why below.
    if listening.iter().count() == options.threads {
        options.say(address, "glommio", "io_uring");
    }
    for executor in executors {
        executor.join().map_err(io::Error::from)??;
    }
    Ok(())
}

async fn accept(address: SocketAddr, manner: Manner, listens: Sender<()>) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let _ = listens.send(());
    drop(listens);
    loop {
        match listener.accept().await {
            // What the task ends with is the peer's error: it ends this connection and nothing else.
            Ok(stream) => drop(spawn_local(serve(stream, manner)).detach()),
            Err(error) => refused(error),
        }
    }
}

async fn serve(mut stream: TcpStream, manner: Manner) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut conversation = Conversation::new(manner.service);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let received = match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => &buffer[..count],
        };
        match conversation.rounds(received) {
            0 => {}
            rounds if manner.in_pool => executor().spawn_blocking(move || burn(rounds)).await,
            rounds => burn(rounds),
        }
        stream.write_all(received).await?;
    }
}
