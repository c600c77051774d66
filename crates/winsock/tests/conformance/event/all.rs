//! EV: waits for all of several events, which take all or nothing.

use super::{all_now, any_now, auto_reset};
use crate::harness::{SETTLE, SILENCE, SOON, becomes_set, event, fails, is_set, promise};
use doorbell_winsock::error::ERROR_INVALID_PARAMETER;
use doorbell_winsock::event_select::WAIT_EVENTS_MAX;
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::{Event, Result, Wait, wait_all};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

// D WSAWaitForMultipleEvents.
#[test]
fn ev_04_wait_all_takes_all_together_or_nothing() {
    promise(|| {
        let events = [auto_reset(), auto_reset(), event()];
        for missing in 0..3 {
            for (_, event) in events.iter().enumerate().filter(|(at, _)| *at != missing) {
                event.set().unwrap();
            }
            let waited = wait_all(&events, Some(Duration::from_millis(50)), Alertable::No);
            assert_eq!(waited, Ok(Wait::TimedOut));
            // What was set is still set: with the one that was missing they are all there.
            events[missing].set().unwrap();
            assert_eq!(all_now(&events), Ok(Wait::Index(0)));
            // Now the auto-reset ones are taken and the manual one is not.
            assert!(!is_set(&events[0]) && !is_set(&events[1]) && is_set(&events[2]));
            events[2].reset().unwrap();
        }
    });
}

// D WSAWaitForMultipleEvents: of one event and of 64, whichever is the last.
#[test]
fn ev_04_wait_all_takes_as_many_as_there_may_be() {
    promise(|| {
        let events: Vec<Event> = (0..WAIT_EVENTS_MAX).map(|_| auto_reset()).collect();
        for (count, missing) in [(1, 0), (2, 0), (2, 1), (63, 31), (64, 0), (64, 62), (64, 63)] {
            let (waited, others) = events.split_at(count);
            for event in waited {
                event.set().unwrap();
            }
            waited[missing].reset().unwrap();
            assert_eq!(all_now(waited), Ok(Wait::TimedOut));
            let setter = {
                let event = waited[missing].clone();
                thread::spawn(move || {
                    thread::sleep(SETTLE / 4);
                    event.set()
                })
            };
            for event in others {
                event.set().unwrap();
            }
            assert_eq!(wait_all(waited, Some(SOON), Alertable::No), Ok(Wait::Index(0)));
            setter.join().unwrap().unwrap();
            assert!(waited.iter().all(|event| !is_set(event)), "one was not taken");
            assert!(others.iter().all(is_set), "one that nobody waited for was taken");
        }
    });
}

// D WSAWaitForMultipleEvents: one after the other is not together.
#[test]
fn ev_04_wait_all_does_not_remember_what_was_set_before() {
    promise(|| {
        let events = [event(), event()];
        let (tell, told) = mpsc::channel();
        let waiter = {
            let events = events.clone();
            thread::spawn(move || tell.send(wait_all(&events, Some(Duration::from_secs(20)), Alertable::No)))
        };
        thread::sleep(SETTLE);
        for _ in 0..3 {
            for event in &events {
                event.set().unwrap();
                event.reset().unwrap();
            }
        }
        assert!(told.recv_timeout(SILENCE).is_err(), "they were never set together");
        for event in &events {
            event.set().unwrap();
        }
        assert_eq!(told.recv_timeout(SOON).unwrap(), Ok(Wait::Index(0)));
        waiter.join().unwrap().unwrap();
    });
}

// D WSAWaitForMultipleEvents: somebody else takes one of them meanwhile, so they are not all set.
#[test]
fn ev_04_an_event_that_another_wait_takes_is_missing() {
    promise(|| {
        let events = [auto_reset(), auto_reset()];
        let (tell, told) = mpsc::channel();
        for _ in 0..2 {
            // The second one names them the other way round.
            let (tell, events) = (tell.clone(), [events[1].clone(), events[0].clone()]);
            thread::spawn(move || {
                tell.send(wait_all(&events, Some(Duration::from_secs(20)), Alertable::No)).ok()
            });
        }
        thread::sleep(SETTLE);
        events[0].set().unwrap();
        assert!(told.recv_timeout(SILENCE).is_err());
        assert!(is_set(&events[0]), "a wait for all took one alone");
        events[1].set().unwrap();
        assert!(told.recv_timeout(SILENCE).is_err());
        assert!(is_set(&events[1]));
        for expected in 0..2 {
            events[0].set().unwrap();
            events[1].set().unwrap();
            assert_eq!(told.recv_timeout(SOON).unwrap(), Ok(Wait::Index(0)), "waiter {expected}");
            assert!(expected == 1 || told.recv_timeout(SILENCE).is_err(), "two waits took one set");
        }
        assert_eq!(any_now(&events), Ok(Wait::TimedOut));
    });
}

/// A thread that waits for all of these and says so.
fn waits_for_all(events: [&Event; 2]) -> mpsc::Receiver<Result<Wait>> {
    let (tell, told) = mpsc::channel();
    let events = events.map(Event::clone);
    thread::spawn(move || tell.send(wait_all(&events, Some(Duration::from_secs(20)), Alertable::No)).ok());
    told
}

// D WSAWaitForMultipleEvents: what a wait for all cannot have yet is there for the others.
#[test]
fn ev_04_a_wait_for_all_keeps_nothing_from_the_others() {
    promise(|| {
        let [a, b, c] = [(); 3].map(|()| Event::auto_reset().unwrap());
        for _ in 0..2 {
            let (first, second) = (waits_for_all([&a, &b]), waits_for_all([&b, &c]));
            thread::sleep(SETTLE);
            // Set for the first one, `a` goes to a wait for it alone.
            a.set().unwrap();
            becomes_set(&a);
            b.set().unwrap();
            assert!(first.recv_timeout(SILENCE).is_err() && second.try_recv().is_err());
            // The second has both of its own now and takes `b` away from the first.
            c.set().unwrap();
            assert_eq!(second.recv_timeout(SOON), Ok(Ok(Wait::Index(0))));
            a.set().unwrap();
            assert!(first.recv_timeout(SILENCE).is_err(), "two waits took one set");
            b.set().unwrap();
            assert_eq!(first.recv_timeout(SOON), Ok(Ok(Wait::Index(0))));
            assert!(![&a, &b, &c].into_iter().any(is_set));
        }
    });
}

// D WSAWaitForMultipleEvents: the dining philosophers, who need no order: each takes both forks or none.
#[test]
fn ev_04_threads_that_wait_for_all_of_overlapping_events_all_go_on() {
    promise(|| {
        const PHILOSOPHERS: usize = 4;
        const MEALS: usize = 100;
        let forks: Vec<Event> = (0..PHILOSOPHERS).map(|_| Event::auto_reset().unwrap()).collect();
        let taken: Arc<Vec<AtomicBool>> = Arc::new(forks.iter().map(|_| AtomicBool::new(false)).collect());
        let threads: Vec<_> = (0..PHILOSOPHERS)
            .map(|at| {
                let numbers = [at, (at + 1) % PHILOSOPHERS];
                let (mine, taken) = (numbers.map(|number| forks[number].clone()), taken.clone());
                thread::spawn(move || {
                    for _ in 0..MEALS {
                        assert_eq!(wait_all(&mine, Some(SOON), Alertable::No), Ok(Wait::Index(0)));
                        for number in numbers {
                            assert!(!taken[number].swap(true, Ordering::SeqCst), "two have one fork");
                        }
                        thread::yield_now();
                        for (number, fork) in numbers.into_iter().zip(&mine) {
                            taken[number].store(false, Ordering::SeqCst);
                            fork.set().unwrap();
                        }
                    }
                })
            })
            .collect();
        for fork in &forks {
            fork.set().unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(forks.iter().all(is_set), "a fork was lost");
    });
}

// D WSAWaitForMultipleEvents.
#[test]
fn ev_07_an_event_may_not_stand_twice_in_a_wait_for_all() {
    promise(|| {
        for make in [event, auto_reset] {
            let mut events: Vec<Event> = (0..WAIT_EVENTS_MAX - 1).map(|_| make()).collect();
            let (one, other) = (events[0].clone(), events[1].clone());
            events.push(one.clone());
            let same = [one.clone(), one.clone()];
            let apart = [one.clone(), other.clone(), one.clone()];
            // Set or not, at once or after a wait.
            for set in [false, true] {
                for timeout in [Some(Duration::ZERO), Some(SOON), None] {
                    for twice in [&same[..], &apart, &events] {
                        fails(wait_all(twice, timeout, Alertable::Yes), &[ERROR_INVALID_PARAMETER]);
                    }
                }
                if !set {
                    events.iter().for_each(|event| event.set().unwrap());
                }
            }
            // Nothing was taken.
            assert_eq!(all_now(&events[..WAIT_EVENTS_MAX - 1]), Ok(Wait::Index(0)));
        }
    });
}
