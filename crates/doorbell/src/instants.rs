//! Instants at which somebody wants to be called, the earliest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// An instant cannot be taken back: whoever is called looks whether it still matters.
#[derive(Debug)]
pub(crate) struct Instants<T>(BinaryHeap<Reverse<(Instant, T)>>);

impl<T: Ord + Copy> Instants<T> {
    pub(crate) fn new() -> Instants<T> {
        Instants(BinaryHeap::new())
    }

    pub(crate) fn push(&mut self, at: Instant, whom: T) {
        self.0.push(Reverse((at, whom)));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Whom to call, if the next instant has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse((_, whom))| whom)
    }
}
