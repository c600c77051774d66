//! What a thread runs in its alertable waits: each once, in the order of each who queued it, and none after its end.

use super::super::engine::home::Home;
use super::queue::Apc;
use crate::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::overlapped::Completion;
use loom::thread;
use std::sync::Arc;

/// Routines and user APCs from two threads, one of which finds the other asleep.
pub fn no_apc_is_lost_or_slept_over() {
    crate::walk(|| {
        let home = Arc::new(Home::new());
        let worked = Arc::new(AtomicUsize::new(0));
        let routines = {
            let home = home.clone();
            thread::spawn(move || {
                for number in 0..2 {
                    assert!(home.apcs.push_routine(number, Completion(number)).is_none());
                    home.wake();
                }
            })
        };
        let apc = {
            let (home, worked) = (home.clone(), worked.clone());
            thread::spawn(move || {
                let work = Box::new(move || _ = worked.fetch_add(1, SeqCst));
                assert!(home.apcs.push(Apc::Work(work)).is_none());
                home.wake();
            })
        };
        let mut ran = Vec::new();
        while ran.len() < 2 || worked.load(SeqCst) < 1 {
            // As the waits do: the lock is taken only where something is queued.
            match home.apcs.any().then(|| home.apcs.pop()).flatten() {
                Some(Apc::Work(work)) => work(),
                Some(Apc::Routine(number, completion)) => {
                    assert_eq!(completion, Completion(number));
                    ran.push(number);
                }
                None => home.wait(None),
            }
        }
        assert_eq!(ran, [0, 1]);
        assert!(!home.apcs.any());
        routines.join().expect("the routines");
        apc.join().expect("the APC");
    });
}

/// A push that meets the thread's end is dropped with it or comes back, never both and never neither (CR-20).
pub fn what_meets_the_end_of_the_thread_is_given_back_or_dropped() {
    struct Alive(Arc<AtomicUsize>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    crate::walk(|| {
        let home = Arc::new(Home::new());
        let alive = Arc::new(AtomicUsize::new(1));
        let pushes = {
            let (home, alive) = (home.clone(), Alive(alive.clone()));
            thread::spawn(move || {
                let work = Box::new(move || {
                    let _ = &alive;
                    panic!("nothing runs in a thread that has ended");
                });
                drop(home.apcs.push(Apc::Work(work)));
            })
        };
        home.apcs.close();
        pushes.join().expect("the push");
        assert_eq!(alive.load(SeqCst), 0, "it is kept by nobody");
        assert!(home.apcs.pop().is_none() && !home.apcs.any());
    });
}
