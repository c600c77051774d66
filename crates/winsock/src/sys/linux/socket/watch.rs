//! What `select` asks of a socket besides `poll`: who knows whether it is ready, and a word when that changes.

use super::super::os::poll::{POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI};
use crate::semantics::connection::{Connection, Phase, Raw};
use crate::socket::Kind;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who knows whether a socket is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhoKnows {
    /// Its record alone: it is ready for nothing, or its connect failed, or its connection is broken.
    Record,
    /// The system.
    System,
    /// It is connecting: first the outcome has to be asked for.
    Outcome,
}

impl WhoKnows {
    pub(super) fn of(connection: &Connection, kind: Kind) -> WhoKnows {
        match connection.phase() {
            _ if kind == Kind::Datagram => WhoKnows::System,
            Phase::Connecting => WhoKnows::Outcome,
            Phase::Idle | Phase::Failed(_) => WhoKnows::Record,
            Phase::Connected if connection.socket_error() != 0 => WhoKnows::Record,
            Phase::Connected | Phase::Listening => WhoKnows::System,
        }
    }
}

/// What `poll` answered, in the words of the semantics.
pub(crate) fn raw(revents: i16) -> Raw {
    Raw {
        readable: revents & POLLIN != 0,
        writable: revents & POLLOUT != 0,
        urgent: revents & POLLPRI != 0,
        ended: revents & (POLLERR | POLLHUP) != 0,
    }
}

/// Event descriptors of the `select` calls that wait for a change which `poll` does not tell: that a socket which is
/// ready for nothing begins to connect or to listen, or is closed.
#[derive(Default)]
pub(crate) struct Watchers {
    any: AtomicBool,
    list: Mutex<Vec<Arc<OwnedFd>>>,
}

impl Watchers {
    pub(crate) fn add(&self, watcher: &Arc<OwnedFd>) {
        self.lock().push(Arc::clone(watcher));
        self.any.store(true, SeqCst);
    }

    pub(crate) fn remove(&self, watcher: &Arc<OwnedFd>) {
        let mut list = self.lock();
        list.retain(|other| !Arc::ptr_eq(other, watcher));
        self.any.store(!list.is_empty(), SeqCst);
    }

    pub(super) fn tell(&self) {
        if self.any.load(SeqCst) {
            for watcher in self.lock().iter() {
                // A full counter is a wake that is already there.
                let _ = rustix::io::write(&**watcher, &1u64.to_ne_bytes());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<OwnedFd>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
