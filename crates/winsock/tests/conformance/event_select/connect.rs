//! NE-12, NE-21, AS-09: FD_CONNECT, once, with the outcome.

use crate::delivery::{both, event, set_soon, stays_unset};
use crate::harness::{
    SOON, connecting, fails, families, listener, pair, pair_of, promise, refusing, stream, within,
};
use doorbell_winsock::error::{WSAECONNREFUSED, WSAEISCONN, WSAEWOULDBLOCK};
use doorbell_winsock::{Family, FdSet, NetEvents, Socket, select};
use std::net::SocketAddr;
use std::time::Duration;

/// Starts a connect of a socket that is selected, and so does not block.
#[track_caller]
fn connect(socket: &Socket, to: SocketAddr) {
    fails(socket.connect(to), &[WSAEWOULDBLOCK]);
}

// W test_connect_events.
both!(ne_12_a_connect_tells_its_outcome_once, |tell| {
    for family in families() {
        let (listener, address) = listener(family);
        let (socket, idle) = (stream(family), stream(family));
        tell.select(&socket, NetEvents::ALL);
        tell.select(&idle, NetEvents::ALL);
        tell.nothing();
        connect(&socket, address);
        tell.tells(&socket, NetEvents::CONNECT | NetEvents::WRITE);
        tell.nothing();
        assert_eq!(socket.send(b"x"), Ok(1));
        let (accepted, _) = listener.accept().unwrap();
        accepted.send(b"y").unwrap();
        tell.tells(&socket, NetEvents::READ);
        tell.nothing();
        tell.end(&socket);
        tell.end(&idle);
    }
});

// W test_get_events, test_connect_events.
both!(ne_12_a_refused_connect_tells_that_alone, |tell| {
    for family in families() {
        let (_kept, address) = refusing(family);
        let (socket, idle) = (stream(family), stream(family));
        tell.select(&socket, NetEvents::ALL);
        tell.select(&idle, NetEvents::ALL);
        connect(&socket, address);
        assert_eq!(tell.fails(&socket, NetEvents::CONNECT), WSAECONNREFUSED);
        tell.nothing();
        tell.end(&socket);
        tell.end(&idle);
    }
});

// D connect, WSAEventSelect: each connect of a socket has its outcome told, and once.
both!(
    ne_12_every_connect_of_a_socket_tells_its_outcome,
    |tell| {
        for family in families() {
            let (_kept, nobody) = refusing(family);
            let (_listener, address) = listener(family);
            let socket = stream(family);
            tell.select(&socket, NetEvents::ALL);
            for _ in 0..2 {
                connect(&socket, nobody);
                assert_eq!(tell.fails(&socket, NetEvents::CONNECT), WSAECONNREFUSED);
                tell.nothing();
            }
            connect(&socket, address);
            tell.tells(&socket, NetEvents::CONNECT | NetEvents::WRITE);
            tell.nothing();
            fails(socket.connect(address), &[WSAEISCONN]);
            tell.nothing();
            tell.end(&socket);
        }
    },
    by_event = "NE-12",
    by_message = "NE-12"
);

// W test_connect_events: what is not selected is not told, what is selected meanwhile is.
both!(ne_12_the_outcome_is_told_to_who_selects_it_later, |tell| {
    let (_listener, address) = listener(Family::V4);
    let socket = stream(Family::V4);
    tell.select(&socket, NetEvents::WRITE);
    connect(&socket, address);
    tell.tells(&socket, NetEvents::WRITE);
    tell.nothing();
    let (_kept, address) = refusing(Family::V4);
    let socket = stream(Family::V4);
    tell.select(&socket, NetEvents::ALL.without(NetEvents::CONNECT));
    connect(&socket, address);
    tell.nothing();
});

// D WSAEventSelect: while a connect is in progress nothing is there to tell.
both!(ne_12_a_connect_in_progress_tells_nothing, |tell| {
    let (socket, _, keep) = connecting();
    tell.select(&socket, NetEvents::ALL);
    tell.nothing();
    // Its turn comes when those before it are taken; its system asks again after a second.
    keep[0].set_nonblocking(true).unwrap();
    let mut accepted = Vec::new();
    assert!(within(SOON, || {
        accepted.extend(keep[0].accept());
        let mut write = FdSet::from_iter([&socket]);
        select(None, Some(&mut write), None, Some(Duration::ZERO)) == Ok(1)
    }));
    tell.tells(&socket, NetEvents::CONNECT | NetEvents::WRITE);
    tell.nothing();
});

// WA test_get_events: with the code in the slot of the event.
#[test]
fn ne_12_the_code_stands_in_the_record() {
    promise(|| {
        for family in families() {
            let event = event();
            let (_kept, address) = refusing(family);
            let socket = stream(family);
            socket.event_select(Some(&event), NetEvents::ALL).unwrap();
            connect(&socket, address);
            set_soon(&event);
            let record = socket.enum_network_events(Some(&event)).unwrap();
            assert_eq!(record.events, NetEvents::CONNECT);
            assert_eq!(record.errors, [0, 0, 0, 0, WSAECONNREFUSED, 0]);
            stays_unset(&event);
            // Selected again it is not told again.
            socket.event_select(None, NetEvents::NONE).unwrap();
            socket.event_select(Some(&event), NetEvents::ALL).unwrap();
            stays_unset(&event);
        }
    });
}

// W test_connect_events (ES-06).
#[test]
fn ne_12_the_record_keeps_the_outcome_for_who_selects_it_later() {
    promise(|| {
        let event = event();
        let (_kept, nobody) = refusing(Family::V4);
        let (_listener, address) = listener(Family::V4);
        for (to, before, code) in [(address, NetEvents::WRITE, 0), (nobody, NetEvents::NONE, WSAECONNREFUSED)]
        {
            let socket = stream(Family::V4);
            let others = NetEvents::ALL.without(NetEvents::CONNECT);
            socket.event_select(Some(&event), others).unwrap();
            connect(&socket, to);
            if !before.is_empty() {
                set_soon(&event);
                assert_eq!(socket.enum_network_events(Some(&event)).unwrap().events, before);
            }
            stays_unset(&event);
            socket.event_select(Some(&event), NetEvents::ALL).unwrap();
            set_soon(&event);
            let record = socket.enum_network_events(Some(&event)).unwrap();
            assert_eq!((record.events, record.error(NetEvents::CONNECT)), (NetEvents::CONNECT, code));
            stays_unset(&event);
        }
    });
}

// W test_connect_events; WA test_get_events.
#[test]
fn ne_21_the_record_of_a_socket_that_is_connected_says_so() {
    promise(|| {
        for family in families() {
            let (mine, theirs) = (event(), event());
            let (a, b) = pair_of(family);
            a.event_select(Some(&mine), NetEvents::ALL).unwrap();
            b.event_select(Some(&theirs), NetEvents::ALL).unwrap();
            let mut seen = NetEvents::NONE;
            while seen != NetEvents::CONNECT | NetEvents::WRITE {
                set_soon(&mine);
                seen |= a.enum_network_events(Some(&mine)).unwrap().events;
            }
            stays_unset(&mine);
            // The accepted side never.
            set_soon(&theirs);
            assert_eq!(b.enum_network_events(Some(&theirs)).unwrap().events, NetEvents::WRITE);
            stays_unset(&theirs);
        }
    });
}

// W test_connect_events: the accepted side never reports a connect.
both!(ne_21_an_accepted_socket_never_tells_of_a_connect, |tell| {
    let (a, b) = pair();
    tell.select(&b, NetEvents::ALL);
    tell.tells(&b, NetEvents::WRITE);
    a.send(b"x").unwrap();
    tell.tells(&b, NetEvents::READ);
    tell.nothing();
    tell.select(&b, NetEvents::CONNECT);
    tell.nothing();
});
