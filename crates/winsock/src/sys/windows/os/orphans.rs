//! Operations whose name was dropped while they ran: nobody waits for them, but the system may still write to their
//! blocks (BF-06).
//!
//! They were cancelled, so each ends soon; but their event is their owner's, and nothing else tells of the end. A thread
//! looks after them while there are any, and frees each block when its operation has ended.

use super::block::{OperationBlock, ended, take_back};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often the thread looks: a cancelled operation ends in microseconds, and nobody is in a hurry.
const TICK: Duration = Duration::from_millis(2);

struct Orphan(*mut OperationBlock);

// SAFETY: whoever has the value owns the block, once the kernel is done with it.
unsafe impl Send for Orphan {}

/// Leaves a block to the thread.
///
/// # Safety
/// The block is leaked, its operation was started and posts no packet and runs no routine, and it belongs to the caller.
pub(crate) unsafe fn leave(block: *mut OperationBlock) {
    static ORPHANS: OnceLock<Sender<Orphan>> = OnceLock::new();
    let orphans = ORPHANS.get_or_init(|| {
        let (orphans, queue) = channel();
        // Without the thread the blocks are lost, which is less than to be wrong.
        let _ = std::thread::Builder::new().name("doorbell-orphans".into()).spawn(move || look_after(&queue));
        orphans
    });
    let _ = orphans.send(Orphan(block));
}

fn look_after(queue: &Receiver<Orphan>) {
    let mut orphans: Vec<Orphan> = Vec::new();
    loop {
        let next = if orphans.is_empty() {
            queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            queue.recv_timeout(TICK)
        };
        match next {
            Ok(orphan) => orphans.push(orphan),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        orphans.retain(|orphan| {
            // SAFETY: the block is this thread's, and there until it is freed here.
            let ended = unsafe { ended(orphan.0) };
            if ended {
                // SAFETY: the kernel is done with it.
                drop(unsafe { take_back(orphan.0.cast()) });
            }
            !ended
        });
    }
}
