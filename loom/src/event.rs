//! Event objects and the claims of those who wait: no set is lost, and none ends two waits.

use super::super::engine::home::Home;
use super::claim::Claimed;
use super::object::{Event, try_all};
use loom::thread;
use std::sync::Arc;

/// A thread that waits, in the steps of `event_select.rs`.
struct Waiter {
    home: Arc<Home>,
}

impl Waiter {
    fn new() -> Waiter {
        Waiter { home: Arc::new(Home::new()) }
    }

    fn any(&self, events: &[&Event]) -> Claimed {
        if let Some(claimed) = Waiter::look(events) {
            return claimed;
        }
        for (place, event) in events.iter().enumerate() {
            event.object().add_name(&self.home, place);
        }
        let claimed = self.armed(
            || {
                self.home.claim.arm_any();
                events.iter().all(|event| event.object().is_plain())
            },
            || Waiter::look(events),
        );
        for (place, event) in events.iter().enumerate() {
            event.object().remove_name(&self.home, place);
        }
        claimed
    }

    fn look(events: &[&Event]) -> Option<Claimed> {
        if events.iter().any(|event| event.object().is_closed()) {
            return Some(Claimed::Closed);
        }
        events.iter().position(|event| event.object().take()).map(Claimed::Place)
    }

    fn all(&self, events: &[&Event]) -> Claimed {
        let mut objects: Vec<_> = events.iter().map(|event| event.object().clone()).collect();
        objects.sort_unstable_by_key(Arc::as_ptr);
        self.home.claim.name_all(objects.clone());
        objects.iter().for_each(|object| object.add_name_for_all(&self.home));
        let claimed = self.armed(
            || {
                self.home.claim.arm_all();
                !try_all(&self.home) && !objects.iter().any(|object| object.is_closed())
            },
            || {
                self.home.claim.arm_all();
                try_all(&self.home);
                self.home.claim.disarm()
            },
        );
        let _ = self.home.claim.disarm();
        objects.iter().for_each(|object| object.remove_name_for_all(&self.home));
        self.home.claim.name_all(Vec::new());
        claimed
    }

    fn armed(&self, arm: impl Fn() -> bool, look: impl Fn() -> Option<Claimed>) -> Claimed {
        while !arm() {
            if let Some(claimed) = self.home.claim.disarm().or_else(&look) {
                return claimed;
            }
        }
        loop {
            if let Some(claimed) = self.home.claim.claimed() {
                return claimed;
            }
            self.home.wait(None);
        }
    }
}

fn event(manual_reset: bool) -> Event {
    Event::new(manual_reset).expect("an event")
}

fn set(event: &Event) {
    event.set().expect("it is open");
}

/// Two sets of an auto-reset event end two waits, one each (EV-02).
pub fn each_set_of_an_auto_reset_event_ends_one_wait() {
    crate::walk(|| {
        let event = event(false);
        let waits =
            |event: Event| thread::spawn(move || assert_eq!(Waiter::new().any(&[&event]), Claimed::Place(0)));
        let (one, other) = (waits(event.clone()), waits(event.clone()));
        set(&event);
        one_has_ended(&event);
        set(&event);
        one.join().expect("a waiter");
        other.join().expect("a waiter");
        assert!(!event.object().is_set(), "a wait took no set");
    });
}

/// A set that nobody has taken yet is the same as the next one: wait until it was taken.
fn one_has_ended(event: &Event) {
    while event.object().is_set() {
        thread::yield_now();
    }
}

/// Two threads set an event each, and the one that waits for any hears of both.
pub fn no_set_is_lost_on_a_wait_for_any() {
    crate::walk(|| {
        let events = [event(false), event(false)];
        let sets: Vec<_> = events.iter().cloned().map(|event| thread::spawn(move || set(&event))).collect();
        let waiter = Waiter::new();
        let all = [&events[0], &events[1]];
        let mut heard = [waiter.any(&all), waiter.any(&all)];
        heard.sort_by_key(|claimed| matches!(claimed, Claimed::Place(1)));
        assert_eq!(heard, [Claimed::Place(0), Claimed::Place(1)]);
        sets.into_iter().for_each(|set| set.join().expect("a setter"));
    });
}

/// A reset right behind a set takes nothing from a thread that waited; one that came too late goes on waiting (ES-11).
pub fn a_reset_behind_a_set_leaves_no_thread_half_woken() {
    crate::walk(|| {
        let (pulse, over) = (event(true), event(true));
        let waits = {
            let (pulse, over) = (pulse.clone(), over.clone());
            thread::spawn(move || Waiter::new().any(&[&pulse, &over]))
        };
        set(&pulse);
        pulse.reset().expect("it is open");
        set(&over);
        assert!(matches!(waits.join().expect("a waiter"), Claimed::Place(0 | 1)));
    });
}

/// A wait for all takes both events together or none (EV-04), whoever else takes one of them.
pub fn a_wait_for_all_takes_all_or_nothing() {
    crate::walk(|| {
        let (a, b) = (event(false), event(false));
        let takes = {
            let a = a.clone();
            thread::spawn(move || a.object().take())
        };
        let sets = {
            let (a, b) = (a.clone(), b.clone());
            thread::spawn(move || {
                set(&b);
                set(&a);
            })
        };
        let waits = {
            let (a, b) = (a.clone(), b.clone());
            thread::spawn(move || Waiter::new().all(&[&a, &b]))
        };
        let taken = takes.join().expect("a taker");
        sets.join().expect("a setter");
        if taken {
            // Without it the wait took nothing.
            assert!(b.object().is_set());
            set(&a);
        }
        assert_eq!(waits.join().expect("a waiter"), Claimed::Place(0));
        assert_eq!((a.object().is_set(), b.object().is_set()), (false, false));
    });
}

/// Who waits for an event that is closed fails, however the two meet (EV-06).
pub fn closing_an_event_ends_the_wait_for_it() {
    crate::walk(|| {
        let event = event(true);
        let waits = {
            let event = event.clone();
            thread::spawn(move || Waiter::new().any(&[&event]))
        };
        event.close().expect("it is open");
        assert_eq!(waits.join().expect("a waiter"), Claimed::Closed);
    });
}
