//! NE-10, NE-11: operations and a selection of one thread, in one wait.

use crate::delivery::event;
use crate::harness::{NOTHING, SILENCE, SOON, listener, pair, promise, received, stream};
use doorbell_winsock::overlapped::ToEvent;
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Event, Family, NetEvents, Socket, Wait, wait_any};
use std::net::SocketAddr;
use std::time::Duration;

fn client(address: SocketAddr) -> Socket {
    let client = stream(Family::V4);
    client.connect(address).unwrap();
    client
}

fn wait(events: &[Event], limit: Duration) -> Wait {
    wait_any(events, Some(limit), Alertable::No).unwrap()
}

// D WSARecv, WSAEventSelect: one wait for the end of an operation and for network events.
#[test]
fn ne_11_one_wait_for_an_operation_and_a_selection() {
    promise(|| {
        let (done, news) = (event(), event());
        let (a, b) = pair();
        let (c, d) = pair();
        b.event_select(Some(&news), NetEvents::READ).unwrap();
        d.event_select(Some(&news), NetEvents::READ).unwrap();
        let events = [news.clone(), done.clone()];
        for _ in 0..10 {
            let op = b.recv_overlapped(vec![0; 4], Flags::NONE, ToEvent(&done)).unwrap();
            a.send(b"abcd").unwrap();
            assert_eq!(wait(&events, SOON), Wait::Index(1));
            assert_eq!(received(op.take()), b"abcd");
            done.reset().unwrap();
            c.send(b"x").unwrap();
            assert_eq!(wait(&events, SOON), Wait::Index(0));
            assert!(b.enum_network_events(None).unwrap().events.is_empty());
            assert_eq!(d.enum_network_events(Some(&news)).unwrap().events, NetEvents::READ);
            assert_eq!(d.recv(&mut [0; 4]), Ok(1));
        }
        assert_eq!(wait(&events, SILENCE), Wait::TimedOut);
    });
}

// D AcceptEx, WSAEventSelect: one wait for the end of an operation and for network events.
#[test]
fn ne_10_one_wait_for_an_operation_and_a_selection() {
    promise(|| {
        let (done, news) = (event(), event());
        let (listener, address) = listener(Family::V4);
        listener.event_select(Some(&news), NetEvents::ACCEPT).unwrap();
        let events = [news.clone(), done.clone()];
        for _ in 0..5 {
            let socket = Socket::for_accept(Family::V4).unwrap();
            let op = listener.accept_ex(&socket, NOTHING, ToEvent(&done)).unwrap();
            let first = client(address);
            assert_eq!(wait(&events, SOON), Wait::Index(1));
            let accepted = op.take().take_accepted().expect("the accepted socket");
            assert_eq!(accepted.peer_addr(), first.local_addr());
            done.reset().unwrap();
            let second = client(address);
            assert_eq!(wait(&events, SOON), Wait::Index(0));
            assert_eq!(listener.enum_network_events(Some(&news)).unwrap().events, NetEvents::ACCEPT);
            let (accepted, from) = listener.accept().unwrap();
            assert_eq!((Ok(from), accepted.peer_addr()), (second.local_addr(), second.local_addr()));
        }
        assert_eq!(wait(&events, SILENCE), Wait::TimedOut);
    });
}

// D WSARecv, WSAEventSelect: on one socket, one after the other; what an operation takes is no news.
#[test]
fn ne_11_a_selection_and_operations_of_one_socket_take_turns() {
    promise(|| {
        let (done, news) = (event(), event());
        let (a, b) = pair();
        b.event_select(Some(&news), NetEvents::READ | NetEvents::CLOSE).unwrap();
        let events = [news.clone(), done.clone()];
        for number in 0..10 {
            a.send(&[number; 3]).unwrap();
            assert_eq!(wait(&events, SOON), Wait::Index(0));
            assert_eq!(b.enum_network_events(Some(&news)).unwrap().events, NetEvents::READ);
            // An operation consumes as a receive does.
            let op = b.recv_overlapped(vec![0; 2], Flags::NONE, ToEvent(&done)).unwrap();
            assert_eq!(received(op.take()), [number; 2]);
            done.reset().unwrap();
            assert_eq!(wait(&events, SOON), Wait::Index(0));
            assert_eq!(b.enum_network_events(Some(&news)).unwrap().events, NetEvents::READ);
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        }
        a.close().unwrap();
        assert_eq!(wait(&events, SOON), Wait::Index(0));
        assert_eq!(b.enum_network_events(Some(&news)).unwrap().events, NetEvents::CLOSE);
        assert_eq!(wait(&events, SILENCE), Wait::TimedOut);
    });
}
