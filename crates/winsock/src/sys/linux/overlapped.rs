//! Overlapped operations: what may be started, and what closing and shutting down do to what was.

use super::engine::ending;
use super::engine::line::{self, Begun, Direction, Op as Queued, Queues as Lines, Sink};
use super::error::Result;
use super::socket::{Core, Socket};
use crate::error::{ERROR_NOT_FOUND, WSAEINVAL, WSAENOTSOCK};
use crate::overlapped::{OpId, Request, Started, Work};
use crate::port::Packet;
use std::sync::{Arc, PoisonError};

pub(crate) use super::engine::line::Queues;

impl Socket {
    pub(crate) fn start_with_event(
        &self,
        request: Request,
        _event: &super::event_select::Event,
    ) -> std::result::Result<Op, (i32, Request)> {
        Err((super::error::REFUSED, request))
    }

    pub(crate) fn start_with_routine(
        &self,
        request: Request,
        _routine: Box<dyn FnOnce(crate::Completion)>,
    ) -> std::result::Result<crate::overlapped::Routed, (i32, Request)> {
        Err((super::error::REFUSED, request))
    }

    pub(crate) fn routine_result(&self, _operation: OpId) -> Result<usize> {
        Err(super::error::REFUSED)
    }

    pub(crate) fn start(
        &self,
        request: Request,
        _event: Option<&super::event_select::Event>,
    ) -> std::result::Result<Started, (i32, Request)> {
        if let Err(code) = self.may_start(&request) {
            return Err((code, request));
        }
        let core = match self.core() {
            Ok(core) => core,
            Err(code) => return Err((code, request)),
        };
        let accept = match &request.work {
            Work::Accept(accept) => Some(accept.clone()),
            _ => None,
        };
        let begun = {
            let mut lines = core.queues.lock();
            if lines.closed {
                Begun::Refused(WSAENOTSOCK, request)
            } else if let Some(accept) = &accept {
                // IN-09: one accept socket, one accept.
                let mut accepting = accept
                    .sys
                    .core_even_closed()
                    .queues
                    .accepting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                if accepting.is_some() {
                    Begun::Refused(WSAEINVAL, request)
                } else {
                    *accepting = Some((Arc::downgrade(core), lines.next_id()));
                    drop(accepting);
                    line::begin(core, &mut lines, request)
                }
            } else {
                line::begin(core, &mut lines, request)
            }
        };
        match begun {
            Begun::Pending(id) => Ok(Started::Pending(id)),
            Begun::Refused(code, request) => {
                if let (Work::Accept(accept), false) = (&request.work, code == WSAEINVAL) {
                    *accept
                        .sys
                        .core_even_closed()
                        .queues
                        .accepting
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner) = None;
                }
                Err((code, request))
            }
            Begun::Ended(completion) => {
                if completion.system_code == 0 && core.queues.lock().skip_on_success {
                    return Ok(Started::Done(completion));
                }
                let id = completion.id;
                if let Some((port, _)) = core.queues.port.get() {
                    port.deliver(Packet::Io(completion));
                }
                Ok(Started::Queued(id))
            }
        }
    }

    // The refusals that leave nothing behind (OV-03).
    fn may_start(&self, request: &Request) -> Result<()> {
        let core = self.core()?;
        match &request.work {
            Work::Receive(_) | Work::ReceiveFrom(_) => {
                if request.segments.as_slice().is_empty() {
                    return Err(WSAEINVAL);
                }
                core.may_receive()
            }
            Work::Send => {
                if request.segments.as_slice().is_empty() {
                    return Err(WSAEINVAL);
                }
                core.may_send()
            }
            Work::SendTo(to) => core.may_send_to(to),
            Work::Accept(accept) => {
                let fresh = accept.sys.core()?.is_fresh();
                if core.is_listening() && fresh { Ok(()) } else { Err(WSAEINVAL) }
            }
            // A connect looks for itself.
            Work::Connect(_) => Ok(()),
        }
    }

    pub(crate) fn cancel(&self, operation: Option<OpId>) -> Result<()> {
        let core = self.core()?;
        let chosen = |id: OpId, _thread| operation.is_none_or(|wanted| wanted == id);
        if cancel_chosen(core, &chosen) { Ok(()) } else { Err(ERROR_NOT_FOUND) }
    }

    pub(crate) fn cancel_thread(&self) -> Result<()> {
        let me = super::port::thread_number();
        cancel_chosen(self.core()?, &|_, thread| thread == me);
        Ok(())
    }

    pub(crate) fn skip_completion_port_on_success(&self) -> Result<()> {
        self.core()?.queues.lock().skip_on_success = true;
        Ok(())
    }
}

fn cancel_chosen(core: &Arc<Core>, chosen: &dyn Fn(OpId, u64) -> bool) -> bool {
    let mut sink = Sink::default();
    // An accept that waits at its accepted socket is the listener's operation, not that socket's.
    let own = |op: &Queued| op.listener.is_none() && chosen(op.id, op.thread);
    let mut found = ending::cancel(core, &mut core.queues.lock(), own, &mut sink);
    found |= cancel_first_bytes(core, chosen, &mut sink);
    sink.deliver();
    found
}

// Accepts of this listener that have their connection and wait at it for its first bytes.
fn cancel_first_bytes(listener: &Arc<Core>, chosen: &dyn Fn(OpId, u64) -> bool, sink: &mut Sink) -> bool {
    let waiting = listener.queues.first_bytes.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut found = false;
    for (wanted, accepted) in waiting {
        let Some(accepted) = accepted.upgrade() else { continue };
        let theirs = |op: &Queued| {
            let listens = op.listener.as_ref().is_some_and(|other| Arc::ptr_eq(other, listener));
            listens && op.id == wanted && chosen(op.id, op.thread)
        };
        found |= ending::cancel(&accepted, &mut accepted.queues.lock(), theirs, sink);
    }
    found
}

/// The last handle of the socket is closed: what is pending ends (CL-01).
pub(super) fn closing(core: &Arc<Core>) {
    let mut sink = Sink::default();
    ending::abandon(core, &mut core.queues.lock(), &mut sink);
    cancel_first_bytes(core, &|_, _| true, &mut sink);
    // As an accept socket: the accept ends, its listener goes on (CL-03).
    let accepting = core.queues.accepting.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((listener, wanted)) = accepting {
        if let Some(listener) = listener.upgrade() {
            ending::cancel(&listener, &mut listener.queues.lock(), |op: &Queued| op.id == wanted, &mut sink);
        }
    }
    sink.deliver();
}

/// SD_SEND: true if sends are queued, and the system's shutdown follows them (SD-06).
pub(super) fn shutdown_send(core: &Core) -> bool {
    let mut lines = core.queues.lock();
    let queued = core.queues.waits(Direction::Output);
    lines.shutdown_after_sends |= queued;
    queued
}

impl Lines {
    /// Whether overlapped sends are queued, so that a plain one must not overtake them (OR-07).
    pub(super) fn sends_queued(&self) -> bool {
        self.waits(Direction::Output)
    }

    /// Whether overlapped receives are queued, which get the next bytes.
    pub(super) fn receives_queued(&self) -> bool {
        self.waits(Direction::Input)
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
    pub(crate) fn try_take(self) -> std::result::Result<crate::Completion, Op> {
        match self.never {}
    }
}
