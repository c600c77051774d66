//! The guard: one thread of the process that looks after domains nobody waits in.
//!
//! The threads that wait at a port drive its domain themselves. But all of them may be away: in a long handler, asleep
//! elsewhere, gone; and operations must progress all the same (OV-07, CP-28). So when the last one leaves, the guard is
//! told, unless it is up already. It looks once a tick: a domain that was left alone for a whole tick gets a parked thread
//! of its port, or else the guard itself, which then waits in the domain's place. When every domain has a thread in the
//! wait and nothing moved for a tick, the guard sleeps until told again. An idle server has a guard that sleeps.

use super::super::os::epoll::Epoll;
use super::channel::Sink;
use super::domain::Domain;
use std::cell::Cell;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a domain may be left alone: about half a slice of the scheduler, hundreds of short handlers.
const TICK: Duration = Duration::from_millis(2);

struct Guard {
    /// Sets of domains that are left alone hang in this one.
    outer: Epoll,
    up: AtomicBool,
    newcomers: Mutex<Vec<Weak<Domain>>>,
}

struct Watched {
    domain: Weak<Domain>,
    number: u64,
    epoch: u64,
    in_outer: bool,
}

thread_local! {
    static IS_GUARD: Cell<bool> = const { Cell::new(false) };
}

static GUARD: OnceLock<Option<Guard>> = OnceLock::new();

/// From now on this domain is looked after.
pub(crate) fn watch(domain: &Arc<Domain>) {
    if let Some(guard) = guard() {
        lock(&guard.newcomers).push(Arc::downgrade(domain));
    }
}

/// A domain that is in use has nobody in its wait.
pub(crate) fn notify() {
    if let Some(Some(guard)) = GUARD.get() {
        if !guard.up.load(Ordering::SeqCst) && !guard.up.swap(true, Ordering::SeqCst) {
            guard.outer.ring();
        }
    }
}

/// What threads that are not at home in a ring pushed there is to be submitted now.
pub(crate) fn flush() {
    if let Some(Some(guard)) = GUARD.get() {
        guard.outer.ring();
    }
}

/// Whether the calling thread is the guard.
pub(crate) fn is_me() -> bool {
    IS_GUARD.get()
}

fn guard() -> Option<&'static Guard> {
    GUARD
        .get_or_init(|| {
            let guard =
                Guard { outer: Epoll::new().ok()?, up: AtomicBool::new(false), newcomers: Mutex::default() };
            std::thread::Builder::new()
                .name("doorbell-guard".into())
                .stack_size(128 * 1024)
                .spawn(run)
                .ok()?;
            Some(guard)
        })
        .as_ref()
}

fn run() {
    // The cell is filled a moment after this thread was started.
    let guard = loop {
        match GUARD.get() {
            Some(Some(guard)) => break guard,
            Some(None) => return,
            None => std::thread::yield_now(),
        }
    };
    IS_GUARD.set(true);
    let mut watched: Vec<Watched> = Vec::new();
    let mut fired: Vec<u64> = Vec::new();
    let mut last = Instant::now();
    loop {
        // 1. Sleep: for the rest of the tick while there is something to look after, else until told.
        let timeout = guard.up.load(Ordering::SeqCst).then(|| TICK.saturating_sub(last.elapsed()));
        if guard.outer.wait(timeout, |ready| fired.push(ready.token)) {
            greet(guard, &mut watched);
            watched.iter().filter_map(|w| w.domain.upgrade()).for_each(|domain| domain.flush());
        }
        // 2. Drive the domains in whose place it waits.
        for number in fired.drain(..) {
            if let Some(place) = watched.iter_mut().find(|w| w.number == number) {
                stand_in(guard, place);
            }
        }
        // 3. Look at all of them, once a tick.
        if !guard.up.load(Ordering::SeqCst) {
            continue;
        }
        if timeout.is_none() {
            last = Instant::now();
        }
        if last.elapsed() < TICK {
            continue;
        }
        last = Instant::now();
        greet(guard, &mut watched);
        watched.retain(|w| w.domain.strong_count() > 0);
        if !look_at_all(guard, &mut watched) {
            // Whoever leaves a domain from here on rings; who left before is seen by one more look.
            guard.up.store(false, Ordering::SeqCst);
            greet(guard, &mut watched);
            if look_at_all(guard, &mut watched) {
                guard.up.store(true, Ordering::SeqCst);
            }
        }
    }
}

fn greet(guard: &Guard, watched: &mut Vec<Watched>) {
    // Numbers are never given twice, so a late word for a domain that is gone finds none.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    for domain in lock(&guard.newcomers).drain(..) {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        watched.push(Watched { domain, number, epoch: 0, in_outer: false });
    }
}

fn look_at_all(guard: &Guard, watched: &mut [Watched]) -> bool {
    // Each has to be looked at, whatever the ones before it were.
    let restless: Vec<bool> = watched.iter_mut().map(|watched| look(guard, watched)).collect();
    restless.contains(&true)
}

/// True if the domain must be looked at again after a tick.
fn look(guard: &Guard, watched: &mut Watched) -> bool {
    let Some(domain) = watched.domain.upgrade() else { return false };
    let epoch = domain.epoch();
    let moved = epoch != watched.epoch;
    watched.epoch = epoch;
    domain.flush();
    let port = domain.port();
    let stalls = port.as_ref().is_some_and(|port| port.look_for_sleepers());
    if moved {
        leave(guard, watched, &domain);
        return true;
    }
    // Nobody came by for a whole tick: packets and places find a sleeping thread now, if there is one.
    let backlog = port.is_some_and(|port| port.rescue());
    if domain.pollers() > 0 {
        leave(guard, watched, &domain);
        return backlog || stalls;
    }
    if domain.is_used() && !watched.in_outer && guard.outer.add_level(domain.as_fd(), watched.number).is_ok()
    {
        watched.in_outer = true;
        domain.attend(true);
    }
    stalls
}

fn stand_in(guard: &Guard, watched: &mut Watched) {
    let Some(domain) = watched.domain.upgrade() else { return };
    if domain.pollers() > 0 || domain.epoch() != watched.epoch {
        leave(guard, watched, &domain);
        // It may be left alone again by now.
        guard.up.store(true, Ordering::SeqCst);
        return;
    }
    let mut sink = Sink::default();
    let rung = domain.poll(Some(Duration::ZERO), &mut sink);
    sink.deliver();
    if rung {
        domain.bell_heard();
    }
}

fn leave(guard: &Guard, watched: &mut Watched, domain: &Domain) {
    if watched.in_outer {
        guard.outer.remove(domain.as_fd()).ok();
        watched.in_outer = false;
        domain.attend(false);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
