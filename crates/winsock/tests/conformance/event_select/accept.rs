//! NE-08 to NE-10, IN-01, AS-08: FD_ACCEPT, once until an accept, and what an accepted socket has from its listener.

use crate::delivery::{both, event, is_set, set_soon, stays_unset};
use crate::harness::{
    NOTHING, SOON, fails, families, is_one_of, listener, next_end, pending, port_with, promise, readable,
    received, stream,
};
use doorbell_winsock::error::{WSA_OPERATION_ABORTED, WSAEWOULDBLOCK};
use doorbell_winsock::overlapped::ToPort;
use doorbell_winsock::socket::SocketId;
use doorbell_winsock::{Family, NetEvents, Socket};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::thread;

fn client(address: SocketAddr) -> Socket {
    let client = stream(Family::of(&address));
    client.connect(address).unwrap();
    client
}

// W test_accept_events.
both!(ne_08_a_connection_is_told_once_until_an_accept, |tell| {
    for family in families() {
        let (listener, address) = listener(family);
        let (quiet, _) = crate::harness::listener(family);
        tell.select(&listener, NetEvents::ACCEPT);
        tell.select(&quiet, NetEvents::ACCEPT);
        for _ in 0..2 {
            let _first = client(address);
            tell.tells(&listener, NetEvents::ACCEPT);
            let _more = [client(address), client(address)];
            tell.nothing();
            let mut accepted = vec![listener.accept().unwrap()];
            tell.tells(&listener, NetEvents::ACCEPT);
            accepted.push(listener.accept().unwrap());
            tell.tells(&listener, NetEvents::ACCEPT);
            accepted.push(listener.accept().unwrap());
            tell.nothing();
            fails(listener.accept(), &[WSAEWOULDBLOCK]);
        }
        tell.end(&listener);
        tell.end(&quiet);
    }
});

// W test_accept_events.
both!(ne_09_a_connection_that_waits_already_is_told_at_once, |tell| {
    for family in families() {
        for (clients, accepted_before) in [(0, 0), (1, 0), (1, 1), (3, 1)] {
            let (listener, address) = listener(family);
            let _clients: Vec<_> = (0..clients).map(|_| client(address)).collect();
            let _accepted: Vec<_> = (0..accepted_before).map(|_| listener.accept().unwrap()).collect();
            if clients > accepted_before {
                readable(&listener);
            }
            tell.select(&listener, NetEvents::ACCEPT);
            // One report each, however many wait.
            for _ in accepted_before..clients {
                tell.tells(&listener, NetEvents::ACCEPT);
                if clients == 3 {
                    tell.nothing();
                }
                listener.accept().unwrap();
            }
            tell.nothing();
            fails(listener.accept(), &[WSAEWOULDBLOCK]);
            tell.end(&listener);
        }
    }
});

// D WSAEventSelect: listening may begin after selecting.
both!(ne_09_a_socket_that_listens_later_tells_then, |tell| {
    let socket = stream(Family::V4);
    tell.select(&socket, NetEvents::ACCEPT);
    socket.bind(crate::harness::any(Family::V4)).unwrap();
    tell.nothing();
    socket.listen(5).unwrap();
    tell.nothing();
    let _client = client(socket.local_addr().unwrap());
    tell.tells(&socket, NetEvents::ACCEPT);
    socket.accept().unwrap();
    tell.nothing();
});

// W test_accept_events.
both!(ne_10_a_connection_that_an_operation_takes_is_not_told, |tell| {
    let (listener, address) = listener(Family::V4);
    let port = port_with(&[(&listener, 1)]);
    tell.select(&listener, NetEvents::ACCEPT);
    for _ in 0..2 {
        let socket = Socket::for_accept(Family::V4).unwrap();
        pending(listener.accept_ex(&socket, NOTHING, ToPort));
        let _first = client(address);
        assert_eq!(next_end(&port).result(), Ok(0));
        tell.nothing();
        let _second = client(address);
        tell.tells(&listener, NetEvents::ACCEPT);
        listener.accept().unwrap();
        tell.nothing();
    }
    // Two operations take two; one that was cancelled takes none.
    let sockets = [(); 3].map(|()| Socket::for_accept(Family::V4).unwrap());
    for socket in &sockets[..2] {
        pending(listener.accept_ex(socket, NOTHING, ToPort));
    }
    let _both = [client(address), client(address)];
    for _ in 0..2 {
        assert_eq!(next_end(&port).result(), Ok(0));
    }
    tell.nothing();
    let cancelled = pending(listener.accept_ex(&sockets[2], NOTHING, ToPort));
    listener.cancel(Some(cancelled)).unwrap();
    fails(next_end(&port).result(), &[WSA_OPERATION_ABORTED]);
    tell.nothing();
    let _last = client(address);
    tell.tells(&listener, NetEvents::ACCEPT);
    listener.accept().unwrap();
    tell.nothing();
});

// D WSAEventSelect, AcceptEx: also one that the operation has taken and whose first bytes it waits for.
both!(ne_10_a_connection_whose_first_bytes_are_waited_for_is_not_told, |tell| {
    let (listener, address) = listener(Family::V4);
    let port = port_with(&[(&listener, 1)]);
    tell.select(&listener, NetEvents::ACCEPT);
    let socket = Socket::for_accept(Family::V4).unwrap();
    pending(listener.accept_ex(&socket, vec![0; 8], ToPort));
    let first = client(address);
    tell.nothing();
    let second = client(address);
    tell.tells(&listener, NetEvents::ACCEPT);
    first.send(b"abc").unwrap();
    assert_eq!(received(next_end(&port)), b"abc");
    let (_, from) = listener.accept().unwrap();
    assert_eq!(Ok(from), second.local_addr());
    tell.nothing();
});

// D CancelIoEx, WSAEventSelect: who comes while the accept is cancelled is taken or told, and never neither.
both!(ne_10_a_connection_that_meets_a_cancel_is_taken_or_told, |tell| {
    let (listener, address) = listener(Family::V4);
    let port = port_with(&[(&listener, 1)]);
    tell.select(&listener, NetEvents::ACCEPT);
    for _ in 0..40 {
        let socket = Socket::for_accept(Family::V4).unwrap();
        let accept = pending(listener.accept_ex(&socket, NOTHING, ToPort));
        let both = Arc::new(Barrier::new(2));
        let coming = {
            let both = both.clone();
            thread::spawn(move || {
                both.wait();
                client(address)
            })
        };
        both.wait();
        let _ = listener.cancel(Some(accept));
        match next_end(&port).result() {
            Ok(bytes) => assert_eq!(bytes, 0),
            Err(error) => {
                is_one_of(error, &[WSA_OPERATION_ABORTED]);
                tell.tells(&listener, NetEvents::ACCEPT);
                listener.accept().unwrap();
            }
        }
        coming.join().unwrap();
    }
    tell.nothing();
});

// D WSAEventSelect; W test_accept_events.
both!(in_01_an_accepted_socket_has_the_selection_of_its_listener, |tell| {
    for family in families() {
        let (listener, address) = listener(family);
        tell.select(&listener, NetEvents::ALL);
        let a = client(address);
        tell.tells(&listener, NetEvents::ACCEPT);
        let (b, _) = listener.accept().unwrap();
        tell.inherited(&b);
        // Of the connect it never tells (NE-21).
        tell.tells(&b, NetEvents::WRITE);
        tell.nothing();
        // It does not block (MO-07), and the mode cannot be taken back (MO-02).
        fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
        b.set_nonblocking(false).unwrap_err();
        a.send(b"x").unwrap();
        tell.tells(&b, NetEvents::READ);
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        a.close().unwrap();
        tell.tells(&b, NetEvents::CLOSE);
        tell.nothing();
        tell.end(&listener);
        tell.end(&b);
    }
});

// D accept: what was there before the accept is told as well.
both!(in_01_what_came_before_the_accept_is_told, |tell| {
    let (listener, address) = listener(Family::V4);
    tell.select(&listener, NetEvents::ACCEPT | NetEvents::READ | NetEvents::CLOSE);
    let a = client(address);
    a.send(b"abc").unwrap();
    a.close().unwrap();
    tell.tells(&listener, NetEvents::ACCEPT);
    let (b, _) = listener.accept().unwrap();
    tell.inherited(&b);
    let (mut got, mut ended) = (Vec::new(), false);
    while got.len() < 3 || !ended {
        let told = tell.next(SOON).expect("what came before");
        assert_eq!((told.socket, told.error), (b.id(), 0));
        if told.event == NetEvents::READ {
            let mut bytes = [0; 8];
            let count = b.recv(&mut bytes).unwrap();
            got.extend_from_slice(&bytes[..count]);
        } else {
            assert!(told.event == NetEvents::CLOSE && !ended, "{told:?}");
            ended = true;
        }
    }
    assert_eq!(got, b"abc");
    tell.nothing();
});

// D accept: the accepted socket's selection is its own from then on.
both!(in_01_it_may_be_selected_otherwise, |tell| {
    let (listener, address) = listener(Family::V4);
    tell.select(&listener, NetEvents::ACCEPT | NetEvents::READ);
    let (a, c) = (client(address), client(address));
    tell.tells(&listener, NetEvents::ACCEPT);
    let (b, _) = listener.accept().unwrap();
    tell.inherited(&b);
    tell.tells(&listener, NetEvents::ACCEPT);
    let (d, _) = listener.accept().unwrap();
    tell.inherited(&d);
    tell.end(&b);
    tell.nothing();
    a.send(b"x").unwrap();
    c.send(b"x").unwrap();
    tell.tells(&d, NetEvents::READ);
    tell.nothing();
    // And the listener's is what it was.
    let _e = client(address);
    tell.tells(&listener, NetEvents::ACCEPT);
});

// D WSAEventSelect: "any accepted socket shares the listener's event object".
#[test]
fn in_01_the_event_object_is_the_listeners() {
    promise(|| {
        let event = event();
        let (listener, address) = listener(Family::V4);
        listener.event_select(Some(&event), NetEvents::ACCEPT | NetEvents::READ).unwrap();
        let a = client(address);
        set_soon(&event);
        let (b, _) = listener.accept().unwrap();
        event.reset().unwrap();
        assert!(listener.enum_network_events(None).unwrap().events.is_empty());
        stays_unset(&event);
        a.send(b"x").unwrap();
        set_soon(&event);
        // Whoever enumerates resets it for both.
        assert!(listener.enum_network_events(Some(&event)).unwrap().events.is_empty());
        assert!(!is_set(&event));
        assert_eq!(b.enum_network_events(None).unwrap().events, NetEvents::READ);
    });
}

// D WSAAsyncSelect, WSAEventSelect: many at once, each with the listener's selection.
both!(in_01_a_hundred_clients_at_once, |tell| {
    const CLIENTS: usize = 100;
    let (listener, address) = listener(Family::V4);
    tell.select(&listener, NetEvents::ACCEPT | NetEvents::READ | NetEvents::CLOSE);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = client(address);
            client.send(&[number as u8]).unwrap();
            client
        })
        .collect();
    let mut served: HashMap<SocketId, (Socket, Vec<u8>)> = HashMap::new();
    while served.values().filter(|(_, got)| got.len() == 1).count() < CLIENTS {
        let told = tell.next(SOON).expect("a client or its byte");
        if told.socket == listener.id() {
            assert_eq!(told.event, NetEvents::ACCEPT);
            let (socket, _) = listener.accept().unwrap();
            tell.inherited(&socket);
            served.insert(socket.id(), (socket, Vec::new()));
        } else {
            assert_eq!(told.event, NetEvents::READ);
            let (socket, got) = served.get_mut(&told.socket).expect("one that was accepted");
            let mut bytes = [0; 4];
            let count = socket.recv(&mut bytes).unwrap();
            got.extend_from_slice(&bytes[..count]);
        }
    }
    let mut bytes: Vec<_> = served.values().map(|(_, got)| got[0]).collect();
    bytes.sort_unstable();
    assert!(bytes.into_iter().eq(0..CLIENTS as u8));
    tell.nothing();
    for client in &clients {
        client.close().unwrap();
    }
    let mut ended = std::collections::HashSet::new();
    while ended.len() < CLIENTS {
        let told = tell.next(SOON).expect("an end");
        assert!(told.event == NetEvents::CLOSE && ended.insert(told.socket), "{told:?}");
    }
    tell.nothing();
});
