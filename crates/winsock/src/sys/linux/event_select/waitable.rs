//! What a foreign loop waits for: an epoll set that nobody waits in, and that is readable when there is reason to ask.
//!
//! Its bell is rung as long as the event is set, or messages wait. The domains of the thread are nested in it, so that the
//! thread hears of its sockets without a detour by the guard, and brings the news itself when it asks.

use super::super::engine::home;
use super::super::error::{Result, wsa};
use super::super::os::epoll::Epoll;
use crate::event_select::Waitable as Public;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Weak};

pub(crate) struct Waitable {
    set: Arc<Epoll>,
}

impl Waitable {
    /// One of the calling thread, to be rung by [`Beacons`].
    pub(in crate::sys::linux) fn new() -> Result<Waitable> {
        let set = Arc::new(Epoll::new().map_err(wsa)?);
        home::here()?.shine_through(&set)?;
        Ok(Waitable { set })
    }
}

impl AsFd for Public {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sys.set.as_fd()
    }
}

impl AsRawFd for Public {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// The sets by which foreign loops are told of one event, or of one queue. Under the lock of what they tell of.
#[derive(Default)]
pub(in crate::sys::linux) struct Beacons(Vec<Weak<Epoll>>);

impl Beacons {
    pub(in crate::sys::linux) fn add(&mut self, waitable: &Waitable, lit: bool) {
        self.0.push(Arc::downgrade(&waitable.set));
        self.show(lit);
    }

    /// After each change: whether there is reason to ask.
    pub(in crate::sys::linux) fn show(&mut self, lit: bool) {
        self.0.retain(|set| {
            let Some(set) = set.upgrade() else { return false };
            if lit {
                set.ring()
            } else {
                set.hush()
            }
            true
        });
    }
}
