//! A clock for models whose waiting threads are told everything by packets: it rings when an instant has come.
//!
//! It is a thread of its own, started with the first instant that it is given, so that a handler which keeps a worker
//! never keeps a timer waiting, and no worker wakes for a timer which another one serves.

use crate::instants::Instants;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

pub(crate) struct Clock {
    state: Mutex<State>,
    changed: Condvar,
    ring: Box<dyn Fn(usize) + Send + Sync>,
}

struct State {
    /// Each with whom to ring for.
    instants: Instants<usize>,
    runs: bool,
    over: bool,
}

impl Clock {
    /// `ring` is called, on the clock's thread, with what was given together with the instant.
    pub(crate) fn new(ring: impl Fn(usize) + Send + Sync + 'static) -> Arc<Clock> {
        let state = State { instants: Instants::new(), runs: false, over: false };
        Arc::new(Clock { state: Mutex::new(state), changed: Condvar::new(), ring: Box::new(ring) })
    }

    /// Rings at this instant. It cannot be taken back: whoever is rung looks whether it still matters.
    pub(crate) fn ring_at(self: &Arc<Clock>, at: Instant, whom: usize) {
        let mut state = self.state();
        if state.over {
            return;
        }
        let is_next = state.instants.next().is_none_or(|next| at < next);
        state.instants.push(at, whom);
        if !state.runs {
            let clock = self.clone();
            // Without a thread now, the next instant tries again.
            state.runs = thread::Builder::new().name("clock".to_owned()).spawn(move || clock.run()).is_ok();
        } else if is_next {
            self.changed.notify_one();
        }
    }

    /// Rings no more.
    pub(crate) fn stop(&self) {
        self.state().over = true;
        self.changed.notify_one();
    }

    fn run(&self) {
        let mut state = self.state();
        while !state.over {
            let now = Instant::now();
            if let Some(whom) = state.instants.pop_due(now) {
                drop(state);
                (self.ring)(whom);
                state = self.state();
                continue;
            }
            state = match state.instants.next() {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let left = at.saturating_duration_since(now);
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn it_rings_in_the_order_of_the_instants_and_never_early() {
        let (tell, told) = mpsc::channel();
        let clock = Clock::new(move |whom| tell.send((whom, Instant::now())).unwrap());
        let now = Instant::now();
        for (whom, after_ms) in [(3, 60), (1, 20), (2, 40)] {
            clock.ring_at(now + Duration::from_millis(after_ms), whom);
        }
        for whom in [1, 2, 3] {
            let (who, at) = told.recv_timeout(Duration::from_secs(5)).unwrap();
            assert_eq!(who, whom);
            assert!(at >= now + Duration::from_millis(20 * whom as u64));
        }
        clock.stop();
    }
}
