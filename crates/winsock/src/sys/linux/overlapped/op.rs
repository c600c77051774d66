//! An operation that is told by an event: its outcome, and the handle that asks for it.

use super::super::engine::home::{self, Home};
use super::super::error::Result;
use super::super::event_select::Object;
use super::super::port::free_place;
use super::super::socket::Core;
use super::cancel_chosen;
use crate::error::{WSA_IO_INCOMPLETE, wsa_from_system};
use crate::overlapped::{Completion, OpId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What became of the operation, shared by its handle and the engine.
pub(in crate::sys::linux) struct Outcome {
    event: Arc<Object>,
    state: Mutex<State>,
}

enum State {
    /// With those who wait for this one alone.
    Pending(Vec<Arc<Home>>),
    Ended(Completion),
    /// It was taken, or nobody wants it.
    Gone,
}

impl Outcome {
    pub(super) fn new(event: Arc<Object>) -> Outcome {
        Outcome { event, state: Mutex::new(State::Pending(Vec::new())) }
    }

    pub(in crate::sys::linux) fn event(&self) -> &Object {
        &self.event
    }

    /// The operation has ended: whoever asks from here on is told, and the event is set whatever the outcome (OV-05). What
    /// nobody wants comes back, to be dropped where that may do anything.
    pub(in crate::sys::linux) fn end(&self, completion: Completion) -> Option<Completion> {
        let mut state = self.lock();
        let before = match &*state {
            State::Pending(_) => Ok(std::mem::replace(&mut *state, State::Ended(completion))),
            State::Ended(_) | State::Gone => Err(completion),
        };
        // Under the lock: who has the outcome may give the event to the next operation, which this one must not tell of.
        let _ = self.event.set();
        drop(state);
        if let Ok(State::Pending(waiters)) = &before {
            waiters.iter().for_each(|home| home.wake());
        }
        before.err()
    }

    fn result(&self) -> Result<usize> {
        match &*self.lock() {
            State::Ended(completion) => result_of(completion),
            State::Pending(_) | State::Gone => Err(WSA_IO_INCOMPLETE),
        }
    }

    /// The result; while there is none this thread is to be woken when there is one.
    fn result_or_wake(&self, home: &Arc<Home>) -> Option<Result<usize>> {
        match &mut *self.lock() {
            State::Ended(completion) => Some(result_of(completion)),
            State::Pending(waiters) => {
                if !waiters.iter().any(|waiter| Arc::ptr_eq(waiter, home)) {
                    waiters.push(home.clone());
                }
                None
            }
            State::Gone => Some(Err(WSA_IO_INCOMPLETE)),
        }
    }

    fn take(&self) -> Option<Completion> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Gone) {
            State::Ended(completion) => Some(completion),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Nobody will ask. True if the operation is still pending.
    fn detach(&self) -> bool {
        let before = std::mem::replace(&mut *self.lock(), State::Gone);
        matches!(before, State::Pending(_))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the end of an operation says, in Winsock's codes.
pub(in crate::sys::linux) fn result_of(completion: &Completion) -> Result<usize> {
    match completion.system_code {
        0 => Ok(completion.bytes),
        code => Err(wsa_from_system(code)),
    }
}

/// An operation that is told by an event. Its drop, while it is pending, cancels it.
pub(crate) struct Op {
    pub(super) core: Arc<Core>,
    pub(super) id: OpId,
    pub(super) at_once: bool,
    pub(super) outcome: Arc<Outcome>,
}

impl Op {
    pub(crate) fn id(&self) -> OpId {
        self.id
    }

    pub(crate) fn at_once(&self) -> bool {
        self.at_once
    }

    pub(crate) fn result(&self) -> Result<usize> {
        match self.outcome.result() {
            Err(WSA_IO_INCOMPLETE) => {
                // The thread that asks may be the one that has to look.
                home::look_here();
                self.outcome.result()
            }
            result => result,
        }
    }

    pub(crate) fn wait(&self) -> Result<usize> {
        let ended = self.outcome.result();
        if ended != Err(WSA_IO_INCOMPLETE) {
            return ended;
        }
        // A thread of a port that waits here frees its place (CP-21).
        let _place = free_place(|| true);
        let home = home::here();
        loop {
            match &home {
                Ok(home) => match self.outcome.result_or_wake(home) {
                    Some(result) => return result,
                    None => home.wait(None),
                },
                // The thread is ending and has no home any more: it looks in now and then.
                Err(_) => match self.outcome.result() {
                    Err(WSA_IO_INCOMPLETE) => std::thread::sleep(Duration::from_millis(1)),
                    result => return result,
                },
            }
        }
    }

    pub(crate) fn try_take(self) -> std::result::Result<Completion, Op> {
        self.outcome.take().ok_or(self)
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        if self.outcome.detach() {
            cancel_chosen(&self.core, &|op| op.id == self.id);
        }
    }
}
