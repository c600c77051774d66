//! The two lines of operations that a socket has: receives and accepts; sends and connects.
//!
//! Only the first operation of a line touches the system, so that they end in the order of their starts whatever the
//! kernel does (OR-01, OR-03, OR-05, OR-06). On epoll the operation is tried when the set says that it may succeed, by
//! whichever thread drives the set. On a ring it is handed to the kernel, one entry a line; what the ring would not do in
//! the way promised (several pieces, datagrams, an empty buffer, a connect) waits there and is then done by the reaper.

use super::super::error::wsa;
use super::super::os::epoll::Ready;
use super::super::os::io_uring::Done;
use super::super::port::PortCore;
use super::super::socket::Core;
use super::super::startup;
use super::attempt::{Step, attempt};
use super::domain::Domain;
use super::registry::{self, Token};
use crate::error::{WSA_OPERATION_ABORTED, WSAEMSGSIZE, WSAENOBUFS, system_from_wsa};
use crate::overlapped::{Completion, OpId, Operation, Owned, Request, Segments, Work};
use crate::port::Packet;
use crate::socket::{Kind, Socket};
use crate::startup::Backend;
use io_uring::{opcode, squeue, types};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// What a socket carries for its overlapped operations. Nothing but zeros until the first one.
#[derive(Default)]
pub(crate) struct Queues {
    lines: Mutex<Lines>,
    /// The port, once and for ever (CP-02), and the key.
    pub(in crate::sys::linux) port: OnceLock<(Arc<PortCore>, usize)>,
    /// How many operations are in each line, to be asked without the lock.
    waiting: [AtomicUsize; 2],
    /// As an accept socket: the listener, and the operation that is to connect it. Never held with another lock.
    pub(in crate::sys::linux) accepting: Mutex<Option<(Weak<Core>, OpId)>>,
}

pub(in crate::sys::linux) struct Lines {
    token: Option<Token>,
    domain: Option<Arc<Domain>>,
    /// The descriptor is in the domain's set.
    added: bool,
    /// And it tells of room to send.
    writer_added: bool,
    lines: [Line; 2],
    /// The peer finished or the connection broke: reading never has to wait again.
    ended: bool,
    /// SD_SEND was asked for while sends were queued (SD-06).
    pub(in crate::sys::linux) shutdown_after_sends: bool,
    /// Accepts of this listener that have their connection and wait at it for its first bytes (IN-04).
    pub(in crate::sys::linux) first_bytes: Vec<(OpId, Weak<Core>)>,
    pub(in crate::sys::linux) skip_on_success: bool,
    last_id: u64,
    pub(in crate::sys::linux) closed: bool,
}

struct Line {
    operations: VecDeque<Op>,
    /// The first operation may be tried. Edges set it, a call that would block clears it.
    ready: bool,
    /// The first operation is in the ring of this domain.
    in_ring: Option<Arc<Domain>>,
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
            first_bytes: Vec::new(),
            skip_on_success: false,
            last_id: 0,
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
    const BOTH: [Direction; 2] = [Direction::Input, Direction::Output];

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
    thread: u64,
    pub(in crate::sys::linux) work: Work,
    pub(in crate::sys::linux) segments: Segments,
    buffer: Owned,
    /// Bytes moved so far.
    pub(in crate::sys::linux) moved: usize,
    pub(in crate::sys::linux) connect: Connect,
    /// The sender of the datagram received.
    pub(in crate::sys::linux) from: Option<SocketAddr>,
    /// An accept that moved to its accepted socket: the listener whose operation it is.
    pub(in crate::sys::linux) listener: Option<Arc<Core>>,
    cancelled: bool,
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
    fn rest(&self) -> Option<(*mut u8, usize)> {
        match self.segments.as_slice() {
            // SAFETY: `moved` never exceeds the length of the piece.
            [one] if one.len > 0 => Some((unsafe { one.start.add(self.moved) }, one.len - self.moved)),
            _ => None,
        }
    }
}

/// Ends of operations on their way. To be delivered when no lock is held, as dropping a buffer may run anything.
#[derive(Default)]
pub(crate) struct Sink {
    packets: Vec<(Arc<PortCore>, Packet)>,
    unseen: Vec<Completion>,
}

impl Sink {
    /// Gives each packet to its port, which wakes whom it must.
    pub(crate) fn deliver(&mut self) {
        self.unseen.clear();
        for (port, packet) in self.packets.drain(..) {
            port.deliver(packet);
        }
    }

    /// Takes the packets of this port out, in order, and delivers the others.
    pub(crate) fn split(&mut self, port: &Arc<PortCore>, mut mine: impl FnMut(Packet)) {
        self.unseen.clear();
        for (owner, packet) in self.packets.drain(..) {
            if Arc::ptr_eq(&owner, port) { mine(packet) } else { owner.deliver(packet) }
        }
    }

    fn put(&mut self, core: &Core, completion: Completion) {
        match core.queues.port.get() {
            Some((port, _)) => self.packets.push((port.clone(), Packet::Io(completion))),
            None => self.unseen.push(completion),
        }
    }
}

/// How a start went.
pub(in crate::sys::linux) enum Begun {
    Pending(OpId),
    /// It ended at once, well: the completion is not told yet.
    Ended(Completion),
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

    fn is_home(&self) -> bool {
        self.port.get().is_some_and(|(port, _)| super::super::port::runs_on(port))
    }

    fn key(&self) -> usize {
        self.port.get().map_or(0, |(_, key)| *key)
    }
}

/// Puts an operation at the end of its line, or does it at once if nothing is before it and the system is ready.
pub(in crate::sys::linux) fn begin(core: &Arc<Core>, lines: &mut Lines, request: Request) -> Begun {
    let direction = Direction::of(&request.work);
    lines.last_id += 1;
    let id = OpId(lines.last_id);
    let Request { work, segments, buffer } = request;
    let mut op = Op {
        id,
        thread: super::super::port::thread_number(),
        work,
        segments,
        buffer,
        moved: 0,
        connect: Connect::New,
        from: None,
        listener: None,
        cancelled: false,
    };
    let first = lines.lines[direction as usize].operations.is_empty();
    // What a thread that is not at home hands to a ring goes by the guard: for it a try is the shorter way.
    let detour = || startup::backend() == Backend::IoUring && !core.queues.is_home();
    if first && (lines.lines[direction as usize].ready || matches!(op.work, Work::Connect(_)) || detour()) {
        match attempt(core, &mut op) {
            Step::Ended(Err(code)) if !is_told(&op, code) => {
                return Begun::Refused(
                    code,
                    Request { work: op.work, segments: op.segments, buffer: op.buffer },
                );
            }
            Step::Ended(result) => {
                if is_short(&op, &result) && !lines.ended {
                    lines.lines[direction as usize].ready = false;
                }
                return Begun::Ended(finish(core, op, result));
            }
            Step::Moved(accepted) => {
                move_to_accepted(core, lines, op, &accepted);
                return Begun::Pending(id);
            }
            Step::Again => {}
            Step::Blocked => lines.lines[direction as usize].ready = false,
        }
    }
    if let Err(code) = settle(core, lines) {
        return Begun::Refused(code, Request { work: op.work, segments: op.segments, buffer: op.buffer });
    }
    lines.lines[direction as usize].operations.push_back(op);
    core.queues.waiting[direction as usize].fetch_add(1, Ordering::SeqCst);
    if first {
        // What a first attempt left over goes on here; on a ring this arms the entry.
        let mut sink = Sink::default();
        advance(core, lines, direction, &mut sink);
        debug_assert!(sink.packets.is_empty() || lines.lines[direction as usize].operations.is_empty());
        if let Some((_, Packet::Io(completion))) = sink.packets.pop() {
            return Begun::Ended(completion);
        }
        if let Some(completion) = sink.unseen.pop() {
            return Begun::Ended(completion);
        }
    }
    if let Some(domain) = &lines.domain {
        domain.note_pending();
    }
    Begun::Pending(id)
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

/// The set says that something changed.
pub(in crate::sys::linux) fn on_ready(core: &Arc<Core>, ready: Ready, sink: &mut Sink) {
    let mut lines = core.queues.lock();
    lines.ended |= ready.ended;
    for (direction, changed) in [(Direction::Input, ready.readable), (Direction::Output, ready.writable)] {
        if changed {
            lines.lines[direction as usize].ready = true;
            advance(core, &mut lines, direction, sink);
        }
    }
}

/// The ring says that the first operation of a line ended, or can be tried.
pub(in crate::sys::linux) fn on_done(core: &Arc<Core>, direction: Direction, done: Done, sink: &mut Sink) {
    let mut guard = core.queues.lock();
    let lines = &mut *guard;
    let line = &mut lines.lines[direction as usize];
    if line.in_ring.take().is_some() {
        core.leave();
    }
    line.ready = false;
    if let Some(op) = line.operations.front_mut() {
        let result = match done.result {
            // Closing shuts the connection down under an entry that could not be cancelled in time: that is no end.
            0 if lines.closed && !matches!(op.work, Work::Accept(_)) => {
                Step::Ended(Err(WSA_OPERATION_ABORTED))
            }
            n if n >= 0 => ring_success(core, op, n as usize, done.more_data),
            _ if op.cancelled => Step::Ended(Err(WSA_OPERATION_ABORTED)),
            // The thread that handed it over is gone, or it has to be tried by hand.
            code if [libc::ECANCELED, libc::EAGAIN, libc::EINTR].contains(&-code) => Step::Blocked,
            code => Step::Ended(Err(core.note_failure(wsa(rustix::io::Errno::from_raw_os_error(-code))))),
        };
        let result = match result {
            Step::Ended(Err(_)) if lines.closed => Step::Ended(Err(WSA_OPERATION_ABORTED)),
            result => result,
        };
        match result {
            Step::Ended(result) => {
                // Another accept goes to the ring at once; a receive is worth a try after the end or with more data.
                let accept = matches!(op.work, Work::Accept(_));
                let input = !accept && (done.more_data || !matches!(&result, Ok(1..)));
                line.ready = direction == Direction::Output || input;
                pop(core, lines, direction, result, sink);
            }
            Step::Blocked | Step::Again if op.cancelled => {
                pop(core, lines, direction, Err(WSA_OPERATION_ABORTED), sink);
            }
            Step::Blocked => {}
            Step::Again => line.ready = true,
            Step::Moved(accepted) => {
                if let Some(op) = take_first(core, lines, direction) {
                    move_to_accepted(core, lines, op, &accepted);
                }
            }
        }
    }
    if lines.closed {
        abandon(core, lines, sink);
    } else {
        advance(core, lines, direction, sink);
    }
}

// What an entry of the ring achieved, by the kind of entry that `entry_for` made.
fn ring_success(core: &Arc<Core>, op: &mut Op, result: usize, more_data: bool) -> Step {
    if op.rest().is_none() && !matches!(op.work, Work::Accept(_)) || by_poll(core, op) {
        // A poll entry: now it can be tried by hand.
        return attempt(core, op);
    }
    match &op.work {
        Work::Accept(accept) if op.listener.is_none() => {
            // SAFETY: an accept entry that succeeded gives a new descriptor, which is nobody else's.
            let fd = unsafe { OwnedFd::from_raw_fd(result as i32) };
            match super::super::socket::peer_of(&fd) {
                Some(peer) => super::attempt::accepted(core, accept, fd, peer, op.segments.total()),
                // The peer is gone already: this was no connection, and the next one may be there.
                None => Step::Blocked,
            }
        }
        Work::Receive(flags) => {
            op.moved += result;
            let full = op.moved == op.segments.total();
            if flags.wait_all && result > 0 && !full {
                if more_data { Step::Again } else { Step::Blocked }
            } else {
                Step::Ended(Ok(op.moved))
            }
        }
        _ => {
            op.moved += result;
            if op.listener.is_some() || op.moved == op.segments.total() {
                Step::Ended(Ok(op.moved))
            } else {
                Step::Again
            }
        }
    }
}

/// Tries the first operations of a line for as long as they end; arms the ring for one that cannot yet.
fn advance(core: &Arc<Core>, lines: &mut Lines, direction: Direction, sink: &mut Sink) {
    loop {
        let line = &mut lines.lines[direction as usize];
        let Some(op) = line.operations.front_mut() else { break };
        if line.in_ring.is_some() {
            return;
        }
        if !line.ready {
            arm(core, lines, direction);
            return;
        }
        match attempt(core, op) {
            Step::Ended(result) => {
                if is_short(op, &result) && !lines.ended {
                    line.ready = false;
                }
                pop(core, lines, direction, result, sink);
            }
            Step::Blocked => {
                line.ready = false;
                if direction == Direction::Input {
                    lines.ended = false;
                }
            }
            Step::Again => {}
            Step::Moved(accepted) => {
                if let Some(op) = take_first(core, lines, direction) {
                    move_to_accepted(core, lines, op, &accepted);
                }
            }
        }
    }
    if direction == Direction::Output && lines.shutdown_after_sends {
        lines.shutdown_after_sends = false;
        core.send_the_end();
    }
}

// After a short receive nothing is left: no second receive only to learn that.
fn is_short(op: &Op, result: &Result<usize, i32>) -> bool {
    matches!(&op.work, Work::Receive(flags) if !flags.peek)
        && matches!(result, Ok(n) if *n > 0 && *n < op.segments.total())
}

// Failures at the start that are told through the channel all the same: a datagram that was cut off (UD-04), and what
// the network answers to a connect (IN-14).
fn is_told(op: &Op, code: i32) -> bool {
    match op.work {
        Work::Connect(_) => op.connect != Connect::New,
        _ => code == WSAEMSGSIZE,
    }
}

fn arm(core: &Arc<Core>, lines: &mut Lines, direction: Direction) {
    let (Some(domain), Some(token)) = (lines.domain.clone(), lines.token) else { return };
    if !domain.is_ring() && (direction == Direction::Input || lines.writer_added) {
        return;
    }
    let Ok(call) = core.enter() else { return };
    let Some(fd) = call.current_fd() else { return };
    if !domain.is_ring() {
        domain.add_writer(fd, token);
        lines.writer_added = true;
        return;
    }
    let line = &mut lines.lines[direction as usize];
    let Some(op) = line.operations.front() else { return };
    let entry = entry_for(core, op, types::Fd(fd.as_raw_fd()), direction);
    line.in_ring = Some(domain.clone());
    // SAFETY: the operation, and with it its buffer, stays at the head of the line until the entry's end was reaped, and
    // the registry keeps the socket until then. The kernel holds the descriptor's file itself.
    unsafe { domain.push(entry, token, direction) };
    // The entry names the descriptor by its number until the kernel has taken it.
    Core::stay(call);
}

fn entry_for(core: &Core, op: &Op, fd: types::Fd, direction: Direction) -> squeue::Entry {
    match (&op.work, op.rest()) {
        (Work::Accept(_), _) if op.listener.is_none() => {
            opcode::Accept::new(fd, std::ptr::null_mut(), std::ptr::null_mut())
                .flags(libc::SOCK_CLOEXEC)
                .build()
        }
        (Work::Receive(_) | Work::Accept(_), Some((start, len))) if !by_poll(core, op) => {
            opcode::Recv::new(fd, start, u32::try_from(len).unwrap_or(u32::MAX >> 1)).build()
        }
        (Work::Send, Some((start, len))) if !by_poll(core, op) => {
            opcode::Send::new(fd, start, u32::try_from(len).unwrap_or(u32::MAX >> 1))
                .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
                .build()
        }
        _ => {
            let what =
                if direction == Direction::Input { libc::POLLIN | libc::POLLRDHUP } else { libc::POLLOUT };
            opcode::PollAdd::new(fd, what as u32).build()
        }
    }
}

// Which operations wait in the ring by a poll entry and are then done by hand. Of a datagram the ring would not tell
// that it was cut off (UD-04), and it would send one piece of it alone.
fn by_poll(core: &Core, op: &Op) -> bool {
    if core.kind == Kind::Datagram {
        return true;
    }
    match &op.work {
        Work::Receive(flags) => flags.peek || flags.out_of_band || op.rest().is_none(),
        Work::Accept(_) => op.listener.is_some() && op.rest().is_none(),
        Work::Send => op.rest().is_none(),
        Work::ReceiveFrom(_) | Work::SendTo(_) | Work::Connect(_) => true,
    }
}

fn take_first(core: &Core, lines: &mut Lines, direction: Direction) -> Option<Op> {
    let op = lines.lines[direction as usize].operations.pop_front()?;
    core.queues.waiting[direction as usize].fetch_sub(1, Ordering::SeqCst);
    Some(op)
}

fn pop(
    core: &Arc<Core>,
    lines: &mut Lines,
    direction: Direction,
    result: Result<usize, i32>,
    sink: &mut Sink,
) {
    if let Some(op) = take_first(core, lines, direction) {
        end(core, op, result, sink);
    }
}

// Ends an operation that is in no line any more.
fn end(core: &Arc<Core>, op: Op, result: Result<usize, i32>, sink: &mut Sink) {
    match op.listener.clone() {
        Some(listener) => sink.put(&listener, finish(&listener, op, result)),
        None => sink.put(core, finish(core, op, result)),
    }
}

/// The completion of an operation, with everything it gives back.
fn finish(core: &Core, op: Op, result: Result<usize, i32>) -> Completion {
    let (system_code, bytes) = match result {
        Ok(bytes) => (0, bytes),
        // A datagram that was cut off filled the buffer (UD-03).
        Err(WSAEMSGSIZE) => (system_from_wsa(WSAEMSGSIZE), op.segments.total()),
        Err(code) => (system_from_wsa(code), 0),
    };
    let operation = op.work.operation();
    let accepted = match op.work {
        Work::Accept(accept) => Some(accept),
        _ => None,
    };
    let (mut local, mut remote) = (None, op.from);
    if let Some(accept) = &accepted {
        *accept.sys.core_even_closed().queues.accepting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if system_code == 0 {
            (local, remote) = (accept.sys.local_addr().ok(), accept.sys.peer_addr().ok());
        }
    }
    let key = core.queues.key();
    Completion { id: op.id, operation, key, system_code, bytes, buffer: op.buffer, accepted, local, remote }
}

// IN-04: the accept goes on as a receive at the accepted socket, so that the listener's next accept can have its turn.
fn move_to_accepted(listener: &Arc<Core>, lines: &mut Lines, mut op: Op, accepted: &Socket) {
    let core = accepted.sys.core_even_closed();
    let id = op.id;
    op.listener = Some(listener.clone());
    lines.first_bytes.retain(|(_, core)| core.strong_count() > 0);
    lines.first_bytes.push((id, Arc::downgrade(core)));
    let mut there = core.queues.lock();
    there.domain = lines.domain.clone();
    // The line is empty: nothing can be started on a socket that waits to be accepted.
    there.lines[Direction::Input as usize].operations.push_back(op);
    core.queues.waiting[Direction::Input as usize].fetch_add(1, Ordering::SeqCst);
    if settle(core, &mut there).is_ok() {
        let mut none = Sink::default();
        advance(core, &mut there, Direction::Input, &mut none);
        debug_assert!(none.packets.is_empty(), "a line that is not ready ends nothing");
    }
}

/// Ends one operation, or all that `which` chooses, with 995. False if there was none.
pub(in crate::sys::linux) fn cancel(
    core: &Arc<Core>,
    lines: &mut Lines,
    which: impl Fn(OpId, u64) -> bool,
    sink: &mut Sink,
) -> bool {
    let mut found = false;
    for direction in Direction::BOTH {
        let mut at = 0;
        while let Some(op) = lines.lines[direction as usize].operations.get_mut(at) {
            if op.cancelled || !which(op.id, op.thread) {
                at += 1;
                continue;
            }
            found = true;
            if let (0, Some(domain), Some(token)) =
                (at, &lines.lines[direction as usize].in_ring, lines.token)
            {
                // The buffer is the kernel's until the entry has ended.
                domain.clone().cancel(token, direction);
                if let Some(op) = lines.lines[direction as usize].operations.front_mut() {
                    op.cancelled = true;
                }
                at += 1;
                continue;
            }
            if let Some(op) = lines.lines[direction as usize].operations.remove(at) {
                core.queues.waiting[direction as usize].fetch_sub(1, Ordering::SeqCst);
                if matches!(op.work, Work::Connect(_)) {
                    core.abandon_connect(WSA_OPERATION_ABORTED);
                }
                end(core, op, Err(WSA_OPERATION_ABORTED), sink);
            }
        }
        // The next one may be ready where a cancelled one was not.
        advance(core, lines, direction, sink);
    }
    found
}

/// The last handle is closed: every operation ends, and the number is given back when the kernel holds nothing more.
pub(in crate::sys::linux) fn abandon(core: &Arc<Core>, lines: &mut Lines, sink: &mut Sink) {
    lines.closed = true;
    lines.shutdown_after_sends = false;
    for direction in Direction::BOTH {
        let in_ring = lines.lines[direction as usize].in_ring.clone();
        while lines.lines[direction as usize].operations.len() > usize::from(in_ring.is_some()) {
            if let Some(op) = lines.lines[direction as usize].operations.pop_back() {
                core.queues.waiting[direction as usize].fetch_sub(1, Ordering::SeqCst);
                end(core, op, Err(WSA_OPERATION_ABORTED), sink);
            }
        }
        let first = lines.lines[direction as usize].operations.front_mut();
        if let (Some(domain), Some(token), Some(op)) = (in_ring, lines.token, first) {
            if !std::mem::replace(&mut op.cancelled, true) {
                domain.cancel(token, direction);
                domain.note_pending();
            }
        }
    }
    if lines.lines.iter().all(|line| line.in_ring.is_none()) {
        if let Some(token) = lines.token.take() {
            registry::remove(token);
        }
    }
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
