//! Overlapped operations on a socket. A refused start gives the whole request back.

use super::error::Result;
use super::socket::Socket;
use crate::overlapped::{OpId, Request, Started};

impl Socket {
    pub(crate) fn start(&self, request: Request) -> std::result::Result<Started, (i32, Request)> {
        Err((super::error::REFUSED, request))
    }
    pub(crate) fn cancel(&self, operation: Option<OpId>) -> Result<()> {
        self.handle().cancel_operations(operation.map(|id| id.0))
    }
    pub(crate) fn cancel_thread(&self) -> Result<()> {
        self.handle().cancel_thread()
    }
    pub(crate) fn skip_completion_port_on_success(&self) -> Result<()> {
        Err(super::error::REFUSED)
    }
}
