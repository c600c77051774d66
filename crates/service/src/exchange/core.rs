//! What an exchange knows apart from the conversation itself: what a [`Reply`](crate::Reply) writes to.

use super::Limits;
use super::leg::Leg;
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

impl Core {
    pub(crate) fn new(number: u64, limits: Limits, reach: Arc<dyn Reach>) -> Core {
        Core { limits, first: Leg::default(), second: None, wake: None, number, reach, mailbox: None }
    }

    /// How much more may be received from the peer. Without a second leg its bytes are taken to cause bytes to itself;
    /// with one, bytes to the second leg.
    pub(crate) fn room_for_first(&self) -> usize {
        match &self.second {
            Some(second) => self.room_across(&self.first, &second.leg),
            None => self.room_in(&self.first),
        }
    }

    pub(crate) fn room_for_second(&self) -> usize {
        match &self.second {
            Some(second) => self.room_across(&second.leg, &self.first),
            None => 0,
        }
    }

    /// Bytes go `from` one leg `to` the other. The own outbox of `from` is full when its far end reads slowly, which is no
    /// reason not to listen to it: two ends that both wait to be heard would wait for ever. Only at twice the
    /// high-water mark, which a mere go-between never reaches, this too is a reason.
    fn room_across(&self, from: &Leg, to: &Leg) -> usize {
        if from.outbox.unsent() >= self.limits.high_water.saturating_mul(2) { 0 } else { self.room_in(to) }
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
        let posted = self
            .mailbox
            .as_ref()
            .is_some_and(|mailbox| Arc::strong_count(mailbox) > 1 || !mailbox.is_empty());
        self.first.drain_due() || self.wake.is_some() || self.second.is_some() || posted
    }
}
