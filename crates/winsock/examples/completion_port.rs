//! The completion port: one queue of ended operations, and a few threads that take from it.
//!
//! An echo server, and one page: `cargo run -p doorbell-winsock --example completion_port -- 127.0.0.1:7007`.

use doorbell_winsock::host::{Signals, processors};
use doorbell_winsock::overlapped::{Operation, ToPort};
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{Completion, CompletionPort, Error, Family, Kind, Packet, Result, Socket};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::resume_unwind;
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
    clients: Mutex<HashMap<usize, Socket>>,
    next_key: AtomicUsize,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;

    // 1. A listening socket, and a port with which it is associated. The port lets as many threads run as there are
    //    processors; twice as many wait, so that one that blocks is replaced.
    let listener = Socket::new(Family::of(&address), Kind::Stream)?;
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

    // 3. So is the word to start an accept. Several are under way, so that clients who come together need not wait.
    (0..4).try_for_each(|_| port.post(0, LISTENER, 0))?;
    let server = Server { port, listener, clients: Mutex::default(), next_key: FIRST.into() };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| server.work())).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })?;
    Ok(())
}

impl Server {
    /// 4. A thread takes a packet, does what follows from it, and comes back. The packet of an operation that failed is a
    ///    packet, and no error of this call.
    fn work(&self) -> Result<()> {
        loop {
            match self.port.get(None)? {
                Packet::Posted { key: STOP, .. } => return Ok(()),
                Packet::Posted { .. } => self.accept().unwrap_or_else(|error| self.again(error)),
                Packet::Io(ended) if ended.key() == LISTENER => {
                    let next = self.accepted(ended).and_then(|()| self.accept());
                    next.unwrap_or_else(|error| self.again(error));
                }
                // When nothing is started on a client any more it is dropped, and so closed. An error is its own matter.
                Packet::Io(ended) => {
                    let key = ended.key();
                    let goes_on = self.go_on(ended).inspect_err(|error| eprintln!("{error}"));
                    if !goes_on.unwrap_or(false) {
                        self.clients().remove(&key);
                    }
                }
            }
        }
    }

    /// 5. Starts an accept.
    fn accept(&self) -> Result<()> {
        let socket = Socket::for_accept(Family::of(&self.listener.local_addr()?))?;
        self.listener.accept_ex(&socket, Vec::<u8>::new(), ToPort)?;
        Ok(())
    }

    /// Out of descriptors, say: asking at once would only spin.
    fn again(&self, error: Error) {
        eprintln!("{error}");
        thread::sleep(Duration::from_millis(20));
        let _ = self.port.post(0, LISTENER, 0);
    }

    /// 6. An accept has ended: a new client, whose key is in the packets of all its operations.
    fn accepted(&self, mut ended: Completion) -> Result<()> {
        ended.result()?;
        let Some(client) = ended.take_accepted() else { return Ok(()) };
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        // Known before its first packet can come, which another thread may take.
        self.clients().insert(key, client.clone());
        let begin = || -> Result<()> {
            self.port.associate(&client, key)?;
            client.recv_overlapped(vec![0; BUFFER], Flags::NONE, ToPort)?;
            Ok(())
        };
        begin().inspect_err(|_| _ = self.clients().remove(&key))
    }

    /// 7. What was received is sent, what was sent makes room for the next receive; the buffer goes from one to the other. A
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
