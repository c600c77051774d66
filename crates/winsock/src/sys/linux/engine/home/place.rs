//! Where a thread is, in one word, and the bed in which it sleeps if it has no domain.
//!
//! The trick: whoever wakes it changes the word first, and so knows whether there is somebody to wake at all; a wake that
//! comes before the wait stands in the word and is not lost.

use super::super::super::sync::atomic::{AtomicU8, Ordering::SeqCst};
use super::super::super::sync::{Condvar, Mutex};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// It computes, or is elsewhere.
const AWAY: u8 = 0;
/// Woken before it waited, or out of its sleep.
const WOKEN: u8 = 1;
/// It has no domain and sleeps on the condition variable.
const ASLEEP: u8 = 2;
const IN_OPERATIONS: u8 = 3;
const IN_SELECTION: u8 = 4;
/// It waits in a domain whose bell was rung for it.
const RUNG: u8 = 5;

/// The domain in which a thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sys::linux) enum Where {
    Operations,
    Selection,
}

pub(in crate::sys::linux) struct Place {
    word: AtomicU8,
    bed: Mutex<()>,
    bell: Condvar,
}

impl Place {
    pub(in crate::sys::linux) fn new() -> Place {
        Place { word: AtomicU8::new(AWAY), bed: Mutex::new(()), bell: Condvar::new() }
    }

    /// The thread is about to wait in a domain. False if it was woken before: then it does not wait.
    pub(in crate::sys::linux) fn enter(&self, domain: Where) -> bool {
        let word = match domain {
            Where::Operations => IN_OPERATIONS,
            Where::Selection => IN_SELECTION,
        };
        self.word.compare_exchange(AWAY, word, SeqCst, SeqCst).is_ok()
    }

    /// It waits no more.
    pub(in crate::sys::linux) fn leave(&self) {
        self.word.store(AWAY, SeqCst);
    }

    /// What it waits in next does not wait. For the thread itself.
    pub(in crate::sys::linux) fn stay(&self) {
        let _ = self.word.compare_exchange(AWAY, WOKEN, SeqCst, SeqCst);
    }

    /// Wakes it. Where it waits in a domain, that one's bell has to be rung.
    pub(in crate::sys::linux) fn wake(&self) -> Option<Where> {
        let woken = self.word.fetch_update(SeqCst, SeqCst, |word| match word {
            AWAY | ASLEEP => Some(WOKEN),
            IN_OPERATIONS | IN_SELECTION => Some(RUNG),
            _ => None,
        });
        match woken {
            Ok(ASLEEP) => {
                // It holds this lock from its look at the word until it sleeps.
                drop(self.bed.lock().unwrap_or_else(PoisonError::into_inner));
                self.bell.notify_all();
                None
            }
            Ok(IN_OPERATIONS) => Some(Where::Operations),
            Ok(IN_SELECTION) => Some(Where::Selection),
            _ => None,
        }
    }

    /// Whether the bell was rung for a thread that is still in its domain.
    pub(in crate::sys::linux) fn is_rung(&self) -> bool {
        self.word.load(SeqCst) == RUNG
    }

    /// Blocks until it is woken, at most `timeout`.
    pub(in crate::sys::linux) fn sleep(&self, timeout: Option<Duration>) {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
        if self.word.compare_exchange(AWAY, ASLEEP, SeqCst, SeqCst).is_ok() {
            while self.word.load(SeqCst) == ASLEEP {
                match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                    Some(Duration::ZERO) => break,
                    Some(left) => {
                        bed = self.bell.wait_timeout(bed, left).unwrap_or_else(PoisonError::into_inner).0;
                    }
                    None => bed = self.bell.wait(bed).unwrap_or_else(PoisonError::into_inner),
                }
            }
        }
        self.word.store(AWAY, SeqCst);
    }
}
