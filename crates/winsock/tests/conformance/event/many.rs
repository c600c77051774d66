//! EV, LI: several threads in waits for several events, and more than 64 sockets.

use crate::harness::{SILENCE, SOON, event, is_set, pair, promise};
use doorbell_winsock::event_select::WAIT_EVENTS_MAX;
use doorbell_winsock::overlapped::ToEvent;
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Event, Socket, Wait, wait_any};
use std::slice::from_ref;
use std::sync::mpsc;
use std::thread;

// D WSAWaitForMultipleEvents: two threads, arrays that overlap; each set of an auto-reset event is one thread's.
#[test]
fn ev_02_a_set_goes_to_one_of_two_threads_whose_arrays_overlap() {
    promise(|| {
        let events: Vec<Event> = (0..4).map(|_| Event::auto_reset().unwrap()).collect();
        let stop = event();
        let (tell, told) = mpsc::channel();
        // The first waits for 0, 1, 2, the second for 3, 2, 1.
        let threads = [[0, 1, 2], [3, 2, 1]].map(|mine| {
            let tell = tell.clone();
            let mut array: Vec<Event> = mine.iter().map(|at| events[*at].clone()).collect();
            array.push(stop.clone());
            thread::spawn(move || {
                loop {
                    match wait_any(&array, Some(SOON), Alertable::No) {
                        Ok(Wait::Index(3)) => return,
                        Ok(Wait::Index(at)) => tell.send(mine[at]).unwrap(),
                        other => panic!("{other:?}"),
                    }
                }
            })
        });
        for number in 0..400 {
            let at = number * 7 % 4;
            events[at].set().unwrap();
            assert_eq!(told.recv_timeout(SOON), Ok(at), "set {number} was lost, or went to the wrong place");
        }
        assert!(told.recv_timeout(SILENCE).is_err(), "a set was taken twice");
        stop.set().unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(events.iter().all(|event| !is_set(event)));
    });
}

// D WSAWaitForMultipleEvents: the same with a manual-reset event in both, which releases both.
#[test]
fn ev_02_a_manual_reset_event_in_two_arrays_releases_both_threads() {
    promise(|| {
        let (one, shared, other) = (event(), event(), event());
        for _ in 0..20 {
            let threads = [(one.clone(), 1), (other.clone(), 1)].map(|(own, at)| {
                let array = [own, shared.clone()];
                (thread::spawn(move || wait_any(&array, Some(SOON), Alertable::No)), at)
            });
            shared.set().unwrap();
            for (thread, at) in threads {
                assert_eq!(thread.join().unwrap(), Ok(Wait::Index(at)));
            }
            shared.reset().unwrap();
        }
        assert!(!is_set(&one) && !is_set(&other));
    });
}

// D WSAWaitForMultipleEvents: many threads set, one waits for all of their events, and nothing is lost.
#[test]
fn ev_03_every_set_of_many_threads_is_seen() {
    promise(|| {
        const ROUNDS: usize = 100;
        let pairs: Vec<(Event, Event)> =
            (0..8).map(|_| (Event::auto_reset().unwrap(), Event::auto_reset().unwrap())).collect();
        let threads: Vec<_> = pairs
            .iter()
            .cloned()
            .map(|(set, seen)| {
                thread::spawn(move || {
                    for _ in 0..ROUNDS {
                        set.set().unwrap();
                        assert_eq!(wait_any(from_ref(&seen), Some(SOON), Alertable::No), Ok(Wait::Index(0)));
                    }
                })
            })
            .collect();
        let sets: Vec<Event> = pairs.iter().map(|(set, _)| set.clone()).collect();
        let mut counts = [0; 8];
        for _ in 0..8 * ROUNDS {
            match wait_any(&sets, Some(SOON), Alertable::No) {
                Ok(Wait::Index(at)) => {
                    counts[at] += 1;
                    pairs[at].1.set().unwrap();
                }
                other => panic!("a set was lost: {other:?}, {counts:?}"),
            }
        }
        assert_eq!(counts, [ROUNDS; 8]);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

// D Maximum Number of Sockets Supported; the page of model 4: 64 for each thread, and as many threads as one wants.
#[test]
fn li_02_three_threads_serve_64_sockets_each() {
    promise(|| {
        let (tell, told) = mpsc::channel();
        let (mut peers, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (mut mine, mut theirs): (Vec<Socket>, Vec<Socket>) = (Vec::new(), Vec::new());
            for _ in 0..WAIT_EVENTS_MAX {
                let (a, b) = pair();
                theirs.push(a);
                mine.push(b);
            }
            peers.push(theirs);
            let (tell, done) = (tell.clone(), mpsc::channel::<()>());
            threads.push((
                done.0,
                thread::spawn(move || {
                    serve(&mine, &tell);
                    // A thread that ends takes its pending operations with it: it stays for the other two.
                    done.1.recv().ok();
                }),
            ));
        }
        for round in 0..2u8 {
            // Crosswise, the last socket of each thread first.
            for at in (0..WAIT_EVENTS_MAX).rev() {
                for theirs in &peers {
                    theirs[at].send(&[at as u8, round]).unwrap();
                }
            }
            let mut counts = [0; WAIT_EVENTS_MAX];
            for _ in 0..3 * WAIT_EVENTS_MAX {
                let (at, got) = told.recv_timeout(SOON).expect("a socket was not served");
                assert_eq!(got, [at as u8, round]);
                counts[at] += 1;
            }
            assert_eq!(counts, [3; WAIT_EVENTS_MAX]);
        }
        assert!(told.recv_timeout(SILENCE).is_err());
        for (done, thread) in threads {
            drop(done);
            thread.join().unwrap();
        }
    });
}

/// A worker of model 5: a receive and an event for each of 64 sockets, two messages of two bytes from each.
fn serve(sockets: &[Socket], tell: &mpsc::Sender<(usize, Vec<u8>)>) {
    let events: Vec<Event> = sockets.iter().map(|_| event()).collect();
    let start =
        |at: usize| sockets[at].recv_overlapped(vec![0; 2], Flags::NONE, ToEvent(&events[at])).unwrap();
    let mut receives: Vec<_> = (0..sockets.len()).map(|at| Some(start(at))).collect();
    for _ in 0..2 * sockets.len() {
        match wait_any(&events, Some(SOON), Alertable::No) {
            Ok(Wait::Index(at)) => {
                let mut end = receives[at].take().unwrap().try_take().expect("its event is set");
                assert_eq!(end.result(), Ok(2));
                tell.send((at, end.take_buffer().unwrap())).unwrap();
                receives[at] = Some(start(at));
            }
            other => panic!("{other:?}"),
        }
    }
}
