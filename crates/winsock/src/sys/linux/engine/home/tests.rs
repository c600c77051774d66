use super::super::super::startup;
use super::{Home, here};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);

/// The domains a home may have: none, one of either kind, or both.
fn settle(home: &Arc<Home>, domains: usize) {
    startup::startup().unwrap();
    if domains & 1 != 0 {
        home.operations().unwrap().note_pending();
    }
    if domains & 2 != 0 {
        home.selection().unwrap().note_pending();
    }
}

#[test]
fn no_wake_is_lost_wherever_the_thread_is() {
    const ROUNDS: usize = 2000;
    for domains in 0..4 {
        let (tell, told) = mpsc::channel();
        let (asked, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let home = here().unwrap();
                settle(&home, domains);
                tell.send(home.clone()).unwrap();
                while seen.load(SeqCst) < ROUNDS {
                    // A lost wake would last for ever.
                    home.wait(None);
                    seen.store(asked.load(SeqCst), SeqCst);
                }
            });
            let home = told.recv().unwrap();
            for round in 1..=ROUNDS {
                asked.store(round, SeqCst);
                home.wake();
                let start = Instant::now();
                while seen.load(SeqCst) < round {
                    assert!(start.elapsed() < SOON, "wake {round} was lost with domains {domains}");
                    // Now and then long enough for the guard to come between.
                    if round % 100 == 0 {
                        thread::sleep(Duration::from_millis(1));
                    } else {
                        thread::yield_now();
                    }
                }
                if round % 200 == 0 {
                    thread::sleep(Duration::from_millis(5));
                }
            }
        });
    }
}

#[test]
fn a_wake_before_the_wait_ends_it_and_only_it() {
    for domains in 0..4 {
        thread::spawn(move || {
            let home = here().unwrap();
            settle(&home, domains);
            home.wake();
            home.wake();
            home.wait(None);
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(20) {
                home.wait(Some(Duration::from_millis(20)));
            }
        })
        .join()
        .unwrap();
    }
}

#[test]
fn a_time_out_of_zero_does_not_wait() {
    let home = here().unwrap();
    let start = Instant::now();
    home.wait(Some(Duration::ZERO));
    settle(&home, 3);
    home.wait(Some(Duration::ZERO));
    home.look();
    assert!(start.elapsed() < SOON);
}
