//! A rehearsal: drives a conversation in memory, with a peer that does as the test says.
//!
//! It moves bytes by the same [`Exchange`] as the real server, in the same order of steps. What differs is what is
//! not there: no system buffers between the two (what the peer reads is what was sent), and no lingering after a close
//! unless the limits ask for it.

mod line;
mod second;

pub use second::RehearsedLeg;

use crate::exchange::{AnyService, Event, Exchange, Leg, Limits, Outcome};
use crate::handle::{Handle, Reach};
use crate::input::Failure;
use crate::service::{Peer, Service};
use line::Line;
use std::fmt;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A conversation on a stage: no network, no threads, and time passes only when [`advance`](Rehearsal::advance) says so.
///
/// Every method lets happen all that can happen then. The peer reads everything at once (at most 1 MiB a step, since
/// some services never stop), until [`read`](Rehearsal::read) makes it slow.
pub struct Rehearsal<S: Service> {
    scene: Scene,
    service: PhantomData<fn(S)>,
}

impl<S: Service> Rehearsal<S> {
    /// Opens a conversation at the time `now`, with default limits but without lingering.
    pub fn new(service: &S, now: Instant) -> Rehearsal<S> {
        Rehearsal::with_limits(service, Limits { linger: Duration::ZERO, ..Limits::default() }, now)
    }

    /// Opens a conversation under other limits.
    pub fn with_limits(service: &S, limits: Limits, now: Instant) -> Rehearsal<S> {
        let peer = Peer {
            number: 1,
            local: SocketAddr::from((Ipv4Addr::LOCALHOST, 7)),
            remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_007)),
        };
        let bell = Arc::new(Bell::default());
        let exchange = service.open_exchange(&peer, limits, Arc::clone(&bell) as Arc<dyn Reach>);
        let mut scene = Scene {
            exchange,
            now,
            bell,
            first: Line::default(),
            second: Line::default(),
            connecting: None,
            panicked: false,
        };
        scene.tell(Event::Opened);
        scene.play();
        Rehearsal { scene, service: PhantomData }
    }

    /// The peer sends these bytes. What the conversation has no room for waits, as it would in the system's buffers.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.leg(Leg::First).receive(bytes);
    }

    /// The peer sends these bytes in pieces of these sizes; what is left after the last size comes in one piece.
    pub fn receive_in_pieces(&mut self, bytes: &[u8], sizes: impl IntoIterator<Item = usize>) {
        self.leg(Leg::First).receive_in_pieces(bytes, sizes);
    }

    /// The peer sends nothing more, but goes on reading.
    pub fn finish(&mut self) {
        self.leg(Leg::First).finish();
    }

    /// The connection fails. What was on its way, in both directions, is lost.
    pub fn fail(&mut self, kind: ErrorKind) {
        self.leg(Leg::First).fail(kind);
    }

    /// From now on the peer reads only what it is allowed to, and now it is allowed `count` bytes more.
    pub fn read(&mut self, count: usize) {
        self.leg(Leg::First).read(count);
    }

    /// The peer reads everything at once again.
    pub fn read_all(&mut self) {
        self.leg(Leg::First).read_all();
    }

    /// What the peer has read since this was last asked.
    pub fn take_sent(&mut self) -> Vec<u8> {
        self.leg(Leg::First).take_sent()
    }

    /// Time passes, and timers come on their way, each at its own instant.
    pub fn advance(&mut self, by: Duration) {
        let end = self.scene.now + by;
        while let Some(deadline) = self.scene.exchange.deadline().filter(|deadline| *deadline <= end) {
            self.scene.now = self.scene.now.max(deadline);
            self.scene.tell(Event::WokeUp);
            self.scene.play();
        }
        self.scene.now = end;
        self.scene.play();
    }

    /// Another thread posts a message.
    ///
    /// # Errors
    /// Gives the message back when the conversation is over.
    pub fn post(&mut self, message: S::Message) -> Result<(), S::Message> {
        let posted = Handle::new(self.scene.exchange.mailbox()).post(message);
        self.scene.play();
        posted
    }

    /// Lets happen what can happen: what was posted by a [`Handle`] that the test holds is told now.
    pub fn turn(&mut self) {
        self.scene.play();
    }

    /// The server is stopping.
    pub fn stop(&mut self) {
        self.scene.tell(Event::Stopping);
        self.scene.play();
    }

    /// The address that the conversation asked to connect to, until [`accept`](RehearsedLeg::accept) or
    /// [`refuse`](RehearsedLeg::refuse) answers.
    pub fn asked_to_connect(&self) -> Option<SocketAddr> {
        self.scene.connecting
    }

    /// The far end of the second leg.
    pub fn second(&mut self) -> RehearsedLeg<'_> {
        self.leg(Leg::Second)
    }

    /// The time on the stage.
    pub fn now(&self) -> Instant {
        self.scene.now
    }

    /// When the next timer comes.
    pub fn deadline(&self) -> Option<Instant> {
        self.scene.exchange.deadline()
    }

    /// Bytes that were sent and that the peer has not read.
    pub fn unsent(&self) -> usize {
        self.scene.exchange.unsent(Leg::First)
    }

    /// Whether the conversation receives nothing now, of its own accord or because too much is unsent.
    pub fn is_paused(&self) -> bool {
        !self.is_closed() && self.scene.exchange.wants(Leg::First).receive == 0
    }

    /// Whether the peer has seen the end of what the conversation sends.
    pub fn is_finished(&self) -> bool {
        self.scene.first.finished
    }

    /// Whether the connection is closed or reset.
    pub fn is_closed(&self) -> bool {
        self.scene.first.closed
    }

    /// Whether the connection was reset by this side.
    pub fn is_reset(&self) -> bool {
        self.scene.first.reset
    }

    /// Whether the conversation panicked.
    pub fn is_panicked(&self) -> bool {
        self.scene.panicked
    }

    /// Whether nothing is left to do on either leg.
    pub fn is_over(&self) -> bool {
        self.scene.exchange.is_over()
    }

    /// Whether the server was asked to stop.
    pub fn is_server_stopped(&self) -> bool {
        self.scene.bell.stopped.load(Ordering::SeqCst)
    }

    fn leg(&mut self, leg: Leg) -> RehearsedLeg<'_> {
        RehearsedLeg { scene: &mut self.scene, leg }
    }
}

impl<S: Service> fmt::Debug for Rehearsal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rehearsal").field("exchange", &self.scene.exchange).finish_non_exhaustive()
    }
}

/// Rehearses `input` once for every way to cut it into two pieces, and once one byte at a time; `check` sees each of
/// these rehearsals after its last byte.
pub fn for_every_split<S: Service>(
    service: &S,
    now: Instant,
    input: &[u8],
    mut check: impl FnMut(&mut Rehearsal<S>),
) {
    for cut in 0..=input.len() {
        let mut rehearsal = Rehearsal::new(service, now);
        rehearsal.receive_in_pieces(input, [cut]);
        check(&mut rehearsal);
    }
    let mut rehearsal = Rehearsal::new(service, now);
    rehearsal.receive_in_pieces(input, std::iter::repeat_n(1, input.len()));
    check(&mut rehearsal);
}

/// The rehearsal without the types of its service.
struct Scene {
    exchange: Exchange,
    now: Instant,
    bell: Arc<Bell>,
    first: Line,
    second: Line,
    connecting: Option<SocketAddr>,
    panicked: bool,
}

impl Scene {
    fn tell(&mut self, event: Event<'_>) {
        let outcome = self.exchange.input(event, self.now);
        self.panicked |= outcome == Outcome::Panicked;
    }

    fn fail(&mut self, leg: Leg, kind: ErrorKind) {
        let line = self.line(leg);
        line.lose();
        line.closed = true;
        self.tell(Event::Failed(leg, &Failure::new(kind, kind.to_string())));
        self.play();
    }

    fn line(&mut self, leg: Leg) -> &mut Line {
        match leg {
            Leg::First => &mut self.first,
            Leg::Second => &mut self.second,
        }
    }

    /// What a server does in its turns, until nothing more can be done.
    fn play(&mut self) {
        self.first.begin_step();
        self.second.begin_step();
        loop {
            let mut busy = self.bell.rung.swap(false, Ordering::SeqCst);
            if busy {
                self.tell(Event::Posted);
            }
            if let Some(address) = self.exchange.connect_asked() {
                self.connecting = Some(address);
                self.second = Line::default();
                self.second.begin_step();
                busy = true;
            }
            busy |= self.serve(Leg::First);
            busy |= self.serve(Leg::Second);
            if !busy {
                return;
            }
        }
    }

    /// Does one thing that the leg wants. False when there was nothing to do.
    fn serve(&mut self, leg: Leg) -> bool {
        let now = self.now;
        let wants = self.exchange.wants(leg);
        let line = match leg {
            Leg::First => &mut self.first,
            Leg::Second => &mut self.second,
        };
        let outcome = if wants.abort || wants.close {
            line.close(wants.abort);
            if leg == Leg::Second {
                self.connecting = None;
            }
            self.exchange.closed(leg, now)
        } else if let Some(count) = line.take_in(self.exchange.outgoing(leg), wants.send) {
            self.exchange.sent(leg, count, now)
        } else if wants.finish_now {
            line.finished = true;
            self.exchange.finished(leg, now)
        } else if let Some(piece) = line.next_piece(wants.receive) {
            self.exchange.input(Event::Received(leg, &piece), now)
        } else if line.is_finish_due(wants.receive) {
            self.exchange.input(Event::PeerFinished(leg), now)
        } else {
            return false;
        };
        self.panicked |= outcome == Outcome::Panicked;
        true
    }
}

/// What handles ring.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    stopped: AtomicBool,
}

impl Reach for Bell {
    fn wake(&self, _number: u64) {
        self.rung.store(true, Ordering::SeqCst);
    }

    fn stop_server(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}
