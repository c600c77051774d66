//! What a socket remembers of its connection, and what that allows: the refusals of every call, and which of a
//! system's readiness bits `select` may report.
//!
//! Linux forgets what Winsock remembers: why a connect failed once it was asked (SE-10), that a connection was reset
//! (BL-03), which direction was shut here (SD-03). So it is written down here, and the system is asked less often.

use crate::error::{
    WSAEALREADY, WSAECONNABORTED, WSAECONNRESET, WSAEHOSTDOWN, WSAEHOSTUNREACH, WSAEINVAL, WSAEISCONN,
    WSAENETDOWN, WSAENETRESET, WSAENETUNREACH, WSAENOTCONN, WSAEOPNOTSUPP, WSAESHUTDOWN, WSAETIMEDOUT,
};
use crate::socket::{Kind, Shutdown};
use std::net::SocketAddr;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Neither connecting nor connected; for a datagram socket: no peer.
    Idle,
    Listening,
    Connecting,
    Connected,
    /// The last connect failed for this reason; another one may be tried (BL-06).
    Failed(i32),
}

/// What `select` asks of a socket, and the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) except: bool,
}

/// What the system says of a socket at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) urgent: bool,
    /// Broken or ended in both directions.
    pub(crate) ended: bool,
}

/// The record of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    kind: Kind,
    phase: Phase,
    bound: bool,
    shut_receive: bool,
    shut_send: bool,
    /// What ended the connection, 0 while nothing did. It stays (BL-03).
    error: i32,
    peer: Option<SocketAddr>,
}

impl Connection {
    pub(crate) const fn new(kind: Kind) -> Connection {
        Connection {
            kind,
            phase: Phase::Idle,
            bound: false,
            shut_receive: false,
            shut_send: false,
            error: 0,
            peer: None,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn is_bound(&self) -> bool {
        self.bound
    }

    /// The peer's address; it is kept when the peer is gone (SD-10).
    pub(crate) fn peer(&self) -> Result<SocketAddr, i32> {
        self.peer.filter(|_| self.phase == Phase::Connected).ok_or(WSAENOTCONN)
    }

    /// Why the last connect failed, else what ended the connection, else 0. Asking changes nothing (SE-10).
    pub(crate) fn socket_error(&self) -> i32 {
        if let Phase::Failed(code) = self.phase { code } else { self.error }
    }

    // May this call be made? The code is the refusal.

    pub(crate) fn may_bind(&self) -> Result<(), i32> {
        if self.bound || self.phase != Phase::Idle { Err(WSAEINVAL) } else { Ok(()) }
    }

    pub(crate) fn may_listen(&self) -> Result<(), i32> {
        match self.phase {
            _ if self.kind == Kind::Datagram => Err(WSAEOPNOTSUPP),
            Phase::Connected => Err(WSAEISCONN),
            Phase::Connecting => Err(WSAEINVAL),
            _ if !self.bound => Err(WSAEINVAL),
            Phase::Idle | Phase::Listening | Phase::Failed(_) => Ok(()),
        }
    }

    pub(crate) fn may_accept(&self) -> Result<(), i32> {
        match self.phase {
            _ if self.kind == Kind::Datagram => Err(WSAEOPNOTSUPP),
            Phase::Listening => Ok(()),
            _ => Err(WSAEINVAL),
        }
    }

    /// A datagram socket may be given another peer at any time.
    pub(crate) fn may_connect(&self) -> Result<(), i32> {
        match self.phase {
            _ if self.kind == Kind::Datagram => Ok(()),
            Phase::Idle | Phase::Failed(_) => Ok(()),
            Phase::Listening => Err(WSAEINVAL),
            Phase::Connecting => Err(WSAEALREADY),
            Phase::Connected => Err(WSAEISCONN),
        }
    }

    pub(crate) fn may_receive(&self) -> Result<(), i32> {
        match self.kind {
            _ if self.shut_receive => Err(WSAESHUTDOWN),
            Kind::Stream => self.transfer(),
            Kind::Datagram if self.bound => Ok(()),
            Kind::Datagram => Err(WSAEINVAL),
        }
    }

    pub(crate) fn may_send(&self) -> Result<(), i32> {
        if self.shut_send { Err(WSAESHUTDOWN) } else { self.transfer() }
    }

    /// A datagram with an address of its own needs no peer.
    pub(crate) fn may_send_to(&self) -> Result<(), i32> {
        match self.kind {
            Kind::Stream => self.may_send(),
            Kind::Datagram if self.shut_send => Err(WSAESHUTDOWN),
            Kind::Datagram => Ok(()),
        }
    }

    pub(crate) fn may_shutdown(&self) -> Result<(), i32> {
        if self.kind == Kind::Datagram || self.phase == Phase::Connected { Ok(()) } else { Err(WSAENOTCONN) }
    }

    fn transfer(&self) -> Result<(), i32> {
        match self.phase {
            Phase::Connected if self.error == 0 => Ok(()),
            Phase::Connected => Err(self.error),
            _ => Err(WSAENOTCONN),
        }
    }

    // This happened.

    pub(crate) fn bound(&mut self) {
        self.bound = true;
    }

    pub(crate) fn listening(&mut self) {
        self.phase = Phase::Listening;
    }

    pub(crate) fn connecting(&mut self) {
        self.phase = Phase::Connecting;
        self.peer = None;
    }

    pub(crate) fn connected(&mut self, peer: SocketAddr) {
        *self =
            Connection { phase: Phase::Connected, bound: true, error: 0, peer: Some(peer), ..self.clone() };
    }

    pub(crate) fn connect_failed(&mut self, code: i32) {
        self.phase = Phase::Failed(code);
    }

    /// A datagram socket gave up its peer.
    pub(crate) fn disconnected(&mut self) {
        self.phase = Phase::Idle;
        self.peer = None;
    }

    pub(crate) fn shut(&mut self, how: Shutdown) {
        self.shut_receive |= how != Shutdown::Send;
        self.shut_send |= how != Shutdown::Receive;
    }

    pub(crate) fn is_shut(&self, how: Shutdown) -> bool {
        (self.shut_receive || how == Shutdown::Send) && (self.shut_send || how == Shutdown::Receive)
    }

    /// A transfer failed with `code`. What ended the connection is kept; the first one wins.
    pub(crate) fn failed(&mut self, code: i32) {
        if self.kind == Kind::Stream
            && self.phase == Phase::Connected
            && self.error == 0
            && ends_a_connection(code)
        {
            self.error = code;
        }
    }

    /// What of the system's answer `select` may report: Linux calls a fresh socket ended and a refused one writable.
    pub(crate) fn readiness(&self, raw: Raw, out_of_band_inline: bool) -> Readiness {
        match self.phase {
            _ if self.kind == Kind::Datagram => {
                Readiness { read: raw.readable, write: raw.writable, except: false }
            }
            Phase::Idle | Phase::Connecting => Readiness::default(),
            Phase::Listening => Readiness { read: raw.readable, ..Readiness::default() },
            Phase::Failed(_) => Readiness { except: true, ..Readiness::default() },
            Phase::Connected => {
                let over = raw.ended || self.error != 0;
                Readiness {
                    read: raw.readable || over || (raw.urgent && out_of_band_inline),
                    write: raw.writable || over,
                    except: raw.urgent && !out_of_band_inline,
                }
            }
        }
    }
}

/// Whether nothing can follow this code on a stream. Not among them: a time-out of ours, which the caller tells apart.
const fn ends_a_connection(code: i32) -> bool {
    matches!(
        code,
        WSAECONNRESET
            | WSAECONNABORTED
            | WSAENETRESET
            | WSAETIMEDOUT
            | WSAENETDOWN
            | WSAENETUNREACH
            | WSAEHOSTDOWN
            | WSAEHOSTUNREACH
    )
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
