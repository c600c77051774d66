//! A peer under a model that is told *you may*: its sockets do not block, and the model says which of them is ready.
//!
//! The model asks what a leg [`awaits`](Peer::awaits), waits for that in its own way, and then says
//! [`may_receive`](Peer::may_receive), [`may_send`](Peer::may_send) or
//! [`connect_failed`](Peer::connect_failed). Each of
//! these does one call and then whatever the conversation answers. Nothing here receives twice on one notification; for a
//! model whose notifications come once, and are re-armed by the call, [`notified`](super::notified) remembers them.
//!
//! Under the blocking model one always may: the same calls, and they stand until they can be done.

use super::talk::Talk;
use crate::core::Core;
use crate::door::Newcomer;
use doorbell_service::{Event, Leg, Reach};
use doorbell_winsock::error::{WSAECONNREFUSED, WSAEWOULDBLOCK};
use doorbell_winsock::event_select::NetEvents;
use doorbell_winsock::socket::{Family, Kind, Shutdown, Socket};
use doorbell_winsock::{Error, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many things one turn may do before others have theirs. A peer that reads as fast as a service writes would
/// otherwise keep the thread for itself.
const STEPS_A_TURN: usize = 16;

pub(crate) struct Peer {
    talk: Talk,
    first: Option<Wire>,
    second: Option<Wire>,
    /// The last turn was cut short at this time, and there is more to do.
    goes_on_at: Option<Instant>,
    manner: Manner,
}

/// How the sockets of a peer are waited for.
pub(crate) enum Manner {
    /// In the calls themselves: they block, and a send may stand for long.
    Stands,
    /// The model asks before each wait what a leg [awaits](Peer::awaits).
    Asked,
    /// By network events, which are selected before anything else is done with a socket.
    Notified(Arc<dyn Selects>),
}

/// The network events of an accepted socket. A second leg has FD_CONNECT too.
pub(crate) const OF_CLIENT: NetEvents =
    NetEvents::from_bits(NetEvents::READ.bits() | NetEvents::WRITE.bits() | NetEvents::CLOSE.bits());

/// Selects network events of a socket, to be told in a model's own way.
pub(crate) trait Selects: Send + Sync {
    fn select(&self, socket: &Socket, events: NetEvents) -> Result<()>;
}

impl Manner {
    fn begin(&self, socket: &Socket, leg: Leg) -> Result<()> {
        let connect = if leg == Leg::Second { NetEvents::CONNECT } else { NetEvents::NONE };
        match self {
            Manner::Stands | Manner::Asked => Ok(()),
            Manner::Notified(selects) => selects.select(socket, OF_CLIENT | connect),
        }
    }
}

struct Wire {
    socket: Socket,
    /// It is being connected to this address.
    connecting: Option<SocketAddr>,
    /// The last send found no room: the next one waits to be told that it may.
    no_room: bool,
}

/// What a leg is waiting for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Awaits {
    pub(crate) receive: bool,
    pub(crate) send: bool,
    /// The outcome of a connect: it is told as "may send" or, when it failed, as an exception.
    pub(crate) connect: bool,
}

impl Peer {
    /// Opens the conversation of an accepted connection. The socket's mode is the model's business.
    pub(crate) fn open(
        core: &Arc<Core>,
        newcomer: Newcomer,
        reach: Arc<dyn Reach>,
        manner: Manner,
        now: Instant,
    ) -> Option<Peer> {
        let Newcomer { socket, remote, place } = newcomer;
        // These fail only when the connection has failed already: then there is nobody to talk to.
        manner.begin(&socket, Leg::First).ok()?;
        socket.set_nodelay(true).ok()?;
        let who =
            doorbell_service::Peer { number: core.next_number(), local: socket.local_addr().ok()?, remote };
        let talk = Talk::open(core, place, who, reach, now);
        let wire = Wire { socket, connecting: None, no_room: false };
        let mut peer = Peer { talk, first: Some(wire), second: None, goes_on_at: None, manner };
        peer.follow_phase(now);
        (!peer.is_over()).then_some(peer)
    }

    pub(crate) fn number(&self) -> u64 {
        self.talk.number()
    }

    pub(crate) fn socket(&self, leg: Leg) -> Option<&Socket> {
        self.wire(leg).map(|wire| &wire.socket)
    }

    /// The socket of this leg and what it waits for now, if there is one.
    pub(crate) fn awaits(&self, leg: Leg) -> Option<(&Socket, Awaits)> {
        let wire = self.wire(leg)?;
        let wants = self.talk.exchange.wants(leg);
        let awaits = match wire.connecting {
            Some(_) => Awaits { connect: true, ..Awaits::default() },
            None => Awaits { receive: wants.receive > 0, send: wants.send, connect: false },
        };
        Some((&wire.socket, awaits))
    }

    /// How many bytes may be received on this leg now.
    pub(crate) fn room(&self, leg: Leg) -> usize {
        self.talk.exchange.wants(leg).receive
    }

    /// There may be something to receive: one receive, into as much of `buffer` as there is room for. Whether bytes came.
    pub(crate) fn may_receive(&mut self, leg: Leg, buffer: &mut [u8], now: Instant) -> bool {
        let room = self.room(leg).min(buffer.len());
        let Some(wire) = self.wire(leg).filter(|_| room > 0) else { return false };
        let received = wire.socket.recv(&mut buffer[..room]);
        let came = received.as_ref().is_ok_and(|&count| count > 0);
        self.received(leg, received.map(|count| &buffer[..count]), now);
        came
    }

    /// A receive that the model did itself has returned.
    pub(crate) fn received(&mut self, leg: Leg, received: Result<&[u8]>, now: Instant) {
        match received {
            Ok(bytes) => self.talk.received(leg, bytes, now),
            Err(error) if error.code() == WSAEWOULDBLOCK => return,
            Err(error) => self.lose(leg, error, now),
        }
        self.answer(now);
    }

    /// There may be room to send; for a socket that is connecting: it is connected.
    pub(crate) fn may_send(&mut self, leg: Leg, now: Instant) {
        let Some(wire) = self.wire_mut(leg) else { return };
        wire.no_room = false;
        if let Some(address) = wire.connecting.take() {
            self.talk.tell(Event::Connected(address), now);
        }
        self.answer(now);
    }

    /// The second leg's connect has failed with this code; if it was not told, the socket knows it.
    pub(crate) fn connect_failed(&mut self, code: Option<i32>, now: Instant) {
        if let Some(wire) = self.second.as_ref().filter(|wire| wire.connecting.is_some()) {
            let code = code.or_else(|| wire.socket.socket_error().ok()).unwrap_or(WSAECONNREFUSED);
            self.lose(Leg::Second, Error::new("connect", code), now);
            self.answer(now);
        }
    }

    /// Somebody has posted a message to the conversation.
    pub(crate) fn posted(&mut self, now: Instant) {
        self.talk.tell(Event::Posted, now);
        self.answer(now);
    }

    /// When [`on_time`](Peer::on_time) is due: at once, if the last turn was cut short.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.goes_on_at.or_else(|| self.talk.deadline())
    }

    pub(crate) fn on_time(&mut self, now: Instant) {
        self.talk.on_time(now);
        self.answer(now);
    }

    /// The server has begun to stop, or to end at once.
    pub(crate) fn follow_phase(&mut self, now: Instant) {
        self.talk.follow_phase(now);
        self.answer(now);
    }

    /// The last turn was cut short: [`on_time`](Peer::on_time) goes on with it.
    pub(crate) fn goes_on(&self) -> bool {
        self.goes_on_at.is_some()
    }

    /// From now on its sockets do not block.
    pub(crate) fn stand_no_more(&mut self) -> Result<()> {
        self.manner = Manner::Asked;
        self.first.as_ref().map_or(Ok(()), |wire| wire.socket.set_nonblocking(true))
    }

    /// Whether all that can happen next is that its client says something: so a thread may stand in a receive.
    pub(crate) fn needs_only_its_client(&self) -> bool {
        let exchange = &self.talk.exchange;
        let others = exchange.is_reachable() || exchange.has_second() || exchange.deadline().is_some();
        !others && !self.is_over() && self.room(Leg::First) > 0
    }

    /// Nothing is left to do: drop it.
    pub(crate) fn is_over(&self) -> bool {
        self.first.is_none() && self.second.is_none() && self.talk.exchange.is_over()
    }

    /// Does what the conversation wants and what can be done without waiting, then keeps the books.
    fn answer(&mut self, now: Instant) {
        let mut steps = 0;
        while steps < STEPS_A_TURN && self.take_step(now) {
            steps += 1;
        }
        self.goes_on_at = (steps == STEPS_A_TURN).then_some(now);
        self.talk.end_turn();
    }

    /// Does one thing. False when there is nothing left to do but wait.
    fn take_step(&mut self, now: Instant) -> bool {
        if let Some(address) = self.talk.exchange.connect_asked() {
            self.connect(address, now);
            return true;
        }
        if self.serve(Leg::First, now) || self.serve(Leg::Second, now) {
            return true;
        }
        let drained = self.talk.is_draining() && self.is_silent();
        if drained {
            self.talk.end_drain(now);
        }
        drained
    }

    /// Does one thing that this leg wants.
    fn serve(&mut self, leg: Leg, now: Instant) -> bool {
        let wants = self.talk.exchange.wants(leg);
        if wants.close || wants.abort {
            self.close(leg, wants.abort, now);
            return true;
        }
        let Some(wire) = self.wire_mut(leg).as_mut() else { return false };
        if wants.send && !wire.no_room {
            return self.send(leg, now);
        }
        if wants.finish_now {
            match wire.socket.shutdown(Shutdown::Send) {
                Ok(()) => self.talk.finished(leg, now),
                Err(error) => self.lose(leg, error, now),
            }
        }
        wants.finish_now
    }

    fn send(&mut self, leg: Leg, now: Instant) -> bool {
        if matches!(self.manner, Manner::Stands) {
            // It goes on the books before.
            self.talk.end_turn();
        }
        let Peer { talk, first, second, .. } = self;
        let wire = if leg == Leg::First { first } else { second };
        let Some(wire) = wire else { return false };
        match wire.socket.send(talk.exchange.outgoing(leg)) {
            Ok(count) => talk.sent(leg, count, now),
            Err(error) if error.code() == WSAEWOULDBLOCK => {
                wire.no_room = true;
                return false;
            }
            Err(error) => self.lose(leg, error, now),
        }
        true
    }

    /// Begins to connect the second leg. Its socket never blocks, also under the blocking model: the conversation goes on
    /// meanwhile.
    fn connect(&mut self, address: SocketAddr, now: Instant) {
        let begin = || {
            let socket = Socket::new(Family::of(&address), Kind::Stream)?;
            socket.set_nonblocking(true)?;
            self.manner.begin(&socket, Leg::Second)?;
            socket.set_nodelay(true)?;
            match socket.connect(address) {
                Ok(()) => Ok((socket, None)),
                Err(error) if error.code() == WSAEWOULDBLOCK => Ok((socket, Some(address))),
                Err(error) => Err(error),
            }
        };
        match begin() {
            Err(error) => self.talk.failed(Leg::Second, error, now),
            Ok((socket, connecting)) => {
                self.second = Some(Wire { socket, connecting, no_room: false });
                if connecting.is_none() {
                    self.talk.tell(Event::Connected(address), now);
                }
            }
        }
    }

    fn close(&mut self, leg: Leg, reset: bool, now: Instant) {
        if let Some(wire) = self.wire_mut(leg).take() {
            if reset {
                // A linger time of zero makes the close a reset (CL-09).
                let _ = wire.socket.set_linger(Some(Duration::ZERO));
            }
            let _ = wire.socket.close();
        }
        self.talk.closed(leg, now);
    }

    fn lose(&mut self, leg: Leg, error: Error, now: Instant) {
        if let Some(wire) = self.wire_mut(leg).take() {
            let _ = wire.socket.close();
        }
        self.talk.failed(leg, error, now);
    }

    /// The peer has sent nothing that was not received.
    fn is_silent(&self) -> bool {
        self.first.as_ref().is_none_or(|wire| wire.socket.bytes_available().is_ok_and(|count| count == 0))
    }

    fn wire(&self, leg: Leg) -> Option<&Wire> {
        if leg == Leg::First { self.first.as_ref() } else { self.second.as_ref() }
    }

    fn wire_mut(&mut self, leg: Leg) -> &mut Option<Wire> {
        if leg == Leg::First { &mut self.first } else { &mut self.second }
    }
}
