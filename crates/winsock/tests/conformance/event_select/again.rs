//! ES-05 to ES-08: what selecting again reports, and what it does not.

use super::{next_record, record, selected_pair};
use crate::delivery::{event, set_soon, stays_unset};
use crate::harness::{SILENCE, SOON, arrived, listener, pair, promise, readable, stream, within};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::{Family, NetEvents, Wait, wait_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

// W test_read_events, test_write_events, test_accept_events, test_close_events.
#[test]
fn es_05_selecting_again_does_not_report_again() {
    promise(|| {
        let event = event();
        let (a, b) = pair();
        a.send(b"x").unwrap();
        arrived(&b, 1);
        let mask = NetEvents::READ | NetEvents::WRITE;
        b.event_select(Some(&event), mask).unwrap();
        let mut seen = NetEvents::NONE;
        while seen != mask {
            seen |= next_record(&b, &event);
        }
        let other = crate::delivery::event();
        for through_none in [false, true] {
            for event in [&other, &event] {
                if through_none {
                    b.event_select(None, NetEvents::NONE).unwrap();
                }
                b.event_select(Some(event), mask).unwrap();
                stays_unset(event);
                assert_eq!(record(&b), NetEvents::NONE);
            }
        }
        // Nor does it when another thread selects.
        let (its, theirs) = (b.clone(), event.clone());
        thread::spawn(move || its.event_select(Some(&theirs), mask).unwrap()).join().unwrap();
        stays_unset(&event);
        assert_eq!(record(&b), NetEvents::NONE);
        // The call that consumes it enables it as ever.
        a.send(b"y").unwrap();
        arrived(&b, 2);
        assert_eq!(b.recv(&mut [0; 1]), Ok(1));
        assert_eq!(next_record(&b, &event), NetEvents::READ);
    });
}

// W test_accept_events, test_close_events.
#[test]
fn es_05_nor_does_it_a_connection_that_waits_or_an_end() {
    promise(|| {
        let (listening, ended) = (event(), event());
        let (listener, address) = listener(Family::V4);
        let (a, b) = selected_pair(&ended, NetEvents::CLOSE);
        listener.event_select(Some(&listening), NetEvents::ACCEPT).unwrap();
        stream(Family::V4).connect(address).unwrap();
        assert_eq!(next_record(&listener, &listening), NetEvents::ACCEPT);
        a.close().unwrap();
        assert_eq!(next_record(&b, &ended), NetEvents::CLOSE);
        for mask in [NetEvents::NONE, NetEvents::ALL] {
            listener.event_select(Some(&listening), mask & NetEvents::ACCEPT).unwrap();
            b.event_select(Some(&ended), mask & NetEvents::CLOSE).unwrap();
        }
        stays_unset(&listening);
        stays_unset(&ended);
    });
}

// W test_write_events, test_close_events.
#[test]
fn es_06_a_wider_mask_reports_at_once_what_holds_already() {
    promise(|| {
        let event = event();
        let (a, b) = selected_pair(&event, NetEvents::CLOSE);
        b.event_select(Some(&event), NetEvents::CLOSE | NetEvents::WRITE).unwrap();
        assert_eq!(next_record(&b, &event), NetEvents::WRITE);
        a.send(b"x").unwrap();
        arrived(&b, 1);
        stays_unset(&event);
        b.event_select(Some(&event), NetEvents::ALL.without(NetEvents::CLOSE)).unwrap();
        // Not that there is room: that was reported.
        assert_eq!(next_record(&b, &event), NetEvents::READ);
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        a.close().unwrap();
        readable(&b);
        stays_unset(&event);
        b.event_select(Some(&event), NetEvents::ALL).unwrap();
        assert_eq!(next_record(&b, &event), NetEvents::CLOSE);
        stays_unset(&event);
    });
}

// W test_read_events.
#[test]
fn es_07_what_came_while_it_was_not_selected_is_reported_later() {
    promise(|| {
        let event = event();
        for before in [NetEvents::NONE, NetEvents::WRITE] {
            let (a, b) = selected_pair(&event, before);
            a.send(b"x").unwrap();
            arrived(&b, 1);
            stays_unset(&event);
            b.event_select(Some(&event), before | NetEvents::READ).unwrap();
            assert_eq!(next_record(&b, &event), NetEvents::READ);
            // Consumed by then it is not.
            b.event_select(Some(&event), before).unwrap();
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            a.send(b"y").unwrap();
            arrived(&b, 1);
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            b.event_select(Some(&event), before | NetEvents::READ).unwrap();
            stays_unset(&event);
            assert_eq!(record(&b), NetEvents::NONE);
            // What a receive left is.
            b.event_select(Some(&event), before).unwrap();
            a.send(b"xy").unwrap();
            arrived(&b, 2);
            assert_eq!(b.recv(&mut [0; 1]), Ok(1));
            b.event_select(Some(&event), before | NetEvents::READ).unwrap();
            assert_eq!(next_record(&b, &event), NetEvents::READ);
        }
    });
}

// W test_accept_events.
#[test]
fn es_07_so_is_a_connection_that_waits() {
    promise(|| {
        for accepted_before in [false, true] {
            let event = event();
            let (listener, address) = listener(Family::V4);
            listener.event_select(Some(&event), NetEvents::NONE).unwrap();
            let client = stream(Family::V4);
            client.connect(address).unwrap();
            readable(&listener);
            let accepted = accepted_before.then(|| listener.accept().unwrap());
            listener.event_select(Some(&event), NetEvents::ACCEPT).unwrap();
            if accepted.is_some() {
                stays_unset(&event);
            } else {
                assert_eq!(next_record(&listener, &event), NetEvents::ACCEPT);
            }
        }
    });
}

// WA test_get_events.
#[test]
fn es_08_enumerating_leaves_what_is_outside_the_mask() {
    promise(|| {
        for (meanwhile, consumed) in
            [(NetEvents::WRITE, false), (NetEvents::NONE, false), (NetEvents::WRITE, true)]
        {
            let event = event();
            let (a, b) = selected_pair(&event, NetEvents::READ);
            a.send(b"x").unwrap();
            set_soon(&event);
            event.reset().unwrap();
            b.event_select(Some(&event), meanwhile).unwrap();
            if !meanwhile.is_empty() {
                assert_eq!(next_record(&b, &event), meanwhile);
            }
            assert_eq!(record(&b), NetEvents::NONE);
            if consumed {
                assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            }
            stays_unset(&event);
            b.event_select(Some(&event), NetEvents::READ | meanwhile).unwrap();
            if consumed {
                stays_unset(&event);
                assert_eq!(record(&b), NetEvents::NONE);
            } else {
                assert_eq!(next_record(&b, &event), NetEvents::READ);
            }
        }
    });
}

// D WSAEventSelect: "a network event that has already happened is recorded", whoever selects while it happens.
#[test]
fn es_07_selecting_while_something_comes_loses_nothing() {
    promise(|| {
        let event = event();
        let (a, b) = pair();
        let stop = Arc::new(AtomicBool::new(false));
        let turns = Arc::new(AtomicUsize::new(0));
        let selecting = {
            let (b, event, stop, turns) = (b.clone(), event.clone(), stop.clone(), turns.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    b.event_select(None, NetEvents::NONE).unwrap();
                    b.event_select(Some(&event), NetEvents::READ).unwrap();
                    turns.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        for _ in 0..50 {
            let before = turns.load(Ordering::SeqCst);
            assert!(within(SOON, || turns.load(Ordering::SeqCst) > before));
            a.send(b"x").unwrap();
            let mut seen = NetEvents::NONE;
            assert!(within(SOON, || {
                seen |= record(&b);
                seen == NetEvents::READ
            }));
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        }
        stop.store(true, Ordering::SeqCst);
        selecting.join().unwrap();
        // And what was taken once is not there again.
        event.reset().unwrap();
        assert_eq!(wait_any(&[event], Some(SILENCE), Alertable::No), Ok(Wait::TimedOut));
        assert_eq!(record(&b), NetEvents::NONE);
    });
}
