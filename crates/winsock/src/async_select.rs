//! `WSAAsyncSelect`: network events as messages of a thread-owned queue (model 3).
//!
//! This row is not built yet: every call refuses with WSAEOPNOTSUPP (10045).

use crate::error::{Error, Result};
use crate::sys;

/// A queue of messages that its thread alone reads.
#[derive(Debug)]
pub struct MessageQueue {
    _sys: sys::async_select::MessageQueue,
}

impl MessageQueue {
    /// Makes the queue of the calling thread.
    ///
    /// # Errors
    /// WSAEOPNOTSUPP (10045): not built yet.
    pub fn new() -> Result<MessageQueue> {
        let _sys =
            sys::async_select::MessageQueue::new().map_err(|code| Error::new("message_queue", code))?;
        Ok(MessageQueue { _sys })
    }
}
