//! The textbook way to wake a thread that stands in `select`: a loopback datagram to a socket in its read set.

use doorbell_winsock::Result;
use doorbell_winsock::socket::{Family, Kind, Socket};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(crate) struct Wake {
    socket: Socket,
    /// A datagram is on its way: another one would say nothing more.
    rung: AtomicBool,
}

impl Wake {
    /// A socket that is connected to itself, so that nobody else can ring it.
    pub(crate) fn new() -> Result<Wake> {
        let socket = Socket::new(Family::V4, Kind::Datagram)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Wake { socket, rung: AtomicBool::new(false) })
    }

    /// What stands in the read set.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Wakes the thread. Whatever it is to find must be there before.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) && self.socket.send(&[1]).is_err() {
            // Nothing is on its way after all, so the next one who rings tries again.
            self.rung.store(false, Ordering::Release);
        }
    }

    /// The thread is awake, and looks for what it was woken for after this.
    pub(crate) fn hush(&self) {
        // First empty, then unset: the other way round a datagram could be eaten whose mark stays, and nobody would
        // ring again.
        while self.socket.recv(&mut [0]).is_ok() {}
        self.rung.swap(false, Ordering::AcqRel);
    }
}
