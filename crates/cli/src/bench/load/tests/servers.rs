//! Echo servers for the tests of the generator: right ones, and ones with one fault.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// What came on a connection.
pub(super) struct Came<'a> {
    /// Of the first of `bytes` among all that came on this connection.
    pub(super) position: usize,
    pub(super) bytes: &'a [u8],
    pub(super) peer: &'a mut TcpStream,
}

#[derive(PartialEq)]
pub(super) enum Then {
    Continue,
    Close,
}

/// A thread for the listener and one for each connection.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    accepts: Option<JoinHandle<()>>,
}

impl Came<'_> {
    /// Sends back what came.
    pub(super) fn echo(&mut self) -> Then {
        send(self.peer, self.bytes);
        Then::Continue
    }

    /// The index in `bytes` of the byte at a position of the connection, if it came with these.
    pub(super) fn index_of(&self, position: usize) -> Option<usize> {
        position.checked_sub(self.position).filter(|index| *index < self.bytes.len())
    }
}

impl Server {
    pub(super) fn echo() -> Server {
        Server::start(|mut came| came.echo())
    }

    /// `answer` is called with all that comes.
    pub(super) fn start(answer: impl Fn(Came<'_>) -> Then + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count, answer) = (Arc::clone(&stop), Arc::clone(&accepted), Arc::new(answer));
        let accepts = thread::spawn(move || {
            for peer in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                count.fetch_add(1, Ordering::AcqRel);
                let (answer, peer) = (Arc::clone(&answer), peer.unwrap());
                thread::Builder::new().stack_size(256 << 10).spawn(move || serve(peer, &*answer)).unwrap();
            }
        });
        Server { address, accepted, stop, accepts: Some(accepts) }
    }

    /// How many connections it accepted.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Acquire)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Its accept returns for this one.
        let _ = TcpStream::connect(self.address);
        let _ = self.accepts.take().unwrap().join();
    }
}

/// Ends when the peer does, which it does when its run ends.
fn serve(mut peer: TcpStream, answer: &impl Fn(Came<'_>) -> Then) {
    let _ = peer.set_nodelay(true);
    let (mut buffer, mut position) = (vec![0; 16 << 10], 0);
    while let Ok(len @ 1..) = peer.read(&mut buffer) {
        let came = Came { position, bytes: &buffer[..len], peer: &mut peer };
        if answer(came) == Then::Close {
            return;
        }
        position += len;
    }
}

/// Sends all, unless the peer is gone: its test has its fault then.
pub(super) fn send(peer: &mut TcpStream, bytes: &[u8]) {
    let _ = peer.write_all(bytes);
}

/// Accepts `connections`, echoes the first request of the first one, and then does something to the last one.
pub(super) fn after_one_answer(
    connections: usize,
    act: impl FnOnce(&mut TcpStream) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut peers: Vec<TcpStream> = (0..connections).map(|_| listener.accept().unwrap().0).collect();
        let mut buffer = [0; 4096];
        // The last one's is that of its opening.
        for index in [connections - 1, 0] {
            let len = peers[index].read(&mut buffer).unwrap();
            send(&mut peers[index], &buffer[..len]);
        }
        act(peers.last_mut().unwrap());
        while let Ok(1..) = peers[0].read(&mut buffer) {}
    });
    (address, server)
}
