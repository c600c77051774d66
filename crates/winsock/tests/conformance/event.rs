//! EV, LI: event objects, and waits for one or several of them.

mod many;

use crate::harness::{SETTLE, SILENCE, SOON, becomes_set, event, fails, is_set, promise, stays_unset};
use doorbell_winsock::error::{ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER};
use doorbell_winsock::event_select::WAIT_EVENTS_MAX;
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::{Event, Result, Wait, wait_all, wait_any};
use std::slice::from_ref;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn auto_reset() -> Event {
    Event::auto_reset().expect("an auto-reset event")
}

/// What a wait for any says at once.
fn any_now(events: &[Event]) -> Result<Wait> {
    wait_any(events, Some(Duration::ZERO), Alertable::No)
}

/// What a wait for all says at once.
fn all_now(events: &[Event]) -> Result<Wait> {
    wait_all(events, Some(Duration::ZERO), Alertable::No)
}

/// Threads that wait for the event once each and tell when they are through.
fn waiters(event: &Event, count: usize) -> mpsc::Receiver<usize> {
    let (tell, told) = mpsc::channel();
    let (coming, comes) = mpsc::channel();
    for number in 0..count {
        let (event, tell, coming) = (event.clone(), tell.clone(), coming.clone());
        thread::spawn(move || {
            coming.send(()).ok();
            let waited = wait_any(&[event], Some(Duration::from_secs(20)), Alertable::No);
            if waited == Ok(Wait::Index(0)) {
                tell.send(number).ok();
            }
        });
    }
    for _ in 0..count {
        comes.recv_timeout(SOON).expect("the thread never ran");
    }
    thread::sleep(SETTLE);
    told
}

// D WSACreateEvent.
#[test]
fn ev_01_an_event_is_unset_at_first_and_stays_set_until_it_is_reset() {
    promise(|| {
        let (event, other) = (event(), event());
        for _ in 0..3 {
            assert!(!is_set(&event));
            stays_unset(&event);
            // Twice is once.
            event.set().unwrap();
            event.set().unwrap();
            for _ in 0..3 {
                assert!(is_set(&event));
                becomes_set(&event);
            }
            event.reset().unwrap();
            assert!(!is_set(&event));
            event.reset().unwrap();
        }
        assert!(!is_set(&other));
    });
}

// D CreateEvent: an auto-reset event lets one wait through for each set, and two sets are one.
#[test]
fn ev_02_a_wait_unsets_an_auto_reset_event() {
    promise(|| {
        let event = auto_reset();
        assert!(!is_set(&event));
        for _ in 0..3 {
            event.set().unwrap();
            event.set().unwrap();
            becomes_set(&event);
            stays_unset(&event);
            event.set().unwrap();
            event.reset().unwrap();
            assert!(!is_set(&event));
        }
    });
}

// D Event Objects.
#[test]
fn ev_02_a_set_releases_every_thread_that_waits() {
    promise(|| {
        let event = event();
        for _ in 0..3 {
            let told = waiters(&event, 3);
            assert!(told.recv_timeout(SILENCE).is_err(), "a thread went through an event that is not set");
            event.set().unwrap();
            let mut through: Vec<usize> = (0..3).map(|_| told.recv_timeout(SOON).unwrap()).collect();
            through.sort_unstable();
            assert_eq!(through, [0, 1, 2]);
            assert!(is_set(&event));
            event.reset().unwrap();
        }
    });
}

// D SetEvent: those who wait at that moment are released, whatever follows.
#[test]
fn ev_02_a_reset_that_follows_at_once_takes_no_release_back() {
    promise(|| {
        let event = event();
        for _ in 0..5 {
            let told = waiters(&event, 3);
            event.set().unwrap();
            event.reset().unwrap();
            for _ in 0..3 {
                told.recv_timeout(SOON).expect("a thread that waited was not released");
            }
            assert!(!is_set(&event));
        }
    });
}

// D Event Objects.
#[test]
fn ev_02_each_set_of_an_auto_reset_event_releases_exactly_one_thread() {
    promise(|| {
        let event = auto_reset();
        let told = waiters(&event, 3);
        for _ in 0..3 {
            event.set().unwrap();
            told.recv_timeout(SOON).expect("no thread was released");
            assert!(told.recv_timeout(SILENCE).is_err(), "a second thread was released");
            assert!(!is_set(&event));
        }
        // With nobody there the set is kept for the next one.
        event.set().unwrap();
        let told = waiters(&event, 1);
        assert_eq!(told.recv_timeout(SOON), Ok(0));
        assert!(!is_set(&event));
    });
}

// D Event Objects: to and fro between two threads, no set is lost.
#[test]
fn ev_02_no_set_is_lost_between_two_threads() {
    promise(|| {
        let (ping, pong) = (auto_reset(), auto_reset());
        let echo = {
            let (ping, pong) = (ping.clone(), pong.clone());
            thread::spawn(move || {
                for _ in 0..2000 {
                    becomes_set(&ping);
                    pong.set().unwrap();
                }
            })
        };
        for _ in 0..2000 {
            ping.set().unwrap();
            becomes_set(&pong);
        }
        echo.join().unwrap();
        assert!(!is_set(&ping) && !is_set(&pong));
    });
}

// D WSAWaitForMultipleEvents.
#[test]
fn ev_03_wait_any_takes_the_lowest_of_those_that_are_set_and_changes_no_other() {
    promise(|| {
        for make in [event, auto_reset] {
            let events: Vec<Event> = (0..WAIT_EVENTS_MAX).map(|_| make()).collect();
            assert_eq!(any_now(&events), Ok(Wait::TimedOut));
            for at in [63, 5, 2] {
                events[at].set().unwrap();
            }
            for lowest in [2, 5, 63] {
                assert_eq!(any_now(&events), Ok(Wait::Index(lowest)));
                events[lowest].reset().unwrap();
            }
            assert_eq!(any_now(&events), Ok(Wait::TimedOut));
        }
    });
}

// D WSAWaitForMultipleEvents: also when the set comes while it waits, at the first place and at the last.
#[test]
fn ev_03_wait_any_ends_with_the_event_that_is_set_meanwhile() {
    promise(|| {
        let events: Vec<Event> = (0..WAIT_EVENTS_MAX).map(|_| auto_reset()).collect();
        for at in [0, 31, 63] {
            let setter = {
                let event = events[at].clone();
                thread::spawn(move || {
                    thread::sleep(SETTLE);
                    event.set()
                })
            };
            assert_eq!(wait_any(&events, Some(SOON), Alertable::No), Ok(Wait::Index(at)));
            setter.join().unwrap().unwrap();
            assert_eq!(any_now(&events), Ok(Wait::TimedOut));
        }
    });
}

// D WSAWaitForMultipleEvents: one handle at two places is no error of a wait for any.
#[test]
fn ev_03_an_event_may_stand_twice_in_a_wait_for_any() {
    promise(|| {
        let (one, other) = (event(), event());
        let events = [other.clone(), one.clone(), one.clone(), other];
        assert_eq!(any_now(&events), Ok(Wait::TimedOut));
        one.set().unwrap();
        assert_eq!(any_now(&events), Ok(Wait::Index(1)));
    });
}

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

// D WSAWaitForMultipleEvents.
#[test]
fn ev_05_a_set_from_another_thread_wakes_the_waiter() {
    promise(|| {
        let (events, other) = ([auto_reset(), auto_reset()], event());
        for alertable in [Alertable::No, Alertable::Yes] {
            for timeout in [None, Some(SOON)] {
                let waiter = {
                    let events = events.clone();
                    thread::spawn(move || (wait_any(&events, timeout, alertable), Instant::now()))
                };
                thread::sleep(SETTLE);
                assert!(!waiter.is_finished());
                let set = Instant::now();
                other.set().unwrap();
                events[1].set().unwrap();
                let (waited, woken) = waiter.join().unwrap();
                assert_eq!(waited, Ok(Wait::Index(1)));
                assert!(woken - set < Duration::from_secs(2), "it was not the set that ended the wait");
            }
        }
    });
}

// D WSAWaitForMultipleEvents: a time-out is not shortened, and zero does not wait.
#[test]
fn ev_05_a_wait_lasts_as_long_as_it_was_told() {
    promise(|| {
        let events = [event(), event()];
        for wait in [wait_any, wait_all] {
            for timeout in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(80)] {
                let start = Instant::now();
                assert_eq!(wait(&events, Some(timeout), Alertable::No), Ok(Wait::TimedOut));
                assert!(start.elapsed() >= timeout, "{timeout:?} were cut to {:?}", start.elapsed());
            }
        }
    });
}

// P8: through a clone, which is the same handle.
#[test]
fn ev_06_a_closed_event_is_an_invalid_handle() {
    promise(|| {
        let (open, closed) = (event(), event());
        let stale = closed.clone();
        closed.set().unwrap();
        closed.close().unwrap();
        for _ in 0..3 {
            for event in [&closed, &stale] {
                fails(event.set(), &[ERROR_INVALID_HANDLE]);
                fails(event.reset(), &[ERROR_INVALID_HANDLE]);
                fails(event.close(), &[ERROR_INVALID_HANDLE]);
            }
            open.set().unwrap();
            let both = [open.clone(), stale.clone()];
            for wait in [wait_any, wait_all] {
                fails(wait(from_ref(&stale), Some(SOON), Alertable::No), &[ERROR_INVALID_HANDLE]);
                fails(wait(&both, Some(SOON), Alertable::No), &[ERROR_INVALID_HANDLE]);
            }
            // The wait that failed took nothing, and a new event is not taken for the old one.
            assert!(is_set(&open));
            let fresh = event();
            assert!(!is_set(&fresh));
        }
    });
}

// D CloseHandle: an event is closed by the drop of its last clone, not before.
#[test]
fn ev_06_an_event_lives_as_long_as_its_last_clone() {
    promise(|| {
        let first = auto_reset();
        let twin = first.clone();
        first.set().unwrap();
        drop(first);
        assert!(is_set(&twin));
        twin.set().unwrap();
        becomes_set(&twin.clone());
        assert!(!is_set(&twin));
    });
}

// D WSAWaitForMultipleEvents.
#[test]
fn ev_07_an_event_may_not_stand_twice_in_a_wait_for_all() {
    promise(|| {
        let (one, other) = (event(), event());
        one.set().unwrap();
        other.set().unwrap();
        fails(all_now(&[one.clone(), one.clone()]), &[ERROR_INVALID_PARAMETER]);
        fails(all_now(&[one.clone(), other.clone(), one.clone()]), &[ERROR_INVALID_PARAMETER]);
        assert_eq!(all_now(&[one, other]), Ok(Wait::Index(0)));
    });
}

// D WSAWaitForMultipleEvents.
#[test]
fn li_01_a_wait_takes_1_to_64_events() {
    promise(|| {
        let events: Vec<Event> = (0..=WAIT_EVENTS_MAX).map(|_| event()).collect();
        assert_eq!(WAIT_EVENTS_MAX, 64);
        for event in &events[63..] {
            event.set().unwrap();
        }
        for wait in [wait_any, wait_all] {
            for timeout in [Some(Duration::ZERO), Some(SOON), None] {
                fails(wait(&[], timeout, Alertable::No), &[ERROR_INVALID_PARAMETER]);
                fails(wait(&events, timeout, Alertable::No), &[ERROR_INVALID_PARAMETER]);
            }
        }
        assert_eq!(any_now(&events[..64]), Ok(Wait::Index(63)));
        assert_eq!(any_now(&events[63..64]), Ok(Wait::Index(0)));
        assert_eq!(all_now(&events[..64]), Ok(Wait::TimedOut));
        for event in &events {
            event.set().unwrap();
        }
        assert_eq!(all_now(&events[..64]), Ok(Wait::Index(0)));
    });
}
