//! EV, LI: event objects, and waits for one or several of them.

mod all;
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

// D SetEvent: a set ends a wait in that step, so the next one is another thread's.
#[test]
fn ev_02_two_sets_in_a_row_release_two_of_three_threads() {
    promise(|| {
        let event = auto_reset();
        let turn = || {
            let told = waiters(&event, 3);
            event.set().unwrap();
            event.set().unwrap();
            told.recv_timeout(SOON).expect("no thread was released");
            if told.recv_timeout(SILENCE * 4).is_ok() {
                assert!(told.recv_timeout(SILENCE).is_err(), "a thread more than sets was released");
                event.set().unwrap();
                told.recv_timeout(SOON).expect("the thread that was left was not released");
                assert!(!is_set(&event));
                return true;
            }
            // Two sets are one if a thread has not reached its wait yet: then it is tried again.
            while event.set().is_ok()
                && told.recv_timeout(SILENCE) != Err(mpsc::RecvTimeoutError::Disconnected)
            {}
            event.reset().unwrap();
            false
        };
        assert!((0..8).any(|_| turn()), "the second set was lost each time");
    });
}

// D WSAWaitForMultipleEvents: neither after a time-out nor after another event ended it does a wait take a set.
#[test]
fn ev_02_a_thread_whose_wait_is_over_takes_no_set() {
    promise(|| {
        let both = [auto_reset(), auto_reset()];
        let (tell, told) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel();
        let thread = {
            let both = both.clone();
            thread::spawn(move || {
                for wait in [wait_any, wait_all] {
                    for timeout in [Duration::from_millis(20), SOON] {
                        tell.send(wait(&both, Some(timeout), Alertable::No)).unwrap();
                        goes_on.recv_timeout(SOON).unwrap();
                    }
                }
            })
        };
        for (end, sets) in [(Wait::Index(1), &both[1..]), (Wait::Index(0), &both[..])] {
            for expected in [Wait::TimedOut, end] {
                if expected == end {
                    sets.iter().for_each(|event| event.set().unwrap());
                }
                assert_eq!(told.recv_timeout(SOON), Ok(Ok(expected)));
                for event in &both {
                    event.set().unwrap();
                    becomes_set(event);
                    assert!(!is_set(event));
                }
                go_on.send(()).unwrap();
            }
        }
        thread.join().unwrap();
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

// D WSAWaitForMultipleEvents: also when the sets come while it waits, at the first place and at the last. It takes one.
#[test]
fn ev_03_wait_any_ends_with_the_event_that_is_set_meanwhile() {
    promise(|| {
        let events: Vec<Event> = (0..WAIT_EVENTS_MAX).map(|_| auto_reset()).collect();
        for (first, second) in [(0, 0), (31, 63), (63, 5)] {
            let setter = {
                let events = [events[first].clone(), events[second].clone()];
                thread::spawn(move || {
                    thread::sleep(SETTLE);
                    events.iter().for_each(|event| event.set().unwrap());
                })
            };
            let Ok(Wait::Index(at)) = wait_any(&events, Some(SOON), Alertable::No) else {
                panic!("no index")
            };
            // Which of two depends on whether it waited by then.
            assert!(at == first || at == second, "{at} was not set");
            setter.join().unwrap();
            let left = first + second - at;
            assert!(any_now(&events) == Ok(Wait::Index(left)) || first == second, "{left} was taken as well");
            events[first].reset().unwrap();
            assert_eq!(any_now(&events), Ok(Wait::TimedOut));
        }
    });
}

// D WSAWaitForMultipleEvents: one handle at two places is no error of a wait for any.
#[test]
fn ev_03_an_event_may_stand_twice_in_a_wait_for_any() {
    promise(|| {
        for make in [event, auto_reset] {
            let (one, other) = (make(), make());
            // Also one that was at the later of the two places alone before.
            let later = [other.clone(), other.clone(), one.clone(), other.clone()];
            let events = [other.clone(), one.clone(), one.clone(), other];
            assert_eq!(any_now(&events), Ok(Wait::TimedOut));
            for (events, lowest) in [(&later, 2), (&events, 1), (&events, 1), (&events, 1)] {
                let setter = {
                    let one = one.clone();
                    thread::spawn(move || {
                        thread::sleep(SETTLE / 2);
                        one.set()
                    })
                };
                assert_eq!(wait_any(events, Some(SOON), Alertable::No), Ok(Wait::Index(lowest)));
                setter.join().unwrap().unwrap();
                one.reset().unwrap();
                assert_eq!(any_now(events), Ok(Wait::TimedOut));
                one.set().unwrap();
                assert_eq!(any_now(events), Ok(Wait::Index(lowest)));
                one.reset().unwrap();
            }
        }
    });
}

// D WSAWaitForMultipleEvents.
#[test]
fn ev_05_a_set_from_another_thread_wakes_the_waiter() {
    promise(|| {
        let (any, all, other) = ([auto_reset(), auto_reset()], [auto_reset(), auto_reset()], event());
        all[0].set().unwrap();
        for alertable in [Alertable::No, Alertable::Yes] {
            for timeout in [None, Some(SOON), Some(Duration::MAX)] {
                let (first, second) = (any.clone(), all.clone());
                let waiters = [
                    thread::spawn(move || (wait_any(&first, timeout, alertable), Instant::now())),
                    thread::spawn(move || (wait_all(&second, timeout, alertable), Instant::now())),
                ];
                thread::sleep(SETTLE);
                assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
                let set = Instant::now();
                for event in [&other, &any[1], &all[1]] {
                    event.set().unwrap();
                }
                for (waiter, index) in waiters.into_iter().zip([1, 0]) {
                    let (waited, woken) = waiter.join().unwrap();
                    assert_eq!(waited, Ok(Wait::Index(index)));
                    assert!(woken - set < Duration::from_secs(2), "it was not the set that ended the wait");
                }
                all[0].set().unwrap();
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
            for alertable in [Alertable::No, Alertable::Yes] {
                for timeout in [0, 1, 700, 1000, 1300, 60_000].map(Duration::from_micros) {
                    let start = Instant::now();
                    assert_eq!(wait(&events, Some(timeout), alertable), Ok(Wait::TimedOut));
                    assert!(start.elapsed() >= timeout, "{timeout:?} were cut to {:?}", start.elapsed());
                }
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
                for timeout in [Some(Duration::ZERO), Some(SOON), None] {
                    fails(wait(from_ref(&stale), timeout, Alertable::No), &[ERROR_INVALID_HANDLE]);
                    fails(wait(&both, timeout, Alertable::Yes), &[ERROR_INVALID_HANDLE]);
                }
            }
            // The wait that failed took nothing, and a new event is not taken for the old one.
            assert!(is_set(&open));
            let fresh = event();
            assert!(!is_set(&fresh));
        }
    });
}

// D WSAWaitForMultipleEvents leaves open what a wait does whose event is closed meanwhile: it harms no other.
#[test]
fn ev_06_an_event_that_is_closed_while_it_is_waited_for_harms_no_other() {
    promise(|| {
        for wait in [wait_any, wait_all] {
            let (closed, kept) = (auto_reset(), auto_reset());
            let told = waiters(&kept, 1);
            let both = [closed.clone(), kept.clone()];
            let waiter = thread::spawn(move || wait(&both, Some(SILENCE), Alertable::No));
            thread::sleep(SETTLE);
            closed.close().unwrap();
            // It fails, or goes on until its time is up; the event object of a new one is another.
            let fresh = auto_reset();
            fresh.set().unwrap();
            match waiter.join().unwrap() {
                Ok(waited) => assert_eq!(waited, Wait::TimedOut),
                Err(error) => assert_eq!(error.code(), ERROR_INVALID_HANDLE),
            }
            assert!(is_set(&fresh) && !is_set(&kept));
            kept.set().unwrap();
            assert_eq!(told.recv_timeout(SOON), Ok(0));
            assert!(!is_set(&kept));
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
