//! monoio: one runtime a thread, a task for each connection, the buffer lent to the ring.

#![forbid(unsafe_code)]

use monoio::blocking::DefaultThreadPool;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};
use peer::{BUFFER_BYTES, Conversation, Options, Service, burn, refused};
use std::io;
use std::thread;

/// What a connection needs to know.
#[derive(Clone, Copy)]
struct Manner {
    service: Service,
    /// A costly request is computed by the pool for blocking work, and not in the task.
    in_pool: bool,
}

fn main() -> io::Result<()> {
    let options =
        Options::parse(&[("--ring", &["default", "coop", "defer"]), ("--burn-in", &["task", "pool"])]);
    let manner = Manner { service: options.service, in_pool: options.own("--burn-in") == "pool" };
    let listeners = options.listeners()?;
    options.say(listeners[0].local_addr()?, "monoio", "io_uring");
    let threads: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let ring = ring(options.own("--ring"));
            thread::spawn(move || run(listener, ring, manner))
        })
        .collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("no runtime panics"))
}

fn ring(kind: &str) -> io_uring::Builder {
    let mut ring = io_uring::IoUring::builder();
    match kind {
        "coop" => ring.setup_single_issuer().setup_coop_taskrun().setup_taskrun_flag(),
        "defer" => ring.setup_single_issuer().setup_defer_taskrun(),
        _ => &mut ring,
    };
    ring
}

fn run(listener: std::net::TcpListener, ring: io_uring::Builder, manner: Manner) -> io::Result<()> {
    let mut builder = RuntimeBuilder::<IoUringDriver>::new().with_entries(1024).uring_builder(ring);
    if manner.in_pool {
        builder = builder.attach_thread_pool(Box::new(DefaultThreadPool::new(4)));
    }
    builder.build()?.block_on(accept(listener, manner))
}

async fn accept(listener: std::net::TcpListener, manner: Manner) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            // What the task ends with is the peer's error: it ends this connection and nothing else.
            Ok((stream, _)) => drop(monoio::spawn(serve(stream, manner))),
            Err(error) => refused(error),
        }
    }
}

async fn serve(mut stream: TcpStream, manner: Manner) -> io::Result<()> {
    let mut conversation = Conversation::new(manner.service);
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut result;
    loop {
        buffer.clear();
        (result, buffer) = stream.read(buffer).await;
        if result? == 0 {
            return Ok(());
        }
        match conversation.rounds(&buffer) {
            0 => {}
            rounds if manner.in_pool => {
                let done = monoio::spawn_blocking(move || burn(rounds)).await;
                done.map_err(|_| io::Error::other("the pool is gone"))?;
            }
            rounds => burn(rounds),
        }
        (result, buffer) = stream.write_all(buffer).await;
        result?;
    }
}
