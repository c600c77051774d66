//! What a server counts.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// The figures of a server at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Connections open now.
    pub open: usize,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Accepts that the system refused: no descriptor left, and the like. Their clients wait in the backlog.
    pub refused: u64,
    /// Connections that ended by an error: a reset, a time-out.
    pub failed: u64,
    /// Connections that ended because their conversation panicked.
    pub panicked: u64,
    /// Bytes that services have sent and the system has not taken yet, over all connections.
    pub bytes_held: usize,
}

/// The counters behind [`Figures`]. Each stands alone: no order between them is promised.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    cut_off: AtomicUsize,
    // Signed, because two threads may tell their changes in the other order than they happened.
    bytes_held: AtomicI64,
}

impl Counters {
    pub(crate) fn figures(&self, open: usize) -> Figures {
        Figures {
            open,
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            panicked: self.panicked.load(Ordering::Relaxed),
            bytes_held: self.bytes_held.load(Ordering::Relaxed).max(0).unsigned_abs() as usize,
        }
    }

    pub(crate) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn panicked(&self) {
        self.panicked.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cut_off(&self) {
        self.cut_off.fetch_add(1, Ordering::Relaxed);
    }

    /// How many conversations were cut off when the server ended.
    pub(crate) fn were_cut_off(&self) -> usize {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// A connection that held `before` bytes holds `after` now.
    pub(crate) fn held(&self, before: usize, after: usize) {
        if before != after {
            self.bytes_held.fetch_add(after as i64 - before as i64, Ordering::Relaxed);
        }
    }
}
