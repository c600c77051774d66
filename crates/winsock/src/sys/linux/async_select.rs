//! Message queues.

use super::error::{REFUSED, Result};

#[derive(Debug)]
pub(crate) struct MessageQueue;

impl MessageQueue {
    pub(crate) fn new() -> Result<MessageQueue> {
        Err(REFUSED)
    }
}
