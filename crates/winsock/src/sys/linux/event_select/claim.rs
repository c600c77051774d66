//! How a thread's wait for events stands. Armed, and from then on satisfied by at most one event.

use super::super::sync::atomic::{AtomicU32, Ordering::SeqCst};
use super::super::sync::{Mutex, MutexGuard};
use super::object::Object;
use std::sync::{Arc, PoisonError};

const IDLE: u32 = 0;
const ANY: u32 = 1;
const ALL: u32 = 2;
const FAILED: u32 = 3;
/// Another wait of this thread came between: what was armed has to be armed anew.
const DISTURBED: u32 = 5;
/// With the place of the event in the bits above.
const SATISFIED: u32 = 4;
const PLACE_SHIFT: u32 = 8;

#[derive(Default)]
pub(crate) struct Claim {
    word: AtomicU32,
    /// What a wait for all waits for, in the order in which it is locked. Never taken under the lock of an event.
    all: Mutex<Vec<Arc<Object>>>,
}

/// How a wait ended by another's hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    Place(usize),
    Closed,
}

impl Claim {
    /// A wait of this thread begins. It may be inside another one, which lets a buffer go that waits as it is dropped.
    pub(super) fn turn(&self) -> Turn<'_> {
        let outer = match self.word.load(SeqCst) {
            IDLE => IDLE,
            _ => self.word.swap(IDLE, SeqCst),
        };
        Turn { claim: self, outer }
    }

    /// Whether a wait inside this one took its place.
    pub(super) fn is_disturbed(&self) -> bool {
        self.word.load(SeqCst) == DISTURBED
    }

    pub(super) fn arm_any(&self) {
        self.word.store(ANY, SeqCst);
    }

    pub(super) fn arm_all(&self) {
        self.word.store(ALL, SeqCst);
    }

    /// What ended the wait, if something did.
    pub(super) fn claimed(&self) -> Option<Claimed> {
        claimed(self.word.load(SeqCst))
    }

    /// From here on nobody satisfies the wait; what ended it before stands.
    pub(super) fn disarm(&self) -> Option<Claimed> {
        claimed(self.word.swap(IDLE, SeqCst))
    }

    pub(super) fn name_all(&self, objects: Vec<Arc<Object>>) {
        let before = std::mem::replace(&mut *self.all(), objects);
        drop(before);
    }

    pub(super) fn waits_for_all(&self) -> bool {
        self.word.load(SeqCst) == ALL
    }

    pub(super) fn satisfy(&self, place: usize) -> bool {
        self.end(ANY, SATISFIED | (place as u32) << PLACE_SHIFT)
    }

    /// A wait of the kind that the closed event was named for fails: names of the last wait for any outlast it.
    pub(super) fn fail(&self, for_all: bool) -> bool {
        self.end(if for_all { ALL } else { ANY }, FAILED)
    }

    /// Satisfies a wait for all, of which the caller has seen that it may be.
    pub(super) fn satisfy_all(&self) -> bool {
        self.end(ALL, SATISFIED)
    }

    fn end(&self, before: u32, after: u32) -> bool {
        self.word.compare_exchange(before, after, SeqCst, SeqCst).is_ok()
    }

    /// The events of a wait for all.
    pub(super) fn all(&self) -> MutexGuard<'_, Vec<Arc<Object>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For as long as one wait has the claim; then it is the outer one's again. What that one was given stands.
pub(super) struct Turn<'a> {
    claim: &'a Claim,
    outer: u32,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let outer = if matches!(self.outer, ANY | ALL) { DISTURBED } else { self.outer };
        self.claim.word.store(outer, SeqCst);
    }
}

fn claimed(word: u32) -> Option<Claimed> {
    match word & ((1 << PLACE_SHIFT) - 1) {
        SATISFIED => Some(Claimed::Place((word >> PLACE_SHIFT) as usize)),
        FAILED => Some(Claimed::Closed),
        _ => None,
    }
}
