//! The home of the calling thread, from its first need to the thread's end.

use super::super::super::error::Result;
use super::super::super::overlapped;
use super::super::super::socket::Core;
use super::super::domain::Domain;
use super::super::line;
use super::Home;
use crate::error::ERROR_GEN_FAILURE;
use std::cell::{Cell, OnceCell, RefCell};
use std::ptr;
use std::sync::{Arc, Weak};

struct Here {
    home: OnceCell<Arc<Home>>,
    /// The sockets on which the thread started something that ends with it; some of them twice.
    started: RefCell<Vec<Weak<Core>>>,
    /// So many of them are worth a look for those that are gone.
    tidy_at: Cell<usize>,
}

thread_local! {
    static HERE: Here = const {
        Here { home: OnceCell::new(), started: RefCell::new(Vec::new()), tidy_at: Cell::new(64) }
    };
    /// The address of the calling thread's home, and that of its domain of operations.
    pub(super) static MINE: Cell<*const Home> = const { Cell::new(ptr::null()) };
    pub(super) static MY_OPERATIONS: Cell<*const Domain> = const { Cell::new(ptr::null()) };
}

/// The home of the calling thread, which is made if need be.
pub(in crate::sys::linux) fn here() -> Result<Arc<Home>> {
    HERE.try_with(|here| here.home.get_or_init(Home::new).clone()).map_err(|_| ERROR_GEN_FAILURE)
}

/// Takes what has happened in the domains of the calling thread, if it has any.
pub(in crate::sys::linux) fn look_here() {
    if let Ok(Some(home)) = HERE.try_with(|here| here.home.get().cloned()) {
        home.look();
    }
}

/// The calling thread starts something on this socket that ends with the thread.
pub(in crate::sys::linux::engine) fn note_started(core: &Arc<Core>) {
    let _ = HERE.try_with(|here| {
        let mut started = here.started.borrow_mut();
        if started.len() >= here.tidy_at.get() {
            started.sort_unstable_by_key(Weak::as_ptr);
            started.dedup_by(|a, b| a.ptr_eq(b));
            started.retain(|core| core.strong_count() > 0);
            here.tidy_at.set(2 * started.len().max(32));
        }
        started.push(Arc::downgrade(core));
    });
}

/// Whether operations of this domain are the calling thread's to hand over.
pub(in crate::sys::linux::engine) fn operates(domain: &Domain) -> bool {
    ptr::eq(MY_OPERATIONS.get(), domain)
}

impl Drop for Here {
    // The thread ends.
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        // From here on nobody queues anything (CR-20).
        home.apcs.close();
        MY_OPERATIONS.set(ptr::null());
        for core in self.started.take() {
            if let Some(core) = core.upgrade() {
                let theirs = |op: &line::Op| op.thread == home.thread && op.channel.is_of_thread();
                overlapped::cancel_chosen(&core, &theirs);
            }
        }
        // What a ring had of them has ended by now, or the guard sees its end.
        home.look();
        for domain in [home.operations.get(), home.selection.get()].into_iter().flatten() {
            domain.note_pending();
        }
        MINE.set(ptr::null());
    }
}
