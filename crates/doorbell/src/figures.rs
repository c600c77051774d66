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
    open: AtomicUsize,
    accepted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    // Signed, because two threads may tell their changes in the other order than they happened.
    bytes_held: AtomicI64,
}

impl Counters {
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            open: self.open.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            panicked: self.panicked.load(Ordering::Relaxed),
            bytes_held: self.bytes_held.load(Ordering::Relaxed).max(0).unsigned_abs() as usize,
        }
    }
}
