//! compio: one runtime a thread, a task for each connection, the buffer lent to the ring.

#![forbid(unsafe_code)]

use compio::BufResult;
use compio::driver::ProactorBuilder;
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::{RuntimeBuilder, spawn, spawn_blocking};
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
    options.say(listeners[0].local_addr()?, "compio", "io_uring");
    let threads: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let ring = ring(options.own("--ring"));
            thread::spawn(move || {
                let runtime = RuntimeBuilder::new().with_proactor(ring).build()?;
                runtime.block_on(accept(listener, manner))
            })
        })
        .collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("no runtime panics"))
}

fn ring(kind: &str) -> ProactorBuilder {
    let mut ring = ProactorBuilder::new();
    match kind {
        "coop" => ring.single_issuer(true).coop_taskrun(true).taskrun_flag(true),
        "defer" => ring.single_issuer(true).defer_taskrun(true),
        _ => &mut ring,
    };
    ring
}

async fn accept(listener: std::net::TcpListener, manner: Manner) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            // What the task ends with is the peer's error: it ends this connection and nothing else.
            Ok((stream, _)) => spawn(serve(stream, manner)).detach(),
            Err(error) => refused(error),
        }
    }
}

async fn serve(mut stream: TcpStream, manner: Manner) -> io::Result<()> {
    let mut conversation = Conversation::new(manner.service);
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        buffer.clear();
        let BufResult(received, lent) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        match conversation.rounds(&lent) {
            0 => {}
            rounds if manner.in_pool => {
                let done = spawn_blocking(move || burn(rounds)).await;
                done.map_err(|_| io::Error::other("the pool is gone"))?;
            }
            rounds => burn(rounds),
        }
        let BufResult(sent, lent) = stream.write_all(lent).await;
        sent?;
        buffer = lent;
    }
}
