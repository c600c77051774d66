//! CL-05: a new socket on an old handle hears nothing of the old one's registrations.

use crate::delivery::{event, is_set, set_soon, stays_unset};
use crate::harness::{SILENCE, SOON, arrived, pair, promise};
use doorbell_winsock::async_select::WM_USER;
use doorbell_winsock::{Message, MessageQueue, NetEvents};
use std::collections::HashSet;
use std::time::Duration;

// Design; tinymux issue 1832.
#[test]
fn cl_05_a_stale_selection_tells_nothing_of_a_new_socket() {
    promise(|| {
        let (stale, news) = (event(), event());
        for number in 0..100 {
            let (a, b) = pair();
            b.event_select(Some(&stale), NetEvents::READ | NetEvents::CLOSE).unwrap();
            if number % 2 == 0 {
                a.send(b"x").unwrap();
                set_soon(&stale);
            }
            b.close().unwrap();
            a.close().unwrap();
            stale.reset().unwrap();
            let (c, d) = pair();
            c.send(b"y").unwrap();
            arrived(&d, 1);
            assert!(!is_set(&stale));
            assert!(d.enum_network_events(None).unwrap().events.is_empty());
            // It has a record of its own.
            d.event_select(Some(&news), NetEvents::READ | NetEvents::CLOSE).unwrap();
            set_soon(&news);
            assert_eq!(d.enum_network_events(Some(&news)).unwrap().events, NetEvents::READ);
            assert!(!is_set(&stale));
        }
        stays_unset(&stale);
    });
}

// Design; tinymux issue 1832: what is queued may remain (AS-11), under the old name.
#[test]
fn cl_05_a_stale_message_is_never_taken_for_a_new_sockets() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let (mut old, mut kept) = (HashSet::new(), Vec::new());
        for number in 0..100 {
            let (a, b) = pair();
            b.async_select(&queue.window(), WM_USER, NetEvents::ALL).unwrap();
            if number % 2 == 0 {
                a.send(b"x").unwrap();
                arrived(&b, 1);
            }
            old.insert(b.id());
            b.close().unwrap();
            a.close().unwrap();
            let (c, d) = pair();
            c.send(b"y").unwrap();
            arrived(&d, 1);
            assert!(!old.contains(&d.id()));
            kept.push((c, d));
            if number % 10 == 0 {
                kept.clear();
            }
        }
        while let Some(message) = queue.get(Some(SILENCE)).unwrap() {
            let Message::Socket { socket, event, .. } = message else { panic!("{message:?}") };
            assert!(old.contains(&socket), "{message:?} is not of a socket that was registered");
            assert_ne!(event, NetEvents::CLOSE, "{message:?}");
        }
        // Registered themselves, they are told of by their own names.
        let mut unheard: HashSet<_> = kept.iter().map(|(_, d)| d.id()).collect();
        for (_, d) in &kept {
            d.async_select(&queue.window(), WM_USER + 1, NetEvents::READ).unwrap();
        }
        while !unheard.is_empty() {
            let message = queue.get(Some(SOON)).unwrap().expect("a message for each");
            let Message::Socket { id, socket, event, error } = message else { panic!("{message:?}") };
            assert_eq!((id, event, error), (WM_USER + 1, NetEvents::READ, 0));
            assert!(unheard.remove(&socket), "{message:?}");
        }
        assert_eq!(queue.get(Some(Duration::ZERO)), Ok(None));
    });
}
