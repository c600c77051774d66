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

#[cfg(test)]
mod tests {
    use super::*;
    use doorbell_winsock::event_select::Wait;
    use doorbell_winsock::routine::{Alertable, sleep_ex};
    use std::cell::Cell;
    use std::thread;
    use std::time::Duration;

    thread_local! {
        static LOOKS: Cell<u32> = const { Cell::new(0) };
    }

    fn looks() -> u32 {
        sleep_ex(Some(Duration::ZERO), Alertable::Yes).unwrap();
        LOOKS.get()
    }

    #[test]
    fn a_flood_of_rings_is_one_look_until_it_is_hushed() {
        let summons = Summons::new(|| LOOKS.set(LOOKS.get() + 1)).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| summons.ring()));
            }
        });
        assert_eq!(looks(), 1);
        summons.ring();
        assert_eq!(looks(), 1, "it was not hushed");
        summons.hush();
        summons.ring();
        assert_eq!(looks(), 2);
    }

    #[test]
    fn a_thread_that_sleeps_is_reached() {
        let summons = Summons::new(|| LOOKS.set(LOOKS.get() + 1)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| summons.ring());
            let ended = sleep_ex(Some(Duration::from_secs(5)), Alertable::Yes).unwrap();
            assert_eq!((ended, LOOKS.get()), (Wait::IoCompletion, 1));
        });
    }
}
