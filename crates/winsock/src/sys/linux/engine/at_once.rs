//! The shortest way: a send that the system takes whole, on a socket that skips the packet then (CP-10).
//!
//! It is what most sends of a server are. Nothing is made for it that somebody else would have to find.

use super::super::network_events;
use super::super::socket::Core;
use super::line::{Direction, Lines};
use crate::error::WSAEWOULDBLOCK;
use crate::overlapped::{Completion, OpId, Operation, Owned, Request, Segments, Work};
use crate::socket::{Flags, Kind};
use std::io::IoSlice;
use std::sync::Arc;

/// What a try came to.
pub(in crate::sys::linux) enum AtOnce {
    /// The system took so many bytes, which are all of them.
    Done(OpId, usize),
    /// The long way, and how many bytes went already.
    Rest(usize),
}

/// Tries a send whose end nobody is told if it succeeds. The caller has asked whether it may be started.
pub(in crate::sys::linux) fn send(core: &Arc<Core>, lines: &mut Lines, request: &Request) -> AtOnce {
    let line = &mut lines.lines[Direction::Output as usize];
    let shortest = lines.skip_on_success && !lines.closed && line.ready && line.operations.is_empty();
    let (true, Kind::Stream, Work::Send, Segments::One(piece)) =
        (shortest, core.kind, &request.work, &request.segments)
    else {
        return AtOnce::Rest(0);
    };
    // SAFETY: the request owns the buffer (`IoBuf`), and lives beyond this call.
    let bytes = unsafe { std::slice::from_raw_parts(piece.start, piece.len) };
    match core.try_send(&[IoSlice::new(bytes)], Flags::NONE) {
        Ok(count) if count == bytes.len() => {
            network_events::operation_ended(core, &request.work, false);
            lines.last_id += 1;
            AtOnce::Done(OpId(lines.last_id), count)
        }
        // The long way goes on where there is room again, or meets the failure again.
        outcome => {
            line.ready = !matches!(outcome, Ok(_) | Err(WSAEWOULDBLOCK));
            AtOnce::Rest(outcome.unwrap_or(0))
        }
    }
}

/// The end of such a send.
pub(in crate::sys::linux) fn sent(id: OpId, key: usize, bytes: usize, buffer: Owned) -> Completion {
    let operation = Operation::Send;
    Completion { id, operation, key, system_code: 0, bytes, buffer, remote: None, accepted: None }
}
