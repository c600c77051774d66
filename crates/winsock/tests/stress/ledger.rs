//! What a round leaves behind: descriptors, threads and memory.

use super::Plan;
use doorbell_winsock::host;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Tables that grew stay as they are, and which thread grew which is a matter of chance. A block lost in every hundredth
/// operation is far more.
const SLACK_BYTES: isize = 128 * 1024;
const SLACK_BLOCKS: isize = 500;

/// The memory that is in use.
struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);
static BLOCKS: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: it hands every call on as it is, and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as isize, Relaxed);
        BLOCKS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as isize, Relaxed);
        BLOCKS.fetch_sub(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Level {
    descriptors: usize,
    threads: usize,
    bytes: isize,
    blocks: isize,
}

impl Level {
    fn now() -> Level {
        Level {
            descriptors: host::descriptors_open(),
            threads: host::process_figures().threads,
            bytes: BYTES.load(Relaxed),
            blocks: BLOCKS.load(Relaxed),
        }
    }

    fn is_no_higher_than(&self, first: &Level) -> bool {
        self.descriptors <= first.descriptors
            && self.threads <= first.threads
            && self.bytes <= first.bytes + SLACK_BYTES
            && self.blocks <= first.blocks + SLACK_BLOCKS
    }
}

/// How much was there after the first round.
#[derive(Default)]
pub(crate) struct Ledger(Option<Level>);

impl Ledger {
    /// After a round: soon nothing more is there than after the first one.
    #[track_caller]
    pub(crate) fn settle(&mut self, plan: &Plan) {
        let Some(first) = &self.0 else {
            // What ends a moment later is not to count.
            let deadline = Instant::now() + Duration::from_secs(1);
            let mut level = Level::now();
            while Instant::now() < deadline {
                thread::sleep(Duration::from_millis(10));
                let now = Level::now();
                if now.bytes < level.bytes
                    || now.descriptors < level.descriptors
                    || now.threads < level.threads
                {
                    level = now;
                }
            }
            self.0 = Some(level);
            return;
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let now = Level::now();
            if now.is_no_higher_than(first) {
                return;
            }
            assert!(Instant::now() < deadline, "something is left ({plan}): {now:?}, at first {first:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }
}
