//! Routines that wait for the end of their operations, in the thread that started them.

use super::super::engine::home;
use super::super::error::Result;
use super::super::socket::Core;
use crate::error::{ERROR_GEN_FAILURE, ERROR_NOT_FOUND, WSA_IO_INCOMPLETE};
use crate::overlapped::{Completion, OpId};
use std::cell::RefCell;
use std::sync::Arc;

/// Room for the routine of an operation that is to be started by the calling thread; its number.
pub(in crate::sys::linux) fn reserve() -> Result<usize> {
    super::USED.set(true);
    let reserved = ROUTINES.try_with(|routines| {
        let routines = &mut *routines.borrow_mut();
        routines.free.pop().unwrap_or_else(|| {
            routines.places.push(None);
            routines.places.len() - 1
        })
    });
    // The thread is ending: what it started is being dropped.
    reserved.map_err(|_| ERROR_GEN_FAILURE)
}

/// The start was refused.
pub(in crate::sys::linux) fn release(number: usize) {
    ROUTINES.with_borrow_mut(|routines| routines.free.push(number));
}

/// The operation was started: its routine stays here, in its thread, until it runs.
pub(in crate::sys::linux) fn keep(
    number: usize,
    core: Arc<Core>,
    id: OpId,
    routine: Box<dyn FnOnce(Completion)>,
) {
    ROUTINES.with_borrow_mut(|routines| routines.places[number] = Some(Kept { core, id, routine }));
}

/// What became of an operation whose routine has not run yet (CR-19).
pub(in crate::sys::linux) fn result(core: &Arc<Core>, id: OpId) -> Result<usize> {
    let of = |kept: &Option<Kept>| kept.as_ref().is_some_and(|k| k.id == id && Arc::ptr_eq(&k.core, core));
    let number = ROUTINES.try_with(|routines| routines.borrow().places.iter().position(of));
    let number = number.ok().flatten().ok_or(ERROR_NOT_FOUND)?;
    let home = home::here()?;
    home.apcs.result_of(number).unwrap_or_else(|| {
        // The thread that asks is the one that has to look.
        home.look();
        home.apcs.result_of(number).unwrap_or(Err(WSA_IO_INCOMPLETE))
    })
}

thread_local! {
    pub(super) static ROUTINES: RefCell<Routines> = const { RefCell::new(Routines { places: Vec::new(), free: Vec::new() }) };
}

/// Routines of operations that this thread started. They need not be able to leave it, so only their numbers do.
pub(super) struct Routines {
    places: Vec<Option<Kept>>,
    free: Vec<usize>,
}

pub(super) struct Kept {
    core: Arc<Core>,
    id: OpId,
    pub(super) routine: Box<dyn FnOnce(Completion)>,
}

impl Routines {
    pub(super) fn take(&mut self, number: usize) -> Option<Kept> {
        let kept = self.places.get_mut(number)?.take();
        self.free.push(number);
        kept
    }
}
