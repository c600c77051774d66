//! What every peer shares, however its bytes are moved: the exchange with the conversation, and the rules that a
//! server has for all of them: idle time-out, drain, the figures.

use crate::core::{Core, Phase};
use crate::door::Place;
use crate::event::ServerEvent;
use doorbell_service::{Event, Exchange, Failure, Leg, Limits, Outcome, Peer, Reach};
use doorbell_winsock::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Talk {
    pub(crate) exchange: Exchange,
    core: Arc<Core>,
    peer: Peer,
    /// When a byte moved last, in either direction, on either leg.
    moved: Instant,
    /// What the figures know of this peer's unsent bytes.
    held: usize,
    phase: Phase,
    ended: bool,
    drained: bool,
    /// Since the stop something was received, or was still to be sent.
    owes: bool,
    _place: Place,
}

impl Talk {
    /// Opens the conversation and tells it so. Handles will call `reach` with the number of `peer`.
    pub(crate) fn open(
        core: &Arc<Core>,
        place: Place,
        peer: Peer,
        reach: Arc<dyn Reach>,
        now: Instant,
    ) -> Talk {
        let limits = Limits { high_water: core.settings.write_high_water, ..Limits::default() };
        let exchange = core.service.open_exchange(&peer, limits, reach);
        let panicked = exchange.wants(Leg::First).abort;
        let mut talk = Talk {
            exchange,
            core: core.clone(),
            peer,
            moved: now,
            held: 0,
            phase: Phase::Serving,
            ended: false,
            drained: false,
            owes: false,
            _place: place,
        };
        if panicked {
            talk.note(Outcome::Panicked);
        }
        talk.tell(Event::Opened, now);
        talk
    }

    /// The number that handles know this peer by.
    pub(crate) fn number(&self) -> u64 {
        self.peer.number
    }

    pub(crate) fn tell(&mut self, event: Event<'_>, now: Instant) {
        let outcome = self.exchange.input(event, now);
        self.note(outcome);
    }

    /// A receive has ended with so many bytes; none are the peer's end.
    pub(crate) fn received(&mut self, leg: Leg, bytes: &[u8], now: Instant) {
        self.moved = now;
        match bytes {
            [] => self.tell(Event::PeerFinished(leg), now),
            bytes => {
                self.owes |= self.phase > Phase::Serving;
                self.tell(Event::Received(leg, bytes), now);
            }
        }
    }

    pub(crate) fn sent(&mut self, leg: Leg, count: usize, now: Instant) {
        self.moved = now;
        let outcome = self.exchange.sent(leg, count, now);
        self.note(outcome);
    }

    pub(crate) fn finished(&mut self, leg: Leg, now: Instant) {
        let outcome = self.exchange.finished(leg, now);
        self.note(outcome);
    }

    pub(crate) fn closed(&mut self, leg: Leg, now: Instant) {
        let outcome = self.exchange.closed(leg, now);
        self.note(outcome);
    }

    /// The connection failed; its socket is closed already.
    pub(crate) fn failed(&mut self, leg: Leg, error: Error, now: Instant) {
        // Under the blocking model a connection is cut off by its socket being closed under it.
        if self.core.phase() == Phase::Over {
            self.follow_phase(now);
        }
        // What happens to a connection after its conversation has ended is nobody's failure.
        if leg == Leg::First && !self.ended {
            self.core.counters.failed();
        }
        self.tell(Event::Failed(leg, &failure(error)), now);
    }

    /// When [`on_time`](Talk::on_time) is due, if nothing else happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let grace_ends = if self.phase > Phase::Serving { self.core.grace_ends() } else { None };
        [self.exchange.deadline(), self.idle_since_too_long_at(), grace_ends].into_iter().flatten().min()
    }

    /// Time has passed: a timer, the idle time-out or the end of the grace may have come.
    pub(crate) fn on_time(&mut self, now: Instant) {
        if self.exchange.deadline().is_some_and(|deadline| deadline <= now) {
            self.tell(Event::WokeUp, now);
        }
        if self.idle_since_too_long_at().is_some_and(|deadline| deadline <= now) {
            self.end();
        }
        if self.phase > Phase::Serving {
            self.follow_phase(now);
        }
    }

    /// The server has begun to stop, or to end at once.
    pub(crate) fn follow_phase(&mut self, now: Instant) {
        let phase = self.core.phase();
        let before = std::mem::replace(&mut self.phase, phase);
        if before == Phase::Serving && phase == Phase::Draining {
            // What was posted before the stop, whichever of the two the model hears of first.
            self.tell(Event::Posted, now);
            self.tell(Event::Stopping, now);
            self.owes |= self.unsent() > 0;
        }
        if phase == Phase::Over {
            let owed = !self.ended || self.unsent() > 0;
            if before < Phase::Over && owed {
                self.core.counters.cut_off();
            }
            if owed {
                self.exchange.abort()
            } else {
                self.exchange.close(Duration::ZERO)
            }
            self.ended = true;
        }
    }

    /// Whether this peer has been told that the server stops.
    pub(crate) fn is_draining(&self) -> bool {
        self.phase > Phase::Serving && !self.ended && !self.drained
    }

    /// While draining: nothing that the peer has sent is left untold. What it was answered is delivered; then its end is
    /// waited for until the grace is over, since it may be sending at this moment, and a reset could cost it the answer.
    /// Who was silent and is owed nothing is closed at once.
    ///
    /// With a second leg, whose far end may still owe something, the conversation is told that the peer has finished.
    pub(crate) fn end_drain(&mut self, now: Instant) {
        self.drained = true;
        if self.exchange.has_second() {
            return self.tell(Event::PeerFinished(Leg::First), now);
        }
        let grace = self.core.grace_ends().map_or(LINGER_MAX, |end| end.saturating_duration_since(now));
        self.exchange.close(if self.owes { grace } else { Duration::ZERO });
        self.ended = true;
    }

    /// Bytes that wait for the system to take them, on both legs.
    pub(crate) fn unsent(&self) -> usize {
        self.exchange.unsent(Leg::First) + self.exchange.unsent(Leg::Second)
    }

    /// Keeps the server's figure of bytes held; to be called when a turn of this peer ends.
    pub(crate) fn end_turn(&mut self) {
        let unsent = self.unsent();
        self.core.counters.held(self.held, unsent);
        self.held = unsent;
    }

    fn idle_since_too_long_at(&self) -> Option<Instant> {
        self.core.settings.idle_timeout.and_then(|timeout| self.moved.checked_add(timeout))
    }

    /// Ends it from our side: what the system has is still delivered, what it has not taken by now it never will.
    fn end(&mut self) {
        self.ended = true;
        if self.unsent() == 0 { self.exchange.close(Duration::ZERO) } else { self.exchange.abort() }
    }

    fn note(&mut self, outcome: Outcome) {
        if outcome == Outcome::Panicked {
            self.core.counters.panicked();
            self.core.tell(&ServerEvent::Panicked { peer: self.peer.remote });
        }
        self.ended |= outcome != Outcome::Going;
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.core.counters.held(self.held, 0);
    }
}

/// For how long a drained peer's end is waited for where the grace has no end that can be named.
const LINGER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

fn failure(error: Error) -> Failure {
    Failure::new(std::io::Error::from(error).kind(), error.to_string())
}
