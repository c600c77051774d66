//! What OV-07 says of operations, for network events: they are recorded and told while the thread that selected
//! computes, sleeps elsewhere, or is gone.
//!
//! The peers belong to the standard library, so nothing that they do drives anything of ours.

use crate::delivery::{event, set_soon, stays_unset};
use crate::harness::{SETTLE, SOON, listener, promise, stream, within};
use doorbell_winsock::async_select::WM_USER;
use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::{Event, Family, Message, MessageQueue, NetEvents, Socket};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const MASK: NetEvents = NetEvents::from_bits(1 | 32);

/// What the thread that selected does from then on.
#[derive(Clone, Copy)]
enum Then {
    Computes,
    Sleeps,
    IsGone,
}

fn foreign_pair() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = stream(Family::V4);
    socket.connect(listener.local_addr().unwrap()).unwrap();
    (socket, listener.accept().unwrap().0)
}

/// Selects in a thread of its own and then runs `body` here, while that thread does as told or is gone.
fn meanwhile(then: Then, select: impl FnOnce() + Send + 'static, body: impl FnOnce()) {
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, told) = mpsc::channel();
    let selecting = {
        let stop = stop.clone();
        thread::spawn(move || {
            select();
            tell.send(()).unwrap();
            while !stop.load(Ordering::SeqCst) {
                match then {
                    Then::Computes => std::hint::spin_loop(),
                    Then::Sleeps => thread::sleep(Duration::from_millis(50)),
                    Then::IsGone => return,
                }
            }
        })
    };
    told.recv_timeout(SOON).expect("it selects");
    assert!(within(SOON, || selecting.is_finished() || !matches!(then, Then::IsGone)));
    body();
    stop.store(true, Ordering::SeqCst);
    selecting.join().unwrap();
}

#[track_caller]
fn recorded(socket: &Socket, event: &Event, expected: NetEvents) {
    set_soon(event);
    assert_eq!(socket.enum_network_events(Some(event)).unwrap().events, expected);
}

fn told_by_event(then: Then) {
    promise(move || {
        let event = event();
        let (socket, mut peer) = foreign_pair();
        let (ours, its) = (socket.clone(), event.clone());
        let select = move || ours.event_select(Some(&its), MASK).unwrap();
        meanwhile(then, select, move || {
            for _ in 0..5 {
                peer.write_all(b"x").unwrap();
                recorded(&socket, &event, NetEvents::READ);
                assert_eq!(socket.recv(&mut [0; 4]), Ok(1));
            }
            drop(peer);
            recorded(&socket, &event, NetEvents::CLOSE);
            stays_unset(&event);
        });
    });
}

// D WSAEventSelect: nothing binds a selection to the thread that made it.
#[test]
fn es_01_it_is_recorded_while_the_selecting_thread_computes() {
    told_by_event(Then::Computes);
}

// D WSAEventSelect.
#[test]
fn es_01_it_is_recorded_while_the_selecting_thread_sleeps_elsewhere() {
    told_by_event(Then::Sleeps);
}

// D WSAEventSelect.
#[test]
fn es_01_it_is_recorded_when_the_selecting_thread_is_gone() {
    told_by_event(Then::IsGone);
}

fn told_by_message(then: Then) {
    promise(move || {
        let queue = MessageQueue::new().unwrap();
        let window = queue.window();
        let (socket, mut peer) = foreign_pair();
        let ours = socket.clone();
        let next = |expected| {
            let message = queue.get(Some(SOON)).unwrap();
            let (id, socket) = (WM_USER, socket.id());
            assert_eq!(message, Some(Message::Socket { id, socket, event: expected, error: 0 }));
        };
        meanwhile(
            then,
            move || ours.async_select(&window, WM_USER, MASK).unwrap(),
            || {
                for _ in 0..5 {
                    peer.write_all(b"x").unwrap();
                    next(NetEvents::READ);
                    assert_eq!(socket.recv(&mut [0; 4]), Ok(1));
                }
                drop(peer);
                next(NetEvents::CLOSE);
            },
        );
    });
}

// D WSAAsyncSelect: nothing binds a registration to the thread that made it, only to the window's.
#[test]
fn as_14_it_is_told_while_the_registering_thread_computes() {
    told_by_message(Then::Computes);
}

// D WSAAsyncSelect.
#[test]
fn as_14_it_is_told_while_the_registering_thread_sleeps_elsewhere() {
    told_by_message(Then::Sleeps);
}

// D WSAAsyncSelect.
#[test]
fn as_14_it_is_told_when_the_registering_thread_is_gone() {
    told_by_message(Then::IsGone);
}

fn accepted(then: Then) {
    promise(move || {
        let event = event();
        let (listener, address) = listener(Family::V4);
        let (ours, its) = (listener.clone(), event.clone());
        let select = move || ours.event_select(Some(&its), MASK | NetEvents::ACCEPT).unwrap();
        meanwhile(then, select, move || {
            for _ in 0..5 {
                let mut client = TcpStream::connect(address).unwrap();
                recorded(&listener, &event, NetEvents::ACCEPT);
                let (socket, _) = listener.accept().unwrap();
                client.write_all(b"x").unwrap();
                recorded(&socket, &event, NetEvents::READ);
                assert_eq!(socket.recv(&mut [0; 4]), Ok(1));
                drop(client);
                recorded(&socket, &event, NetEvents::CLOSE);
                socket.close().unwrap();
            }
        });
    });
}

// D WSAEventSelect: the selection is the listener's, whose thread is elsewhere.
#[test]
fn in_01_an_accepted_socket_is_told_of_while_its_listeners_thread_computes() {
    accepted(Then::Computes);
}

// D WSAEventSelect.
#[test]
fn in_01_an_accepted_socket_is_told_of_when_its_listeners_thread_is_gone() {
    accepted(Then::IsGone);
}

// D WSAAsyncSelect: the window's thread waits already when its first socket is registered.
#[test]
fn as_14_a_registration_reaches_a_pump_that_waits() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let window = queue.window();
        let (socket, mut peer) = foreign_pair();
        let ours = socket.clone();
        let registering = thread::spawn(move || {
            thread::sleep(SETTLE);
            ours.async_select(&window, WM_USER, MASK).unwrap();
            thread::sleep(SETTLE);
            peer.write_all(b"x").unwrap();
            peer
        });
        let (id, event) = (WM_USER, NetEvents::READ);
        let read = Message::Socket { id, socket: socket.id(), event, error: 0 };
        assert_eq!(queue.get(Some(SOON)), Ok(Some(read)));
        drop(registering.join().unwrap());
    });
}

// D WSAEventSelect: another thread waits already for the event object of the first selection.
#[test]
fn es_01_a_selection_reaches_a_thread_that_waits() {
    promise(|| {
        let event = event();
        let (socket, mut peer) = foreign_pair();
        let waiting = {
            let event = event.clone();
            thread::spawn(move || set_soon(&event))
        };
        thread::sleep(SETTLE);
        socket.event_select(Some(&event), MASK).unwrap();
        thread::sleep(SETTLE);
        peer.write_all(b"x").unwrap();
        waiting.join().unwrap();
        recorded(&socket, &event, NetEvents::READ);
    });
}

// D WSAAsyncSelect: what is posted while the window's thread computes waits for it, and is stale by then (AS-07).
#[test]
fn as_14_it_is_posted_while_the_windows_thread_computes() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let (socket, mut peer) = foreign_pair();
        socket.async_select(&queue.window(), WM_USER, MASK).unwrap();
        // Another thread sees from a second socket of this thread that what came before was heard.
        let event = event();
        let (second, mut its_peer) = foreign_pair();
        second.event_select(Some(&event), MASK).unwrap();
        let seen = thread::spawn(move || set_soon(&event));
        peer.write_all(b"x").unwrap();
        its_peer.write_all(b"y").unwrap();
        while !seen.is_finished() {
            std::hint::spin_loop();
        }
        seen.join().unwrap();
        assert_eq!(socket.recv(&mut [0; 4]), Ok(1));
        let (id, event) = (WM_USER, NetEvents::READ);
        let read = Message::Socket { id, socket: socket.id(), event, error: 0 };
        assert_eq!(queue.get(Some(Duration::ZERO)), Ok(Some(read)));
        assert_eq!(socket.recv(&mut [0; 4]).map_err(|error| error.code()), Err(WSAEWOULDBLOCK));
        assert_eq!(queue.get(Some(Duration::ZERO)), Ok(None));
    });
}
