//! Echo servers for the tests of the generator: right ones, and ones with one fault.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// What a server does with bytes that came: sends some back, or says that the connection is to be closed.
pub(super) trait Answers: Send + 'static {
    /// `position` is that of the first of `bytes` among all that came on this connection; `connection` counts accepts.
    fn answer(&mut self, connection: usize, position: u64, bytes: &[u8], peer: &mut TcpStream) -> Then;
}

pub(super) enum Then {
    Continue,
    Close,
}

/// A thread for the listener and one for each connection.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    stop: Arc<AtomicBool>,
    accepts: Option<JoinHandle<()>>,
}

impl Server {
    /// Sends all back.
    pub(super) fn echo() -> Server {
        Server::start(|_, _, bytes: &[u8], peer: &mut TcpStream| {
            write(peer, bytes);
            Then::Continue
        })
    }

    pub(super) fn start(answers: impl Answers) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, answers) = (Arc::clone(&stop), Arc::new(Mutex::new(answers)));
        let accepts = thread::spawn(move || {
            for (connection, peer) in listener.incoming().enumerate() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                let (answers, peer) = (Arc::clone(&answers), peer.unwrap());
                thread::Builder::new()
                    .stack_size(256 << 10)
                    .spawn(move || serve(connection, peer, &answers))
                    .unwrap();
            }
        });
        Server { address, stop, accepts: Some(accepts) }
    }
}

impl<F: FnMut(usize, u64, &[u8], &mut TcpStream) -> Then + Send + 'static> Answers for F {
    fn answer(&mut self, connection: usize, position: u64, bytes: &[u8], peer: &mut TcpStream) -> Then {
        self(connection, position, bytes, peer)
    }
}

/// Ends when the peer does, which it does when its run ends.
fn serve(connection: usize, mut peer: TcpStream, answers: &Mutex<impl Answers>) {
    let _ = peer.set_nodelay(true);
    let (mut buffer, mut position) = (vec![0; 16 << 10], 0);
    loop {
        match peer.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(len) => {
                let then = answers.lock().unwrap().answer(connection, position, &buffer[..len], &mut peer);
                position += len as u64;
                if let Then::Close = then {
                    return;
                }
            }
        }
    }
}

/// Writes all, unless the peer is gone.
pub(super) fn write(peer: &mut TcpStream, bytes: &[u8]) {
    if let Err(error) = peer.write_all(bytes) {
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "the socket blocks");
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
