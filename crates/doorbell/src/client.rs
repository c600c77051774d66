//! A client under a model that is told *it is done*: its peer, and what it has asked the model for already.

use crate::peer::done::{Carrier, Peer};
use doorbell_winsock::overlapped::Completion;
use std::time::Instant;

/// What a client is told.
pub(crate) enum Notice {
    /// An operation of the socket with this tag has ended.
    Ended(u8, Completion),
    /// Somebody posted a message to it.
    Posted,
    /// An instant has come that it asked for.
    Time,
    /// It was cut short and goes on.
    GoOn,
    /// It is to look whether the server stops.
    Phase,
}

pub(crate) struct Client<C> {
    peer: Peer<C>,
    /// The earliest instant at which it will be rung.
    rings_at: Option<Instant>,
    /// A notice is on its way that lets it go on.
    goes_on: bool,
}

impl<C: Carrier> Client<C> {
    pub(crate) fn new(peer: Peer<C>) -> Client<C> {
        Client { peer, rings_at: None, goes_on: false }
    }

    /// A turn of this client. [`end_turn`](Client::end_turn) is asked after each.
    pub(crate) fn hear(&mut self, notice: Notice, now: Instant) {
        match notice {
            Notice::Ended(tag, completion) => self.peer.ended(tag, completion, now),
            Notice::Posted => self.peer.posted(now),
            Notice::Phase => self.peer.follow_phase(now),
            Notice::Time => {
                self.rings_at = self.rings_at.filter(|at| *at > now);
                self.peer.on_time(now);
            }
            Notice::GoOn => {
                self.goes_on = false;
                self.peer.on_time(now);
            }
        }
    }

    /// Asks for what it needs after a turn, unless it has asked already: to go on, after others have had their turns (says
    /// whether that will be so), and to be rung at an instant. False when it is over.
    pub(crate) fn end_turn(&mut self, go_on: impl FnOnce() -> bool, ring_at: impl FnOnce(Instant)) -> bool {
        if self.peer.is_over() {
            return false;
        }
        if self.peer.goes_on() && !self.goes_on {
            self.goes_on = go_on();
        }
        if let Some(deadline) = self.peer.deadline() {
            if self.rings_at.is_none_or(|at| deadline < at) {
                self.rings_at = Some(deadline);
                ring_at(deadline);
            }
        }
        true
    }
}
