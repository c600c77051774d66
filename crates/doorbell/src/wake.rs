//! The textbook way to wake a thread that stands in `select`: a loopback datagram to a socket in its read set.

use crate::bell::Wake;
use doorbell_winsock::Result;
use doorbell_winsock::socket::{Family, Kind, Socket};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

/// For a thread that waits for sockets, of which this is one.
#[derive(Debug)]
pub(crate) struct WakeSocket {
    socket: Socket,
    /// A datagram is on its way: another one would say nothing more.
    rung: AtomicBool,
}

impl WakeSocket {
    /// A socket that is connected to itself, so that nobody else can ring it.
    pub(crate) fn new() -> Result<WakeSocket> {
        let socket = Socket::new(Family::V4, Kind::Datagram)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(WakeSocket { socket, rung: AtomicBool::new(false) })
    }

    /// What stands in the read set.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }
}

impl Wake for WakeSocket {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) && self.socket.send(&[1]).is_err() {
            // Nothing is on its way after all, so the next one who rings tries again.
            self.rung.store(false, Ordering::Release);
        }
    }

    fn hush(&self) {
        // First empty, then unset: the other way round a datagram could be eaten whose mark stays, and nobody would
        // ring again.
        while self.socket.recv(&mut [0]).is_ok() {}
        self.rung.swap(false, Ordering::AcqRel);
    }
}
