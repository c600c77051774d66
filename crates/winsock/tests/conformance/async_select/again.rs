//! AS-02, AS-03, AS-06, AS-12: what a later selection of the same socket does.

use super::{ONE, TWO, elsewhere, next, nothing};
use crate::delivery::{QUIET, event, is_set, set_soon, stays_unset};
use crate::harness::{
    SETTLE, SILENCE, SOON, arrived, fails, listener, pair, promise, readable, stream, within,
};
use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::{Family, Message, MessageQueue, NetEvents, Socket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// The set of network events that come until nothing does any more, each once and as a message of its own.
#[track_caller]
fn all(queue: &MessageQueue, id: u32, socket: &Socket) -> NetEvents {
    let mut seen = NetEvents::NONE;
    while let Some(message) = queue.get(Some(QUIET)).unwrap() {
        let Message::Socket { id: of, socket: named, event, error: 0 } = message else {
            panic!("{message:?}")
        };
        assert!((of, named, event.iter().count()) == (id, socket.id(), 1), "{message:?}");
        assert!(!seen.contains(event), "{message:?} came twice");
        seen |= event;
    }
    seen
}

// D WSAAsyncSelect.
#[test]
fn as_02_a_later_registration_replaces_mask_and_id() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let ((a, b), (c, d)) = (pair(), pair());
        d.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        b.async_select(&queue.window(), TWO, NetEvents::WRITE).unwrap();
        next(&queue, TWO, &b, NetEvents::WRITE, 0);
        a.send(b"x").unwrap();
        nothing(&queue);
        // Masks do not add up in the other order either.
        b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        next(&queue, ONE, &b, NetEvents::READ, 0);
        nothing(&queue);
        // What is queued by then comes as it was posted.
        b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        thread::sleep(SETTLE);
        b.async_select(&queue.window(), TWO, NetEvents::READ | NetEvents::WRITE).unwrap();
        next(&queue, ONE, &b, NetEvents::READ, 0);
        assert_eq!(all(&queue, TWO, &b), NetEvents::READ | NetEvents::WRITE);
        // Another's registration is its own.
        c.send(b"x").unwrap();
        next(&queue, ONE, &d, NetEvents::READ, 0);
    });
}

// D WSAAsyncSelect.
#[test]
fn as_02_and_the_window() {
    promise(|| {
        let (queue, beside) = (MessageQueue::new().unwrap(), MessageQueue::new().unwrap());
        let (window, told, pump) = elsewhere();
        let (a, b) = pair();
        b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        b.async_select(&window, ONE, NetEvents::READ).unwrap();
        let (id, socket, event) = (ONE, b.id(), NetEvents::READ);
        let read = Message::Socket { id, socket, event, error: 0 };
        a.send(b"x").unwrap();
        assert_eq!(told.recv_timeout(SOON), Ok(read));
        nothing(&queue);
        // And back, and to another window of this thread.
        for (mine, other) in [(&queue, &beside), (&beside, &queue)] {
            b.async_select(&mine.window(), ONE, NetEvents::READ).unwrap();
            next(mine, ONE, &b, NetEvents::READ, 0);
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            a.send(b"x").unwrap();
            nothing(other);
            next(mine, ONE, &b, NetEvents::READ, 0);
        }
        assert!(told.recv_timeout(SILENCE).is_err());
        window.post(TWO, 0, 0).unwrap();
        pump.join().unwrap();
    });
}

// D WSAAsyncSelect.
#[test]
fn as_03_an_empty_mask_stops_new_messages_and_no_queued_ones() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let ((a, b), (c, d), (e, f), (g, h)) = (pair(), pair(), pair(), pair());
        a.send(b"x").unwrap();
        arrived(&b, 1);
        for socket in [&b, &d, &f, &h] {
            socket.async_select(&queue.window(), ONE, NetEvents::READ | NetEvents::CLOSE).unwrap();
        }
        c.send(b"x").unwrap();
        arrived(&d, 1);
        // What holds is posted, and what has come; real Windows takes its time.
        thread::sleep(SETTLE);
        for socket in [&b, &d, &f] {
            socket.async_select(&queue.window(), ONE, NetEvents::NONE).unwrap();
        }
        for socket in [&b, &d] {
            next(&queue, ONE, socket, NetEvents::READ, 0);
            assert_eq!(socket.recv(&mut [0; 1]), Ok(1));
        }
        for socket in [&a, &c, &e] {
            socket.send(b"y").unwrap();
            socket.close().unwrap();
        }
        nothing(&queue);
        // Another's go on.
        g.send(b"x").unwrap();
        next(&queue, ONE, &h, NetEvents::READ, 0);
    });
}

// D WSAAsyncSelect; W test_read_events, test_write_events, test_accept_events, test_close_events.
#[test]
fn as_06_registering_again_posts_again_what_holds() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let (listener, address) = listener(Family::V4);
        let (a, b) = pair();
        let (c, d) = pair();
        let (_e, f) = pair();
        a.send(b"x").unwrap();
        arrived(&b, 1);
        c.close().unwrap();
        readable(&d);
        let _client = {
            let client = stream(Family::V4);
            client.connect(address).unwrap();
            client
        };
        readable(&listener);
        let (read, write, close) = (NetEvents::READ, NetEvents::WRITE, NetEvents::CLOSE);
        let mask = read | close;
        for _ in 0..2 {
            for (socket, mask, holds) in [
                (&b, mask, read),
                (&b, mask | write, read | write),
                (&d, mask, close),
                (&listener, NetEvents::ACCEPT, NetEvents::ACCEPT),
                (&f, mask, NetEvents::NONE),
                (&f, write, write),
            ] {
                socket.async_select(&queue.window(), ONE, mask).unwrap();
                assert_eq!(all(&queue, ONE, socket), holds);
            }
        }
    });
}

// D WSAAsyncSelect: whoever registers while something comes.
#[test]
fn as_06_registering_while_something_comes_loses_nothing() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let (a, b) = pair();
        b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let registering = {
            let (b, window, stop, turns) = (b.clone(), queue.window(), stop.clone(), turns.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    for mask in [NetEvents::NONE, NetEvents::READ, NetEvents::READ] {
                        b.async_select(&window, ONE, mask).unwrap();
                    }
                    turns.fetch_add(1, Ordering::SeqCst);
                    // What is unread is posted each time: the pump is to keep up.
                    thread::sleep(Duration::from_micros(100));
                }
            })
        };
        for _ in 0..50 {
            let before = turns.load(Ordering::SeqCst);
            assert!(within(SOON, || turns.load(Ordering::SeqCst) > before));
            a.send(b"x").unwrap();
            next(&queue, ONE, &b, NetEvents::READ, 0);
            // A message may be stale (AS-07).
            while b.recv(&mut [0; 4]) != Ok(1) {
                next(&queue, ONE, &b, NetEvents::READ, 0);
            }
        }
        stop.store(true, Ordering::SeqCst);
        registering.join().unwrap();
        while queue.get(Some(QUIET)).unwrap().is_some() {
            fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
        }
        // Nothing is left of the many: data is told once.
        a.send(b"x").unwrap();
        next(&queue, ONE, &b, NetEvents::READ, 0);
        nothing(&queue);
    });
}

// D WSAAsyncSelect, WSAEventSelect.
#[test]
fn as_12_only_the_last_of_the_two_selections_is_active() {
    promise(|| {
        let (queue, event, its) = (MessageQueue::new().unwrap(), event(), event());
        let ((a, b), (c, d), (e, f)) = (pair(), pair(), pair());
        // Two others stay as they are.
        d.async_select(&queue.window(), TWO, NetEvents::READ).unwrap();
        f.event_select(Some(&its), NetEvents::READ).unwrap();
        for _ in 0..2 {
            b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
            b.event_select(Some(&event), NetEvents::READ).unwrap();
            a.send(b"x").unwrap();
            set_soon(&event);
            nothing(&queue);
            event.reset().unwrap();
            // It holds, and so it is posted.
            b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
            next(&queue, ONE, &b, NetEvents::READ, 0);
            assert!(!is_set(&event));
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            a.send(b"y").unwrap();
            next(&queue, ONE, &b, NetEvents::READ, 0);
            stays_unset(&event);
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        }
        // Either ends the other also by an empty mask.
        b.event_select(None, NetEvents::NONE).unwrap();
        a.send(b"z").unwrap();
        nothing(&queue);
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        b.event_select(Some(&event), NetEvents::READ).unwrap();
        b.async_select(&queue.window(), ONE, NetEvents::NONE).unwrap();
        a.send(b"z").unwrap();
        stays_unset(&event);
        nothing(&queue);
        // As by an empty mask, what is queued is still delivered.
        b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        thread::sleep(SETTLE);
        b.event_select(None, NetEvents::NONE).unwrap();
        next(&queue, ONE, &b, NetEvents::READ, 0);
        assert!(!is_set(&its));
        c.send(b"x").unwrap();
        next(&queue, TWO, &d, NetEvents::READ, 0);
        e.send(b"x").unwrap();
        set_soon(&its);
        nothing(&queue);
    });
}
