//! Network events of sockets: the record beside a socket, the set that brings its edges, and whom it tells.
//!
//! A socket that selects is registered once, edge-triggered, in the set of the thread that is to be told. What an edge
//! means the record says (`semantics/network_events.rs`). The plain calls hold the record's lock over the system's call,
//! so an edge falls before or behind a receive, and never in between. The locks of a socket are taken in this order:
//! lines, record, connection.

mod consumers;
mod edge;
mod selected;

pub(super) use self::consumers::{accepting, operation_ended, receiving, sending};
pub(super) use self::selected::Target;

use self::edge::Edge;
use self::selected::Selected;
use super::engine::home::{self, Home};
use super::engine::line::Direction;
use super::engine::registry;
use super::error::Result;
use super::os::epoll::Ready;
use super::port::thread_number;
use super::socket::{Core, Socket, WhoKnows};
use crate::error::{ERROR_INVALID_HANDLE, WSAEINVAL};
use crate::event_select::{Event, NetEvents, NetworkEvents};
use crate::semantics::connection::Phase;
use crate::semantics::network_events::Record;
use crate::socket::{Kind, SocketId};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What tells these numbers from those of a socket's lines.
pub(in crate::sys::linux) const DIRECTION: u64 = 2;

/// What a socket carries for its network events: nothing until the first selection.
#[derive(Default)]
pub(crate) struct Selection(OnceLock<Box<Mutex<Selected>>>);

impl Socket {
    pub(crate) fn event_select(&self, event: Option<&Event>, mask: NetEvents) -> Result<()> {
        self.core()?;
        let target = match event {
            _ if mask.is_empty() => Target::Nobody,
            Some(event) if event.sys.object().is_closed() => return Err(ERROR_INVALID_HANDLE),
            Some(event) => Target::Event(event.clone()),
            None => return Err(WSAEINVAL),
        };
        self.select(mask, target, &home::here()?)
    }

    pub(crate) fn enum_network_events(&self, event: Option<&Event>, into: &mut NetworkEvents) -> Result<()> {
        let core = self.core()?;
        let call = core.enter()?;
        learn_outcome(core);
        let mut selected = core.selection.lock();
        // Reset first, under the lock: what is recorded from here on sets it again.
        if let Some(event) = event {
            event.sys.reset()?;
        }
        into.events = NetEvents::NONE;
        if let Some(selected) = &mut selected {
            // Perhaps nobody has waited since.
            if selected.record.is_empty() && selected.is_for_event() {
                if let Some(fd) = call.current_fd() {
                    selected.look(core, fd);
                    // This very call tells it.
                    selected.record.news();
                }
            }
            selected.record.enumerate(into);
        }
        Ok(())
    }

    /// Replaces the selection; edges come to this home's thread from now on.
    pub(super) fn select(&self, mask: NetEvents, target: Target, home: &Arc<Home>) -> Result<()> {
        let core = self.core()?;
        let call = core.enter()?;
        let fd = call.fd()?;
        let domain = if mask.is_empty() { None } else { Some(home.selection()?) };
        learn_outcome(core);
        let mut selected = lock(core.selection.0.get_or_init(Box::default));
        // What has happened until now is told as it was selected, seen or not (AS-03, ES-13).
        if selected.domain.is_some() {
            selected.look(core, fd);
            selected.tell();
        }
        // Whatever the mask (MO-01).
        core.set_nonblocking(true);
        // A connect before the first selection is told all the same (NE-21).
        if let Some(code) = core.connect_outcome() {
            selected.record.connect_ended(code);
        }
        match target {
            Target::Window { .. } => selected.record.select_again(mask),
            Target::Nobody | Target::Event(_) => selected.record.select(mask),
        }
        selected.target = target;
        if domain.is_some() {
            selected.look(core, fd);
        }
        if let Err(code) = selected.settle(core, fd, domain) {
            selected.record.select(NetEvents::NONE);
            selected.target = Target::Nobody;
            return Err(code);
        }
        selected.tell();
        Ok(())
    }
}

/// Changes the mode, unless somebody who selects would be made to wait (MO-02).
pub(super) fn set_nonblocking(core: &Core, on: bool) -> Result<()> {
    let selected = core.selection.lock();
    if !on && selected.as_ref().is_some_and(|selected| selected.domain.is_some()) {
        return Err(WSAEINVAL);
    }
    core.set_nonblocking(on);
    Ok(())
}

impl Selection {
    fn lock(&self) -> Option<MutexGuard<'_, Selected>> {
        self.0.get().map(|selected| lock(selected))
    }
}

/// The set says that something changed.
pub(super) fn on_ready(core: &Core, ready: Ready) {
    let connecting = core.who_knows() == WhoKnows::Outcome;
    learn_outcome(core);
    let Ok(call) = core.enter() else { return };
    let (Some(fd), Some(mut selected)) = (call.current_fd(), core.selection.lock()) else { return };
    if selected.domain.is_none() {
        return;
    }
    // An operation that is out of its line may have taken what the edge is about, and not have said so yet.
    let old = connecting
        || core.queues.joined(Direction::Input) > 0
        || selected.consumer.is_some_and(|thread| thread != thread_number());
    let edge = if old { Edge::look(core, fd) } else { Edge::of(core, ready) };
    selected.observe(core, fd, edge);
    selected.want_room(fd);
    selected.tell();
}

/// The connection's phase is another one now, of which the record has not heard.
pub(super) fn phase_changed(core: &Core, phase: Phase) {
    if core.selection.0.get().is_none() {
        return;
    }
    let Ok(call) = core.enter() else { return };
    let Some(mut selected) = core.selection.lock() else { return };
    match phase {
        _ if core.kind == Kind::Datagram => return,
        Phase::Connecting => selected.record.connecting(),
        Phase::Connected if core.was_accepted() => selected.record.accepted(),
        Phase::Connected => selected.record.connected(),
        Phase::Failed(code) => selected.record.connect_ended(code),
        Phase::Idle | Phase::Listening => {}
    }
    // Edges that came before meant nothing then, and an unconnected socket is hung up to Linux: one that another thread still
    // has in hand must not be taken for the end of this connection.
    selected.consumer = Some(thread_number());
    selected.go_on(core, &call, true);
}

/// A connect that did not end at once is nobody's from now on: what its edge said meanwhile was not heard.
pub(super) fn connect_left(core: &Core) {
    if core.selection.0.get().is_some() {
        learn_outcome(core);
    }
}

/// The socket has another descriptor than before.
pub(super) fn new_descriptor(core: &Core, fd: BorrowedFd<'_>) -> Result<()> {
    let Some(mut selected) = core.selection.lock() else { return Ok(()) };
    selected.writer = true;
    match (&selected.domain, selected.token) {
        (Some(domain), Some(token)) => domain.add_selected(fd, token, true),
        _ => Ok(()),
    }
}

/// The last handle is closed: nobody is told any more (NE-18, AS-11).
pub(super) fn closing(core: &Core) {
    let Some(mut selected) = core.selection.lock() else { return };
    (selected.domain, selected.target) = (None, Target::Nobody);
    if let Some(token) = selected.token.take() {
        registry::remove(token);
    }
}

fn inherit(theirs: MutexGuard<'_, Selected>, accepted: &Socket) -> Result<()> {
    let Some(domain) = theirs.domain.clone() else { return Ok(()) };
    let (mask, mut target) = (theirs.record.mask(), theirs.target.clone());
    drop(theirs);
    if let Target::Window { socket, .. } = &mut target {
        *socket = SocketId(accepted.id());
    }
    let core = accepted.core_even_closed();
    let call = core.enter()?;
    let mut selected = lock(core.selection.0.get_or_init(Box::default));
    (selected.record, selected.target) = (Record::of_accepted(mask), target);
    selected.settle(core, call.fd()?, Some(domain))?;
    selected.tell();
    Ok(())
}

fn learn_outcome(core: &Core) {
    if core.who_knows() == WhoKnows::Outcome {
        core.settle();
    }
}

fn lock(selected: &Mutex<Selected>) -> MutexGuard<'_, Selected> {
    selected.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
