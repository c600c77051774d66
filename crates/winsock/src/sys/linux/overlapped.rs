//! Overlapped operations on a socket. A refused start gives the whole request back.

use super::error::Result;
use super::socket::{Core, Socket};
use crate::overlapped::{OpId, Request, Started};
use std::sync::Arc;

/// The operations of one socket that have been started and have not ended.
#[derive(Default)]
pub(crate) struct Queues {}

impl Queues {
    /// Whether a plain receive would overtake overlapped ones.
    pub(crate) fn receives_queued(&self) -> bool {
        false
    }
    /// Whether a plain send would overtake overlapped ones.
    pub(crate) fn sends_queued(&self) -> bool {
        false
    }
}

/// The last handle of a socket is being closed: its operations end.
pub(crate) fn closing(_core: &Arc<Core>) {}

/// Sending is shut. Whether the end of the stream is left to the sends that are queued (SD-06).
pub(crate) fn shutdown_send(_core: &Arc<Core>) -> bool {
    false
}

impl Socket {
    pub(crate) fn start(&self, request: Request) -> std::result::Result<Started, (i32, Request)> {
        Err((super::error::REFUSED, request))
    }
    pub(crate) fn cancel(&self, _operation: Option<OpId>) -> Result<()> {
        Err(super::error::REFUSED)
    }
    pub(crate) fn cancel_thread(&self) -> Result<()> {
        Err(super::error::REFUSED)
    }
    pub(crate) fn skip_completion_port_on_success(&self) -> Result<()> {
        Err(super::error::REFUSED)
    }
}
