//! The textbook way to reach a thread that sleeps alertably: a user APC, which stands in one queue with its routines.

use crate::bell::Wake;
use doorbell_winsock::Result;
use doorbell_winsock::routine::ThreadHandle;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Summons {
    thread: ThreadHandle,
    /// What the thread does then.
    look: fn(),
    /// An APC is on its way: another one would say nothing more, and a flood of them would pile up.
    sent: AtomicBool,
}

impl Summons {
    /// Reaches the calling thread, and has it do `look`, which begins by [hushing](Wake::hush) this.
    pub(crate) fn new(look: fn()) -> Result<Summons> {
        Ok(Summons { thread: ThreadHandle::current()?, look, sent: AtomicBool::new(false) })
    }
}

impl Wake for Summons {
    fn ring(&self) {
        if !self.sent.swap(true, Ordering::AcqRel) && self.thread.queue_apc(self.look).is_err() {
            // Nothing is on its way after all: the thread has ended, or the next one who rings tries again.
            self.sent.store(false, Ordering::Release);
        }
    }

    fn hush(&self) {
        self.sent.swap(false, Ordering::AcqRel);
    }
}
