//! Overlapped operations: what may be started, and what closing and shutting down do to what was.

mod cancel;
mod op;

use super::engine::at_once::{self, AtOnce};
use super::engine::channel::{Channel, Sink};
use super::engine::home;
use super::engine::line::{self, Begun, Direction, Lines};
use super::error::Result;
use super::event_select::Event;
use super::routine;
use super::socket::{Core, Socket};
use crate::error::{ERROR_INVALID_HANDLE, WSAEINVAL, WSAENOTSOCK};
use crate::overlapped::{Completion, OpId, Request, Routed, Started, Work};
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

pub(in crate::sys::linux) use self::cancel::{cancel_chosen, closing};
pub(crate) use self::op::Op;
pub(in crate::sys::linux) use self::op::{Outcome, result_of};
pub(crate) use super::engine::line::Queues;

#[cfg(test)]
mod tests;

impl Socket {
    pub(crate) fn start(
        &self,
        request: Request,
        event: Option<&Event>,
    ) -> std::result::Result<Started, (i32, Request)> {
        let channel = match event {
            Some(event) if event.object().is_closed() => return Err((ERROR_INVALID_HANDLE, request)),
            Some(event) => Channel::PortAndEvent(event.object().clone()),
            None => Channel::Port,
        };
        match self.begin(request, channel)? {
            (_, id, Progress::Pending) => Ok(Started::Pending(id)),
            (_, id, Progress::Told { .. }) => Ok(Started::Queued(id)),
            (_, _, Progress::Skipped(completion)) => {
                if let Some(event) = event {
                    let _ = event.object().set();
                }
                Ok(Started::Done(completion))
            }
        }
    }

    pub(crate) fn start_with_event(
        &self,
        request: Request,
        event: &Event,
    ) -> std::result::Result<Op, (i32, Request)> {
        if event.object().is_closed() {
            return Err((ERROR_INVALID_HANDLE, request));
        }
        let outcome = Arc::new(Outcome::new(event.object().clone()));
        let (core, id, progress) = self.begin(request, Channel::Event(outcome.clone()))?;
        let at_once = progress.is_success();
        Ok(Op { core: core.clone(), id, at_once, outcome })
    }

    pub(crate) fn start_with_routine(
        &self,
        request: Request,
        routine: Box<dyn FnOnce(Completion)>,
    ) -> std::result::Result<Routed, (i32, Request)> {
        let home = match home::here() {
            Ok(home) => home,
            Err(code) => return Err((code, request)),
        };
        if self.core().is_ok_and(|core| core.queues.port().is_some()) {
            return Err((WSAEINVAL, request));
        }
        let number = match routine::reserve() {
            Ok(number) => number,
            Err(code) => return Err((code, request)),
        };
        match self.begin(request, Channel::Routine(home, number)) {
            Ok((core, id, progress)) => {
                routine::keep(number, core.clone(), id, routine);
                Ok(Routed { id, at_once: progress.is_success() })
            }
            Err(refused) => {
                routine::release(number);
                Err(refused)
            }
        }
    }

    pub(crate) fn routine_result(&self, operation: OpId) -> Result<usize> {
        routine::result(self.core_even_closed(), operation)
    }

    fn begin(
        &self,
        request: Request,
        channel: Channel,
    ) -> std::result::Result<(&Arc<Core>, OpId, Progress), (i32, Request)> {
        let core = match self.core().and_then(|core| may_start(core, &request).map(|()| core)) {
            Ok(core) => core,
            Err(code) => return Err((code, request)),
        };
        let home = match channel.is_of_thread().then(home::here).transpose() {
            Ok(home) => home,
            Err(code) => return Err((code, request)),
        };
        let mut lines = core.queues.lock();
        if let Err(code) = claim(core, &lines, &request) {
            return Err((code, request));
        }
        let moved = match channel {
            Channel::Port => match at_once::send(core, &mut lines, &request) {
                AtOnce::Done(id, bytes) => {
                    let completion = at_once::sent(id, core.queues.key(), bytes, request.buffer);
                    return Ok((core, id, Progress::Skipped(completion)));
                }
                AtOnce::Rest(moved) => moved,
            },
            _ => 0,
        };
        match line::begin(core, &mut lines, (request, moved), channel, home.as_ref()) {
            Begun::Pending(id) => Ok((core, id, Progress::Pending)),
            Begun::Ended(end) if lines.skip_on_success && end.is_success_of_port() => {
                Ok((core, end.completion.id, Progress::Skipped(end.completion)))
            }
            Begun::Ended(end) => {
                let (id, well) = (end.completion.id, end.completion.system_code == 0);
                let mut sink = Sink::default();
                // Told under the lock, so that it has its place among the other ends of this socket.
                sink.put(core.queues.port(), end);
                drop(lines);
                sink.deliver();
                Ok((core, id, Progress::Told { well }))
            }
            Begun::Refused(code, request) => {
                if let Work::Accept(accept) = &request.work {
                    *accepting(accept) = None;
                }
                Err((code, request))
            }
        }
    }

    pub(crate) fn skip_completion_port_on_success(&self) -> Result<()> {
        self.core()?.queues.lock().skip_on_success = true;
        Ok(())
    }
}

/// How a start went that was not refused.
enum Progress {
    Pending,
    /// It ended at once, and that is told.
    Told {
        well: bool,
    },
    /// It succeeded at once, and no packet tells of it (CP-10).
    Skipped(Completion),
}

impl Progress {
    fn is_success(&self) -> bool {
        matches!(self, Progress::Told { well: true })
    }
}

// The refusals that leave nothing behind (OV-03).
fn may_start(core: &Core, request: &Request) -> Result<()> {
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
        Work::SendTo(to) => {
            if request.segments.as_slice().is_empty() {
                return Err(WSAEINVAL);
            }
            core.may_send_to(to)
        }
        Work::Accept(accept) => {
            let fresh = accept.sys.core()?.is_fresh();
            if core.is_listening() && fresh { Ok(()) } else { Err(WSAEINVAL) }
        }
        // A connect looks for itself.
        Work::Connect(_) => Ok(()),
    }
}

// IN-09: one accept socket, one accept. And one socket, one connect: a second one does not queue behind it.
fn claim(core: &Arc<Core>, lines: &Lines, request: &Request) -> Result<()> {
    if lines.closed {
        return Err(WSAENOTSOCK);
    }
    if let Work::Connect(_) = &request.work {
        core.may_connect()?;
    }
    if let Work::Accept(accept) = &request.work {
        let mut accepting = accepting(accept);
        if accepting.is_some() {
            return Err(WSAEINVAL);
        }
        *accepting = Some((Arc::downgrade(core), lines.next_id()));
    }
    Ok(())
}

fn accepting(accept: &crate::Socket) -> MutexGuard<'_, Option<(Weak<Core>, OpId)>> {
    accept.sys.core_even_closed().queues.accepting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SD_SEND: true if sends are queued, and the system's shutdown follows them (SD-06).
pub(super) fn shutdown_send(core: &Core) -> bool {
    let mut lines = core.queues.lock();
    let queued = core.queues.waits(Direction::Output);
    lines.shutdown_after_sends |= queued;
    queued
}

impl Queues {
    /// Whether overlapped sends are queued, so that a plain one must not overtake them (OR-07).
    pub(super) fn sends_queued(&self) -> bool {
        self.waits(Direction::Output)
    }

    /// Whether overlapped receives are queued, which get the next bytes.
    pub(super) fn receives_queued(&self) -> bool {
        self.waits(Direction::Input)
    }
}
