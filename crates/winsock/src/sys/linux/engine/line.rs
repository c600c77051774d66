//! The two lines of operations that a socket has: receives and accepts; sends and connects.
//!
//! Only the first operation of a line touches the system, so that they end in the order of their starts whatever the
//! kernel does (OR-01, OR-03, OR-05, OR-06). On epoll the operation is tried when the set says that it may succeed, by
//! whichever thread drives the set. On a ring it is handed to the kernel, one entry a line; what the ring would not do in
//! the way promised (several pieces, datagrams, an empty buffer, a connect) waits there and is then done by the reaper.

use super::super::network_events;
use super::super::port::PortCore;
use super::super::socket::Core;
use super::attempt::{Step, attempt};
use super::channel::{Channel, End, Sink};
use super::domain::Domain;
use super::ending::{finish, move_to_accepted};
use super::home::{self, Home};
use super::progress::{advance, arm, is_short, is_told};
use super::registry::{self, Token};
use crate::error::WSAENOBUFS;
use crate::overlapped::{OpId, Operation, Owned, Request, Segments, Work};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// What a socket carries for its overlapped operations; no memory but this until the first one.
#[derive(Default)]
pub(crate) struct Queues {
    pub(super) lines: Mutex<Lines>,
    /// The port, once and for ever (CP-02), and the key.
    pub(in crate::sys::linux) port: OnceLock<(Arc<PortCore>, usize)>,
    /// How many operations are in each line, to be asked without the lock.
    waiting: [AtomicUsize; 2],
    /// How many have ever been there.
    joined: [AtomicUsize; 2],
    /// Accepts of this listener that have their connection and wait at it for its first bytes (IN-04). Never held with
    /// another lock inside.
    pub(in crate::sys::linux) first_bytes: Mutex<Vec<(OpId, Weak<Core>)>>,
    /// As an accept socket: the listener, and the operation that is to connect it. Never held with another lock.
    pub(in crate::sys::linux) accepting: Mutex<Option<(Weak<Core>, OpId)>>,
}

pub(in crate::sys::linux) struct Lines {
    pub(super) token: Option<Token>,
    pub(super) domain: Option<Arc<Domain>>,
    /// The descriptor is in the domain's set.
    pub(super) added: bool,
    /// And it tells of room to send.
    pub(super) writer_added: bool,
    pub(super) lines: [Line; 2],
    /// The peer finished or the connection broke: reading never has to wait again.
    pub(super) ended: bool,
    /// SD_SEND was asked for while sends were queued (SD-06).
    pub(in crate::sys::linux) shutdown_after_sends: bool,
    pub(in crate::sys::linux) skip_on_success: bool,
    /// The thread that has this socket on the list of those it started something on, by its number.
    starter: u64,
    pub(super) last_id: u64,
    pub(in crate::sys::linux) closed: bool,
}

pub(super) struct Line {
    pub(super) operations: VecDeque<Op>,
    /// The first operation may be tried. Edges set it, a call that would block clears it.
    pub(super) ready: bool,
    /// The first operation is in the ring of this domain.
    pub(super) in_ring: Option<Arc<Domain>>,
}

impl Default for Lines {
    fn default() -> Lines {
        // A send may always be tried at once; a receive only when something is known to be there, as a failed one costs
        // a third of a request.
        let line = |ready| Line { operations: VecDeque::new(), ready, in_ring: None };
        Lines {
            token: None,
            domain: None,
            added: false,
            writer_added: false,
            lines: [line(false), line(true)],
            ended: false,
            shutdown_after_sends: false,
            skip_on_success: false,
            starter: 0,
            last_id: OpId::origin(),
            closed: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Input = 0,
    Output = 1,
}

impl Direction {
    pub(super) const BOTH: [Direction; 2] = [Direction::Input, Direction::Output];

    pub(in crate::sys::linux) const fn of(work: &Work) -> Direction {
        match work.operation() {
            Operation::Receive | Operation::ReceiveFrom | Operation::Accept => Direction::Input,
            Operation::Send | Operation::SendTo | Operation::Connect => Direction::Output,
        }
    }

    pub(in crate::sys::linux) const fn from_number(number: u64) -> Direction {
        if number == 0 { Direction::Input } else { Direction::Output }
    }
}

pub(in crate::sys::linux) struct Op {
    pub(in crate::sys::linux) id: OpId,
    pub(in crate::sys::linux) thread: u64,
    pub(in crate::sys::linux) channel: Channel,
    pub(in crate::sys::linux) work: Work,
    pub(in crate::sys::linux) segments: Segments,
    pub(super) buffer: Owned,
    /// Bytes moved so far.
    pub(in crate::sys::linux) moved: usize,
    pub(in crate::sys::linux) connect: Connect,
    /// The sender of the datagram received.
    pub(in crate::sys::linux) from: Option<SocketAddr>,
    /// An accept that moved to its accepted socket: the listener whose operation it is.
    pub(in crate::sys::linux) listener: Option<Arc<Core>>,
    pub(super) cancelled: bool,
}

/// How far a connect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sys::linux) enum Connect {
    New,
    Connecting,
    /// It is through, and its bytes are being sent.
    Sending,
}

impl Op {
    /// The bytes still to be moved lie in one piece: where, and how many.
    pub(super) fn rest(&self) -> Option<(*mut u8, usize)> {
        match self.segments.as_slice() {
            // SAFETY: `moved` never exceeds the length of the piece.
            [one] if one.len > 0 => Some((unsafe { one.start.add(self.moved) }, one.len - self.moved)),
            _ => None,
        }
    }
}

/// How a start went.
pub(in crate::sys::linux) enum Begun {
    Pending(OpId),
    /// It ended at once. That is not told yet.
    Ended(End),
    Refused(i32, Request),
}

impl Queues {
    pub(in crate::sys::linux) fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether operations wait in a line, as far as can be told without its lock.
    pub(in crate::sys::linux) fn waits(&self, direction: Direction) -> bool {
        self.waiting[direction as usize].load(Ordering::SeqCst) > 0
    }

    /// How many operations have ever waited in a line.
    pub(in crate::sys::linux) fn joined(&self, direction: Direction) -> usize {
        self.joined[direction as usize].load(Ordering::SeqCst)
    }

    pub(super) fn note_joined(&self, direction: Direction) {
        self.joined[direction as usize].fetch_add(1, Ordering::SeqCst);
        self.waiting[direction as usize].fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn note_left(&self, direction: Direction) {
        self.waiting[direction as usize].fetch_sub(1, Ordering::SeqCst);
    }

    /// An accept of this listener waits at `accepted` for its first bytes.
    pub(super) fn note_first_bytes(&self, id: OpId, accepted: &Arc<Core>) {
        let mut list = self.first_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        list.push((id, Arc::downgrade(accepted)));
    }

    /// It waits no more.
    pub(super) fn forget_first_bytes(&self, id: OpId, accepted: &Arc<Core>) {
        let mut list = self.first_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|(other, core)| *other != id || !std::ptr::eq(core.as_ptr(), Arc::as_ptr(accepted)));
    }

    pub(in crate::sys::linux) fn port(&self) -> Option<&Arc<PortCore>> {
        self.port.get().map(|(port, _)| port)
    }

    pub(in crate::sys::linux) fn key(&self) -> usize {
        self.port.get().map_or(0, |(_, key)| *key)
    }
}

/// Puts an operation at the end of its line, or does it at once if nothing is before it and the system is ready. An
/// operation that is told by an event or a routine comes with the home of its thread. So many of its bytes moved already.
pub(in crate::sys::linux) fn begin(
    core: &Arc<Core>,
    lines: &mut Lines,
    (request, moved): (Request, usize),
    channel: Channel,
    home: Option<&Arc<Home>>,
) -> Begun {
    if let Some(Err(code)) = home.map(|home| come_home(core, lines, home)) {
        return Begun::Refused(code, request);
    }
    let direction = Direction::of(&request.work);
    lines.last_id += 1;
    let id = OpId(lines.last_id);
    let Request { work, segments, buffer } = request;
    let mut op = Op {
        id,
        thread: super::super::port::thread_number(),
        channel,
        work,
        segments,
        buffer,
        moved,
        connect: Connect::New,
        from: None,
        listener: None,
        cancelled: false,
    };
    let first = lines.lines[direction as usize].operations.is_empty();
    // What a thread that is not at home starts is looked after by others, the guard at worst: for it a try is the shorter
    // way, and what is there already comes out in the order of the starts (CP-13).
    let ready = lines.lines[direction as usize].ready || matches!(op.work, Work::Connect(_));
    if first && (ready || !is_home(core, lines)) {
        match attempt(core, &mut op) {
            Step::Ended(Err(code)) if moved == 0 && !is_told(&op, code) => {
                return Begun::Refused(
                    code,
                    Request { work: op.work, segments: op.segments, buffer: op.buffer },
                );
            }
            Step::Ended(result) => {
                if is_short(&op, &result) && !lines.ended {
                    lines.lines[direction as usize].ready = false;
                }
                network_events::operation_ended(core, &op.work, false);
                return Begun::Ended(finish(core, op, result));
            }
            Step::Moved(accepted) => {
                op.channel.begin();
                let mut sink = Sink::keeping();
                move_to_accepted(core, lines, op, &accepted, &mut sink);
                return sink.kept().map_or(Begun::Pending(id), Begun::Ended);
            }
            Step::Again => {}
            Step::Blocked => lines.lines[direction as usize].ready = false,
        }
    }
    if let Err(code) = settle(core, lines) {
        return Begun::Refused(code, Request { work: op.work, segments: op.segments, buffer: op.buffer });
    }
    op.channel.begin();
    lines.lines[direction as usize].operations.push_back(op);
    core.queues.note_joined(direction);
    let line = &lines.lines[direction as usize];
    if first && !line.ready {
        if line.in_ring.is_none() {
            arm(core, lines, direction);
        }
    } else if first {
        // What a first attempt left over goes on here.
        let mut sink = Sink::keeping();
        advance(core, lines, direction, &mut sink);
        if let Some(end) = sink.kept() {
            return Begun::Ended(end);
        }
    }
    if let Some(domain) = &lines.domain {
        domain.note_pending();
    }
    Begun::Pending(id)
}

/// A socket without a port whose lines are empty belongs to the thread that starts the next operation, and moves where
/// that one waits.
fn come_home(core: &Arc<Core>, lines: &mut Lines, home: &Arc<Home>) -> Result<(), i32> {
    if lines.starter != home.thread {
        lines.starter = home.thread;
        home::note_started(core);
    }
    let empty = |line: &Line| line.operations.is_empty() && line.in_ring.is_none();
    if core.queues.port().is_some() || !lines.lines.iter().all(empty) {
        return Ok(());
    }
    match &lines.domain {
        Some(domain) if home::operates(domain) => Ok(()),
        Some(_) => resettle(core, lines, home.operations()?),
        None => {
            lines.domain = Some(home.operations()?);
            Ok(())
        }
    }
}

/// Whether the calling thread looks after this socket itself, and soon: it runs at its port, or waits in its domain.
fn is_home(core: &Core, lines: &Lines) -> bool {
    match core.queues.port() {
        Some(port) => super::super::port::runs_on(port),
        None => lines.domain.as_ref().is_some_and(|domain| home::operates(domain)),
    }
}

/// Gives the socket a number and a domain, and makes its descriptor known there.
pub(in crate::sys::linux) fn settle(core: &Arc<Core>, lines: &mut Lines) -> Result<(), i32> {
    if lines.token.is_none() {
        lines.token = Some(registry::insert(core).ok_or(WSAENOBUFS)?);
    }
    if lines.domain.is_none() {
        lines.domain = Some(match core.queues.port.get() {
            Some((port, _)) => port.domain().clone(),
            None => Domain::commons()?,
        });
    }
    if let (false, Some(domain), Some(token)) = (lines.added, &lines.domain, lines.token) {
        let call = core.enter()?;
        if let Some(fd) = call.current_fd() {
            domain.add(fd, token)?;
            lines.added = true;
        }
    }
    Ok(())
}

/// Moves the socket to another domain. What is in a ring already ends there.
pub(in crate::sys::linux) fn resettle(
    core: &Arc<Core>,
    lines: &mut Lines,
    domain: Arc<Domain>,
) -> Result<(), i32> {
    if let (true, Some(old)) = (lines.added, &lines.domain) {
        if let Some(fd) = core.enter()?.current_fd() {
            old.remove(fd);
        }
        (lines.added, lines.writer_added) = (false, false);
    }
    lines.domain = Some(domain);
    settle(core, lines)?;
    if core.queues.waits(Direction::Output) && lines.lines[Direction::Output as usize].in_ring.is_none() {
        arm(core, lines, Direction::Output);
    }
    if let (Some(domain), true) = (&lines.domain, Direction::BOTH.iter().any(|d| core.queues.waits(*d))) {
        domain.note_pending();
    }
    Ok(())
}

impl Lines {
    /// The id that the next operation will have.
    pub(in crate::sys::linux) fn next_id(&self) -> OpId {
        OpId(self.last_id + 1)
    }

    /// The socket has another descriptor than before.
    pub(in crate::sys::linux) fn new_descriptor(&mut self, core: &Arc<Core>) -> Result<(), i32> {
        (self.added, self.writer_added) = (false, false);
        if self.domain.is_some() { settle(core, self) } else { Ok(()) }
    }
}
