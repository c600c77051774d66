//! ES-11 to ES-15: the event object of a selection: shared, replaced, left behind, of the other kind, none at all.

use super::{next_record, record, selected_pair};
use crate::delivery::{event, is_set, set_soon, stays_unset};
use crate::harness::{arrived, fails, pair, promise};
use doorbell_winsock::error::{ERROR_INVALID_HANDLE, WSAEINVAL, WSAENOTSOCK};
use doorbell_winsock::{Event, NetEvents, NetworkEvents};

// D WSAEventSelect.
#[test]
fn es_11_sockets_that_share_an_event_object_keep_records_of_their_own() {
    promise(|| {
        let event = event();
        let (a, b) = selected_pair(&event, NetEvents::READ);
        let (c, d) = selected_pair(&event, NetEvents::READ);
        c.send(b"x").unwrap();
        set_soon(&event);
        event.reset().unwrap();
        a.send(b"y").unwrap();
        set_soon(&event);
        assert_eq!(b.enum_network_events(Some(&event)).unwrap().events, NetEvents::READ);
        // The other's wake-up is gone with it, its record is not.
        stays_unset(&event);
        assert_eq!(record(&d), NetEvents::READ);
    });
}

// D WSAEventSelect.
#[test]
fn es_12_another_event_object_is_set_from_then_on() {
    promise(|| {
        let (first, second) = (event(), event());
        let (a, b) = selected_pair(&first, NetEvents::READ);
        let (c, d) = selected_pair(&first, NetEvents::READ);
        b.event_select(Some(&second), NetEvents::READ).unwrap();
        a.send(b"x").unwrap();
        assert_eq!(next_record(&b, &second), NetEvents::READ);
        stays_unset(&first);
        // What is recorded and was not taken sets the new one too.
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        a.send(b"y").unwrap();
        set_soon(&second);
        b.event_select(Some(&first), NetEvents::READ).unwrap();
        assert_eq!(next_record(&b, &first), NetEvents::READ);
        // The one that was set stays so, and another's selection is its own.
        assert!(is_set(&second));
        stays_unset(&first);
        c.send(b"z").unwrap();
        assert_eq!(next_record(&d, &first), NetEvents::READ);
    });
}

// D WSAEventSelect, CloseHandle: the system keeps what it needs of it.
#[test]
fn es_12_an_event_object_that_is_gone_harms_nothing() {
    promise(|| {
        for close in [false, true] {
            let gone = event();
            let (a, b) = selected_pair(&gone, NetEvents::READ);
            if close {
                gone.close().unwrap();
            }
            drop(gone);
            a.send(b"x").unwrap();
            arrived(&b, 1);
            let event = event();
            b.event_select(Some(&event), NetEvents::READ).unwrap();
            assert_eq!(next_record(&b, &event), NetEvents::READ);
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        }
    });
}

// WA test_event_select; P8.
#[test]
fn es_13_an_ended_selection_leaves_the_event_object_set() {
    promise(|| {
        let event = event();
        // An empty mask ends it also if an event object comes with it.
        for given in [None, Some(&event)] {
            let (a, b) = selected_pair(&event, NetEvents::READ);
            a.send(b"x").unwrap();
            set_soon(&event);
            b.event_select(given, NetEvents::NONE).unwrap();
            assert!(is_set(&event));
            assert_eq!(record(&b), NetEvents::NONE);
            assert!(is_set(&event));
            assert_eq!(b.enum_network_events(Some(&event)).unwrap(), NetworkEvents::default());
            assert!(!is_set(&event));
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            a.send(b"y").unwrap();
            stays_unset(&event);
        }
    });
}

// D WSAEventSelect; P8.
#[test]
fn es_14_an_auto_reset_event_serves_too() {
    promise(|| {
        let event = Event::auto_reset().unwrap();
        let (a, b) = pair();
        b.event_select(Some(&event), NetEvents::READ).unwrap();
        for _ in 0..2 {
            a.send(b"x").unwrap();
            set_soon(&event);
            stays_unset(&event);
            assert_eq!(record(&b), NetEvents::READ);
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        }
        // Enumerating resets it without a wait.
        event.set().unwrap();
        assert_eq!(b.enum_network_events(Some(&event)).unwrap(), NetworkEvents::default());
        stays_unset(&event);
    });
}

// WA test_event_select; P8.
#[test]
fn es_15_what_is_refused() {
    promise(|| {
        let event = event();
        let (a, b) = selected_pair(&event, NetEvents::READ);
        for mask in NetEvents::ALL.iter() {
            fails(b.event_select(None, mask), &[WSAEINVAL]);
        }
        // What was selected stands.
        a.send(b"x").unwrap();
        assert_eq!(next_record(&b, &event), NetEvents::READ);
        b.event_select(Some(&event), NetEvents::NONE).unwrap();
        b.event_select(None, NetEvents::NONE).unwrap();
        b.close().unwrap();
        fails(b.event_select(Some(&event), NetEvents::READ), &[WSAENOTSOCK]);
        fails(b.event_select(None, NetEvents::NONE), &[WSAENOTSOCK]);
        fails(b.enum_network_events(None), &[WSAENOTSOCK]);
        fails(b.enum_network_events(Some(&event)), &[WSAENOTSOCK]);
    });
}

// D WSAEnumNetworkEvents; P8 (EV-06).
#[test]
fn es_15_a_closed_event_object_is_refused() {
    promise(|| {
        let (stands, closed) = (event(), event());
        let (a, b) = selected_pair(&stands, NetEvents::READ);
        closed.close().unwrap();
        fails(b.enum_network_events(Some(&closed)), &[ERROR_INVALID_HANDLE]);
        fails(b.event_select(Some(&closed), NetEvents::READ), &[ERROR_INVALID_HANDLE]);
        // What was selected stands, and what is recorded is not lost.
        a.send(b"x").unwrap();
        set_soon(&stands);
        fails(b.enum_network_events(Some(&closed)), &[ERROR_INVALID_HANDLE]);
        assert_eq!(next_record(&b, &stands), NetEvents::READ);
    });
}
