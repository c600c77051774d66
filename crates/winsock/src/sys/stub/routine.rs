//! Alertable waits, user APCs, and the threads that run them.

use super::error::{REFUSED, Result};
use crate::event_select::Wait;
use crate::routine::Alertable;
use std::time::Duration;

pub(crate) fn sleep_ex(_timeout: Option<Duration>, _alertable: Alertable) -> Result<Wait> {
    Err(REFUSED)
}

#[derive(Clone)]
pub(crate) struct Thread;

impl Thread {
    pub(crate) fn current() -> Result<Thread> {
        Err(REFUSED)
    }
    pub(crate) fn queue_apc(&self, _work: Box<dyn FnOnce() + Send>) -> Result<()> {
        Err(REFUSED)
    }
}
