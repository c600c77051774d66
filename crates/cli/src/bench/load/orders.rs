//! What the thread that conducts a run tells those that carry it out, and the clock of all.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// Has not happened yet.
const NEVER: u64 = u64::MAX;

/// The moments of a run, in nanoseconds since its origin.
pub(super) struct Orders {
    origin: Instant,
    started: AtomicU64,
    began: AtomicU64,
    ended: AtomicU64,
    close: AtomicBool,
    quit: AtomicBool,
    /// Threads whose connections are all open.
    ready: AtomicUsize,
}

impl Orders {
    pub(super) fn new() -> Orders {
        Orders {
            origin: Instant::now(),
            started: AtomicU64::new(NEVER),
            began: AtomicU64::new(NEVER),
            ended: AtomicU64::new(NEVER),
            close: AtomicBool::new(false),
            quit: AtomicBool::new(false),
            ready: AtomicUsize::new(0),
        }
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    /// From now on requests are sent.
    pub(super) fn start(&self) {
        self.started.store(self.now_ns(), Ordering::Release);
    }

    /// From now on they are measured.
    pub(super) fn begin(&self) -> u64 {
        let now = self.now_ns();
        self.began.store(now, Ordering::Release);
        now
    }

    /// No more are sent, nor measured.
    pub(super) fn end(&self) -> u64 {
        let now = self.now_ns();
        self.ended.store(now, Ordering::Release);
        now
    }

    /// What is answered may be closed.
    pub(super) fn close(&self) {
        self.close.store(true, Ordering::Release);
    }

    /// All is to be dropped at once.
    pub(super) fn quit(&self) {
        self.quit.store(true, Ordering::Release);
    }

    pub(super) fn report_ready(&self) {
        self.ready.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.load(Ordering::Acquire)
    }

    pub(super) fn started_ns(&self) -> Option<u64> {
        Some(self.started.load(Ordering::Acquire)).filter(|at| *at != NEVER)
    }

    pub(super) fn began_ns(&self) -> u64 {
        self.began.load(Ordering::Acquire)
    }

    pub(super) fn ended_ns(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn may_close(&self) -> bool {
        self.close.load(Ordering::Acquire)
    }

    pub(super) fn must_quit(&self) -> bool {
        self.quit.load(Ordering::Acquire)
    }

    /// Whether what happens at `now_ns` counts.
    pub(super) fn measures(&self, now_ns: u64) -> bool {
        (self.began_ns()..self.ended_ns()).contains(&now_ns)
    }

    /// How much of a time lies within the measured one.
    pub(super) fn measured_ns(&self, from_ns: u64, to_ns: u64) -> u64 {
        to_ns.min(self.ended_ns()).saturating_sub(from_ns.max(self.began_ns()))
    }
}
