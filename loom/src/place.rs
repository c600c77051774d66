//! The word that says where a thread is: no wake is lost.

use super::place::{Place, Where};
use crate::atomic::{AtomicBool, Ordering::SeqCst};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;

/// Two threads wake one that sleeps in its bed until both have been there.
pub fn a_wake_reaches_a_thread_that_goes_to_sleep() {
    crate::walk(|| {
        let place = Arc::new(Place::new());
        let called = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let callers: Vec<_> = (0..2)
            .map(|number| {
                let (place, called) = (place.clone(), called.clone());
                thread::spawn(move || {
                    called[number].store(true, SeqCst);
                    let _ = place.wake();
                })
            })
            .collect();
        while !called.iter().all(|called| called.load(SeqCst)) {
            place.sleep(None);
        }
        callers.into_iter().for_each(|caller| caller.join().expect("a caller"));
    });
}

/// The thread waits in a domain, which is a bell here: whoever wakes it rings if he has to.
pub fn a_wake_rings_for_a_thread_that_waits_in_a_domain() {
    crate::walk(|| {
        let place = Arc::new(Place::new());
        let called = Arc::new(AtomicBool::new(false));
        let domain = Arc::new((Mutex::new(false), Condvar::new()));
        let caller = {
            let (place, called, domain) = (place.clone(), called.clone(), domain.clone());
            thread::spawn(move || {
                called.store(true, SeqCst);
                if place.wake() == Some(Where::Selection) {
                    *domain.0.lock().expect("the bell") = true;
                    domain.1.notify_all();
                }
            })
        };
        while !called.load(SeqCst) {
            if place.enter(Where::Selection) {
                let mut rung = domain.0.lock().expect("the bell");
                while !*rung {
                    rung = domain.1.wait(rung).expect("the bell");
                }
            }
            place.leave();
        }
        caller.join().expect("the caller");
    });
}
