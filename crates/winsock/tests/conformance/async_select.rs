//! AS: network events as messages. What is promised of network events however they are told stands with `event_select`.

mod again;
mod queue;

use crate::delivery::QUIET;
use crate::harness::{
    SETTLE, SILENCE, SOON, arrived, fails, families, listener, pair, pair_of, promise, readable, refusing,
    stream,
};
use doorbell_winsock::async_select::{WM_USER, WM_USER_MAX};
use doorbell_winsock::error::{ERROR_INVALID_PARAMETER, WSAECONNREFUSED, WSAENOTSOCK, WSAEWOULDBLOCK};
use doorbell_winsock::socket::SocketId;
use doorbell_winsock::{Family, Message, MessageQueue, NetEvents, Socket, Window};
use std::collections::HashSet;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The two ids of these tests.
const ONE: u32 = WM_USER + 1;
const TWO: u32 = WM_USER + 2;

/// The next message, which must be this network event.
#[track_caller]
fn next(queue: &MessageQueue, id: u32, socket: &Socket, event: NetEvents, error: i32) {
    let expected = Message::Socket { id, socket: socket.id(), event, error };
    assert_eq!(queue.get(Some(SOON)), Ok(Some(expected)));
}

#[track_caller]
fn nothing(queue: &MessageQueue) {
    assert_eq!(queue.get(Some(QUIET)), Ok(None));
}

/// A window whose thread hands on what it is told, until it is told `TWO`.
fn elsewhere() -> (Window, mpsc::Receiver<Message>, thread::JoinHandle<()>) {
    let (tell_window, window) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let pump = thread::spawn(move || {
        let queue = MessageQueue::new().unwrap();
        tell_window.send(queue.window()).unwrap();
        queue
            .run(|message| {
                if matches!(message, Message::Posted { id: TWO, .. }) {
                    return std::ops::ControlFlow::Break(());
                }
                tell.send(message).unwrap();
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
    });
    (window.recv_timeout(SOON).unwrap(), told, pump)
}

// D WSAAsyncSelect; W test_connect_events.
#[test]
fn as_01_each_network_event_is_a_message_of_its_own() {
    promise(|| {
        for family in families() {
            let queue = MessageQueue::new().unwrap();
            let (_listener, address) = listener(family);
            let (socket, idle) = (stream(family), stream(family));
            socket.async_select(&queue.window(), ONE, NetEvents::CONNECT | NetEvents::WRITE).unwrap();
            idle.async_select(&queue.window(), ONE, NetEvents::ALL).unwrap();
            nothing(&queue);
            fails(socket.connect(address), &[WSAEWOULDBLOCK]);
            next(&queue, ONE, &socket, NetEvents::CONNECT, 0);
            next(&queue, ONE, &socket, NetEvents::WRITE, 0);
            nothing(&queue);
        }
    });
}

// D WSAAsyncSelect.
#[test]
fn as_01_each_socket_has_the_id_that_it_was_registered_under() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let ((a, b), (c, d)) = (pair(), pair());
        for (id, socket) in [(WM_USER, &b), (WM_USER_MAX, &d)] {
            socket.async_select(&queue.window(), id, NetEvents::READ | NetEvents::CLOSE).unwrap();
        }
        for _ in 0..2 {
            c.send(b"x").unwrap();
            next(&queue, WM_USER_MAX, &d, NetEvents::READ, 0);
            assert_eq!(d.recv(&mut [0; 4]), Ok(1));
            a.send(b"x").unwrap();
            next(&queue, WM_USER, &b, NetEvents::READ, 0);
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        }
        a.close().unwrap();
        next(&queue, WM_USER, &b, NetEvents::CLOSE, 0);
        nothing(&queue);
    });
}

// D WSAAsyncSelect: the ids below WM_USER are the system's.
#[test]
fn as_01_an_id_that_is_the_systems_is_refused() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let (a, b) = pair();
        for id in [0, 1, WM_USER - 1, WM_USER_MAX + 1, u32::MAX] {
            fails(b.async_select(&queue.window(), id, NetEvents::READ), &[ERROR_INVALID_PARAMETER]);
        }
        a.send(b"x").unwrap();
        nothing(&queue);
        // Nothing was changed: it blocks still.
        b.set_nonblocking(false).unwrap();
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        b.close().unwrap();
        fails(b.async_select(&queue.window(), ONE, NetEvents::READ), &[WSAENOTSOCK]);
        fails(b.async_select(&queue.window(), ONE, NetEvents::NONE), &[WSAENOTSOCK]);
    });
}

// D WSAAsyncSelect; W test_read_events; NE-04.
#[test]
fn as_04_data_is_told_once_until_a_receive() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let ((a, b), (c, d)) = (pair(), pair());
        b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        // Told and left unread: another's receives are not its own.
        d.async_select(&queue.window(), TWO, NetEvents::READ).unwrap();
        c.send(b"x").unwrap();
        next(&queue, TWO, &d, NetEvents::READ, 0);
        for _ in 0..2 {
            a.send(b"x").unwrap();
            next(&queue, ONE, &b, NetEvents::READ, 0);
            for sent in 2..5 {
                a.send(b"x").unwrap();
                arrived(&b, sent);
            }
            nothing(&queue);
            assert_eq!(b.recv(&mut [0; 8]), Ok(4));
            nothing(&queue);
        }
        assert_eq!(d.recv(&mut [0; 8]), Ok(1));
        c.send(b"x").unwrap();
        next(&queue, TWO, &d, NetEvents::READ, 0);
        nothing(&queue);
    });
}

// D WSAAsyncSelect.
#[test]
fn as_05_every_receive_that_leaves_data_posts_one_more() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let (a, b) = pair();
        a.send(b"12345678").unwrap();
        arrived(&b, 8);
        b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        next(&queue, ONE, &b, NetEvents::READ, 0);
        for receives in [2, 1, 3] {
            for _ in 0..receives {
                assert_eq!(b.recv(&mut [0; 1]), Ok(1));
                // Windows and Wine post from elsewhere, and one message for two receives that come too fast.
                thread::sleep(Duration::from_millis(30));
            }
            for _ in 0..receives {
                next(&queue, ONE, &b, NetEvents::READ, 0);
            }
            nothing(&queue);
        }
        // The one that leaves nothing posts nothing.
        assert_eq!(b.recv(&mut [0; 8]), Ok(2));
        nothing(&queue);
    });
}

// D WSAAsyncSelect.
#[test]
fn as_07_a_message_may_be_stale() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let (a, b) = pair();
        for _ in 0..2 {
            a.send(b"abc").unwrap();
            arrived(&b, 3);
            b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
            // It is posted; real Windows takes its time.
            thread::sleep(SETTLE);
            assert_eq!(b.recv(&mut [0; 8]), Ok(3));
            next(&queue, ONE, &b, NetEvents::READ, 0);
            fails(b.recv(&mut [0; 8]), &[WSAEWOULDBLOCK]);
            // What comes behind it is told.
            a.send(b"d").unwrap();
            next(&queue, ONE, &b, NetEvents::READ, 0);
            assert_eq!(b.recv(&mut [0; 8]), Ok(1));
            b.async_select(&queue.window(), ONE, NetEvents::NONE).unwrap();
            nothing(&queue);
        }
        // So with a connection that is taken before its message.
        let (listener, address) = listener(Family::V4);
        listener.async_select(&queue.window(), TWO, NetEvents::ACCEPT).unwrap();
        for _ in 0..2 {
            let client = stream(Family::V4);
            client.connect(address).unwrap();
            readable(&listener);
            thread::sleep(SETTLE);
            listener.accept().unwrap();
            next(&queue, TWO, &listener, NetEvents::ACCEPT, 0);
            fails(listener.accept(), &[WSAEWOULDBLOCK]);
        }
        nothing(&queue);
    });
}

// D accept; W test_accept_events. IN-01 has more.
#[test]
fn as_08_an_accepted_socket_has_mask_window_and_id_of_its_listener() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let (window, told, pump) = elsewhere();
        let (listener, address) = listener(Family::V4);
        let (other, _) = crate::harness::listener(Family::V4);
        other.async_select(&queue.window(), TWO, NetEvents::ALL).unwrap();
        listener.async_select(&queue.window(), ONE, NetEvents::ACCEPT | NetEvents::WRITE).unwrap();
        let expect = |socket: SocketId, event| {
            let message = Message::Socket { id: WM_USER_MAX, socket, event, error: 0 };
            assert_eq!(told.recv_timeout(SOON), Ok(message));
        };
        let a = stream(Family::V4);
        a.connect(address).unwrap();
        next(&queue, ONE, &listener, NetEvents::ACCEPT, 0);
        // What counts is what the listener has at the accept; what it has later is its own.
        listener.async_select(&window, WM_USER_MAX, NetEvents::ACCEPT | NetEvents::READ).unwrap();
        expect(listener.id(), NetEvents::ACCEPT);
        let (b, _) = listener.accept().unwrap();
        listener.async_select(&queue.window(), TWO, NetEvents::ALL).unwrap();
        a.send(b"x").unwrap();
        expect(b.id(), NetEvents::READ);
        listener.close().unwrap();
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        // Neither FD_WRITE nor FD_CLOSE was the listener's.
        a.close().unwrap();
        assert!(told.recv_timeout(SILENCE).is_err());
        nothing(&queue);
        window.post(TWO, 0, 0).unwrap();
        pump.join().unwrap();
    });
}

// W test_connect_events; D WSAAsyncSelect.
#[test]
fn as_09_a_connect_is_told_with_its_outcome_and_before_the_room() {
    promise(|| {
        for family in families() {
            let queue = MessageQueue::new().unwrap();
            let (_kept, nobody) = refusing(family);
            let (_listener, address) = listener(family);
            for _ in 0..5 {
                let (refused, connected) = (stream(family), stream(family));
                refused.async_select(&queue.window(), ONE, NetEvents::ALL).unwrap();
                fails(refused.connect(nobody), &[WSAEWOULDBLOCK]);
                next(&queue, ONE, &refused, NetEvents::CONNECT, WSAECONNREFUSED);
                connected.async_select(&queue.window(), ONE, NetEvents::ALL).unwrap();
                fails(connected.connect(address), &[WSAEWOULDBLOCK]);
                next(&queue, ONE, &connected, NetEvents::CONNECT, 0);
                next(&queue, ONE, &connected, NetEvents::WRITE, 0);
                // The refused one tells of its next connect as well.
                fails(refused.connect(address), &[WSAEWOULDBLOCK]);
                next(&queue, ONE, &refused, NetEvents::CONNECT, 0);
                next(&queue, ONE, &refused, NetEvents::WRITE, 0);
            }
            nothing(&queue);
        }
    });
}

// W test_connect_events (NE-21): what `connect` did before is not told by message.
#[test]
fn ne_21_registering_a_connected_socket_tells_of_no_connect() {
    promise(|| {
        for family in families() {
            let queue = MessageQueue::new().unwrap();
            let (a, b) = pair_of(family);
            for socket in [&a, &b, &a] {
                socket.async_select(&queue.window(), ONE, NetEvents::ALL).unwrap();
                next(&queue, ONE, socket, NetEvents::WRITE, 0);
                nothing(&queue);
            }
        }
    });
}

// D WSAAsyncSelect; W test_iocp.
#[test]
fn as_11_closing_posts_nothing() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let mask = NetEvents::ALL.without(NetEvents::WRITE);
        let ((a, b), (c, d), (e, f)) = (pair(), pair(), pair());
        b.async_select(&queue.window(), ONE, mask).unwrap();
        d.async_select(&queue.window(), TWO, mask).unwrap();
        f.async_select(&queue.window(), ONE, mask).unwrap();
        b.close().unwrap();
        nothing(&queue);
        let _ = a.send(b"x");
        a.close().unwrap();
        nothing(&queue);
        // Of what is queued no more than that remains.
        c.send(b"x").unwrap();
        arrived(&d, 1);
        thread::sleep(SETTLE);
        d.close().unwrap();
        c.close().unwrap();
        let id = d.id();
        if let Some(message) = queue.get(Some(SILENCE)).unwrap() {
            assert_eq!(message, Message::Socket { id: TWO, socket: id, event: NetEvents::READ, error: 0 });
        }
        nothing(&queue);
        // Another's go on.
        e.close().unwrap();
        next(&queue, ONE, &f, NetEvents::CLOSE, 0);
    });
}

// D; blog model 3.
#[test]
fn as_13_a_window_serves_any_number_of_sockets() {
    const SOCKETS: usize = 200;
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let (listener, address) = listener(Family::V4);
        let pairs: Vec<_> = (0..SOCKETS)
            .map(|_| {
                let client = stream(Family::V4);
                client.connect(address).unwrap();
                (client, listener.accept().unwrap().0)
            })
            .collect();
        for (_, b) in &pairs {
            b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        }
        for _ in 0..2 {
            for (a, _) in pairs.iter().rev() {
                a.send(b"x").unwrap();
            }
            let mut unheard: HashSet<_> = pairs.iter().map(|(_, b)| b.id()).collect();
            while !unheard.is_empty() {
                let message = queue.get(Some(SOON)).unwrap().expect("a message for each");
                let Message::Socket { id: ONE, socket, event: NetEvents::READ, error: 0 } = message else {
                    panic!("{message:?}")
                };
                assert!(unheard.remove(&socket), "{message:?} came twice");
            }
            for (_, b) in &pairs {
                assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            }
        }
        nothing(&queue);
    });
}
