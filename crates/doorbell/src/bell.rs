//! The bell of a thread that waits: how others wake it, and which conversations have post.

use crate::core::Core;
use doorbell_service::Reach;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Wakes a thread in the textbook way of its model.
pub(crate) trait Wake: Send + Sync + 'static {
    /// Wakes the thread. Whatever it is to find must be there before.
    fn ring(&self);
    /// The thread is awake, and looks for what it was woken for after this.
    fn hush(&self);
}

pub(crate) struct Bell<W> {
    pub(crate) wake: W,
    posted: Mutex<Vec<u64>>,
    /// Weak, because the core keeps the bells to ring at a stop.
    core: Weak<Core>,
}

impl<W: Wake> Bell<W> {
    pub(crate) fn new(core: &Arc<Core>, wake: W) -> Arc<Bell<W>> {
        Arc::new(Bell { wake, posted: Mutex::default(), core: Arc::downgrade(core) })
    }

    /// From now on it is rung too when the server stops.
    pub(crate) fn ring_at_stop(self: &Arc<Self>, core: &Core) {
        let bell = self.clone();
        core.on_stop(move || bell.wake.ring());
    }

    /// From now on it is rung too when there is room at the door.
    pub(crate) fn ring_at_room(self: &Arc<Self>, core: &Core) {
        let bell = self.clone();
        core.door.on_room(move || bell.wake.ring());
    }

    /// Quiet again. Returns the numbers of the conversations that were posted to since this was last asked, in order.
    pub(crate) fn answer(&self) -> Vec<u64> {
        self.wake.hush();
        let mut posted = std::mem::take(&mut *self.posted.lock().unwrap_or_else(PoisonError::into_inner));
        posted.sort_unstable();
        posted
    }
}

impl<W: Wake> Reach for Bell<W> {
    fn wake(&self, number: u64) {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        self.wake.ring();
    }

    fn stop_server(&self) {
        if let Some(core) = self.core.upgrade() {
            core.stop();
        }
    }
}
