//! How operations end: well, by a cancel, or with their socket. Each exactly once, with everything it gives back.

use super::super::network_events;
use super::super::socket::Core;
use super::channel::{End, Sink};
use super::line::{Direction, Lines, Op, settle};
use super::progress::advance;
use super::registry;
use crate::error::{WSA_OPERATION_ABORTED, WSAEMSGSIZE, WSAENOTSOCK, system_from_wsa};
use crate::overlapped::{Accepted, Completion, Work};
use crate::socket::Socket;
use std::sync::{Arc, PoisonError};

pub(in crate::sys::linux) fn take_first(core: &Core, lines: &mut Lines, direction: Direction) -> Option<Op> {
    let op = lines.lines[direction as usize].operations.pop_front()?;
    core.queues.note_left(direction);
    Some(op)
}

pub(in crate::sys::linux) fn pop(
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
    // Closed under a try: that is the close, told as such (CL-01).
    let result = result.map_err(|code| if code == WSAENOTSOCK { WSA_OPERATION_ABORTED } else { code });
    if result == Err(WSA_OPERATION_ABORTED) && matches!(op.work, Work::Connect(_)) {
        core.abandon_connect(WSA_OPERATION_ABORTED);
    }
    network_events::operation_ended(core, &op.work, result == Err(WSA_OPERATION_ABORTED));
    if let Some(listener) = &op.listener {
        listener.queues.forget_first_bytes(op.id, core);
    }
    let owner = op.listener.clone();
    let owner = owner.as_ref().unwrap_or(core);
    sink.put(owner.queues.port(), finish(owner, op, result));
}

/// The end of an operation, with everything it gives back.
pub(in crate::sys::linux) fn finish(core: &Core, op: Op, result: Result<usize, i32>) -> End {
    let (system_code, bytes) = match result {
        Ok(bytes) => (0, bytes),
        // A datagram that was cut off filled the buffer (UD-03).
        Err(WSAEMSGSIZE) => (system_from_wsa(WSAEMSGSIZE), op.segments.total()),
        Err(code) => (system_from_wsa(code), 0),
    };
    let operation = op.work.operation();
    let (mut remote, mut accepted) = (op.from, None);
    if let Work::Accept(accept) = op.work {
        *accept.sys.core_even_closed().queues.accepting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut local = None;
        if system_code == 0 {
            (local, remote) = (accept.sys.local_addr().ok(), accept.sys.peer_addr().ok());
        }
        accepted = Some(Box::new(Accepted { socket: Some(accept), local }));
    }
    let key = core.queues.key();
    let Op { id, buffer, channel, .. } = op;
    let completion = Completion { id, operation, key, system_code, bytes, buffer, remote, accepted };
    End { channel, completion }
}

// IN-04: the accept goes on as a receive at the accepted socket, so that the listener's next accept can have its turn.
pub(in crate::sys::linux) fn move_to_accepted(
    listener: &Arc<Core>,
    lines: &mut Lines,
    mut op: Op,
    accepted: &Socket,
    sink: &mut Sink,
) {
    network_events::operation_ended(listener, &op.work, false);
    let core = accepted.sys.core_even_closed();
    op.listener = Some(listener.clone());
    listener.queues.note_first_bytes(op.id, core);
    let mut there = core.queues.lock();
    if there.domain.is_none() {
        there.domain = lines.domain.clone();
    }
    // The connection was there already when the accept was cancelled, and nobody cancels it a second time.
    let over = there.closed || op.cancelled;
    // The line is empty: nothing can be started on a socket that waits to be accepted.
    there.lines[Direction::Input as usize].operations.push_back(op);
    core.queues.note_joined(Direction::Input);
    let home = if over { Err(WSA_OPERATION_ABORTED) } else { settle(core, &mut there) };
    match home {
        Ok(()) => advance(core, &mut there, Direction::Input, sink),
        Err(code) => pop(core, &mut there, Direction::Input, Err(code), sink),
    }
}

/// Ends one operation, or all that `which` chooses, with 995. False if there was none.
pub(in crate::sys::linux) fn cancel(
    core: &Arc<Core>,
    lines: &mut Lines,
    which: impl Fn(&Op) -> bool,
    sink: &mut Sink,
) -> bool {
    let mut found = false;
    for direction in Direction::BOTH {
        let mut at = 0;
        while let Some(op) = lines.lines[direction as usize].operations.get_mut(at) {
            if op.cancelled || !which(op) {
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
                core.queues.note_left(direction);
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
        if in_ring.is_none() {
            for op in std::mem::take(&mut lines.lines[direction as usize].operations) {
                core.queues.note_left(direction);
                end(core, op, Err(WSA_OPERATION_ABORTED), sink);
            }
        }
        // Else the first one ends when the kernel gives it back, and the others behind it.
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
