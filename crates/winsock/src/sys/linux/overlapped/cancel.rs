//! What ends before its time: asked for, or because its socket is closed.

use super::super::engine::channel::Sink;
use super::super::engine::ending;
use super::super::engine::line::Op as Queued;
use super::super::error::Result;
use super::super::port::thread_number;
use super::super::socket::{Core, Socket};
use crate::error::ERROR_NOT_FOUND;
use crate::overlapped::OpId;
use std::sync::{Arc, PoisonError};

impl Socket {
    pub(crate) fn cancel(&self, operation: Option<OpId>) -> Result<()> {
        let core = self.core()?;
        let chosen = |op: &Queued| operation.is_none_or(|wanted| wanted == op.id);
        if cancel_chosen(core, &chosen) { Ok(()) } else { Err(ERROR_NOT_FOUND) }
    }

    pub(crate) fn cancel_thread(&self) -> Result<()> {
        let me = thread_number();
        cancel_chosen(self.core()?, &|op| op.thread == me);
        Ok(())
    }
}

pub(in crate::sys::linux) fn cancel_chosen(core: &Arc<Core>, chosen: &dyn Fn(&Queued) -> bool) -> bool {
    let mut sink = Sink::default();
    // An accept that waits at its accepted socket is the listener's operation, not that socket's.
    let own = |op: &Queued| op.listener.is_none() && chosen(op);
    let mut found = ending::cancel(core, &mut core.queues.lock(), own, &mut sink);
    found |= cancel_first_bytes(core, chosen, &mut sink);
    sink.deliver();
    found
}

// Accepts of this listener that have their connection and wait at it for its first bytes.
fn cancel_first_bytes(listener: &Arc<Core>, chosen: &dyn Fn(&Queued) -> bool, sink: &mut Sink) -> bool {
    let waiting = listener.queues.first_bytes.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut found = false;
    for (wanted, accepted) in waiting {
        let Some(accepted) = accepted.upgrade() else { continue };
        let theirs = |op: &Queued| {
            let listens = op.listener.as_ref().is_some_and(|other| Arc::ptr_eq(other, listener));
            listens && op.id == wanted && chosen(op)
        };
        found |= ending::cancel(&accepted, &mut accepted.queues.lock(), theirs, sink);
    }
    found
}

/// The last handle of the socket is closed: what is pending ends (CL-01).
pub(in crate::sys::linux) fn closing(core: &Arc<Core>) {
    let mut sink = Sink::default();
    ending::abandon(core, &mut core.queues.lock(), &mut sink);
    cancel_first_bytes(core, &|_| true, &mut sink);
    // As an accept socket: the accept ends, its listener goes on (CL-03).
    let accepting = core.queues.accepting.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((listener, wanted)) = accepting {
        if let Some(listener) = listener.upgrade() {
            ending::cancel(&listener, &mut listener.queues.lock(), |op: &Queued| op.id == wanted, &mut sink);
        }
    }
    sink.deliver();
}
