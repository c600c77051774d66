//! What a thread knows of itself: at which port it runs, and its number.

use super::runner::Runner;
use super::waiter::Waiter;
use super::{LOOK_EVERY, PortCore, lock};
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// What a thread knows of itself: where it sleeps, at which port it runs, and at which it would if it did not wait.
struct Me {
    waiter: OnceCell<Waiter>,
    runner: OnceCell<Arc<Runner>>,
    /// The port that heard of it last, by its number.
    known_at: Cell<u64>,
    port: RefCell<Option<Arc<PortCore>>>,
    lent: RefCell<Option<Arc<PortCore>>>,
    taken: Cell<u32>,
}

thread_local! {
    static ME: Me = const {
        Me {
            waiter: OnceCell::new(),
            runner: OnceCell::new(),
            known_at: Cell::new(0),
            port: RefCell::new(None),
            lent: RefCell::new(None),
            taken: Cell::new(0),
        }
    };
    /// Nothing to be dropped, so it is there to the very end of the thread.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// The thread is back from its work, whichever port gave it.
pub(super) fn come_back() -> Waiter {
    let me = ME.try_with(|me| {
        me.stop_running();
        me.waiter.get_or_init(Waiter::new).clone()
    });
    // In a thread that is ending what it knew of itself may be gone.
    me.unwrap_or_else(|_| Waiter::new())
}

/// The thread runs at this port and has taken so many packets. True if it is time to look at the sockets.
pub(super) fn runs(port: &Arc<PortCore>, count: usize) -> bool {
    let look = ME.try_with(|me| {
        let runner = me.runner.get_or_init(Runner::here);
        if me.known_at.replace(port.number) != port.number {
            let mut runners = lock(&port.runners);
            if !runners.iter().any(|known| known.as_ptr() == Arc::as_ptr(runner)) {
                runners.push(Arc::downgrade(runner));
            }
        }
        runner.run_at(port.number);
        *me.port.borrow_mut() = Some(port.clone());
        me.is_time_to_look(count)
    });
    look.unwrap_or_else(|_| {
        // It is ending, and nothing of it is left to give its place back later.
        port.stop_running(None);
        false
    })
}

impl Me {
    fn stop_running(&self) {
        let port = self.port.borrow_mut().take();
        if let Some(port) = port {
            let mut wake = Vec::new();
            {
                let mut state = port.lock();
                if self.runner.get().is_none_or(|runner| runner.stop()) {
                    state.stop_running();
                }
                state.release(&mut wake);
            }
            port.wake(wake);
        }
    }

    fn is_time_to_look(&self, count: usize) -> bool {
        let taken = self.taken.get() + count as u32;
        self.taken.set(taken % LOOK_EVERY);
        taken >= LOOK_EVERY
    }
}

impl Drop for Me {
    // A thread that ends runs no more.
    fn drop(&mut self) {
        if let Some(port) = self.port.borrow_mut().take() {
            port.stop_running(self.runner.get().map(|runner| &**runner));
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
    if NUMBER.get() == 0 {
        NUMBER.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
    }
    NUMBER.get()
}

/// While this lives the calling thread's place at its port is free.
pub(in crate::sys::linux) struct FreePlace {
    freed: bool,
}

/// Frees the calling thread's place, if it runs at a port and is going to wait: `waits` is asked only in that case.
pub(in crate::sys::linux) fn free_place(waits: impl FnOnce() -> bool) -> FreePlace {
    let runs = ME.try_with(|me| me.port.borrow().is_some()).unwrap_or(false);
    let freed = runs && waits();
    if freed {
        let _ = ME.try_with(Me::lend);
    }
    FreePlace { freed }
}

impl Drop for FreePlace {
    fn drop(&mut self) {
        if self.freed {
            let _ = ME.try_with(Me::take_back);
        }
    }
}

/// While this lives a thread that waits, and has freed its place for it, runs all the same.
pub(in crate::sys::linux) struct TakenPlace {
    taken: bool,
}

/// Takes the place back that the calling thread has freed, if it has.
pub(in crate::sys::linux) fn take_place() -> TakenPlace {
    let lent = ME.try_with(|me| me.lent.borrow().is_some()).unwrap_or(false);
    if lent {
        let _ = ME.try_with(Me::take_back);
    }
    TakenPlace { taken: lent }
}

impl Drop for TakenPlace {
    fn drop(&mut self) {
        if self.taken {
            let _ = ME.try_with(Me::lend);
        }
    }
}

impl Me {
    fn lend(&self) {
        let port = self.port.borrow_mut().take();
        if let Some(port) = &port {
            port.stop_running(self.runner.get().map(|runner| &**runner));
        }
        *self.lent.borrow_mut() = port;
    }

    fn take_back(&self) {
        if let Some(port) = self.lent.borrow_mut().take() {
            // It may have become a running thread of some port meanwhile, by a `get` of its own.
            self.stop_running();
            {
                let mut state = port.lock();
                state.run_again();
                self.runner.get().inspect(|runner| runner.run_at(port.number));
            }
            *self.port.borrow_mut() = Some(port);
        }
    }
}

pub(crate) fn blocking<R>(work: impl FnOnce() -> R) -> R {
    let _place = free_place(|| true);
    work()
}
