//! What a thread knows of itself: where it sleeps while it is parked, at which port it runs, and its number.

use super::super::engine::home::Home;
use super::{LOOK_EVERY, PortCore};
use crate::port::Packet;
use crate::semantics::port::Release;
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

/// Where a parked thread sleeps.
#[derive(Clone)]
pub(super) struct Waiter(Arc<Bed>);

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
    pub(super) fn release(&self, release: Release<Packet>) {
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
    pub(super) fn sleep_at_home(
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

    pub(super) fn sleep(&self, timeout: Option<Duration>) -> Option<Release<Packet>> {
        let released = self.0.released.lock().unwrap_or_else(PoisonError::into_inner);
        let mut released = match timeout {
            None => self.0.wake.wait_while(released, |r| r.is_none()).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let waited = self.0.wake.wait_timeout_while(released, timeout, |r| r.is_none());
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        released.take()
    }
}

/// What a thread knows of itself: where it sleeps, and at which port it runs.
pub(super) struct Me {
    number: OnceCell<u64>,
    waiter: OnceCell<Waiter>,
    port: RefCell<Option<Arc<PortCore>>>,
    taken: Cell<u32>,
}

thread_local! {
    pub(super) static ME: Me = const {
        Me {
            number: OnceCell::new(),
            waiter: OnceCell::new(),
            port: RefCell::new(None),
            taken: Cell::new(0),
        }
    };
}

impl Me {
    // The thread is back from its work, whichever port gave it.
    pub(super) fn come_back(&self) -> Waiter {
        self.stop_running();
        self.waiter
            .get_or_init(|| {
                Waiter(Arc::new(Bed {
                    released: Mutex::new(None),
                    wake: Condvar::new(),
                    home: OnceLock::new(),
                }))
            })
            .clone()
    }

    fn stop_running(&self) {
        let port = self.port.borrow_mut().take();
        if let Some(port) = port {
            let mut wake = Vec::new();
            {
                let mut state = port.lock();
                state.stop_running();
                state.release(&mut wake);
            }
            port.wake(wake);
        }
    }

    pub(super) fn runs(&self, port: &Arc<PortCore>) {
        *self.port.borrow_mut() = Some(port.clone());
    }

    pub(super) fn is_time_to_look(&self, count: usize) -> bool {
        let taken = self.taken.get() + count as u32;
        self.taken.set(taken % LOOK_EVERY);
        taken >= LOOK_EVERY
    }
}

impl Drop for Me {
    // A thread that ends runs no more.
    fn drop(&mut self) {
        if let Some(port) = self.port.borrow_mut().take() {
            port.stop_running();
        }
    }
}

/// Whether the calling thread runs at this port.
pub(in crate::sys::linux) fn runs_here(port: &Weak<PortCore>) -> bool {
    ME.try_with(|me| me.port.borrow().as_ref().is_some_and(|mine| Arc::as_ptr(mine) == port.as_ptr()))
        .unwrap_or(false)
}

pub(in crate::sys::linux) fn runs_on(port: &PortCore) -> bool {
    ME.try_with(|me| me.port.borrow().as_ref().is_some_and(|mine| std::ptr::eq(&raw const **mine, port)))
        .unwrap_or(false)
}

/// A number for the calling thread that no other one ever has.
pub(in crate::sys::linux) fn thread_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    ME.try_with(|me| *me.number.get_or_init(|| LAST.fetch_add(1, Ordering::Relaxed) + 1)).unwrap_or(0)
}

/// While this lives the calling thread's place at its port is free.
pub(in crate::sys::linux) struct FreePlace(Option<Arc<PortCore>>);

/// Frees the calling thread's place, if it runs at a port and is going to wait: `waits` is asked only in that case.
pub(in crate::sys::linux) fn free_place(waits: impl FnOnce() -> bool) -> FreePlace {
    let runs = ME.try_with(|me| me.port.borrow().is_some()).unwrap_or(false);
    if !runs || !waits() {
        return FreePlace(None);
    }
    let port = ME.try_with(|me| me.port.borrow_mut().take()).ok().flatten();
    if let Some(port) = &port {
        port.stop_running();
    }
    FreePlace(port)
}

impl Drop for FreePlace {
    fn drop(&mut self) {
        if let Some(port) = self.0.take() {
            // It may have become a running thread of some port meanwhile, by a `get` of its own.
            ME.try_with(Me::stop_running).ok();
            port.lock().run_again();
            let _ = ME.try_with(|me| *me.port.borrow_mut() = Some(port));
        }
    }
}

pub(crate) fn blocking<R>(work: impl FnOnce() -> R) -> R {
    let _place = free_place(|| true);
    work()
}
