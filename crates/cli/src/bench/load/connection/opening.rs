//! How a connection comes about, in as many attempts as the patience allows.

use super::{Connection, State};
use crate::bench::load::LoadError;
use crate::bench::load::desk::Desk;
use crate::bench::load::fault::shortage;
use mio::Interest;
use mio::net::TcpStream;
use std::io::{self, ErrorKind};

/// Before a refused connect is tried again: a server that is just starting needs about so long.
const PAUSE_NS: u64 = 20_000_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// When the first one began.
    first_ns: u64,
    /// When this one began, or the next one may.
    this_ns: u64,
}

impl Connection {
    /// Begins to open.
    pub(in crate::bench::load) fn open(&mut self, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        let now_ns = desk.tick();
        self.attempt(now_ns, desk)
    }

    fn attempt(&mut self, first_ns: u64, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        let attempt = Attempt { first_ns, this_ns: desk.now_ns };
        let socket = TcpStream::connect(desk.target).and_then(|mut socket| {
            desk.registry.register(&mut socket, self.token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(socket)
        });
        match socket {
            Ok(socket) => {
                self.socket = Some(socket);
                self.state = State::Connecting(attempt);
                Ok(())
            }
            Err(error) => self.refused(attempt, error),
        }
    }

    /// An attempt failed: another one after a pause, unless it is the generator that cannot.
    fn refused(&mut self, mut attempt: Attempt, error: io::Error) -> Result<(), LoadError> {
        self.socket = None;
        attempt.this_ns += PAUSE_NS;
        match shortage(&error) {
            Some(error) => Err(error),
            None => {
                self.state = State::Pausing(attempt, error);
                Ok(())
            }
        }
    }

    /// Something happened to an attempt: is it a connection?
    pub(super) fn connected(&mut self, attempt: Attempt, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        let Some(socket) = &self.socket else { return Ok(()) };
        match socket.peer_addr() {
            // Without a listener, a socket whose own port happens to be the target connects to itself.
            Ok(peer) if socket.local_addr().is_ok_and(|own| own == peer) => {
                return self.refused(attempt, ErrorKind::ConnectionRefused.into());
            }
            Ok(_) => {}
            Err(_) => match socket.take_error() {
                Ok(None) => return Ok(()),
                Ok(Some(error)) | Err(error) => return self.refused(attempt, error),
            },
        }
        socket.set_nodelay(true).map_err(|error| self.dialogue.standing().broke(&error))?;
        self.heard_ns = desk.tick();
        self.state = State::Open;
        desk.opened += 1;
        desk.opened_ns = self.heard_ns;
        desk.opened_last = self.token.0;
        self.flush(desk)
    }

    /// Gives up an attempt that takes too long, or begins the one whose moment has come.
    pub(super) fn insist(&mut self, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        let patience = desk.load.patience;
        let patience_ns = patience.as_nanos() as u64;
        let (attempt, wait_ns, error) = match &self.state {
            // A queue that is full loses what asks for entry, and the system asks again seldom: do it ourselves.
            State::Connecting(attempt) => (*attempt, patience_ns / 4, None),
            State::Pausing(attempt, error) => (*attempt, 0, Some(error)),
            _ => return Ok(()),
        };
        // As long as others get in, the server is alive.
        let last_ns = attempt.first_ns.max(desk.opened_ns);
        if desk.now_ns.saturating_sub(last_ns) > patience_ns {
            return Err(self.dialogue.standing().not_opened(patience, error));
        }
        if desk.now_ns >= attempt.this_ns + wait_ns {
            self.socket = None;
            return self.attempt(attempt.first_ns, desk);
        }
        Ok(())
    }
}
