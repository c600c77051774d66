//! What is Linux's own here: edges that other threads bring, descriptors that change under a selection, and what a
//! close leaves behind. The promises of the calls stand in `tests/conformance`.

use super::on_ready;
use crate::async_select::{Message, MessageQueue, WM_USER};
use crate::error::{ERROR_GEN_FAILURE, WSAEWOULDBLOCK};
use crate::event_select::{Event, NetEvents, Wait, wait_all, wait_any};
use crate::overlapped::ToPort;
use crate::port::CompletionPort;
use crate::routine::Alertable;
use crate::socket::{BACKLOG_MAX, Family, Kind, Socket};
use crate::sys::linux::os::epoll::Ready;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);

fn listener() -> (Socket, SocketAddr) {
    let listener = Socket::new(Family::V4, Kind::Stream).unwrap();
    listener.bind(([127, 0, 0, 1], 0).into()).unwrap();
    listener.listen(BACKLOG_MAX).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn pair() -> (Socket, Socket) {
    let (listener, address) = listener();
    let client = Socket::new(Family::V4, Kind::Stream).unwrap();
    client.connect(address).unwrap();
    (client, listener.accept().unwrap().0)
}

fn selected(mask: NetEvents) -> (Socket, Socket, Event) {
    let (client, server) = pair();
    let event = Event::new().unwrap();
    server.event_select(Some(&event), mask).unwrap();
    (client, server, event)
}

fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < SOON, "it never came to that");
        thread::yield_now();
    }
}

fn set_within(event: &Event, timeout: Duration) -> bool {
    let waited = wait_any(std::slice::from_ref(event), Some(timeout), Alertable::No);
    waited == Ok(Wait::Index(0))
}

#[test]
fn an_edge_that_is_older_than_the_receive_tells_nothing() {
    let (client, server, _event) = selected(NetEvents::READ);
    // This thread waits nowhere, so the guard brings the edges while it receives.
    for _ in 0..3000 {
        client.send(b"x").unwrap();
        until(|| server.bytes_available().unwrap() > 0);
        assert_eq!(server.recv(&mut [0; 8]), Ok(1));
        assert_eq!(server.enum_network_events(None).unwrap().events, NetEvents::NONE);
    }
    thread::sleep(Duration::from_millis(20));
    assert_eq!(server.enum_network_events(None).unwrap().events, NetEvents::NONE);
}

#[test]
fn an_edge_that_is_here_before_the_word_of_the_connect_tells_that_first() {
    let queue = MessageQueue::new().unwrap();
    let (_listener, address) = listener();
    let client = Socket::new(Family::V4, Kind::Stream).unwrap();
    client.async_select(&queue.window(), WM_USER, NetEvents::ALL).unwrap();
    assert_eq!(client.connect(address).unwrap_err().code(), WSAEWOULDBLOCK);
    let core = client.sys.core_even_closed();
    let told = |event| {
        let message = queue.get(Some(SOON)).unwrap();
        assert!(
            matches!(message, Some(Message::Socket { event: told, error: 0, .. }) if told == event),
            "{message:?}"
        );
    };
    told(NetEvents::CONNECT);
    told(NetEvents::WRITE);
    // As if it had not been said yet that the connect has ended.
    core.selection.lock().unwrap().record.connecting();
    let ready = Ready {
        token: 0,
        readable: false,
        writable: true,
        data: false,
        urgent: false,
        ended: false,
        broken: false,
        hung_up: false,
    };
    on_ready(core, ready);
    told(NetEvents::CONNECT);
    told(NetEvents::WRITE);
}

/// One thread waits, another receives, so each edge meets receives in progress; sooner or later all comes through.
#[test]
fn an_edge_from_before_the_connect_is_no_end() {
    let (listener, address) = listener();
    let (client, event) = (Socket::new(Family::V4, Kind::Stream).unwrap(), Event::new().unwrap());
    client.event_select(Some(&event), NetEvents::CONNECT | NetEvents::CLOSE).unwrap();
    // What Linux says of a socket that is not connected.
    let before = Ready {
        token: 0,
        readable: true,
        writable: true,
        data: false,
        urgent: false,
        ended: true,
        broken: false,
        hung_up: true,
    };
    let _ = client.connect(address);
    let _server = listener.accept().unwrap();
    assert!(set_within(&event, SOON));
    assert_eq!(client.enum_network_events(Some(&event)).unwrap().events, NetEvents::CONNECT);
    let core = client.sys.core().unwrap().clone();
    thread::spawn(move || on_ready(&core, before)).join().unwrap();
    assert_eq!(client.enum_network_events(None).unwrap().events, NetEvents::NONE);
}

#[test]
fn nothing_is_lost_between_the_thread_that_waits_and_the_one_that_receives() {
    const BYTES: usize = 400_000;
    let (client, server) = pair();
    let (taken, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (calls, called) = mpsc::channel::<()>();
    let waiter = thread::spawn({
        let (server, over) = (server.clone(), over.clone());
        move || {
            let event = Event::new().unwrap();
            server.event_select(Some(&event), NetEvents::READ | NetEvents::CLOSE).unwrap();
            while !over.load(SeqCst) {
                assert!(set_within(&event, SOON), "an edge was lost");
                if server.enum_network_events(Some(&event)).unwrap().contains(NetEvents::READ) {
                    calls.send(()).unwrap();
                }
            }
        }
    });
    let receiver = thread::spawn({
        let (taken, over) = (taken.clone(), over.clone());
        move || {
            for () in called {
                let mut buffer = [0; 700];
                match server.recv(&mut buffer) {
                    Ok(bytes) => taken.fetch_add(bytes, SeqCst),
                    Err(error) => {
                        assert_eq!(error.code(), WSAEWOULDBLOCK);
                        continue;
                    }
                };
                if taken.load(SeqCst) == BYTES {
                    over.store(true, SeqCst);
                }
            }
        }
    });
    for chunk in [[7; 500].as_slice(), &[7; 1500]].into_iter().cycle().take(BYTES / 1000) {
        client.send(chunk).unwrap();
    }
    // The end comes behind everything, and lets the waiter see that it is over.
    until(|| taken.load(SeqCst) == BYTES);
    client.close().unwrap();
    waiter.join().unwrap();
    receiver.join().unwrap();
}

#[test]
fn a_selection_stays_with_a_socket_that_becomes_an_accepted_one() {
    let (listener, address) = listener();
    let port = CompletionPort::new(0).unwrap();
    port.associate(&listener, 0).unwrap();
    let accept = Socket::for_accept(Family::V4).unwrap();
    let event = Event::new().unwrap();
    accept.event_select(Some(&event), NetEvents::ALL).unwrap();
    listener.accept_ex(&accept, Vec::<u8>::new(), ToPort).unwrap();
    assert!(!set_within(&event, Duration::from_millis(20)), "it is no connection yet");
    let client = Socket::new(Family::V4, Kind::Stream).unwrap();
    client.connect(address).unwrap();
    port.get(Some(SOON)).unwrap();
    assert_eq!(accept.enum_network_events(Some(&event)).unwrap().events, NetEvents::WRITE);
    client.send(b"x").unwrap();
    assert!(set_within(&event, SOON), "the set does not know the new descriptor");
    assert_eq!(accept.enum_network_events(Some(&event)).unwrap().events, NetEvents::READ);
}

#[test]
fn a_connect_ex_tells_as_a_connect_does() {
    let (listener, address) = listener();
    let port = CompletionPort::new(0).unwrap();
    let (client, event) = (Socket::new(Family::V4, Kind::Stream).unwrap(), Event::new().unwrap());
    port.associate(&client, 0).unwrap();
    client.event_select(Some(&event), NetEvents::ALL).unwrap();
    client.connect_ex(address, Vec::<u8>::new(), ToPort).unwrap();
    port.get(Some(SOON)).unwrap();
    let expected = NetEvents::CONNECT | NetEvents::WRITE;
    assert_eq!(client.enum_network_events(Some(&event)).unwrap().events, expected);
    listener.accept().unwrap().0.send(b"x").unwrap();
    assert!(set_within(&event, SOON));
    assert_eq!(client.enum_network_events(Some(&event)).unwrap().events, NetEvents::READ);
}

#[test]
fn a_selection_of_messages_is_served_where_the_window_is() {
    let (client, server) = pair();
    let queue = MessageQueue::new().unwrap();
    let window = queue.window();
    let id = server.id();
    // Another thread selects, and is gone when the data comes.
    thread::spawn(move || server.async_select(&window, WM_USER, NetEvents::READ).map(|()| server))
        .join()
        .unwrap()
        .map(|server| {
            client.send(b"x").unwrap();
            let read = Message::Socket { id: WM_USER, socket: id, event: NetEvents::READ, error: 0 };
            assert_eq!(queue.get(Some(SOON)), Ok(Some(read)));
            server.close().unwrap();
        })
        .unwrap();
}

#[test]
fn a_close_meets_every_call_and_leaves_nothing_behind() {
    for round in 0..200 {
        let (client, server, event) = selected(NetEvents::ALL);
        let core = Arc::downgrade(server.sys.core().unwrap());
        client.send(b"xyz").unwrap();
        thread::scope(|scope| {
            scope.spawn(
                || {
                    while server.event_select(Some(&event), NetEvents::from_bits(round % 64)).is_ok() {}
                },
            );
            scope.spawn(|| while server.enum_network_events(Some(&event)).is_ok() {});
            scope.spawn(|| {
                let over = |error: crate::Error| error.code() != WSAEWOULDBLOCK;
                while !server.recv(&mut [0; 1]).is_err_and(over) {}
            });
            server.close().unwrap();
        });
        drop(server);
        until(|| core.upgrade().is_none());
    }
}

/// Nobody waits here, so what comes is found by the calls themselves.
#[test]
fn what_happened_before_a_call_is_told_before_it() {
    for _ in 0..100 {
        let (client, server) = pair();
        let queue = MessageQueue::new().unwrap();
        let window = queue.window();
        server.async_select(&window, WM_USER, NetEvents::READ).unwrap();
        let arrives = || {
            client.send(b"x").unwrap();
            until(|| server.bytes_available().unwrap() > 0);
        };
        let read = Message::Socket { id: WM_USER, socket: server.id(), event: NetEvents::READ, error: 0 };
        let posted = Message::Posted { id: WM_USER, wparam: 1, lparam: 2 };
        // A look of this thread's own keeps the guard away for a while.
        assert_eq!(queue.get(Some(Duration::ZERO)), Ok(None));
        arrives();
        window.post(WM_USER, 1, 2).unwrap();
        assert_eq!([queue.get(None), queue.get(None)], [Ok(Some(read)), Ok(Some(posted))], "AS-10");
        server.recv(&mut [0; 8]).unwrap();
        arrives();
        server.async_select(&window, WM_USER, NetEvents::NONE).unwrap();
        assert_eq!(queue.get(Some(Duration::ZERO)), Ok(Some(read)), "AS-03");

        let event = Event::new().unwrap();
        server.recv(&mut [0; 8]).unwrap();
        server.event_select(Some(&event), NetEvents::READ).unwrap();
        arrives();
        server.event_select(None, NetEvents::NONE).unwrap();
        assert!(set_within(&event, Duration::ZERO), "ES-13");
        assert_eq!(server.enum_network_events(None).unwrap().events, NetEvents::NONE);
    }
}

/// The window's thread waits, and is woken for each arrival; who posts behind it is quicker.
#[test]
fn what_a_thread_is_woken_for_is_told_before_a_later_post() {
    const ROUNDS: usize = 500;
    const MANY: usize = 150;
    let pairs: Vec<_> = (0..MANY).map(|_| pair()).collect();
    let (windows, window) = mpsc::channel();
    let (sockets, senders): (Vec<_>, Vec<_>) = pairs.into_iter().map(|(a, b)| (b, a)).unzip();
    let pump = thread::spawn({
        let sockets = sockets.clone();
        move || {
            let queue = MessageQueue::new().unwrap();
            for server in &sockets {
                server.async_select(&queue.window(), WM_USER, NetEvents::READ).unwrap();
            }
            windows.send(queue.window()).unwrap();
            let mut told = 0;
            loop {
                match queue.get(Some(SOON)).unwrap().expect("a message") {
                    Message::Socket { socket, .. } => {
                        told += 1;
                        let server = sockets.iter().find(|server| server.id() == socket).unwrap();
                        assert_eq!(server.recv(&mut [0; 8]), Ok(1));
                    }
                    Message::Posted { wparam: 0, .. } => break,
                    Message::Posted { wparam, .. } => assert_eq!(told, wparam, "AS-10"),
                }
            }
        }
    });
    let window = window.recv().unwrap();
    let mut sent = 0;
    let mut arrives = |number: usize| {
        until(|| sockets[number].bytes_available().unwrap() == 0);
        senders[number].send(b"x").unwrap();
        sent += 1;
        sent
    };
    for _ in 0..ROUNDS {
        let sent = arrives(0);
        window.post(WM_USER, sent, 0).unwrap();
    }
    let sent = (1..MANY).map(&mut arrives).last().unwrap();
    window.post(WM_USER, sent, 0).unwrap();
    window.post(WM_USER, 0, 0).unwrap();
    pump.join().unwrap();
}

/// Goes with its thread, when of what the library knew of the thread some or all is gone.
struct Late(MessageQueue, Event, Socket, mpsc::Sender<(bool, bool)>);

impl Drop for Late {
    fn drop(&mut self) {
        let Late(queue, event, server, tell) = self;
        let posted = Message::Posted { id: WM_USER, wparam: 1, lparam: 2 };
        let took = |timeout: Duration| match queue.window().post(WM_USER, 1, 2) {
            Ok(()) => queue.get(Some(timeout)) == Ok(Some(posted)),
            Err(_) => false,
        };
        let works = took(Duration::ZERO)
            && took(SOON)
            && queue.get(Some(Duration::from_millis(1))) == Ok(None)
            && server.async_select(&queue.window(), WM_USER, NetEvents::READ).is_ok()
            && matches!(queue.get(Some(SOON)), Ok(Some(Message::Socket { .. })));
        // These need a home, which may be gone: then they refuse, and nobody panics.
        let _ = MessageQueue::new();
        let _ = server.event_select(Some(event), NetEvents::READ);
        event.set().unwrap();
        let wait = wait_any(std::slice::from_ref(event), Some(SOON), Alertable::Yes);
        let all = wait_all(std::slice::from_ref(event), Some(SOON), Alertable::No);
        let refused =
            |wait: &crate::Result<Wait>| wait.as_ref().is_err_and(|error| error.code() == ERROR_GEN_FAILURE);
        let answers = [wait, all].iter().all(|wait| *wait == Ok(Wait::Index(0)) || refused(wait));
        let _ = tell.send((works, answers));
    }
}

thread_local! {
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

#[test]
fn a_queue_serves_a_thread_that_is_ending() {
    // What a thread uses first is dropped last, by most systems.
    for late_first in [false, true] {
        let (client, server) = pair();
        client.send(b"x").unwrap();
        until(|| server.bytes_available().unwrap() > 0);
        let (tell, told) = mpsc::channel();
        let run = move || {
            if late_first {
                LATE.with(|_| ());
            }
            let (queue, event) = (MessageQueue::new().unwrap(), Event::new().unwrap());
            assert!(!set_within(&event, Duration::ZERO));
            LATE.with(|late| *late.borrow_mut() = Some(Late(queue, event, server, tell)));
        };
        thread::spawn(run).join().unwrap();
        assert_eq!(told.recv().unwrap(), (true, true), "{late_first}");
    }
}
