//! ES: the record of network events and its event object. What is promised of network events however they are told (NE
//! and its neighbours) stands in the files below.

mod accept;
mod again;
mod close;
mod connect;
mod mode;
mod object;
mod one_wait;
mod progress;
mod reads;
mod stale;
mod threads;
mod urgent;
mod writes;

use crate::delivery::{event, is_set, set_soon, stays_unset};
use crate::harness::{
    SETTLE, SOON, arrived, fails, families, is_one_of, listener, pair, pair_of, promise, readable, reset,
    stream,
};
use doorbell_winsock::error::{WSAECONNABORTED, WSAECONNRESET, WSAEWOULDBLOCK};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::{
    Error, Event, Family, FdSet, NetEvents, NetworkEvents, Socket, Wait, select, wait_any,
};
use std::thread;
use std::time::Duration;

/// What the record of this socket has, which is then empty; the event object stays as it is.
#[track_caller]
fn record(socket: &Socket) -> NetEvents {
    let record = socket.enum_network_events(None).expect("the record");
    assert_eq!(record.events.iter().map(|event| record.error(event)).sum::<i32>(), 0, "an error");
    record.events
}

/// Waits until the event object is set; gives what the record has, and resets the event object in the same step.
#[track_caller]
fn next_record(socket: &Socket, event: &Event) -> NetEvents {
    set_soon(event);
    socket.enum_network_events(Some(event)).expect("the record").events
}

/// A pair whose second end has this selection and nothing in its record.
fn selected_pair(event: &Event, mask: NetEvents) -> (Socket, Socket) {
    let (a, b) = pair();
    b.event_select(Some(event), mask).unwrap();
    let writable = mask & NetEvents::WRITE;
    if !writable.is_empty() {
        assert_eq!(next_record(&b, event), writable);
    }
    (a, b)
}

// D WSAEventSelect.
#[test]
fn es_01_what_is_recorded_sets_the_event_object() {
    promise(|| {
        for family in families() {
            let ((a, b), (_c, d)) = (pair_of(family), pair_of(family));
            let (ours, other) = (event(), event());
            b.event_select(Some(&ours), NetEvents::READ).unwrap();
            d.event_select(Some(&other), NetEvents::READ).unwrap();
            stays_unset(&ours);
            a.send(b"abc").unwrap();
            assert_eq!(next_record(&b, &ours), NetEvents::READ);
            assert_eq!(b.recv(&mut [0; 8]), Ok(3));
            // The neighbour's is untouched.
            stays_unset(&other);
            assert_eq!(record(&d), NetEvents::NONE);
        }
    });
}

// D WSAEventSelect.
#[test]
fn es_01_what_is_not_selected_sets_nothing() {
    promise(|| {
        let event = event();
        let (a, b) = pair();
        b.event_select(Some(&event), NetEvents::CLOSE).unwrap();
        a.send(b"x").unwrap();
        arrived(&b, 1);
        stays_unset(&event);
        assert_eq!(record(&b), NetEvents::NONE);
        // What is selected does so still.
        assert_eq!(b.recv(&mut [0; 8]), Ok(1));
        a.close().unwrap();
        assert_eq!(next_record(&b, &event), NetEvents::CLOSE);
    });
}

// D WSAEventSelect: the event object may be waited for by any number of threads.
#[test]
fn es_01_every_thread_that_waits_for_the_event_object_wakes() {
    promise(|| {
        let event = event();
        let (a, b) = selected_pair(&event, NetEvents::READ);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let event = event.clone();
                thread::spawn(move || wait_any(&[event], Some(SOON), Alertable::No))
            })
            .collect();
        a.send(b"x").unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Ok(Wait::Index(0)));
        }
        assert_eq!(next_record(&b, &event), NetEvents::READ);
    });
}

// D WSAEnumNetworkEvents; WA test_get_events.
#[test]
fn es_02_enumerating_takes_all_recorded_bits_together() {
    promise(|| {
        let event = event();
        let (a, b) = pair();
        a.send(b"x").unwrap();
        arrived(&b, 1);
        b.event_select(Some(&event), NetEvents::READ | NetEvents::WRITE | NetEvents::CLOSE).unwrap();
        set_soon(&event);
        // Nothing says that they are recorded at one time.
        thread::sleep(SETTLE);
        let taken = b.enum_network_events(Some(&event)).unwrap();
        assert_eq!(taken.events, NetEvents::READ | NetEvents::WRITE);
        assert_eq!(b.enum_network_events(Some(&event)).unwrap(), NetworkEvents::default());
        stays_unset(&event);
        assert_eq!(record(&b), NetEvents::NONE);
        // Reset is what is given, whosever it is.
        let other = crate::delivery::event();
        other.set().unwrap();
        assert_eq!(b.recv(&mut [0; 1]), Ok(1));
        a.send(b"x").unwrap();
        set_soon(&event);
        assert_eq!(b.enum_network_events(Some(&other)).unwrap().events, NetEvents::READ);
        assert_eq!((is_set(&event), is_set(&other)), (true, false));
    });
}

// D WSAEventSelect: what is recorded beside something sets the event object as well, and is taken with it.
#[test]
fn es_02_what_was_recorded_one_after_the_other_is_taken_together() {
    promise(|| {
        let event = event();
        let (listener, address) = listener(Family::V4);
        let socket = stream(Family::V4);
        socket.event_select(Some(&event), NetEvents::ALL).unwrap();
        fails(socket.connect(address), &[WSAEWOULDBLOCK]);
        set_soon(&event);
        // Nothing says that the connect and its room are recorded at one time.
        thread::sleep(SETTLE);
        event.reset().unwrap();
        let (peer, _) = listener.accept().unwrap();
        peer.send(b"x").unwrap();
        let all = NetEvents::CONNECT | NetEvents::WRITE | NetEvents::READ;
        assert_eq!(next_record(&socket, &event), all);
        stays_unset(&event);
    });
}

// D WSAEnumNetworkEvents: the record is taken and the event object reset in one step, so nothing falls between.
#[test]
fn es_02_no_wake_up_is_lost_between_the_record_and_the_reset() {
    const BYTES: usize = 300;
    promise(|| {
        let event = event();
        let (a, b) = selected_pair(&event, NetEvents::READ);
        let sender = thread::spawn(move || {
            for number in 0..BYTES {
                a.send(&[number as u8]).unwrap();
                if number % 7 == 0 {
                    thread::yield_now();
                }
            }
            a
        });
        let mut got = Vec::new();
        while got.len() < BYTES {
            // A lost one would leave this wait alone.
            if next_record(&b, &event).contains(NetEvents::READ) {
                let mut byte = [0; 1];
                assert_eq!(b.recv(&mut byte), Ok(1));
                got.push(byte[0]);
            }
        }
        assert!((0..BYTES).all(|number| got[number] == number as u8));
        drop(sender.join().unwrap());
        stays_unset(&event);
    });
}

// D WSAEnumNetworkEvents: the record is taken, so only one of two threads has it.
#[test]
fn es_02_of_two_threads_that_enumerate_one_gets_it() {
    promise(|| {
        let event = event();
        let (a, b) = selected_pair(&event, NetEvents::READ);
        for _ in 0..30 {
            a.send(b"x").unwrap();
            set_soon(&event);
            let takers: Vec<_> = (0..2)
                .map(|_| {
                    let b = b.clone();
                    thread::spawn(move || record(&b))
                })
                .collect();
            let taken: Vec<_> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
            assert_eq!(taken.iter().filter(|taken| **taken == NetEvents::READ).count(), 1, "{taken:?}");
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            event.reset().unwrap();
        }
    });
}

// W test_WSAEnumNetworkEvents.
#[test]
fn es_03_without_the_event_object_it_stays_set() {
    promise(|| {
        let event = event();
        let (a, b) = selected_pair(&event, NetEvents::READ);
        a.send(b"x").unwrap();
        set_soon(&event);
        assert_eq!(record(&b), NetEvents::READ);
        for _ in 0..2 {
            assert!(is_set(&event));
            assert_eq!(record(&b), NetEvents::NONE);
        }
        event.reset().unwrap();
        stays_unset(&event);
    });
}

// W test_WSAEnumNetworkEvents.
#[test]
fn es_04_slots_of_events_that_are_not_reported_stay_untouched() {
    promise(|| {
        let event = event();
        let (a, b) = selected_pair(&event, NetEvents::READ | NetEvents::CLOSE);
        let mut into = NetworkEvents { events: NetEvents::ALL, errors: [77; 6] };
        b.enum_network_events_into(None, &mut into).unwrap();
        assert_eq!(into, NetworkEvents { events: NetEvents::NONE, errors: [77; 6] });
        a.send(b"x").unwrap();
        set_soon(&event);
        b.enum_network_events_into(Some(&event), &mut into).unwrap();
        assert_eq!(into, NetworkEvents { events: NetEvents::READ, errors: [0, 77, 77, 77, 77, 77] });
        // Of a slot that is not meant nothing is told.
        assert_eq!((into.error(NetEvents::READ), into.error(NetEvents::CLOSE)), (0, 0));
        // The slot of an event is the number of its bit.
        reset(&a);
        set_soon(&event);
        into.errors = [77; 6];
        b.enum_network_events_into(Some(&event), &mut into).unwrap();
        assert_eq!((into.events, &into.errors[..5]), (NetEvents::CLOSE, &[77; 5][..]));
        is_one_of(Error::new("", into.errors[5]), &[WSAECONNRESET, WSAECONNABORTED]);
        let named = [
            NetEvents::READ,
            NetEvents::WRITE,
            NetEvents::OOB,
            NetEvents::ACCEPT,
            NetEvents::CONNECT,
            NetEvents::CLOSE,
        ];
        assert_eq!(named.map(NetEvents::bits), [1, 2, 4, 8, 16, 32]);
    });
}

// W test_read_events.
#[test]
fn es_09_a_receive_before_enumerating_takes_the_record_back() {
    promise(|| {
        let event = event();
        let (a, b) = selected_pair(&event, NetEvents::READ);
        for pieces in [&[8][..], &[1, 8], &[1, 1, 8]] {
            a.send(b"abc").unwrap();
            set_soon(&event);
            arrived(&b, 3);
            for piece in pieces {
                b.recv(&mut vec![0; *piece]).unwrap();
            }
            assert!(is_set(&event));
            assert_eq!(record(&b), NetEvents::NONE);
            event.reset().unwrap();
            stays_unset(&event);
            // What comes next is recorded again. With something left it is recorded still, or again.
            a.send(b"de").unwrap();
            set_soon(&event);
            arrived(&b, 2);
            assert_eq!(b.recv(&mut [0; 1]), Ok(1));
            assert!(is_set(&event));
            assert_eq!(record(&b), NetEvents::READ);
            assert_eq!(b.recv(&mut [0; 1]), Ok(1));
            event.reset().unwrap();
        }
    });
}

// W test_read_events: it takes back no more than that.
#[test]
fn es_09_a_receive_leaves_what_else_is_recorded() {
    promise(|| {
        let event = event();
        let (a, b) = pair();
        a.send(b"x").unwrap();
        arrived(&b, 1);
        b.event_select(Some(&event), NetEvents::READ | NetEvents::WRITE | NetEvents::CLOSE).unwrap();
        set_soon(&event);
        thread::sleep(SETTLE);
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        assert_eq!(next_record(&b, &event), NetEvents::WRITE);
        a.close().unwrap();
        set_soon(&event);
        assert_eq!(b.recv(&mut [0; 4]), Ok(0));
        assert_eq!(next_record(&b, &event), NetEvents::CLOSE);
        stays_unset(&event);
    });
}

// W test_accept_events.
#[test]
fn es_09_so_does_an_accept() {
    promise(|| {
        let event = event();
        let (listener, address) = listener(Family::V4);
        listener.event_select(Some(&event), NetEvents::ACCEPT).unwrap();
        for _ in 0..2 {
            stream(Family::V4).connect(address).unwrap();
            set_soon(&event);
            listener.accept().unwrap();
            assert!(is_set(&event));
            assert_eq!(record(&listener), NetEvents::NONE);
            event.reset().unwrap();
            stays_unset(&event);
        }
        // With another one left it is recorded still, or again.
        let _clients = [(); 2].map(|()| {
            let client = stream(Family::V4);
            client.connect(address).unwrap();
            client
        });
        set_soon(&event);
        listener.accept().unwrap();
        assert!(is_set(&event));
        assert_eq!(record(&listener), NetEvents::ACCEPT);
        listener.accept().unwrap();
        event.reset().unwrap();
        stays_unset(&event);
        assert_eq!(record(&listener), NetEvents::NONE);
    });
}

// W test_write_events.
#[test]
fn es_10_a_send_before_enumerating_does_not() {
    promise(|| {
        let event = event();
        let (a, b) = pair();
        a.event_select(Some(&event), NetEvents::WRITE).unwrap();
        set_soon(&event);
        for _ in 0..2 {
            assert_eq!(a.send(b"x"), Ok(1));
        }
        assert_eq!(next_record(&a, &event), NetEvents::WRITE);
        assert_eq!(a.send(b"x"), Ok(1));
        stays_unset(&event);
        arrived(&b, 3);
    });
}

// W test_select_after_WSAEventSelect.
#[test]
fn se_18_select_neither_takes_a_network_event_nor_raises_it_again() {
    promise(|| {
        let event = event();
        let (a, b) = selected_pair(&event, NetEvents::READ);
        a.send(b"x").unwrap();
        set_soon(&event);
        event.reset().unwrap();
        for _ in 0..2 {
            let mut read = FdSet::from_iter([&b]);
            assert_eq!(select(Some(&mut read), None, None, Some(Duration::ZERO)), Ok(1));
        }
        stays_unset(&event);
        assert_eq!(record(&b), NetEvents::READ);
        // So with a connection that waits, and with an end.
        let (listener, address) = listener(Family::V4);
        listener.event_select(Some(&event), NetEvents::ACCEPT).unwrap();
        let client = stream(Family::V4);
        client.connect(address).unwrap();
        let (c, d) = selected_pair(&event, NetEvents::CLOSE);
        c.close().unwrap();
        for socket in [&listener, &d] {
            readable(socket);
        }
        thread::sleep(SETTLE);
        set_soon(&event);
        event.reset().unwrap();
        for _ in 0..2 {
            let mut read = FdSet::from_iter([&listener, &d]);
            assert_eq!(select(Some(&mut read), None, None, Some(Duration::ZERO)), Ok(2));
        }
        stays_unset(&event);
        assert_eq!((record(&listener), record(&d)), (NetEvents::ACCEPT, NetEvents::CLOSE));
    });
}

// D WSADuplicateSocket (CL-06): the two are one socket.
#[test]
fn cl_06_a_selection_outlives_one_of_two_duplicates() {
    promise(|| {
        let event = event();
        let (a, b) = selected_pair(&event, NetEvents::READ | NetEvents::CLOSE);
        let twin = b.duplicate().unwrap();
        a.send(b"xy").unwrap();
        assert_eq!(next_record(&twin, &event), NetEvents::READ);
        arrived(&b, 2);
        assert_eq!(twin.recv(&mut [0; 1]), Ok(1));
        assert_eq!(next_record(&b, &event), NetEvents::READ);
        b.close().unwrap();
        stays_unset(&event);
        assert_eq!(twin.recv(&mut [0; 1]), Ok(1));
        a.send(b"z").unwrap();
        assert_eq!(next_record(&twin, &event), NetEvents::READ);
        assert_eq!(twin.recv(&mut [0; 1]), Ok(1));
        a.close().unwrap();
        assert_eq!(next_record(&twin, &event), NetEvents::CLOSE);
    });
}
