//! A listening socket: bound and listening, with the options that every server wants.

use crate::error::StartError;
use doorbell_winsock::socket::{BACKLOG_MAX, Family, Kind, Socket};
use std::net::SocketAddr;

/// A socket that listens, and the address it got.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) socket: Socket,
    address: SocketAddr,
}

impl Listener {
    /// Binds exclusively, so that a restart succeeds and nobody steals the port, and listens with the longest backlog.
    pub(crate) fn bind(address: SocketAddr) -> Result<Listener, StartError> {
        let bind = || {
            let socket = Socket::new(Family::of(&address), Kind::Stream)?;
            socket.set_exclusive_address()?;
            socket.bind(address)?;
            socket.listen(BACKLOG_MAX)?;
            let address = socket.local_addr()?;
            Ok(Listener { socket, address })
        };
        bind().map_err(|error| StartError::Bind { address, error })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
