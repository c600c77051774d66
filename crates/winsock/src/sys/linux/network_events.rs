//! Network events of sockets: the record beside a socket, the set that brings its edges, and whom it tells.
//!
//! A socket that selects is registered once, edge-triggered, in the set of the thread that is to be told. What an edge
//! means the record says (`semantics/network_events.rs`). The plain calls hold the record's lock over the system's call,
//! so an edge falls before or behind a receive, and never in between. The locks of a socket are taken in this order:
//! lines, record, connection.

mod edge;

use self::edge::Edge;
use super::engine::domain::Domain;
use super::engine::home::{self, Home};
use super::engine::registry::{self, Token};
use super::error::Result;
use super::os::epoll::Ready;
use super::port::thread_number;
use super::socket::{Core, InUse, Received, Socket, WhoKnows};
use crate::async_select::Message;
use crate::error::{WSAEINVAL, WSAENOBUFS};
use crate::event_select::{Event, NetEvents, NetworkEvents};
use crate::overlapped::Work;
use crate::semantics::connection::Phase;
use crate::semantics::network_events::Record;
use crate::socket::{Flags, Kind, SocketId};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What tells these numbers from those of a socket's lines.
pub(in crate::sys::linux) const DIRECTION: u64 = 2;

/// No thread has this number: it stands for whatever may have consumed.
const SOMEBODY: u64 = 0;

/// What a socket carries for its network events: nothing until the first selection.
#[derive(Default)]
pub(crate) struct Selection(OnceLock<Box<Mutex<Selected>>>);

#[derive(Default)]
struct Selected {
    record: Record,
    target: Target,
    /// Where edges come from, while something is selected.
    domain: Option<Arc<Domain>>,
    token: Option<Token>,
    /// The set tells of room to send as well.
    writer: bool,
    /// Who made the last call that consumed. An edge that another thread brings may be older than that call.
    consumer: Option<u64>,
}

/// Whom the record tells.
#[derive(Clone, Default)]
pub(super) enum Target {
    #[default]
    Nobody,
    Event(Event),
    Window {
        window: super::async_select::Window,
        id: u32,
        socket: SocketId,
    },
}

impl Socket {
    pub(crate) fn event_select(&self, event: Option<&Event>, mask: NetEvents) -> Result<()> {
        self.core()?;
        let target = match event {
            _ if mask.is_empty() => Target::Nobody,
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
            return Err(code);
        }
        selected.tell();
        Ok(())
    }
}

impl Selection {
    /// Whether something is selected.
    pub(super) fn is_active(&self) -> bool {
        self.lock().is_some_and(|selected| selected.domain.is_some())
    }

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
    let old = connecting || selected.consumer.is_some_and(|thread| thread != thread_number());
    let edge = if old { Edge::look(fd) } else { Edge::from(ready) };
    selected.observe(core, fd, edge);
    selected.want_room(fd);
    selected.tell();
}

/// A receive of up to `asked` bytes.
pub(super) fn receiving(
    core: &Core,
    call: &InUse<'_>,
    flags: Flags,
    asked: usize,
    receive: impl FnOnce() -> Result<Received>,
) -> Result<Received> {
    attending(core, call, receive, |record, outcome| {
        let outcome = outcome.as_ref().map(|received| received.bytes).map_err(|code| *code);
        record.received(core.kind, flags, asked, outcome)
    })
}

/// A send of `asked` bytes.
pub(super) fn sending(
    core: &Core,
    call: &InUse<'_>,
    asked: usize,
    send: impl FnOnce() -> Result<usize>,
) -> Result<usize> {
    attending(core, call, send, |record, outcome| record.sent(asked, *outcome))
}

/// An accept. The connection carries the listener's selection (IN-01, AS-08).
pub(super) fn accepting<T>(
    listener: &Core,
    call: &InUse<'_>,
    accept: impl FnOnce() -> Result<(Socket, T)>,
) -> Result<(Socket, T)> {
    let outcome = attending(listener, call, accept, |record, outcome| {
        record.took_connection(outcome.as_ref().map(|_| ()).map_err(|code| *code))
    })?;
    if let Some(theirs) = listener.selection.lock() {
        inherit(theirs, &outcome.0)?;
    }
    Ok(outcome)
}

/// Makes a plain call and tells the record of its outcome; what the record wants to know then the system is asked.
#[inline]
fn attending<T>(
    core: &Core,
    call: &InUse<'_>,
    make: impl FnOnce() -> Result<T>,
    tell: impl FnOnce(&mut Record, &Result<T>) -> bool,
) -> Result<T> {
    let Some(selection) = core.selection.0.get() else { return make() };
    // A call that waits cannot hold the lock; then the system is asked whatever the outcome.
    let held = core.is_nonblocking().then(|| lock(selection));
    let waited = held.is_none();
    let outcome = make();
    let mut selected = held.unwrap_or_else(|| lock(selection));
    selected.consumer = Some(thread_number());
    let ask = tell(&mut selected.record, &outcome);
    selected.go_on(core, call, ask || waited);
    outcome
}

/// An overlapped operation ended: it consumed as a plain call does (NE-10, NE-11). The caller may hold the lines' lock.
pub(super) fn operation_ended(core: &Core, work: &Work) {
    if core.selection.0.get().is_none() {
        return;
    }
    let Ok(call) = core.enter() else { return };
    let Some(mut selected) = core.selection.lock() else { return };
    selected.consumer = Some(SOMEBODY);
    match work {
        Work::Receive(flags) | Work::ReceiveFrom(flags) => {
            selected.record.received(core.kind, *flags, 0, Ok(0));
        }
        Work::Accept(_) => {
            selected.record.took_connection(Ok(()));
        }
        Work::Send | Work::SendTo(_) | Work::Connect(_) => {}
    }
    selected.go_on(core, &call, true);
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
    // Edges that came before meant nothing then.
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

impl Selected {
    /// Registers the descriptor in this set, and nowhere else.
    fn settle(&mut self, core: &Arc<Core>, fd: BorrowedFd<'_>, domain: Option<Arc<Domain>>) -> Result<()> {
        if self.domain.as_ref().map(Arc::as_ptr) == domain.as_ref().map(Arc::as_ptr) {
            self.want_room(fd);
            return Ok(());
        }
        if let Some(old) = self.domain.take() {
            old.remove(fd);
        }
        let Some(domain) = domain else { return Ok(()) };
        let token = match self.token {
            Some(token) => token,
            None => registry::insert(core).ok_or(WSAENOBUFS)?,
        };
        self.token = Some(token);
        self.writer = self.record.wants_room();
        domain.add_selected(fd, token, self.writer)?;
        domain.note_pending();
        self.domain = Some(domain);
        Ok(())
    }

    /// After a change of the record: asks the system, if something could come of it, and tells.
    fn go_on(&mut self, core: &Core, call: &InUse<'_>, ask: bool) {
        let (true, Some(fd)) = (self.domain.is_some(), call.current_fd()) else { return };
        if ask && self.record.is_open() {
            self.look(core, fd);
        }
        self.want_room(fd);
        self.tell();
    }

    fn look(&mut self, core: &Core, fd: BorrowedFd<'_>) {
        if self.record.is_open() {
            self.observe(core, fd, Edge::look(fd));
        }
    }

    fn observe(&mut self, core: &Core, fd: BorrowedFd<'_>, edge: Edge) {
        let phase = core.ask(|connection| connection.phase());
        self.record.observe(core.kind, phase, edge.seen(core, fd, phase));
    }

    /// Asks the set to tell of room, once a socket: told from the start, it would wake a thread for every connection.
    fn want_room(&mut self, fd: BorrowedFd<'_>) {
        if let (Some(domain), Some(token), false) = (&self.domain, self.token, self.writer) {
            if self.record.wants_room() {
                domain.add_selected_writer(fd, token);
                self.writer = true;
            }
        }
    }

    fn is_for_event(&self) -> bool {
        matches!(self.target, Target::Event(_))
    }

    fn tell(&mut self) {
        match &self.target {
            Target::Nobody => {}
            Target::Event(event) => {
                if self.record.news() {
                    // A closed event has nobody to tell.
                    let _ = event.sys.set();
                }
            }
            Target::Window { window, id, socket } => {
                while let Some((event, error)) = self.record.next() {
                    window.tell(Message::Socket { id: *id, socket: *socket, event, error });
                }
            }
        }
    }
}

fn lock(selected: &Mutex<Selected>) -> MutexGuard<'_, Selected> {
    selected.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
