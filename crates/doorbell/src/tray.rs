//! The tray: what is left of a batch, where every worker can take it.
//!
//! A worker that takes many packets at a time saves calls; but a handler that takes long must not hold up the rest of
//! them. So what it does not handle at once lies in a tray that all share, and when it leaves something there while
//! another worker waits, that one is called.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) struct Tray<P> {
    packets: Mutex<VecDeque<P>>,
    /// Their number, so that an empty tray costs no lock.
    count: AtomicUsize,
    /// Workers that wait, or are about to.
    waiting: AtomicUsize,
    /// Somebody was called and has not come yet.
    called: AtomicBool,
}

impl<P> Tray<P> {
    pub(crate) fn new() -> Tray<P> {
        Tray {
            packets: Mutex::default(),
            count: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            called: AtomicBool::new(false),
        }
    }

    pub(crate) fn take(&self) -> Option<P> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let mut packets = self.packets();
        let packet = packets.pop_front();
        // Who still sees the higher number looks in vain; only a rise must not be missed.
        self.count.store(packets.len(), Ordering::Release);
        packet
    }

    /// Lays a batch behind what is there, and takes the first.
    pub(crate) fn exchange(&self, batch: &mut Vec<P>) -> Option<P> {
        if batch.len() <= 1 && self.count.load(Ordering::SeqCst) == 0 {
            return batch.pop();
        }
        let mut packets = self.packets();
        packets.extend(batch.drain(..));
        let packet = packets.pop_front();
        self.count.store(packets.len(), Ordering::SeqCst);
        packet
    }

    /// The calling worker begins to wait. True: after all something lies here, so it should not.
    pub(crate) fn begin_wait(&self) -> bool {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.count.load(Ordering::SeqCst) > 0
    }

    pub(crate) fn end_wait(&self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether somebody should be called for what lies here; the caller then does so. Asked before each handler.
    pub(crate) fn calls(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
            && self.waiting.load(Ordering::SeqCst) > 0
            && !self.called.swap(true, Ordering::SeqCst)
    }

    /// Who was called has come.
    pub(crate) fn came(&self) {
        self.called.store(false, Ordering::SeqCst);
    }

    fn packets(&self) -> MutexGuard<'_, VecDeque<P>> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_order_across_batches() {
        let tray = Tray::new();
        assert_eq!(tray.exchange(&mut vec![1, 2, 3]), Some(1));
        assert_eq!(tray.exchange(&mut vec![4]), Some(2));
        assert_eq!([tray.take(), tray.take(), tray.take()], [Some(3), Some(4), None]);
    }

    #[test]
    fn somebody_is_called_once_and_only_when_there_is_work_and_somebody_waits() {
        let tray = Tray::new();
        assert!(!tray.begin_wait());
        assert!(!tray.calls(), "nothing lies there");
        tray.exchange(&mut vec![1, 2, 3]);
        assert!(tray.calls());
        assert!(!tray.calls(), "called already");
        tray.came();
        assert!(tray.calls());
        tray.came();
        tray.end_wait();
        assert!(!tray.calls(), "nobody waits");
        assert!(tray.begin_wait(), "it sees what lies there");
    }
}
