//! The lobby: overlapped accepts, several at each listener, and those who were accepted but have no place yet.
//!
//! An accept that is under way cannot know whether there will be a place when it ends. So whoever comes in then waits
//! here, unheard, as the clients behind it do in the backlog; and no further accept is started meanwhile.
//!
//! Where threads have accepts of their own each has a lobby of its own, but they share who has arrived: so whoever came first
//! is let in first, by whichever thread has a place for it.

use crate::core::Core;
use crate::door::{Gate, Place};
use crate::listener::Listener;
use crate::peer::done::Arrival;
use doorbell_winsock::overlapped::{Completion, OpId};
use doorbell_winsock::socket::Family;
use doorbell_winsock::{Error, Result, Socket};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Accepts under way at each listener: as many clients can come while the workers are busy without one being kept
/// waiting for the next accept to be started.
pub(crate) const ACCEPTS: usize = 16;

/// What a lobby asks of its model.
pub(crate) trait Host {
    /// Starts an accept at this listener, which has this number, such that [`Lobby::accept_ended`] is told of its end.
    fn start_accept(&mut self, number: usize, listener: &Socket, accept: &Socket) -> Result<()>;
    /// Something is wanting: [`Lobby::let_in`] is to be tried again at this instant.
    fn try_again_at(&mut self, at: Instant);
    /// Somebody comes in who has a place now.
    ///
    /// # Errors
    /// It comes back with the reason when nobody can serve it: then accepting rests.
    fn open(&mut self, arrival: Arrival, place: Place, now: Instant) -> std::result::Result<(), TurnedAway>;
}

/// Who could not be served, and why.
pub(crate) type TurnedAway = (Arrival, Place, Error);

pub(crate) struct Lobby {
    core: Arc<Core>,
    entrances: Vec<Mutex<Entrance>>,
    /// Accepts under way at each listener, at most.
    accepts_max: usize,
    arrivals: Arc<Mutex<VecDeque<(Turn, Arrival)>>>,
}

/// At which listener, by which accept. Accepts take clients in the order of their starts (OR-05), but two threads may
/// hear of them in the other order.
type Turn = (usize, OpId);

struct Entrance {
    gate: Gate,
    accepts: usize,
    closed: bool,
}

impl Lobby {
    /// One with at most so many accepts under way at each listener.
    pub(crate) fn new(core: &Arc<Core>, listeners: &[Listener], accepts_max: usize) -> Lobby {
        let entrance = |listener: &Listener| {
            Mutex::new(Entrance { gate: Gate::new(listener.clone()), accepts: 0, closed: false })
        };
        let entrances = listeners.iter().map(entrance).collect();
        Lobby { core: core.clone(), entrances, accepts_max, arrivals: Arc::default() }
    }

    /// Another one at the same listeners: it has accepts of its own, and the same arrivals.
    pub(crate) fn another(&self) -> Lobby {
        let listeners: Vec<_> =
            self.entrances.iter().map(|entrance| lock(entrance).gate.listener.clone()).collect();
        Lobby { arrivals: self.arrivals.clone(), ..Lobby::new(&self.core, &listeners, self.accepts_max) }
    }

    /// Lets in who has arrived, as far as there are places, and has the listeners accept more.
    pub(crate) fn let_in(&self, host: &mut impl Host, now: Instant) {
        // Accepts first: the client's first handler may take its time.
        while let Some((turn, arrival, place)) = self.next() {
            self.start_accepts(host, now);
            if let Err((arrival, place, error)) = host.open(arrival, place, now) {
                place.give_back();
                lock(&self.entrances[turn.0]).gate.failed(&self.core, error, now);
                lock(&self.arrivals).push_front((turn, arrival));
                break;
            }
        }
        self.start_accepts(host, now);
    }

    /// An accept at this listener has ended.
    pub(crate) fn accept_ended(&self, listener: usize, mut completion: Completion, now: Instant) {
        let Some(entrance) = self.entrances.get(listener) else { return };
        let mut entrance = lock(entrance);
        entrance.accepts -= 1;
        if entrance.closed {
            return;
        }
        match completion.result() {
            Ok(_) => {
                entrance.gate.succeeded(&self.core);
                let ends = completion.local_addr().zip(completion.remote_addr());
                if let (Some(socket), Some((local, remote))) = (completion.take_accepted(), ends) {
                    let turn = (listener, completion.id());
                    let mut arrivals = lock(&self.arrivals);
                    let behind = |(other, _): &(Turn, Arrival)| other.0 == turn.0 && other.1 > turn.1;
                    let place = arrivals.iter().position(behind).unwrap_or(arrivals.len());
                    arrivals.insert(place, (turn, Arrival { socket, local, remote }));
                }
            }
            Err(error) => {
                entrance.gate.failed(&self.core, error, now);
            }
        }
    }

    /// Starts as many accepts at each listener as there should be, unless somebody waits.
    fn start_accepts(&self, host: &mut impl Host, now: Instant) {
        let nobody_waits = lock(&self.arrivals).is_empty();
        for (number, entrance) in self.entrances.iter().enumerate() {
            let mut entrance = lock(entrance);
            if nobody_waits {
                let start = |listener: &Socket, accept: &Socket| host.start_accept(number, listener, accept);
                entrance.start_accepts(&self.core, self.accepts_max, now, start);
            }
            if let Some(at) = entrance.gate.rests_until(&self.core, now) {
                host.try_again_at(at);
            }
        }
    }

    /// The next who has arrived, if there is a place.
    fn next(&self) -> Option<(Turn, Arrival, Place)> {
        let mut arrivals = lock(&self.arrivals);
        arrivals.front()?;
        let place = Place::take(&self.core)?;
        arrivals.pop_front().map(|(turn, arrival)| (turn, arrival, place))
    }

    /// Nobody comes in any more.
    pub(crate) fn close(&self) {
        for entrance in &self.entrances {
            let mut entrance = lock(entrance);
            entrance.closed = true;
            let _ = entrance.gate.listener.socket.close();
        }
        lock(&self.arrivals).clear();
    }

    /// It was closed, and every accept that was started has ended.
    pub(crate) fn is_over(&self) -> bool {
        let is_over = |entrance: &Mutex<Entrance>| {
            let entrance = lock(entrance);
            entrance.closed && entrance.accepts == 0
        };
        self.entrances.iter().all(is_over)
    }
}

impl Entrance {
    fn start_accepts(
        &mut self,
        core: &Core,
        accepts_max: usize,
        now: Instant,
        mut start: impl FnMut(&Socket, &Socket) -> Result<()>,
    ) {
        if self.gate.rests_until(core, now).is_some() {
            return;
        }
        while self.accepts < accepts_max && !self.closed {
            let listener = &self.gate.listener;
            let accept = Socket::for_accept(Family::of(&listener.address()));
            match accept.and_then(|accept| start(&listener.socket, &accept)) {
                Ok(()) => self.accepts += 1,
                Err(error) if self.gate.failed(core, error, now).is_none() => break,
                Err(_) => {}
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
