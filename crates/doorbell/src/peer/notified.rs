//! A ready peer that is told network events, each once: what cannot be used yet is remembered.
//!
//! FD_READ comes again only after a receive (NE-01) and FD_CLOSE never (NE-13), but a conversation may have no room when they
//! come. So the receive that answers FD_READ is made when there is room; and after FD_CLOSE there is always something to
//! receive, until the end has been received too.

use super::LEGS;
use super::ready::{Manner, Peer, Selects};
use crate::core::Core;
use crate::door::Newcomer;
use doorbell_service::{Leg, Reach};
use doorbell_winsock::event_select::NetEvents;
use doorbell_winsock::socket::{Socket, SocketId};
use std::sync::Arc;
use std::time::Instant;

pub(crate) struct Notified {
    peer: Peer,
    /// What was told of each leg.
    told: [Told; 2],
    /// The last turn ended at this time, and there is more to do.
    goes_on_at: Option<Instant>,
}

#[derive(Clone, Copy, Default)]
struct Told {
    /// Of this socket: a second leg may be connected anew.
    socket: Option<SocketId>,
    /// FD_READ came, and was not answered by a receive.
    may_receive: bool,
    /// FD_CLOSE came, and the end was not received.
    ended: bool,
}

impl Notified {
    /// Opens the conversation of an accepted connection, whose network events are to be told as `selects` says.
    pub(crate) fn open(
        core: &Arc<Core>,
        newcomer: Newcomer,
        reach: Arc<dyn Reach>,
        selects: Arc<dyn Selects>,
        now: Instant,
    ) -> Option<Notified> {
        let peer = Peer::open(core, newcomer, reach, Manner::Notified(selects), now)?;
        Some(Notified { peer, told: Default::default(), goes_on_at: None })
    }

    pub(crate) fn number(&self) -> u64 {
        self.peer.number()
    }

    pub(crate) fn socket(&self, leg: Leg) -> Option<&Socket> {
        self.peer.socket(leg)
    }

    /// Network events of this leg's socket were told; `code` is that of FD_CONNECT.
    pub(crate) fn told(&mut self, leg: Leg, events: NetEvents, code: i32, buffer: &mut [u8], now: Instant) {
        let told = self.told_of(leg);
        told.may_receive |= events.contains(NetEvents::READ);
        told.ended |= events.contains(NetEvents::CLOSE);
        if events.contains(NetEvents::CONNECT) && code != 0 {
            self.peer.connect_failed(Some(code), now);
        } else if !(events & (NetEvents::CONNECT | NetEvents::WRITE | NetEvents::CLOSE)).is_empty() {
            // A connection that broke has room for a send to find that out.
            self.peer.may_send(leg, now);
        }
        self.end_turn(buffer, now);
    }

    /// Somebody has posted a message to the conversation.
    pub(crate) fn posted(&mut self, buffer: &mut [u8], now: Instant) {
        self.peer.posted(now);
        self.end_turn(buffer, now);
    }

    /// When [`on_time`](Notified::on_time) is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.goes_on_at.or_else(|| self.peer.deadline())
    }

    pub(crate) fn on_time(&mut self, buffer: &mut [u8], now: Instant) {
        self.peer.on_time(now);
        self.end_turn(buffer, now);
    }

    /// The server has begun to stop, or to end at once.
    pub(crate) fn follow_phase(&mut self, buffer: &mut [u8], now: Instant) {
        self.peer.follow_phase(now);
        self.end_turn(buffer, now);
    }

    /// Nothing is left to do: drop it.
    pub(crate) fn is_over(&self) -> bool {
        self.peer.is_over()
    }

    /// One receive on each leg that was told of one, if there is room now.
    fn end_turn(&mut self, buffer: &mut [u8], now: Instant) {
        for leg in LEGS {
            if self.may_receive(leg) {
                let told = self.told_of(leg);
                let ended = std::mem::take(&mut told.ended);
                told.may_receive = false;
                let came = self.peer.may_receive(leg, buffer, now);
                self.told[leg as usize].ended = ended && came;
            }
        }
        self.goes_on_at = LEGS.into_iter().any(|leg| self.may_receive(leg)).then_some(now);
    }

    fn may_receive(&mut self, leg: Leg) -> bool {
        let told = *self.told_of(leg);
        (told.may_receive || told.ended) && self.peer.room(leg) > 0
    }

    fn told_of(&mut self, leg: Leg) -> &mut Told {
        let socket = self.peer.socket(leg).map(Socket::id);
        let told = &mut self.told[leg as usize];
        if told.socket != socket {
            *told = Told { socket, ..Told::default() };
        }
        told
    }
}
