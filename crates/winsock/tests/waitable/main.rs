//! Events and message queues in a loop that is not this crate's: it wakes each time, and not for ever.
//!
//! How a foreign loop waits is the system's matter and stands in a file for each; what it must see does not differ.

mod linux;
mod windows;

use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::overlapped::ToEvent;
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{
    Event, Family, Kind, Message, MessageQueue, NetEvents, Socket, Wait, Waitable, wait_any,
};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How long anything may take that should happen at once.
const SOON: Duration = Duration::from_secs(20);
/// How long nothing may come where nothing is to come.
const SILENCE: Duration = Duration::from_millis(100);

/// A foreign loop with an event in it.
struct OfEvent {
    waitable: Waitable,
}

/// A foreign loop with this thread's queue in it, by a descriptor where the system wants one.
struct OfQueue {
    waitable: Option<Waitable>,
}

fn found(event: &Event) -> bool {
    match wait_any(std::slice::from_ref(event), Some(Duration::ZERO), Alertable::No) {
        Ok(wait) => wait == Wait::Index(0),
        Err(error) => panic!("{error}"),
    }
}

/// Waits as a foreign loop does, until asking finds something.
#[track_caller]
fn wakes(mut wait: impl FnMut(Duration) -> bool, mut ask: impl FnMut() -> bool) {
    // Asked before it waits, as is the rule.
    while !ask() {
        assert!(wait(SOON), "the loop is not woken");
    }
}

/// A stale hint may come, but not for ever, and asking finds nothing.
#[track_caller]
fn is_quiet(mut wait: impl FnMut(Duration) -> bool, mut ask: impl FnMut() -> bool) {
    for _ in 0..20 {
        assert!(!ask(), "there is something");
        if !wait(SILENCE) {
            return;
        }
    }
    panic!("the loop is woken for ever");
}

fn pair() -> (Socket, Socket) {
    let listener = Socket::new(Family::V4, Kind::Stream).unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    listener.listen(BACKLOG_MAX).unwrap();
    let one = Socket::new(Family::V4, Kind::Stream).unwrap();
    one.connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

#[test]
fn an_event_that_any_thread_sets_wakes_it_each_time() {
    let event = Event::new().unwrap();
    let outside = OfEvent { waitable: event.waitable().unwrap() };
    let (ring, rung) = channel::<()>();
    let (ours, theirs) = (event.clone(), event.clone());
    let setter = thread::spawn(move || rung.iter().for_each(|()| theirs.set().unwrap()));
    for _ in 0..50 {
        ring.send(()).unwrap();
        assert!(outside.wait(SOON), "the loop is not woken");
        assert!(found(&ours) && found(&ours), "it stays set until it is reset");
        assert!(outside.wait(Duration::ZERO), "and so does the hint");
        ours.reset().unwrap();
        assert!(!outside.wait(Duration::ZERO), "a reset takes the hint back");
    }
    drop(ring);
    setter.join().unwrap();
    is_quiet(|time| outside.wait(time), || found(&event));
}

#[test]
fn an_event_that_is_set_already_wakes_it_and_a_closed_one_has_none() {
    let event = Event::new().unwrap();
    event.set().unwrap();
    let (one, two) =
        (OfEvent { waitable: event.waitable().unwrap() }, OfEvent { waitable: event.waitable().unwrap() });
    assert!(one.wait(SOON) && two.wait(SOON));
    drop(two);
    event.reset().unwrap();
    assert!(!one.wait(Duration::ZERO));
    event.set().unwrap();
    assert!(one.wait(SOON));
    event.close().unwrap();
    assert_eq!(event.waitable().unwrap_err().code(), doorbell_winsock::error::ERROR_INVALID_HANDLE);
}

/// The waitable is made before the thread has any socket, or after.
#[test]
fn a_network_event_wakes_it_each_time() {
    for before in [true, false] {
        thread::spawn(move || {
            let (near, far) = pair();
            let event = Event::new().unwrap();
            let select = || near.event_select(Some(&event), NetEvents::READ | NetEvents::CLOSE).unwrap();
            if !before {
                select();
            }
            let outside = OfEvent { waitable: event.waitable().unwrap() };
            if before {
                select();
            }
            let told = || {
                let record = near.enum_network_events(Some(&event)).unwrap();
                if record.events.is_empty() { None } else { Some(record.events) }
            };
            let mut buffer = [0; 16];
            for _ in 0..20 {
                is_quiet_for_once(&outside, &event);
                let far = far.clone();
                let sender = thread::spawn(move || far.send(b"ding").unwrap());
                wakes(|time| outside.wait(time), || found(&event));
                assert_eq!(told(), Some(NetEvents::READ));
                assert_eq!(near.recv(&mut buffer), Ok(4));
                sender.join().unwrap();
            }
            is_quiet(|time| outside.wait(time), || found(&event));
            far.close().unwrap();
            wakes(|time| outside.wait(time), || found(&event));
            assert_eq!(told(), Some(NetEvents::CLOSE));
            is_quiet(|time| outside.wait(time), || found(&event));
        })
        .join()
        .unwrap();
    }
}

/// Asked, and found unset; a hint may be left.
#[track_caller]
fn is_quiet_for_once(outside: &OfEvent, event: &Event) {
    assert!(!found(event));
    outside.wait(Duration::ZERO);
}

#[test]
fn the_end_of_an_operation_wakes_it_each_time() {
    for before in [true, false] {
        thread::spawn(move || {
            let (near, far) = pair();
            let event = Event::new().unwrap();
            let receive = || near.recv_overlapped(vec![0; 16], Flags::NONE, ToEvent(&event)).unwrap();
            let mut started = (!before).then(receive);
            let outside = OfEvent { waitable: event.waitable().unwrap() };
            for _ in 0..20 {
                let operation = started.take().unwrap_or_else(receive);
                is_quiet_for_once(&outside, &event);
                let far = far.clone();
                let sender = thread::spawn(move || far.send(b"ding").unwrap());
                wakes(|time| outside.wait(time), || found(&event));
                assert_eq!(operation.take().result(), Ok(4));
                sender.join().unwrap();
            }
            let last = receive();
            is_quiet(|time| outside.wait(time), || found(&event));
            near.cancel(Some(last.id())).unwrap();
            wakes(|time| outside.wait(time), || found(&event));
        })
        .join()
        .unwrap();
    }
}

/// Nobody waits in this crate: the starter sleeps elsewhere, the waiter in a foreign loop.
#[test]
fn the_operation_of_another_thread_wakes_it() {
    let (near, far) = pair();
    let event = Event::new().unwrap();
    let outside = OfEvent { waitable: event.waitable().unwrap() };
    let (tell, told) = channel();
    let (end, ends) = channel::<()>();
    let set_at_the_end = event.clone();
    let starter = thread::spawn(move || {
        let receive = near.recv_overlapped(vec![0; 16], Flags::NONE, ToEvent(&set_at_the_end)).unwrap();
        tell.send(()).unwrap();
        ends.recv().unwrap();
        receive.take().result()
    });
    told.recv_timeout(SOON).unwrap();
    is_quiet(|time| outside.wait(time), || found(&event));
    far.send(b"ding").unwrap();
    wakes(|time| outside.wait(time), || found(&event));
    end.send(()).unwrap();
    assert_eq!(starter.join().unwrap(), Ok(4));
}

#[test]
fn messages_wake_it_each_time() {
    for before in [true, false] {
        thread::spawn(move || {
            let queue = MessageQueue::new().unwrap();
            let (near, far) = pair();
            let select = || near.async_select(&queue.window(), 0x400, NetEvents::READ | NetEvents::CLOSE);
            let early = before.then(|| OfQueue::new(&queue));
            select().unwrap();
            let outside = early.unwrap_or_else(|| OfQueue::new(&queue));
            let next = || queue.get(Some(Duration::ZERO)).unwrap();
            let mut buffer = [0; 16];
            for round in 0..20 {
                // 1. What another thread posts.
                let window = queue.window();
                let poster = thread::spawn(move || window.post(0x401, round, 0).unwrap());
                let mut message = None;
                wakes(
                    |time| outside.wait(time),
                    || {
                        message = next();
                        message.is_some()
                    },
                );
                assert_eq!(message, Some(Message::Posted { id: 0x401, wparam: round, lparam: 0 }));
                poster.join().unwrap();
                // 2. A network event.
                let peer = far.clone();
                let sender = thread::spawn(move || peer.send(b"ding").unwrap());
                wakes(
                    |time| outside.wait(time),
                    || {
                        message = next();
                        message.is_some()
                    },
                );
                let expected =
                    Message::Socket { id: 0x400, socket: near.id(), event: NetEvents::READ, error: 0 };
                assert_eq!(message, Some(expected));
                assert_eq!(near.recv(&mut buffer), Ok(4));
                assert_eq!(near.recv(&mut buffer).unwrap_err().code(), WSAEWOULDBLOCK);
                sender.join().unwrap();
            }
            is_quiet(|time| outside.wait(time), || next().is_some());
            // 3. Of several that wait none is left behind.
            (0..5).for_each(|n| queue.window().post(0x401, n, 0).unwrap());
            for n in 0..5 {
                assert!(outside.wait(SOON), "the loop is not woken while messages wait");
                assert_eq!(next(), Some(Message::Posted { id: 0x401, wparam: n, lparam: 0 }));
            }
            is_quiet(|time| outside.wait(time), || next().is_some());
        })
        .join()
        .unwrap();
    }
}
