//! A peer under a model that is told *it is done*: operations are started, and end some time later.
//!
//! At most one receive and one send are under way on each leg. The model says [`ended`](Peer::ended) for each operation
//! that has; the peer hears what the conversation answers, and starts the next ones. How an operation is started, so
//! that the model is told of its end, is the model's: its [`Carrier`].
//!
//! An operation that ends at once is gone on from here, without a turn through the model, up to so many in one turn:
//! then the peer [goes on](Peer::goes_on) later, so that a fast one does not keep a thread for itself.

use super::talk::Talk;
use crate::core::Core;
use crate::door::Place;
use doorbell_service::{Event, Leg, Reach};
use doorbell_winsock::error::WSA_OPERATION_ABORTED;
use doorbell_winsock::overlapped::{Completion, OpId, Operation, Refused, Started};
use doorbell_winsock::socket::{Family, Kind, Shutdown, Socket};
use doorbell_winsock::{Error, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many things one turn may do before others have theirs.
const STEPS_A_TURN: usize = 16;

/// A receive buffer to begin with: most messages fit, and many connections wait with one.
const BUFFER_BYTES_MIN: usize = 4 * 1024;

/// What it grows to, by doubling, for a peer who fills it each time.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// The tag of the accepted connection's socket; those of second legs follow.
const FIRST_TAG: u8 = 0;

/// The last tag that a socket may have: beyond are the model's own.
pub(crate) const LAST_TAG: u8 = 0xfe;

/// Starts operations such that a model is told of their end, together with the tag of their socket.
pub(crate) trait Carrier {
    /// A new socket, before its first operation.
    fn adopt(&self, socket: &Socket, tag: u8) -> Result<()>;
    /// Starts a receive.
    fn receive(&self, socket: &Socket, tag: u8, buffer: Vec<u8>) -> Begun;
    /// Starts a send.
    fn send(&self, socket: &Socket, tag: u8, buffer: Vec<u8>) -> Begun;
    /// Starts a connect.
    fn connect(&self, socket: &Socket, tag: u8, to: SocketAddr) -> Begun;
    /// A turn is over: no more operations are started before the next one.
    fn turn_ended(&self) {}
}

pub(crate) type Begun = std::result::Result<Started, Refused<Vec<u8>>>;

pub(crate) struct Peer<C> {
    talk: Talk,
    carrier: C,
    first: Option<Wire>,
    second: Option<Wire>,
    tag_used_last: u8,
    goes_on: bool,
}

struct Wire {
    socket: Socket,
    tag: u8,
    /// The receive that is under way.
    receiving: Option<OpId>,
    sending: bool,
    /// What that send had was taken at once, and the conversation knows: all that is still to come is the buffer.
    is_taken: bool,
    connecting: Option<SocketAddr>,
    /// The receive buffer, unless a receive has it.
    buffer: Vec<u8>,
    buffer_bytes: usize,
}

/// An accepted connection.
pub(crate) struct Arrival {
    pub(crate) socket: Socket,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

impl<C: Carrier> Peer<C> {
    /// Opens the conversation of an accepted connection. Handles will know it by `number`.
    pub(crate) fn open(
        core: &Arc<Core>,
        place: Place,
        arrival: Arrival,
        number: u64,
        (carrier, reach): (C, Arc<dyn Reach>),
        now: Instant,
    ) -> Result<Peer<C>> {
        let Arrival { socket, local, remote } = arrival;
        socket.set_nodelay(true)?;
        carrier.adopt(&socket, FIRST_TAG)?;
        let talk = Talk::open(core, place, doorbell_service::Peer { number, local, remote }, reach, now);
        let first = Some(Wire::new(socket, FIRST_TAG));
        let mut peer = Peer { talk, carrier, first, second: None, tag_used_last: FIRST_TAG, goes_on: false };
        peer.follow_phase(now);
        Ok(peer)
    }

    /// An operation of the socket with this tag has ended.
    pub(crate) fn ended(&mut self, tag: u8, completion: Completion, now: Instant) {
        // The end of an operation on a socket that is closed already says nothing new.
        let has_tag = |wire: &Option<Wire>| wire.as_ref().is_some_and(|wire| wire.tag == tag);
        if has_tag(&self.first) {
            self.hear(Leg::First, completion, now);
        } else if has_tag(&self.second) {
            self.hear(Leg::Second, completion, now);
        }
        self.answer(now);
    }

    /// Somebody has posted a message to the conversation.
    pub(crate) fn posted(&mut self, now: Instant) {
        self.talk.tell(Event::Posted, now);
        self.answer(now);
    }

    /// When [`on_time`](Peer::on_time) is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.talk.deadline()
    }

    /// Time has passed, or a turn that was cut short goes on.
    pub(crate) fn on_time(&mut self, now: Instant) {
        self.talk.on_time(now);
        self.answer(now);
    }

    /// The last turn was cut short: [`on_time`](Peer::on_time) goes on with it, after others have had theirs.
    pub(crate) fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// The server has begun to stop, or to end at once.
    pub(crate) fn follow_phase(&mut self, now: Instant) {
        self.talk.follow_phase(now);
        // The receive under way is taken back, so that it is known whether anything was received.
        if let Some(wire) = self.first.as_ref().filter(|_| self.talk.is_draining()) {
            if let Some(receive) = wire.receiving {
                let _ = wire.socket.cancel(Some(receive));
            }
        }
        self.answer(now);
    }

    /// Nothing is left to do: drop it.
    pub(crate) fn is_over(&self) -> bool {
        self.first.is_none() && self.second.is_none() && self.talk.exchange.is_over()
    }

    /// Does what the conversation wants, then keeps the books.
    fn answer(&mut self, now: Instant) {
        let mut steps = 0;
        while steps < STEPS_A_TURN && self.take_step(now) {
            steps += 1;
        }
        self.goes_on = steps == STEPS_A_TURN;
        self.talk.end_turn();
        self.carrier.turn_ended();
    }

    /// Does one thing. False when there is nothing left to do but wait.
    fn take_step(&mut self, now: Instant) -> bool {
        if let Some(address) = self.talk.exchange.connect_asked() {
            self.connect(address, now);
            return true;
        }
        if self.serve(Leg::First, now) || self.talk.exchange.has_second() && self.serve(Leg::Second, now) {
            return true;
        }
        let drained = self.talk.is_draining() && self.is_silent();
        if drained {
            self.talk.end_drain(now);
        }
        drained
    }

    /// Does one thing that this leg wants. False when there is none, or the last one was to wait for more.
    fn serve(&mut self, leg: Leg, now: Instant) -> bool {
        let wants = self.talk.exchange.wants(leg);
        if wants.close || wants.abort {
            self.close(leg, wants.abort, now);
            return true;
        }
        let Some(wire) = self.wire_mut(leg).as_mut().filter(|wire| wire.connecting.is_none()) else {
            return false;
        };
        if wants.send && !wire.sending {
            self.send(leg, now);
            return true;
        }
        if wants.finish_now {
            match wire.socket.shutdown(Shutdown::Send) {
                Ok(()) => self.talk.finished(leg, now),
                Err(error) => self.lose(leg, error, now),
            }
            return true;
        }
        if wants.receive == 0 || wire.receiving.is_some() {
            return false;
        }
        // While draining, only what has come already is received.
        let is_wanted = leg == Leg::Second || !self.talk.is_draining() || !self.is_silent();
        is_wanted && self.receive(leg, wants.receive, now)
    }

    /// False when the receive waits, so that nothing has changed.
    fn receive(&mut self, leg: Leg, room: usize, now: Instant) -> bool {
        let Some(wire) = (if leg == Leg::First { &mut self.first } else { &mut self.second }) else {
            return false;
        };
        let mut buffer = std::mem::take(&mut wire.buffer);
        buffer.resize(wire.buffer_bytes.min(room), 0);
        match self.carrier.receive(&wire.socket, wire.tag, buffer) {
            Ok(Started::Pending(id) | Started::Queued(id)) => {
                wire.receiving = Some(id);
                return false;
            }
            Ok(Started::Done(completion)) => self.hear(leg, completion, now),
            Err(refused) => self.lose(leg, refused.error, now),
        }
        true
    }

    fn send(&mut self, leg: Leg, now: Instant) {
        let buffer = self.talk.exchange.take_outgoing(leg);
        self.start_send(leg, buffer, now);
    }

    fn start_send(&mut self, leg: Leg, buffer: Vec<u8>, now: Instant) {
        let count = buffer.len();
        let Some(wire) = (if leg == Leg::First { &mut self.first } else { &mut self.second }) else { return };
        match self.carrier.send(&wire.socket, wire.tag, buffer) {
            Ok(Started::Pending(_)) => wire.sending = true,
            Ok(Started::Queued(_)) => {
                (wire.sending, wire.is_taken) = (true, true);
                self.talk.sent(leg, count, now);
            }
            Ok(Started::Done(completion)) => self.hear(leg, completion, now),
            Err(refused) => self.lose(leg, refused.error, now),
        }
    }

    fn connect(&mut self, address: SocketAddr, now: Instant) {
        self.tag_used_last = self.tag_used_last % LAST_TAG + 1;
        let tag = self.tag_used_last;
        let begin = || {
            let socket = Socket::new(Family::of(&address), Kind::Stream)?;
            socket.set_nodelay(true)?;
            self.carrier.adopt(&socket, tag)?;
            let begun = self.carrier.connect(&socket, tag, address).map_err(|refused| refused.error)?;
            Ok((socket, begun))
        };
        match begin() {
            Err(error) => self.talk.failed(Leg::Second, error, now),
            Ok((socket, begun)) => {
                self.second = Some(Wire { connecting: Some(address), ..Wire::new(socket, tag) });
                if let Started::Done(completion) = begun {
                    self.hear(Leg::Second, completion, now);
                }
            }
        }
    }

    /// Tells the conversation how an operation ended.
    fn hear(&mut self, leg: Leg, mut completion: Completion, now: Instant) {
        let result = completion.result();
        let mut buffer = completion.take_buffer::<Vec<u8>>().unwrap_or_default();
        let Some(wire) = self.wire_mut(leg) else { return };
        match completion.operation() {
            Operation::Receive => {
                wire.receiving = None;
                match result {
                    Ok(count) => {
                        wire.fit_buffer(count, buffer.len());
                        self.talk.received(leg, &buffer[..count], now);
                    }
                    // Taken back, to drain.
                    Err(error) if error.code() == WSA_OPERATION_ABORTED => {}
                    Err(error) => self.lose(leg, error, now),
                }
                if let Some(wire) = self.wire_mut(leg) {
                    wire.buffer = buffer;
                }
            }
            Operation::Send => {
                wire.sending = false;
                let was_taken = std::mem::take(&mut wire.is_taken);
                match result {
                    Ok(_) if was_taken => {}
                    Ok(count) => {
                        self.talk.sent(leg, count, now);
                        // Windows sends all or fails. Wine ends a send with a part, or nothing, when the peer ends meanwhile.
                        if count < buffer.len() {
                            buffer.drain(..count);
                            return self.start_send(leg, buffer, now);
                        }
                    }
                    Err(error) => self.lose(leg, error, now),
                }
                self.talk.exchange.give_back(leg, buffer);
            }
            _ => match (wire.connecting.take(), result) {
                (Some(address), Ok(_)) => self.talk.tell(Event::Connected(address), now),
                (_, Err(error)) => self.lose(leg, error, now),
                (None, Ok(_)) => {}
            },
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

    /// The peer has sent nothing that was not received, and no receive is under way.
    fn is_silent(&self) -> bool {
        self.first.as_ref().is_none_or(|wire| {
            wire.receiving.is_none() && wire.socket.bytes_available().map_or(true, |count| count == 0)
        })
    }

    fn wire_mut(&mut self, leg: Leg) -> &mut Option<Wire> {
        if leg == Leg::First { &mut self.first } else { &mut self.second }
    }
}

impl Wire {
    fn new(socket: Socket, tag: u8) -> Wire {
        Wire {
            socket,
            tag,
            receiving: None,
            sending: false,
            is_taken: false,
            connecting: None,
            buffer: Vec::new(),
            buffer_bytes: BUFFER_BYTES_MIN,
        }
    }

    /// A peer who fills its buffer gets a longer one, one who does not needs it no more.
    fn fit_buffer(&mut self, count: usize, of: usize) {
        if count == self.buffer_bytes {
            self.buffer_bytes = (self.buffer_bytes * 2).min(BUFFER_BYTES_MAX);
        } else if count < of / 4 {
            self.buffer_bytes = BUFFER_BYTES_MIN;
        }
    }
}
