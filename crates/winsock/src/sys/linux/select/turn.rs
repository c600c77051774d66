//! One call of `select`: ask the records, ask the system, judge, and again when the answer meant nothing.
//!
//! What `poll` says of a socket that is neither connected nor listening means nothing to Winsock (SE-11), and what it
//! says unasked of a broken one need not concern the set (SE-12). Such a member is *parked*: its entry is switched
//! off, and an event descriptor of this thread is told when the socket's record changes or it is closed.

use super::super::error::{Result, wsa};
use super::super::os::poll::{POLLERR, POLLIN, POLLOUT, look, pollfd};
use super::super::port::free_place;
use super::super::routine;
use super::super::socket::{Core, WhoKnows, raw};
use super::{Members, Scratch, Set};
use crate::error::WSAENOTSOCK;
use crate::semantics::connection::Raw;
use crate::socket::Kind;
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// One call.
pub(super) struct Turn<'a> {
    members: &'a Members<'a>,
    scratch: &'a mut Scratch,
    waits: bool,
    deadline: Option<Instant>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        members: &'a Members<'a>,
        scratch: &'a mut Scratch,
        timeout: Option<Duration>,
    ) -> Result<Turn<'a>> {
        scratch.entries.clear();
        scratch.parked.clear();
        let waits = timeout != Some(Duration::ZERO);
        // A time beyond the clock's end is for ever.
        let deadline = timeout.filter(|_| waits).and_then(|timeout| Instant::now().checked_add(timeout));
        Ok(Turn { members, scratch, waits, deadline })
    }

    pub(super) fn run(mut self) -> Result<()> {
        for (index, (set, socket)) in self.members.iter().enumerate() {
            let entry = self.prepare(index, set, socket.sys.core_even_closed())?;
            self.scratch.entries.push(entry);
        }
        let last = self.scratch.entries.len();
        loop {
            // What the records know already must not wait for the system; the others are looked at all the same.
            let known = self.parked_is_ready();
            self.scratch.entries.truncate(last);
            if let Some(watcher) = self.scratch.watcher.as_ref().filter(|_| !self.scratch.parked.is_empty()) {
                self.scratch.entries.push(pollfd { fd: watcher.as_raw_fd(), events: POLLIN, revents: 0 });
            }
            let answers = if known || !self.waits {
                look(&mut self.scratch.entries).map_err(wsa)?
            } else {
                // A thread of a port that waits here frees its place (CP-21).
                let _place = free_place(|| look(&mut self.scratch.entries) == Ok(0));
                routine::poll_alertably(&mut self.scratch.entries, self.deadline)?
            };
            if answers == 0 && !known {
                return Ok(());
            }
            let (ready, closed) = self.judge()?;
            if ready {
                return Ok(());
            }
            if closed {
                return Err(WSAENOTSOCK);
            }
            if !self.waits {
                return Ok(());
            }
            if self.scratch.entries.get(last).is_some_and(|watcher| watcher.revents != 0) {
                self.look_again_at_parked()?;
            }
        }
    }

    /// The entry of a member as its record stands.
    fn prepare(&mut self, index: usize, set: Set, core: &Core) -> Result<pollfd> {
        loop {
            ask_outcome(core);
            let events = match core.who_knows() {
                WhoKnows::System => set.events(),
                // Only the one who attends to a connect asks for its outcome, and tells by the record.
                WhoKnows::Outcome if !core.connect_attended.load(SeqCst) => POLLOUT,
                known => {
                    self.park(index, core)?;
                    // It may have changed before it was watched.
                    if core.who_knows() == known || !self.waits {
                        return Ok(pollfd { fd: -1, events: 0, revents: 0 });
                    }
                    continue;
                }
            };
            return Ok(pollfd { fd: core.raw_fd(), events, revents: 0 });
        }
    }

    fn park(&mut self, index: usize, core: &Core) -> Result<()> {
        // Switched off already. In the first round there is no entry yet.
        if self.scratch.entries.get(index).is_some_and(|entry| entry.fd < 0) {
            return Ok(());
        }
        if self.waits {
            let watcher = match &self.scratch.watcher {
                Some(watcher) => watcher,
                None => {
                    let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(wsa)?;
                    self.scratch.watcher.insert(Arc::new(made))
                }
            };
            core.watchers().add(watcher);
        }
        self.scratch.parked.push(index);
        Ok(())
    }

    fn parked_is_ready(&self) -> bool {
        self.scratch.parked.iter().any(|&index| {
            let (set, socket) = self.members.at(index);
            socket.sys.is_closed() || is_ready(set, socket.sys.core_even_closed(), 0)
        })
    }

    /// Writes into each entry whether its member is ready. Whether one is, and whether one was closed meanwhile that
    /// no set can report. An entry with an answer that means nothing to its set is prepared again or parked.
    fn judge(&mut self) -> Result<(bool, bool)> {
        let (mut any, mut closed) = (false, false);
        for (index, (set, socket)) in self.members.iter().enumerate() {
            let core = socket.sys.core_even_closed();
            let entry = self.scratch.entries[index];
            let answer = entry.revents;
            if answer != 0 {
                ask_outcome(core);
            }
            let gone = socket.sys.is_closed();
            // A socket closed while it is selected for reading is reported readable (SE-16).
            let ready = if gone { set == Set::Read } else { is_ready(set, core, answer) };
            self.scratch.entries[index].revents = ready.into();
            any |= ready;
            closed |= gone && !ready;
            if answer != 0 && !ready && !gone && self.waits {
                let mut again = self.prepare(index, set, core)?;
                if core.kind == Kind::Datagram && answer & POLLERR != 0 {
                    forget_error(&again);
                } else if (again.fd, again.events) == (entry.fd, entry.events) {
                    // The same answer would come at once, for ever.
                    self.park(index, core)?;
                    again.fd = -1;
                }
                self.scratch.entries[index] = again;
            }
        }
        Ok((any, closed))
    }

    /// Something changed on one of the parked members.
    fn look_again_at_parked(&mut self) -> Result<()> {
        if let Some(watcher) = &self.scratch.watcher {
            let _ = rustix::io::read(&**watcher, &mut [0; 8]);
        }
        for position in 0..self.scratch.parked.len() {
            let index = self.scratch.parked[position];
            let (set, socket) = self.members.at(index);
            self.scratch.entries[index] = self.prepare(index, set, socket.sys.core_even_closed())?;
        }
        Ok(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(watcher) = self.scratch.watcher.as_ref().filter(|_| self.waits) {
            for &index in &self.scratch.parked {
                self.members.at(index).1.sys.core_even_closed().watchers().remove(watcher);
            }
        }
    }
}

/// A connect that nobody attends to may have an outcome by now.
fn ask_outcome(core: &Core) {
    if core.who_knows() == WhoKnows::Outcome {
        core.settle();
    }
}

/// Whether the set reports the socket, of which `poll` answered `revents`.
fn is_ready(set: Set, core: &Core, revents: i16) -> bool {
    // The usual cases need no look into the record.
    match core.who_knows() {
        WhoKnows::System if revents == 0 => return false,
        WhoKnows::System if set != Set::Except && revents & set.events() != 0 => return true,
        _ => {}
    }
    let raw = if revents == 0 { Raw::default() } else { raw(revents) };
    let ready = core.ask(|connection| connection.readiness(raw, core.oob_inline.load(SeqCst)));
    match set {
        Set::Read => ready.read,
        Set::Write => ready.write,
        Set::Except => ready.except,
    }
}

/// A datagram sent earlier met a port that nobody owns, and the kernel reports it here: nobody's error (UD-11).
fn forget_error(entry: &pollfd) {
    if entry.fd >= 0 {
        // SAFETY: the member is held, so the descriptor is open and stays its own.
        let fd = unsafe { BorrowedFd::borrow_raw(entry.fd) };
        let _ = rustix::net::sockopt::socket_error(fd);
    }
}
