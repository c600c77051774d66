//! Where a thread sleeps that is parked at a port, and what it is woken with.

use super::super::engine::home::Home;
use super::super::sync::{Condvar, Mutex};
use crate::port::Packet;
use crate::semantics::port::Release;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Where a parked thread sleeps.
#[derive(Clone)]
pub(in crate::sys::linux) struct Waiter(Arc<Bed>);

struct Bed {
    released: Mutex<Option<Release<Packet>>>,
    wake: Condvar,
    /// A thread that waits alertably sleeps in its home.
    home: OnceLock<Arc<Home>>,
}

impl PartialEq for Waiter {
    fn eq(&self, other: &Waiter) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Waiter {
    pub(in crate::sys::linux) fn new() -> Waiter {
        Waiter(Arc::new(Bed { released: Mutex::new(None), wake: Condvar::new(), home: OnceLock::new() }))
    }

    pub(in crate::sys::linux) fn release(&self, release: Release<Packet>) {
        let mut released = self.0.released.lock().unwrap_or_else(PoisonError::into_inner);
        // Releases are handed over without the port's lock, so one to poll may come late; it displaces nothing.
        if released.is_none() || !matches!(release, Release::Poll) {
            *released = Some(release);
        }
        drop(released);
        self.0.wake.notify_one();
        if let Some(home) = self.0.home.get() {
            home.wake();
        }
    }

    // As `sleep`, but for at most one word from anybody, who may be one with a routine.
    pub(in crate::sys::linux) fn sleep_at_home(
        &self,
        home: &Arc<Home>,
        timeout: Option<Duration>,
    ) -> Option<Release<Packet>> {
        self.0.home.get_or_init(|| home.clone());
        let released = || self.0.released.lock().unwrap_or_else(PoisonError::into_inner).take();
        released().or_else(|| {
            home.wait(timeout);
            released()
        })
    }

    pub(in crate::sys::linux) fn sleep(&self, timeout: Option<Duration>) -> Option<Release<Packet>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut released = self.0.released.lock().unwrap_or_else(PoisonError::into_inner);
        while released.is_none() {
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(left) => {
                    let waited = self.0.wake.wait_timeout(released, left);
                    released = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => released = self.0.wake.wait(released).unwrap_or_else(PoisonError::into_inner),
            }
        }
        released.take()
    }
}
