//! What an exchange knows apart from the conversation itself: what a [`Reply`](crate::Reply) writes to.

use super::leg::Leg;
use super::{Limits, Wants};
use crate::handle::{Mailbox, Reach};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Core {
    pub(crate) limits: Limits,
    pub(crate) first: Leg,
    /// Boxed, so that only a conversation with a second leg pays for it.
    pub(crate) second: Option<Box<SecondLeg>>,
    pub(crate) wake: Option<Instant>,
    number: u64,
    reach: Arc<dyn Reach>,
    mailbox: Option<Arc<Mailbox>>,
}

/// The connection that the conversation asked for.
pub(crate) struct SecondLeg {
    pub(crate) leg: Leg,
    pub(crate) address: SocketAddr,
    pub(crate) stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The server does not know yet.
    Asked,
    /// The server is at it.
    Connecting,
    Connected,
}

impl SecondLeg {
    pub(crate) fn wants(&self, room: usize) -> Wants {
        if self.stage == Stage::Connected { self.leg.wants(room) } else { self.leg.wants_unconnected() }
    }

    /// Nothing is left to do but to close its socket, if it has one.
    pub(crate) fn is_done(&self) -> bool {
        self.wants(0).is_end()
    }
}

impl Core {
    pub(crate) fn new(number: u64, limits: Limits, reach: Arc<dyn Reach>) -> Core {
        Core { limits, first: Leg::default(), second: None, wake: None, number, reach, mailbox: None }
    }

    pub(crate) fn first_is_done(&self) -> bool {
        self.first.gone || self.first.wants(0).is_end()
    }

    /// How much more may be received from the peer. Without a second leg its bytes are taken to cause bytes to itself;
    /// with one, bytes to the second leg.
    pub(crate) fn room_for_first(&self) -> usize {
        match &self.second {
            Some(second) => self.unless_overfull(&self.first, self.room_in(&second.leg)),
            None if self.first.always_receives => self.unless_overfull(&self.first, self.limits.high_water),
            None => self.room_in(&self.first),
        }
    }

    pub(crate) fn room_for_second(&self) -> usize {
        match &self.second {
            Some(second) => self.unless_overfull(&second.leg, self.room_in(&self.first)),
            None => 0,
        }
    }

    /// When bytes go from one leg to the other, the outbox of the first is full when its far end reads slowly, and that is
    /// no reason not to listen to it: two ends that both wait to be heard would wait for ever. Only at twice the
    /// high-water mark, which a mere go-between never reaches, this too is a reason.
    fn unless_overfull(&self, leg: &Leg, room: usize) -> usize {
        if leg.outbox.unsent() >= self.limits.high_water.saturating_mul(2) { 0 } else { room }
    }

    fn room_in(&self, leg: &Leg) -> usize {
        if leg.held { 0 } else { self.limits.high_water.saturating_sub(leg.outbox.unsent()) }
    }

    /// Ends the conversation: what was sent is still delivered, on both legs.
    pub(crate) fn close(&mut self, linger: Duration) {
        self.first.close(linger);
        if let Some(second) = &mut self.second {
            second.leg.close(linger);
        }
    }

    /// Ends the conversation: both legs are reset.
    pub(crate) fn abort(&mut self) {
        self.first.abort();
        if let Some(second) = &mut self.second {
            second.leg.abort();
        }
    }

    /// The mailbox, made when it is first asked for.
    pub(crate) fn mailbox(&mut self) -> &Arc<Mailbox> {
        self.mailbox.get_or_insert_with(|| Arc::new(Mailbox::new(self.number, Arc::clone(&self.reach))))
    }

    pub(crate) fn mailbox_if_made(&self) -> Option<&Arc<Mailbox>> {
        self.mailbox.as_ref()
    }

    pub(crate) fn stop_server(&self) {
        self.reach.stop_server();
    }

    /// Something may still come that would make the conversation speak: more room, the time, the far end of the
    /// second leg, or a message.
    pub(crate) fn may_be_told_more(&self) -> bool {
        let reachable = self.mailbox.as_ref().is_some_and(|mailbox| mailbox.is_in_use());
        self.first.drain_due() || self.wake.is_some() || self.second.is_some() || reachable
    }
}
