//! How a line goes on: what the set or the ring told is turned into tries, ends and new entries.

use super::super::error::wsa;
use super::super::os::epoll::Ready;
use super::super::os::io_uring::Done;
use super::super::socket::{self, Core};
use super::attempt::{self, Step, attempt};
use super::channel::Sink;
use super::ending::{abandon, move_to_accepted, pop, take_first};
use super::line::{Connect, Direction, Lines, Op};
use crate::error::{WSA_OPERATION_ABORTED, WSAEMSGSIZE};
use crate::overlapped::Work;
use crate::socket::Kind;
use io_uring::{opcode, squeue, types};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

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
            // Closing shuts the connection down under an entry that could not be cancelled in time: that is no end. Of an
            // accept that waits for a connection it would be a descriptor.
            0 if lines.closed && (op.listener.is_some() || !matches!(op.work, Work::Accept(_))) => {
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
                    move_to_accepted(core, lines, op, &accepted, sink);
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
            match socket::peer_of(&fd) {
                Some(peer) => attempt::accepted(core, accept, fd, peer, op.segments.total()),
                // The peer is gone already: this was no connection, and the next one may be there.
                None => Step::Blocked,
            }
        }
        // By hand it is found out whether that is the end or a reset behind it (BL-03).
        Work::Receive(_) if result == 0 => attempt(core, op),
        Work::Receive(flags) => {
            op.moved += result;
            let full = op.moved == op.segments.total();
            if flags.wait_all && !full {
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
pub(in crate::sys::linux) fn advance(
    core: &Arc<Core>,
    lines: &mut Lines,
    direction: Direction,
    sink: &mut Sink,
) {
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
                    move_to_accepted(core, lines, op, &accepted, sink);
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
pub(in crate::sys::linux) fn is_short(op: &Op, result: &Result<usize, i32>) -> bool {
    matches!(&op.work, Work::Receive(flags) if !flags.peek)
        && matches!(result, Ok(n) if *n > 0 && *n < op.segments.total())
}

// Failures at the start that are told through the channel all the same: a datagram that was cut off (UD-04), and what
// the network answers to a connect (IN-14).
pub(in crate::sys::linux) fn is_told(op: &Op, code: i32) -> bool {
    match op.work {
        Work::Connect(_) => op.connect != Connect::New,
        _ => code == WSAEMSGSIZE,
    }
}

pub(in crate::sys::linux) fn arm(core: &Arc<Core>, lines: &mut Lines, direction: Direction) {
    let (Some(domain), Some(token)) = (&lines.domain, lines.token) else { return };
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
            let urgent = matches!(op.work, Work::Receive(flags) if flags.out_of_band);
            let what = match direction {
                Direction::Input if urgent => libc::POLLPRI | libc::POLLRDHUP,
                Direction::Input => libc::POLLIN | libc::POLLRDHUP,
                Direction::Output => libc::POLLOUT,
            };
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
