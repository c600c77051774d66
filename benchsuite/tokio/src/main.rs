//! tokio: a task for each connection, on the work-stealing runtime or on one runtime a thread.

#![forbid(unsafe_code)]

use peer::{BUFFER_BYTES, Conversation, Options, Service, burn, refused};
use std::io;
use std::thread;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

/// What a connection needs to know.
#[derive(Clone, Copy)]
struct Manner {
    service: Service,
    /// A costly request is computed by the pool for blocking work, and not in the task.
    in_pool: bool,
}

fn main() -> io::Result<()> {
    let options = Options::parse(&[
        ("--runtime", &["multi-thread", "current-thread"]),
        ("--burn-in", &["task", "pool"]),
    ]);
    let manner = Manner { service: options.service, in_pool: options.own("--burn-in") == "pool" };
    match options.own("--runtime") {
        "current-thread" => current_thread(&options, manner),
        _ => multi_thread(&options, manner),
    }
}

fn multi_thread(options: &Options, manner: Manner) -> io::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(options.threads).enable_io().build()?;
    let listener = options.listener()?;
    options.say(listener.local_addr()?, "tokio", "epoll");
    // As a task, for a worker to accept: this thread would have to be woken for each client.
    let accepting = runtime.spawn(accept(listener, manner));
    runtime.block_on(accepting)?
}

fn current_thread(options: &Options, manner: Manner) -> io::Result<()> {
    let listeners = options.listeners()?;
    options.say(listeners[0].local_addr()?, "tokio-current", "epoll");
    let threads: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_io().build()?;
                runtime.block_on(accept(listener, manner))
            })
        })
        .collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("no runtime panics"))
}

async fn accept(listener: std::net::TcpListener, manner: Manner) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            // What the task ends with is the peer's error: it ends this connection and nothing else.
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, manner))),
            Err(error) => refused(error),
        }
    }
}

async fn serve(mut stream: TcpStream, manner: Manner) -> io::Result<()> {
    let mut conversation = Conversation::new(manner.service);
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        buffer.clear();
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        match conversation.rounds(&buffer) {
            0 => {}
            rounds if manner.in_pool => spawn_blocking(move || burn(rounds)).await?,
            rounds => burn(rounds),
        }
        stream.write_all(&buffer).await?;
    }
}
