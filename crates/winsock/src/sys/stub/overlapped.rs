//! Overlapped operations on a socket. A refused start gives the whole request back.

use super::error::Result;
use super::event_select::Event;
use super::socket::Socket;
use crate::overlapped::{Completion, OpId, Request, Routed, Started};

impl Socket {
    pub(crate) fn start(
        &self,
        request: Request,
        _event: Option<&Event>,
    ) -> std::result::Result<Started, (i32, Request)> {
        Err((super::error::REFUSED, request))
    }
    pub(crate) fn start_with_event(
        &self,
        request: Request,
        _event: &Event,
    ) -> std::result::Result<Op, (i32, Request)> {
        Err((super::error::REFUSED, request))
    }
    pub(crate) fn start_with_routine(
        &self,
        request: Request,
        _routine: Box<dyn FnOnce(Completion)>,
    ) -> std::result::Result<Routed, (i32, Request)> {
        Err((super::error::REFUSED, request))
    }
    pub(crate) fn routine_result(&self, _operation: OpId) -> Result<usize> {
        Err(super::error::REFUSED)
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

/// An operation that is told by an event. Its drop, while it is pending, cancels it.
pub(crate) struct Op {
    never: std::convert::Infallible,
}

impl Op {
    pub(crate) fn id(&self) -> OpId {
        match self.never {}
    }
    pub(crate) fn at_once(&self) -> bool {
        match self.never {}
    }
    pub(crate) fn result(&self) -> Result<usize> {
        match self.never {}
    }
    pub(crate) fn wait(&self) -> Result<usize> {
        match self.never {}
    }
    pub(crate) fn try_take(self) -> std::result::Result<Completion, Op> {
        match self.never {}
    }
}
