//! The completion port: one queue of ended operations, and a few threads that take from it.
//!
//! An echo server, and one page: `cargo run -p doorbell-winsock --example completion_port -- 127.0.0.1:7007`.

use doorbell_winsock::host::{Signals, processors};
use doorbell_winsock::overlapped::{Operation, ToPort};
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{Completion, CompletionPort, Family, Kind, Packet, Result, Socket};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The keys that are not a client's.
const STOP: usize = 0;
const LISTENER: usize = 1;
const FIRST: usize = 2;

const BUFFER: usize = 16 * 1024;

struct Server {
    port: CompletionPort,
    listener: Socket,
    family: Family,
    clients: Mutex<HashMap<usize, Socket>>,
    next_key: AtomicUsize,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;
    let family = Family::of(&address);

    // 1. A listening socket, and a port with which it is associated. The port lets as many threads run as there are
    //    processors; twice as many wait, so that one that blocks is replaced.
    let listener = Socket::new(family, Kind::Stream)?;
    listener.set_exclusive_address()?;
    listener.bind(address)?;
    listener.listen(BACKLOG_MAX)?;
    let port = CompletionPort::new(0)?;
    port.associate(&listener, LISTENER)?;
    let threads = 2 * processors();

    // 2. A stop is a packet for each thread.
    let signals = Signals::install()?;
    println!("listening on {}", listener.local_addr()?);
    let ours = port.clone();
    thread::spawn(move || {
        signals.wait();
        (0..threads).try_for_each(|_| ours.post(0, STOP, 0))
    });

    // 3. Several accepts are under way, so that clients who come together do not wait for one another.
    let server = Server { port, listener, family, clients: Mutex::default(), next_key: FIRST.into() };
    (0..4).for_each(|_| server.accept());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| server.work())).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Ok(())))
    })?;
    Ok(())
}

impl Server {
    /// 4. A thread takes a packet, does what follows from it, and comes back. The packet of an operation that failed is a
    ///    packet, and no error of this call.
    fn work(&self) -> Result<()> {
        loop {
            match self.port.get(None)? {
                Packet::Posted { key: LISTENER, .. } => self.accept(),
                Packet::Posted { .. } => return Ok(()),
                Packet::Io(ended) if ended.key() == LISTENER => self.accepted(ended),
                // 7. An operation of a client. When nothing is started on it any more, it is closed by its drop.
                Packet::Io(ended) => {
                    let key = ended.key();
                    if !self.go_on(ended).unwrap_or_else(failed) {
                        self.clients().remove(&key);
                    }
                }
            }
        }
    }

    /// 5. Starts an accept. If the system refuses, a packet says after a moment that it is to be tried again.
    fn accept(&self) {
        let started = Socket::for_accept(self.family)
            .and_then(|socket| Ok(self.listener.accept_ex(&socket, Vec::<u8>::new(), ToPort)?));
        if let Err(error) = started {
            failed(error);
            thread::sleep(Duration::from_millis(20));
            let _ = self.port.post(0, LISTENER, 0);
        }
    }

    /// 6. An accept has ended: a new client, whose key is in the packets of all its operations, and the next accept.
    fn accepted(&self, mut ended: Completion) {
        match (ended.result(), ended.take_accepted()) {
            (Ok(_), Some(client)) => {
                let key = self.next_key.fetch_add(1, Ordering::Relaxed);
                // Known before its first packet can come, which another thread may take.
                self.clients().insert(key, client.clone());
                let started = self
                    .port
                    .associate(&client, key)
                    .and_then(|()| Ok(client.recv_overlapped(vec![0; BUFFER], Flags::NONE, ToPort)?));
                if started.map_err(failed).is_err() {
                    self.clients().remove(&key);
                }
            }
            // Out of descriptors, say: asking again at once would only spin.
            (Err(error), _) => {
                failed(error);
                thread::sleep(Duration::from_millis(20));
            }
            (Ok(_), None) => {}
        }
        self.accept();
    }

    /// 8. What was received is sent, what was sent makes room for the next receive; the buffer goes from one to the other. A
    ///    client has one operation at a time, so that one thread at a time has to do with it. False when it has finished: it
    ///    has been sent everything by then.
    fn go_on(&self, mut ended: Completion) -> Result<bool> {
        let bytes = ended.result()?;
        let Some(client) = self.clients().get(&ended.key()).cloned() else { return Ok(false) };
        let mut buffer: Vec<u8> = ended.take_buffer().unwrap_or_default();
        match ended.operation() {
            Operation::Receive if bytes == 0 => return Ok(false),
            Operation::Receive => {
                buffer.truncate(bytes);
                // It ends when all of it has been taken (OV-11). Its packet comes also if it ends at once (CP-03).
                client.send_overlapped(buffer, ToPort)?;
            }
            _ => {
                buffer.resize(BUFFER, 0);
                client.recv_overlapped(buffer, Flags::NONE, ToPort)?;
            }
        }
        Ok(true)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<usize, Socket>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error is one client's matter, and no more than told of.
fn failed(error: doorbell_winsock::Error) -> bool {
    eprintln!("{error}");
    false
}
