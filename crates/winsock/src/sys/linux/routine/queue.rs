//! What a thread is to run in its alertable waits: user APCs, and routines whose operations have ended.

use super::super::error::Result;
use super::super::overlapped::result_of;
use super::super::sync::atomic::{AtomicBool, Ordering::SeqCst};
use super::super::sync::{Mutex, MutexGuard};
use crate::overlapped::Completion;
use std::collections::VecDeque;
use std::sync::PoisonError;

/// Something to run.
pub(super) enum Apc {
    Work(Box<dyn FnOnce() + Send>),
    Routine(usize, Completion),
}

/// What a thread is to run in its alertable waits.
#[derive(Default)]
pub(crate) struct Apcs {
    any: AtomicBool,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    apcs: VecDeque<Apc>,
    /// The thread has ended.
    closed: bool,
}

impl Apcs {
    /// Whether something is queued.
    pub(in crate::sys::linux) fn any(&self) -> bool {
        self.any.load(SeqCst)
    }

    /// The routine of this number is to run with this. It comes back if the thread has ended, which runs nothing (CR-20).
    pub(in crate::sys::linux) fn push_routine(
        &self,
        number: usize,
        completion: Completion,
    ) -> Option<Completion> {
        match self.push(Apc::Routine(number, completion)) {
            Some(Apc::Routine(_, completion)) => Some(completion),
            Some(Apc::Work(_)) | None => None,
        }
    }

    /// What the end of the operation says that waits here under this number.
    pub(super) fn result_of(&self, number: usize) -> Option<Result<usize>> {
        self.lock().apcs.iter().find_map(|apc| match apc {
            Apc::Routine(other, completion) if *other == number => Some(result_of(completion)),
            _ => None,
        })
    }

    /// Puts it at the end. It comes back if the thread has ended.
    pub(super) fn push(&self, apc: Apc) -> Option<Apc> {
        let mut queue = self.lock();
        if queue.closed {
            return Some(apc);
        }
        queue.apcs.push_back(apc);
        self.any.store(true, SeqCst);
        None
    }

    pub(super) fn pop(&self) -> Option<Apc> {
        let mut queue = self.lock();
        let apc = queue.apcs.pop_front();
        self.any.store(!queue.apcs.is_empty(), SeqCst);
        apc
    }

    /// The thread ends: what is queued is dropped unrun, and nothing more is taken (CR-20).
    pub(in crate::sys::linux) fn close(&self) {
        let apcs = {
            let mut queue = self.lock();
            queue.closed = true;
            self.any.store(false, SeqCst);
            std::mem::take(&mut queue.apcs)
        };
        // Behind the lock: a drop may do anything.
        drop(apcs);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
