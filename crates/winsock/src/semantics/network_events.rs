//! The record of network events that a socket has (models 3 and 4): what is recorded, when again, and what is told.
//!
//! The trick is two sets. An event is *recorded* until it is enumerated, posted or taken back. From its record on it is
//! *spent*, until the call that consumes it re-enables it; a spent event is not recorded again, whatever happens. So
//! each event is an edge, and what holds is asked of the system only when an event became enabled.

use super::connection::Phase;
use crate::error::WSAEWOULDBLOCK;
use crate::event_select::{NetEvents, NetworkEvents};
use crate::socket::{Flags, Kind};

/// What the system says of a socket at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Something can be received or accepted.
    pub(crate) data: bool,
    /// There is an urgent byte.
    pub(crate) urgent: bool,
    /// It counts as data (NE-20).
    pub(crate) inline: bool,
    /// There is room to send.
    pub(crate) room: bool,
    /// The peer finished (0), or this broke the connection. Data may stand before it.
    pub(crate) end: Option<i32>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    mask: NetEvents,
    recorded: NetEvents,
    spent: NetEvents,
    /// What was recorded since the last call of [`news`](Record::news).
    fresh: NetEvents,
    errors: [i32; 6],
    /// The connection's end, while data stands before it (NE-14).
    end: Option<i32>,
    /// A receive stops at an urgent byte, so a short one does not say that nothing is left.
    urgent: bool,
}

/// The order in which events that became known together are told (AS-09).
const ORDER: [NetEvents; 6] = [
    NetEvents::CONNECT,
    NetEvents::ACCEPT,
    NetEvents::OOB,
    NetEvents::WRITE,
    NetEvents::READ,
    NetEvents::CLOSE,
];

impl Record {
    /// The record of an accepted socket, which carries its listener's selection and may be sent on (IN-01).
    pub(crate) fn of_accepted(mask: NetEvents) -> Record {
        let mut record = Record { mask, ..Record::default() };
        record.accepted();
        record
    }

    pub(crate) fn mask(&self) -> NetEvents {
        self.mask
    }

    /// Selects for an event object: what was recorded and not enumerated is news to it (ES-05, ES-06, ES-12).
    pub(crate) fn select(&mut self, mask: NetEvents) {
        self.mask = mask;
        self.fresh = self.recorded;
    }

    /// Selects for messages: what holds is to be posted again, except the outcome of a connect (AS-06, NE-21).
    pub(crate) fn select_again(&mut self, mask: NetEvents) {
        self.mask = mask;
        (self.recorded, self.fresh) = (NetEvents::NONE, NetEvents::NONE);
        self.spent = self.spent & NetEvents::CONNECT;
    }

    /// Whether something selected could be recorded now, so that it is worth to ask the system.
    pub(crate) fn is_open(&self) -> bool {
        !self.mask.without(self.spent).is_empty()
    }

    /// Whether the system is to tell when there is room.
    pub(crate) fn wants_room(&self) -> bool {
        !self.spent.contains(NetEvents::WRITE)
    }

    // This happened.

    /// The system was asked, or told by itself.
    pub(crate) fn observe(&mut self, kind: Kind, phase: Phase, seen: Seen) {
        match phase {
            _ if kind == Kind::Datagram => {
                self.happened_if(seen.room, NetEvents::WRITE);
                self.happened_if(seen.data, NetEvents::READ);
            }
            Phase::Listening => self.happened_if(seen.data, NetEvents::ACCEPT),
            Phase::Connected => {
                self.urgent |= seen.urgent;
                // What is broken can be neither sent on nor received from.
                if let Some(code @ 1..) = seen.end {
                    self.happened(NetEvents::CLOSE, code);
                    return;
                }
                self.happened_if(seen.urgent && !seen.inline, NetEvents::OOB);
                self.happened_if(seen.room, NetEvents::WRITE);
                self.happened_if(seen.data, NetEvents::READ);
                // An edge that says nothing of the end may be older than the one that did, and then says nothing of the
                // data before it either.
                if seen.end.is_some() {
                    self.end = seen.end;
                    self.reached_end(seen.data);
                }
            }
            // Linux calls such a socket ended and writable; to Winsock it is ready for nothing.
            Phase::Idle | Phase::Connecting | Phase::Failed(_) => {}
        }
    }

    /// A receive of up to `asked` bytes had this outcome: it re-enables its event, and takes back what was recorded of it
    /// (NE-01, NE-02, ES-09). Whether the system has to be asked what is left.
    pub(crate) fn received(
        &mut self,
        kind: Kind,
        flags: Flags,
        asked: usize,
        outcome: Result<usize, i32>,
    ) -> bool {
        self.enable(if flags.out_of_band { NetEvents::OOB } else { NetEvents::READ });
        let plain = kind == Kind::Stream && !flags.out_of_band && asked > 0;
        match outcome {
            Err(WSAEWOULDBLOCK) => false,
            Ok(0) if plain => {
                self.end = self.end.or(Some(0));
                self.reached_end(false);
                false
            }
            Ok(bytes) if plain && bytes < asked && !flags.peek && !self.urgent => {
                self.reached_end(false);
                false
            }
            _ => true,
        }
    }

    /// A send of `asked` bytes had this outcome: one that found no room, or not enough, re-enables its event (NE-06).
    /// Whether the system has to be asked what became of the connection.
    pub(crate) fn sent(&mut self, asked: usize, outcome: Result<usize, i32>) -> bool {
        match outcome {
            Ok(bytes) if bytes >= asked => false,
            Ok(_) | Err(WSAEWOULDBLOCK) => {
                self.enable(NetEvents::WRITE);
                false
            }
            Err(_) => true,
        }
    }

    /// An accept had this outcome: it re-enables its event (NE-08). Whether the system has to be asked for more.
    pub(crate) fn took_connection(&mut self, outcome: Result<(), i32>) -> bool {
        self.enable(NetEvents::ACCEPT);
        outcome != Err(WSAEWOULDBLOCK)
    }

    /// A connect begins: nothing of a connection before it counts any more.
    pub(crate) fn connecting(&mut self) {
        let mask = self.mask;
        *self = Record { mask, ..Record::default() };
    }

    /// The connect succeeded, and the connection may be sent on (AS-09).
    pub(crate) fn connected(&mut self) {
        self.connect_ended(0);
        self.happened(NetEvents::WRITE, 0);
    }

    /// The outcome of a connect; a failure is followed by nothing (NE-12). Told a second time it is none.
    pub(crate) fn connect_ended(&mut self, code: i32) {
        self.happened(NetEvents::CONNECT, code);
    }

    /// The socket became an accepted connection, which never tells of a connect (NE-21).
    pub(crate) fn accepted(&mut self) {
        self.spent |= NetEvents::CONNECT;
        self.happened(NetEvents::WRITE, 0);
    }

    // This is told.

    /// Whether something selected was recorded since this was asked last.
    pub(crate) fn news(&mut self) -> bool {
        let fresh = std::mem::take(&mut self.fresh);
        !(fresh & self.mask & self.recorded).is_empty()
    }

    /// Whether something selected is recorded.
    pub(crate) fn is_empty(&self) -> bool {
        (self.recorded & self.mask).is_empty()
    }

    /// Takes what was recorded of the selected events; other error slots stay as they were (ES-02, ES-04, ES-08).
    pub(crate) fn enumerate(&mut self, into: &mut NetworkEvents) {
        into.events = self.recorded & self.mask;
        for event in into.events.iter() {
            let at = event.bits().trailing_zeros() as usize;
            into.errors[at] = self.errors[at];
        }
        self.recorded = self.recorded.without(self.mask);
    }

    /// Takes one selected event, to be posted.
    pub(crate) fn next(&mut self) -> Option<(NetEvents, i32)> {
        let event = ORDER.into_iter().find(|event| (self.recorded & self.mask).contains(*event))?;
        self.recorded = self.recorded.without(event);
        Some((event, self.errors[event.bits().trailing_zeros() as usize]))
    }

    /// The end counts when nothing stands before it, and once (NE-05, NE-13).
    fn reached_end(&mut self, data: bool) {
        if let (Some(code), false) = (self.end, data) {
            self.happened(NetEvents::CLOSE, code);
        }
    }

    fn happened_if(&mut self, holds: bool, event: NetEvents) {
        if holds {
            self.happened(event, 0);
        }
    }

    fn happened(&mut self, event: NetEvents, code: i32) {
        if !self.spent.contains(event) {
            self.recorded |= event;
            self.spent |= event;
            self.fresh |= event;
            self.errors[event.bits().trailing_zeros() as usize] = code;
        }
    }

    fn enable(&mut self, event: NetEvents) {
        self.recorded = self.recorded.without(event);
        self.spent = self.spent.without(event);
    }
}

#[cfg(test)]
#[path = "network_events_tests.rs"]
mod tests;
