//! The lobby: overlapped accepts, several at each listener, and those who were accepted but have no place yet.
//!
//! An accept that is under way cannot know whether there will be a place when it ends. So whoever comes in then waits
//! here, unheard, as the clients behind it do in the backlog; and no further accept is started meanwhile.

use crate::core::Core;
use crate::door::{Gate, Place};
use crate::listener::Listener;
use crate::peer::done::Arrival;
use doorbell_winsock::Socket;
use doorbell_winsock::overlapped::{Completion, OpId, ToPort};
use doorbell_winsock::socket::Family;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Accepts under way at each listener: as many clients can come while the workers are busy without one being kept
/// waiting for the next accept to be started.
const ACCEPTS: usize = 16;

pub(crate) struct Lobby {
    core: Arc<Core>,
    entrances: Vec<Mutex<Entrance>>,
    arrivals: Mutex<VecDeque<(Turn, Arrival)>>,
}

/// At which listener, by which accept. Accepts take clients in the order of their starts (OR-05), but two workers may
/// hear of them in the other order.
type Turn = (usize, OpId);

struct Entrance {
    gate: Gate,
    accepts: usize,
    closed: bool,
}

impl Lobby {
    pub(crate) fn new(core: &Arc<Core>, listeners: Vec<Listener>) -> Lobby {
        let entrance =
            |listener| Mutex::new(Entrance { gate: Gate::new(listener), accepts: 0, closed: false });
        let entrances = listeners.into_iter().map(entrance).collect();
        Lobby { core: core.clone(), entrances, arrivals: Mutex::default() }
    }

    /// Starts as many accepts at each listener as there should be. Returns when to try again, if something is wanting.
    pub(crate) fn start_accepts(&self, now: Instant) -> Option<Instant> {
        if !lock(&self.arrivals).is_empty() {
            return None;
        }
        self.entrances.iter().filter_map(|entrance| lock(entrance).start_accepts(&self.core, now)).min()
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

    /// The next who has arrived, if there is a place.
    pub(crate) fn next(&self) -> Option<(Arrival, Place)> {
        let mut arrivals = lock(&self.arrivals);
        arrivals.front()?;
        let place = Place::take(&self.core)?;
        arrivals.pop_front().map(|(_, arrival)| (arrival, place))
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
}

impl Entrance {
    fn start_accepts(&mut self, core: &Core, now: Instant) -> Option<Instant> {
        if let Some(until) = self.gate.rests_until(core, now) {
            return Some(until);
        }
        while self.accepts < ACCEPTS && !self.closed {
            let listener = &self.gate.listener;
            let start = || {
                let accept = Socket::for_accept(Family::of(&listener.address()))?;
                listener.socket.accept_ex(&accept, Vec::<u8>::new(), ToPort).map_err(|refused| refused.error)
            };
            match start() {
                Ok(_) => self.accepts += 1,
                Err(error) if self.gate.failed(core, error, now).is_none() => break,
                Err(_) => {}
            }
        }
        self.gate.rests_until(core, now)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
