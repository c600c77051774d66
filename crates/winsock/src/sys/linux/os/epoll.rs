//! An epoll set with a bell: an eventfd in the set gets one waiting thread out of the wait.
//!
//! Any number of threads may wait; the kernel wakes one of them for an event, last in, first out.

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Nobody registers a socket under this number.
const BELL: u64 = u64::MAX;

const READER: EventFlags =
    EventFlags::IN.union(EventFlags::PRI).union(EventFlags::RDHUP).union(EventFlags::ET);

/// As many events as one call brings at most: a page of them.
pub(crate) const BATCH: usize = 64;

pub(crate) struct Epoll {
    set: OwnedFd,
    bell: OwnedFd,
}

/// What happened to the descriptor registered under `token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) token: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer finished, or the connection broke: a read brings the end or the reason without waiting.
    pub(crate) ended: bool,
    // The same without inference.
    pub(crate) data: bool,
    pub(crate) urgent: bool,
    pub(crate) broken: bool,
    pub(crate) hung_up: bool,
}

impl Epoll {
    pub(crate) fn new() -> Result<Epoll, Errno> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered: each ring wakes one thread, and nobody has to read the counter.
        epoll::add(&set, &bell, EventData::new_u64(BELL), EventFlags::IN | EventFlags::ET)?;
        Ok(Epoll { set, bell })
    }

    /// Registers a descriptor for every change that a reader wants to know.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: u64) -> Result<(), Errno> {
        epoll::add(&self.set, fd, EventData::new_u64(token), READER)
    }

    /// Registers a descriptor for every change that a reader or a writer wants to know.
    pub(crate) fn add_both(&self, fd: BorrowedFd<'_>, token: u64) -> Result<(), Errno> {
        epoll::add(&self.set, fd, EventData::new_u64(token), READER | EventFlags::OUT)
    }

    /// From now on also for every change that a writer wants to know, and for what is the case now.
    pub(crate) fn add_writer(&self, fd: BorrowedFd<'_>, token: u64) -> Result<(), Errno> {
        epoll::modify(&self.set, fd, EventData::new_u64(token), READER | EventFlags::OUT)
    }

    /// Registers a descriptor that is to be told of as long as it is readable.
    pub(crate) fn add_level(&self, fd: BorrowedFd<'_>, token: u64) -> Result<(), Errno> {
        epoll::add(&self.set, fd, EventData::new_u64(token), EventFlags::IN)
    }

    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        epoll::delete(&self.set, fd)
    }

    /// Gets one waiting thread out of the wait, or lets the next one not wait at all.
    pub(crate) fn ring(&self) {
        // A full counter means that nobody looked since 2^64 rings: nothing is lost.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    /// Takes back what was rung, for a set in which nobody waits: it is only looked at from outside.
    pub(crate) fn hush(&self) {
        // An empty counter means that it was not rung.
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
    }

    /// Waits for at most `timeout` (`None` for ever) and calls `each` for what happened. True if the bell was rung.
    /// A signal ends the wait early, with nothing.
    pub(crate) fn wait(&self, timeout: Option<Duration>, mut each: impl FnMut(Ready)) -> bool {
        let timeout = timeout.map(|t| Timespec {
            tv_sec: t.as_secs().min(i64::MAX as u64) as i64,
            tv_nsec: i64::from(t.subsec_nanos()),
        });
        let mut events = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; BATCH];
        let Ok((events, _)) = epoll::wait(&self.set, &mut events, timeout.as_ref()) else { return false };
        let mut rung = false;
        for event in events.iter() {
            let (token, flags) = (event.data.u64(), event.flags);
            if token == BELL {
                rung = true;
                continue;
            }
            let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            each(Ready {
                token,
                readable: ended || flags.intersects(EventFlags::IN | EventFlags::PRI),
                writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
                ended,
                data: flags.contains(EventFlags::IN),
                urgent: flags.contains(EventFlags::PRI),
                broken: flags.contains(EventFlags::ERR),
                hung_up: flags.contains(EventFlags::HUP),
            });
        }
        rung
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}
