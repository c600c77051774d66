//! What consumes an event: plain calls, and overlapped operations that end.
//!
//! A socket without a selection pays one load for it.

use super::super::error::Result;
use super::super::port::thread_number;
use super::super::socket::{Core, InUse, Received, Socket};
use super::selected::SOMEBODY;
use super::{inherit, lock};
use crate::overlapped::Work;
use crate::semantics::network_events::Record;
use crate::socket::Flags;

/// A receive of up to `asked` bytes.
pub(in crate::sys::linux) fn receiving(
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
pub(in crate::sys::linux) fn sending(
    core: &Core,
    call: &InUse<'_>,
    asked: usize,
    send: impl FnOnce() -> Result<usize>,
) -> Result<usize> {
    attending(core, call, send, |record, outcome| record.sent(asked, *outcome))
}

/// An accept. The connection carries the listener's selection (IN-01, AS-08).
pub(in crate::sys::linux) fn accepting<T>(
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
    // A call that waits cannot hold the lock; then the system is asked whatever the outcome. The mode is asked under the
    // lock, which whoever changes it takes as well.
    let held = Some(lock(selection)).filter(|_| core.is_nonblocking());
    let waited = held.is_none();
    let outcome = make();
    let mut selected = held.unwrap_or_else(|| lock(selection));
    selected.consumer = Some(thread_number());
    let ask = tell(&mut selected.record, &outcome);
    selected.go_on(core, call, ask || waited);
    outcome
}

/// An overlapped operation ended: it consumed as a plain call does (NE-10, NE-11), unless it was cancelled. The caller may
/// hold the lines' lock.
#[inline]
pub(in crate::sys::linux) fn operation_ended(core: &Core, work: &Work, cancelled: bool) {
    if core.selection.0.get().is_some() {
        consumed(core, work, cancelled);
    }
}

#[cold]
fn consumed(core: &Core, work: &Work, cancelled: bool) {
    let Ok(call) = core.enter() else { return };
    let Some(mut selected) = core.selection.lock() else { return };
    selected.consumer = Some(SOMEBODY);
    match work {
        // It took nothing, and what is told already is not told again.
        _ if cancelled => {}
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
