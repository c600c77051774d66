//! A thread that runs at a port, as others see it.
//!
//! Who waits in this library says so. A thread that sleeps elsewhere, in a lock or a channel, does not run either (CP-21),
//! but nobody is told of it. The trick: the kernel answers when it is asked, so the guard asks, if packets and threads wait
//! and for a whole tick none of those that run came for a packet.

use rustix::thread::{Pid, gettid};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

pub(super) struct Runner {
    thread: Pid,
    /// The number of the port where it runs, or 0.
    port: AtomicU64,
    /// It has a place there. What changes while it runs changes under the lock of that port.
    counted: AtomicBool,
}

impl Runner {
    /// The calling thread.
    pub(super) fn here() -> Arc<Runner> {
        Arc::new(Runner { thread: gettid(), port: AtomicU64::new(0), counted: AtomicBool::new(false) })
    }

    /// It runs at this port from here on, and has its place.
    pub(super) fn run_at(&self, port: u64) {
        self.counted.store(true, SeqCst);
        self.port.store(port, SeqCst);
    }

    pub(super) fn runs_at(&self, port: u64) -> bool {
        self.port.load(SeqCst) == port
    }

    /// It stops running. True if it had its place until now. Under the lock of the port.
    pub(super) fn stop(&self) -> bool {
        self.port.store(0, SeqCst);
        self.counted.load(SeqCst)
    }

    /// It has its place from here on, or has not. True if that is new. Under the lock of the port.
    pub(super) fn count(&self, counted: bool) -> bool {
        self.counted.swap(counted, SeqCst) != counted
    }

    pub(super) fn is_counted(&self) -> bool {
        self.counted.load(SeqCst)
    }

    /// Whether it sleeps now, whatever for. False where nobody can tell.
    pub(super) fn sleeps(&self) -> bool {
        let stat =
            fs::read(format!("/proc/self/task/{}/stat", self.thread.as_raw_nonzero())).unwrap_or_default();
        // The state stands behind the thread's name, which is in parentheses and may have some itself.
        let name_ends = stat.iter().rposition(|byte| *byte == b')');
        name_ends.is_some_and(|at| matches!(stat.get(at + 2), Some(b'S' | b'D')))
    }
}
