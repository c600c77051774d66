//! The bell of a thread that stands in `select`: how it is woken, and which conversations have post.

use crate::core::Core;
use crate::wake::Wake;
use doorbell_service::Reach;
use doorbell_winsock::Result;
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub(crate) struct Bell {
    pub(crate) wake: Wake,
    posted: Mutex<Vec<u64>>,
    /// Weak, because the core keeps the bells to ring at a stop.
    core: Weak<Core>,
}

impl Bell {
    /// A bell that is also rung when the server stops, and when there is room at the door.
    pub(crate) fn new(core: &Arc<Core>) -> Result<Arc<Bell>> {
        let bell =
            Arc::new(Bell { wake: Wake::new()?, posted: Mutex::default(), core: Arc::downgrade(core) });
        let (at_stop, at_room) = (bell.clone(), bell.clone());
        core.on_stop(move || at_stop.wake.ring());
        core.door.on_room(move || at_room.wake.ring());
        Ok(bell)
    }

    /// Quiet again. Returns the numbers of the conversations that were posted to since this was last asked, in order.
    pub(crate) fn answer(&self) -> Vec<u64> {
        self.wake.hush();
        let mut posted = std::mem::take(&mut *self.posted.lock().unwrap_or_else(PoisonError::into_inner));
        posted.sort_unstable();
        posted
    }
}

impl Reach for Bell {
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
