//! The door: how many are let in, and what happens when accepting fails.
//!
//! A [`Place`] is what one open connection holds. At the limit the next clients wait in the backlog, where a full
//! server keeps them at no cost; whoever accepts is rung when a place is free again.

use crate::core::Core;
use crate::event::ServerEvent;
use crate::listener::Listener;
use doorbell_winsock::error as code;
use doorbell_winsock::{Error, Socket};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long accepting rests after a failure for want of something. Long enough not to spin, short enough that
/// nobody minds; a connection that closes ends the rest early, since it gives back what was wanting.
const REST: Duration = Duration::from_millis(100);

type Bell = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
pub(crate) struct Door {
    open: AtomicUsize,
    /// Connections that have closed so far.
    left: AtomicU64,
    /// Somebody was turned away, or rests: the next one who leaves rings.
    awaited: AtomicBool,
    bells: Mutex<Vec<Bell>>,
    told_full: AtomicBool,
}

impl Door {
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// `bell` is rung, on any thread, when a place has become free that somebody waited for.
    pub(crate) fn on_room(&self, bell: impl Fn() + Send + Sync + 'static) {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(bell));
    }

    fn leave(&self, open_max: usize, was_used: bool) {
        if was_used {
            self.left.fetch_add(1, Ordering::SeqCst);
        }
        let open = self.open.fetch_sub(1, Ordering::SeqCst) - 1;
        // One line in the log for each time it fills up, not one for each client that comes and goes at the limit.
        if open <= open_max / 2 {
            self.told_full.store(false, Ordering::Relaxed);
        }
        // A place that nobody used matters only to those who found none.
        if was_used || open + 1 >= open_max {
            self.ring_if_awaited();
        }
    }

    fn ring_if_awaited(&self) {
        if self.awaited.load(Ordering::SeqCst) && self.awaited.swap(false, Ordering::SeqCst) {
            for bell in self.bells.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                bell();
            }
        }
    }
}

/// One of the connections that may be open; dropping it lets the next one in.
pub(crate) struct Place {
    core: Arc<Core>,
    used: bool,
}

impl Place {
    /// A place, if there is one; if not, the bells ring when there is.
    pub(crate) fn take(core: &Arc<Core>) -> Option<Place> {
        let open_max = core.settings.connections_max;
        let take_one = |open: usize| (open < open_max).then_some(open + 1);
        while core.door.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one).is_err() {
            if !Place::is_free(core) {
                return None;
            }
        }
        Some(Place { core: core.clone(), used: true })
    }

    /// It was not needed after all: nobody was there, or could be accepted. What rests goes on resting, since nothing
    /// that was wanting has come back by this.
    pub(crate) fn give_back(mut self) {
        self.used = false;
    }

    /// Whether there is a place; if not, the bells ring when there is.
    pub(crate) fn is_free(core: &Core) -> bool {
        let (door, open_max) = (&core.door, core.settings.connections_max);
        if door.open.load(Ordering::SeqCst) < open_max {
            return true;
        }
        door.awaited.store(true, Ordering::SeqCst);
        // Asked again, since somebody may have left between the two lines above and rung nobody.
        if door.open.load(Ordering::SeqCst) < open_max {
            return true;
        }
        if !door.told_full.swap(true, Ordering::Relaxed) {
            core.tell(&ServerEvent::LimitReached { connections_max: open_max });
        }
        false
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.core.door.leave(self.core.settings.connections_max, self.used);
    }
}

/// A client who was let in.
pub(crate) struct Newcomer {
    pub(crate) socket: Socket,
    pub(crate) remote: SocketAddr,
    pub(crate) place: Place,
}

/// What an accept found.
pub(crate) enum AtDoor {
    Newcomer(Newcomer),
    Nobody,
    /// The server is full, or accepting rests: somebody may be there.
    NotNow,
}

/// One listener and how accepting on it goes, as one thread sees it.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) listener: Listener,
    rest: Option<Rest>,
    told: bool,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    /// How many had left when it began: if one more does, what was wanting may be there again.
    left: u64,
}

impl Gate {
    pub(crate) fn new(listener: Listener) -> Gate {
        Gate { listener, rest: None, told: false }
    }

    /// Until when accepting rests, if it does.
    pub(crate) fn rests_until(&self, core: &Core, now: Instant) -> Option<Instant> {
        let left = core.door.left.load(Ordering::SeqCst);
        self.rest.filter(|rest| now < rest.until && rest.left == left).map(|rest| rest.until)
    }

    /// Takes the next client in, on a listener that does not block.
    pub(crate) fn accept(&mut self, core: &Arc<Core>, now: Instant) -> AtDoor {
        if self.rests_until(core, now).is_some() {
            return AtDoor::NotNow;
        }
        // The place first: without one the client stays where it is.
        let Some(place) = Place::take(core) else { return AtDoor::NotNow };
        loop {
            match self.listener.socket.accept() {
                Ok((socket, remote)) => {
                    self.succeeded(core);
                    return AtDoor::Newcomer(Newcomer { socket, remote, place });
                }
                Err(error) => {
                    let nobody = error.code() == code::WSAEWOULDBLOCK;
                    if nobody || self.failed(core, error, now).is_none() {
                        place.give_back();
                        return if nobody { AtDoor::Nobody } else { AtDoor::NotNow };
                    }
                }
            }
        }
    }

    pub(crate) fn succeeded(&mut self, core: &Core) {
        core.counters.accepted();
        if std::mem::take(&mut self.told) {
            core.tell(&ServerEvent::AcceptResumed { listener: self.listener.address() });
        }
    }

    /// An accept failed. `Some`: that client was gone before it was taken, so the next one, please. `None`: something is
    /// wanting, and accepting rests.
    pub(crate) fn failed(&mut self, core: &Core, error: Error, now: Instant) -> Option<()> {
        if is_the_clients_own(error.code()) {
            // Whether the system tells of it here or by the first receive is its own affair: the figures are the same.
            core.counters.accepted();
            core.counters.failed();
            return Some(());
        }
        // The rest are the system's: 10024 (no descriptor left), 10055, 8 (no memory). What nobody expects here is
        // treated in the same way: a server that tries again ten times a second neither ends nor spins.
        core.counters.refused();
        if !std::mem::replace(&mut self.told, true) {
            core.tell(&ServerEvent::AcceptPaused { listener: self.listener.address(), error });
        }
        let left = core.door.left.load(Ordering::SeqCst);
        core.door.awaited.store(true, Ordering::SeqCst);
        self.rest = Some(Rest { until: now + REST, left });
        None
    }
}

/// Failures that belong to one client who was gone before it was accepted, or to the network it came from: the pending
/// errors of a new socket, which accept(2) reports as its own.
fn is_the_clients_own(code: i32) -> bool {
    matches!(
        code,
        code::WSAECONNABORTED
            | code::WSAECONNRESET
            | code::ERROR_NETNAME_DELETED
            // Wine's word for a reset before the accept.
            | code::ERROR_UNEXP_NET_ERR
            | code::WSAETIMEDOUT
            | code::WSAENETDOWN
            | code::WSAENETUNREACH
            | code::WSAEHOSTDOWN
            | code::WSAEHOSTUNREACH
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use doorbell_service::Discard;

    fn core(connections_max: usize) -> (Arc<Core>, Arc<AtomicUsize>) {
        let settings = Settings { connections_max, ..Settings::default() };
        let core = Arc::new(Core::new(Box::new(Discard), settings, Box::new(|_| ())));
        let rung = Arc::new(AtomicUsize::new(0));
        let bell = rung.clone();
        core.door.on_room(move || {
            bell.fetch_add(1, Ordering::SeqCst);
        });
        (core, rung)
    }

    fn gate() -> Gate {
        Gate::new(Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap())
    }

    #[test]
    fn the_bell_rings_when_a_place_is_free_that_somebody_waited_for() {
        let (core, rung) = core(2);
        let first = Place::take(&core).unwrap();
        drop(Place::take(&core).unwrap());
        assert_eq!(rung.load(Ordering::SeqCst), 0, "nobody waited");
        let second = Place::take(&core).unwrap();
        assert!(Place::take(&core).is_none());
        assert_eq!(core.door.open(), 2);
        drop(first);
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        drop(second);
        assert_eq!((rung.load(Ordering::SeqCst), core.door.open()), (1, 0));
    }

    #[test]
    fn accepting_rests_after_a_want_until_the_time_is_over_or_somebody_leaves() {
        let (core, rung) = core(10);
        let (mut gate, now) = (gate(), Instant::now());
        assert!(gate.failed(&core, Error::new("accept", code::WSAEMFILE), now).is_none());
        assert_eq!(gate.rests_until(&core, now), Some(now + REST));
        assert_eq!(gate.rests_until(&core, now + REST), None);
        // A place that was not used brings nothing back.
        Place::take(&core).unwrap().give_back();
        assert!(gate.rests_until(&core, now).is_some());
        assert_eq!(rung.load(Ordering::SeqCst), 0);
        drop(Place::take(&core));
        assert_eq!(gate.rests_until(&core, now), None);
        assert_eq!((rung.load(Ordering::SeqCst), core.figures().refused), (1, 1));
    }

    #[test]
    fn a_client_who_was_gone_before_it_was_taken_is_no_reason_to_rest() {
        let (core, _) = core(10);
        let (mut gate, now) = (gate(), Instant::now());
        for code in [code::WSAECONNABORTED, code::WSAECONNRESET, code::WSAEHOSTUNREACH] {
            assert!(gate.failed(&core, Error::new("accept", code), now).is_some());
        }
        assert_eq!((gate.rests_until(&core, now), core.figures().refused), (None, 0));
    }
}
