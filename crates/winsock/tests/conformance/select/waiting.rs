//! SE: what wakes the threads that wait in select, and how often they are told.

use crate::harness::{
    SETTLE, SOON, arrived, connecting, fails, families, listener, pair, pair_of, promise, readable, stream,
    within,
};
use doorbell_winsock::error::WSAENOTSOCK;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, FdSet, select};
use std::thread;
use std::time::Duration;

const ZERO: Option<Duration> = Some(Duration::ZERO);

// W test_select.
#[test]
fn se_16_closing_a_selected_socket_wakes_the_thread() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let (_c, d) = pair_of(family);
            let waiting = {
                let (b, d) = (b.clone(), d.clone());
                thread::spawn(move || {
                    let mut read = FdSet::from_iter([&d, &b]);
                    (select(Some(&mut read), None, None, Some(Duration::from_secs(20))), read)
                })
            };
            thread::sleep(Duration::from_millis(150));
            b.close().unwrap();
            assert!(within(SOON, || waiting.is_finished()), "select sleeps on");
            let (total, read) = waiting.join().unwrap();
            assert_eq!(total, Ok(1));
            assert!(read.contains(&b) && !read.contains(&d));
            drop(a);
        }
    });
}

// W test_select: whatever state it is in, and though it is in all three sets.
#[test]
fn se_16_closing_a_socket_in_any_state_wakes_the_thread() {
    promise(|| {
        let (_a, connected) = pair();
        let (under_way, _address, _keep) = connecting();
        let states = [stream(Family::V4), listener(Family::V4).0, under_way, connected];
        // The connected one would be writable.
        let in_write_set = [true, true, true, false];
        for (socket, write_too) in states.into_iter().zip(in_write_set) {
            let waiting = {
                let socket = socket.clone();
                thread::spawn(move || {
                    let mut read = FdSet::from_iter([&socket]);
                    let mut write = if write_too { read.clone() } else { FdSet::new() };
                    let mut except = read.clone();
                    let limit = Some(Duration::from_secs(20));
                    let total = select(Some(&mut read), Some(&mut write), Some(&mut except), limit);
                    (total, read.len(), write.len(), except.len())
                })
            };
            thread::sleep(SETTLE);
            assert!(!waiting.is_finished());
            socket.close().unwrap();
            assert!(within(SOON, || waiting.is_finished()), "select sleeps on");
            assert_eq!(waiting.join().unwrap(), (Ok(1), 1, 0, 0));
        }
    });
}

// W test_select.
#[test]
fn se_16_closing_a_socket_in_the_except_set_is_an_error() {
    promise(|| {
        let (_a, b) = pair();
        let waiting = {
            let b = b.clone();
            thread::spawn(move || {
                let mut except = FdSet::from_iter([&b]);
                select(None, None, Some(&mut except), Some(Duration::from_secs(20)))
            })
        };
        thread::sleep(Duration::from_millis(150));
        b.close().unwrap();
        assert!(within(SOON, || waiting.is_finished()), "select sleeps on");
        fails(waiting.join().unwrap(), &[WSAENOTSOCK]);
    });
}

// W test_select: every thread that waits is woken, and a listener is no other case.
#[test]
fn se_16_closing_a_listener_wakes_every_thread() {
    promise(|| {
        let (listener, _) = listener(Family::V4);
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let listener = listener.clone();
                thread::spawn(move || {
                    select(
                        Some(&mut FdSet::from_iter([&listener])),
                        None,
                        None,
                        Some(Duration::from_secs(20)),
                    )
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(150));
        listener.close().unwrap();
        for thread in waiting {
            assert!(within(SOON, || thread.is_finished()), "select sleeps on");
            assert_eq!(thread.join().unwrap(), Ok(1));
        }
    });
}

// D select.
#[test]
fn se_17_every_call_reports_what_lasts() {
    promise(|| {
        let (a, b) = pair();
        a.send(b"12345").unwrap();
        arrived(&b, 5);
        for _ in 0..5 {
            assert_eq!(select(Some(&mut FdSet::from_iter([&b])), None, None, ZERO), Ok(1));
        }
        // Reading a part and peeking change nothing; reading the rest does.
        assert_eq!(b.recv(&mut [0; 2]), Ok(2));
        assert_eq!(b.recv_with(&mut [0; 8], Flags::PEEK), Ok(3));
        assert_eq!(select(Some(&mut FdSet::from_iter([&b])), None, None, ZERO), Ok(1));
        assert_eq!(b.recv(&mut [0; 3]), Ok(3));
        assert_eq!(select(Some(&mut FdSet::from_iter([&b])), None, None, ZERO), Ok(0));
        // The end lasts for ever.
        a.close().unwrap();
        readable(&b);
        for _ in 0..3 {
            assert_eq!(b.recv(&mut [0; 3]), Ok(0));
            assert_eq!(select(Some(&mut FdSet::from_iter([&b])), None, None, ZERO), Ok(1));
        }
    });
}

// D select: two threads may wait for one socket; both are told.
#[test]
fn se_17_two_threads_that_select_one_socket_are_both_told() {
    promise(|| {
        let (a, b) = pair();
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let b = b.clone();
                thread::spawn(move || select(Some(&mut FdSet::from_iter([&b])), None, None, Some(SOON)))
            })
            .collect();
        thread::sleep(SETTLE);
        a.send(b"x").unwrap();
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Ok(1));
        }
    });
}
