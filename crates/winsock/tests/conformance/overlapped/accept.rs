//! IN: AcceptEx and ConnectEx.

use crate::harness::{
    NOTHING, any, connecting, datagram, fails, families, known_on_wine, listener, next_end, no_packet, pair,
    pattern, pending, port_with, promise, readable, recv_exactly, recv_pending, refused, refusing, reset,
    same_bytes, started, stream,
};
use doorbell_winsock::error::{
    ERROR_CONNECTION_REFUSED, WSAEALREADY, WSAECONNREFUSED, WSAECONNRESET, WSAEINVAL, WSAEISCONN,
    WSAENOTCONN, WSAENOTSOCK,
};
use doorbell_winsock::overlapped::{Operation, ToPort};
use doorbell_winsock::{Completion, Family, Shutdown, Socket};

fn acceptor(family: Family) -> Socket {
    Socket::for_accept(family).unwrap()
}

fn client_of(address: std::net::SocketAddr) -> Socket {
    let socket = stream(Family::of(&address));
    socket.connect(address).unwrap();
    socket
}

fn accepted(mut end: Completion) -> Socket {
    assert_eq!(end.operation(), Operation::Accept);
    end.result().expect("the accept succeeds");
    end.take_accepted().expect("an accepted socket")
}

fn talk(a: &Socket, b: &Socket) {
    a.send(b"ping").unwrap();
    assert_eq!(recv_exactly(b, 4), b"ping");
    b.send(b"pong").unwrap();
    assert_eq!(recv_exactly(a, 4), b"pong");
}

// W test_AcceptEx.
#[test]
fn in_03_without_a_buffer_an_accept_ends_with_the_connection() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let port = port_with(&[(&listener, 1)]);
            for _ in 0..3 {
                let id = pending(listener.accept_ex(&acceptor(family), NOTHING, ToPort));
                no_packet(&port);
                let client = client_of(address);
                let end = next_end(&port);
                assert_eq!((end.id(), end.result(), end.bytes()), (id, Ok(0), 0));
                talk(&client, &accepted(end));
            }
            no_packet(&port);
        }
    });
}

// W test_AcceptEx: an ordinary socket will do as well.
#[test]
fn in_03_an_ordinary_socket_can_be_accepted_into() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let port = port_with(&[(&listener, 1)]);
        let socket = stream(Family::V4);
        let id = socket.id();
        pending(listener.accept_ex(&socket, NOTHING, ToPort));
        let client = client_of(address);
        let server = accepted(next_end(&port));
        // It is the socket that went in: the same name, and every clone of it is connected.
        assert_eq!(server.id(), id);
        talk(&client, &socket);
    });
}

// W test_AcceptEx; D AcceptEx.
#[test]
fn in_04_with_a_buffer_an_accept_ends_with_the_first_bytes() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let port = port_with(&[(&listener, 1)]);
            pending(listener.accept_ex(&acceptor(family), vec![7; 16], ToPort));
            let client = client_of(address);
            no_packet(&port);
            client.send(b"hi").unwrap();
            let mut end = next_end(&port);
            assert_eq!(end.result(), Ok(2));
            let buffer: Vec<u8> = end.take_buffer().unwrap();
            assert_eq!((&buffer[..2], buffer.len()), (b"hi".as_slice(), 16));
            let server = end.take_accepted().unwrap();
            client.send(b"more").unwrap();
            assert_eq!(recv_exactly(&server, 4), b"more");
            // What does not fit stays, also when all of it was there before.
            let client = client_of(address);
            client.send(&[9; 20]).unwrap();
            started(listener.accept_ex(&acceptor(family), vec![7; 16], ToPort));
            let mut end = next_end(&port);
            assert_eq!(end.result(), Ok(16));
            assert_eq!(end.take_buffer::<Vec<u8>>().unwrap(), [9; 16]);
            assert_eq!(recv_exactly(&end.take_accepted().unwrap(), 4), [9; 4]);
        }
    });
}

// W test_AcceptEx: one that says nothing does not keep the others from being accepted.
#[test]
fn in_04_a_silent_client_does_not_hold_up_the_next() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let port = port_with(&[(&listener, 1)]);
        for _ in 0..2 {
            pending(listener.accept_ex(&acceptor(Family::V4), vec![0; 16], ToPort));
        }
        let silent = client_of(address);
        let talker = client_of(address);
        talker.send(b"hello").unwrap();
        let mut end = next_end(&port);
        assert_eq!(end.result(), Ok(5));
        assert_eq!(end.take_accepted().unwrap().peer_addr(), talker.local_addr());
        no_packet(&port);
        silent.send(b"at last").unwrap();
        let mut end = next_end(&port);
        assert_eq!(end.result(), Ok(7));
        assert_eq!(end.take_accepted().unwrap().peer_addr(), silent.local_addr());
    });
}

// W test_AcceptEx, test_completion_port.
#[test]
fn in_05_a_client_that_closes_without_a_byte_ends_the_accept_with_nothing() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let port = port_with(&[(&listener, 1)]);
        pending(listener.accept_ex(&acceptor(Family::V4), vec![0; 16], ToPort));
        let client = client_of(address);
        no_packet(&port);
        client.close().unwrap();
        let end = next_end(&port);
        assert_eq!(end.result(), Ok(0));
        assert_eq!(accepted(end).recv(&mut [0; 4]), Ok(0));
        no_packet(&port);
        // One that resets is no such client, and the next one is served.
        let socket = acceptor(Family::V4);
        pending(listener.accept_ex(&socket, vec![0; 16], ToPort));
        let client = client_of(address);
        no_packet(&port);
        reset(&client);
        fails(next_end(&port).result(), &[WSAECONNRESET]);
        pending(listener.accept_ex(&acceptor(Family::V4), NOTHING, ToPort));
        let client = client_of(address);
        talk(&client, &accepted(next_end(&port)));
    });
}

// W test_completion_port.
#[test]
fn in_06_the_packet_has_the_key_of_the_listener() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let port = port_with(&[(&listener, 125)]);
        pending(listener.accept_ex(&acceptor(Family::V4), NOTHING, ToPort));
        let client = client_of(address);
        let end = next_end(&port);
        assert_eq!(end.key(), 125);
        let server = accepted(end);
        // The new socket is associated with nothing yet; its own key is its own.
        port.associate(&server, 236).unwrap();
        recv_pending(&server, 8);
        client.send(b"x").unwrap();
        assert_eq!(next_end(&port).key(), 236);
        pending(listener.accept_ex(&acceptor(Family::V4), NOTHING, ToPort));
        let _second = client_of(address);
        assert_eq!(next_end(&port).key(), 125);
    });
}

// W test_AcceptEx.
#[test]
fn in_07_both_addresses_come_with_the_accept() {
    promise(|| {
        for family in families() {
            for len in [0, 8] {
                let (listener, address) = listener(family);
                let port = port_with(&[(&listener, 1)]);
                pending(listener.accept_ex(&acceptor(family), vec![0; len], ToPort));
                let client = client_of(address);
                client.send(b"x").unwrap();
                let end = next_end(&port);
                assert_eq!(end.remote_addr(), Some(client.local_addr().unwrap()));
                assert_eq!(end.local_addr(), Some(client.peer_addr().unwrap()));
            }
        }
    });
}

// P8.
#[test]
fn in_08_a_connection_in_the_backlog_satisfies_a_new_accept() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let port = port_with(&[(&listener, 1)]);
            let clients: Vec<_> = (0..3).map(|_| client_of(address)).collect();
            readable(&listener);
            for client in &clients {
                started(listener.accept_ex(&acceptor(family), NOTHING, ToPort));
                let server = accepted(next_end(&port));
                assert_eq!(server.peer_addr(), client.local_addr());
                talk(client, &server);
            }
            no_packet(&port);
        }
    });
}

// W test_AcceptEx.
#[test]
fn in_09_one_socket_is_not_accepted_into_twice() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let port = port_with(&[(&listener, 1)]);
        let socket = acceptor(Family::V4);
        pending(listener.accept_ex(&socket, NOTHING, ToPort));
        let buffer = refused(listener.accept_ex(&socket, vec![5; 3], ToPort), &[WSAEINVAL]);
        assert_eq!(buffer, [5; 3]);
        // The first one is not disturbed.
        let client = client_of(address);
        talk(&client, &accepted(next_end(&port)));
        no_packet(&port);
        // Nor can a connected socket be used.
        refused(listener.accept_ex(&socket, NOTHING, ToPort), &[WSAEINVAL]);
    });
}

// W test_AcceptEx.
#[test]
fn in_10_an_accept_needs_a_listener() {
    promise(|| {
        let fresh = stream(Family::V4);
        let bound = stream(Family::V4);
        bound.bind(any(Family::V4)).unwrap();
        let (connected, _peer) = pair();
        let (datagram, _) = datagram(Family::V4);
        let port = port_with(&[(&fresh, 1), (&bound, 2), (&connected, 3), (&datagram, 4)]);
        refused(connected.accept_ex(&acceptor(Family::V4), NOTHING, ToPort), &[WSAEINVAL]);
        refused(datagram.accept_ex(&acceptor(Family::V4), NOTHING, ToPort), &[WSAEINVAL]);
        refused(fresh.accept_ex(&acceptor(Family::V4), NOTHING, ToPort), &[WSAEINVAL]);
        refused(bound.accept_ex(&acceptor(Family::V4), NOTHING, ToPort), &[WSAEINVAL]);
        no_packet(&port);
    });
}

// W test_AcceptEx.
#[test]
fn in_10_an_accept_needs_a_socket_that_is_neither_bound_nor_connected() {
    promise(|| {
        let (listener, _) = listener(Family::V4);
        let port = port_with(&[(&listener, 1)]);
        let bound = stream(Family::V4);
        bound.bind(any(Family::V4)).unwrap();
        refused(listener.accept_ex(&bound, NOTHING, ToPort), &[WSAEINVAL]);
        let (one, _other) = pair();
        refused(listener.accept_ex(&one, NOTHING, ToPort), &[WSAEINVAL]);
        refused(listener.accept_ex(&listener, NOTHING, ToPort), &[WSAEINVAL]);
        let (under_way, _address, _keep) = connecting();
        refused(listener.accept_ex(&under_way, NOTHING, ToPort), &[WSAEINVAL]);
        let closed = acceptor(Family::V4);
        closed.close().unwrap();
        refused(listener.accept_ex(&closed, NOTHING, ToPort), &[WSAENOTSOCK]);
        no_packet(&port);
    });
}

// D AcceptEx, ConnectEx.
#[test]
fn in_11_sockets_of_accept_and_connect_know_their_context() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let client = stream(family);
            let port = port_with(&[(&listener, 1), (&client, 2)]);
            pending(listener.accept_ex(&acceptor(family), NOTHING, ToPort));
            started(client.connect_ex(address, NOTHING, ToPort));
            let (one, other) = (next_end(&port), next_end(&port));
            let accept = if one.key() == 1 { one } else { other };
            let server = accepted(accept);
            assert_eq!(client.peer_addr(), Ok(address));
            assert_eq!(server.local_addr(), Ok(address));
            assert_eq!(server.peer_addr(), client.local_addr());
            talk(&client, &server);
            server.set_nodelay(true).unwrap();
            server.shutdown(Shutdown::Send).unwrap();
            assert_eq!(client.recv(&mut [0; 4]), Ok(0));
            client.shutdown(Shutdown::Send).unwrap();
            assert_eq!(server.recv(&mut [0; 4]), Ok(0));
        }
    });
}

// D ConnectEx; W test_connect: the library binds the wildcard.
#[test]
fn in_12_a_connect_binds_a_socket_that_is_not() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let unbound = stream(family);
            let bound = stream(family);
            bound.bind(any(family)).unwrap();
            let name = bound.local_addr().unwrap();
            let port = port_with(&[(&unbound, 1), (&bound, 2)]);
            for socket in [&unbound, &bound] {
                started(socket.connect_ex(address, NOTHING, ToPort));
                let end = next_end(&port);
                assert_eq!((end.operation(), end.result()), (Operation::Connect, Ok(0)));
                talk(socket, &listener.accept().unwrap().0);
            }
            assert_eq!(bound.local_addr(), Ok(name));
            no_packet(&port);
        }
    });
}

// W test_connect.
#[test]
fn in_13_a_connect_sends_its_first_block() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let client = stream(family);
            let port = port_with(&[(&client, 1)]);
            started(client.connect_ex(address, b"hey".to_vec(), ToPort));
            let mut end = next_end(&port);
            assert_eq!(end.result(), Ok(3));
            assert_eq!(end.take_buffer::<Vec<u8>>().unwrap(), b"hey");
            let (server, _) = listener.accept().unwrap();
            assert_eq!(recv_exactly(&server, 3), b"hey");
            talk(&client, &server);
        }
    });
}

// W test_connect: a block that is longer than what the system takes at once. Wine sends a part and waits for ever.
#[test]
fn in_13_a_long_first_block_is_sent_whole() {
    known_on_wine("IN-13", || {
        const LEN: usize = 8 << 20;
        let (listener, address) = listener(Family::V4);
        let client = stream(Family::V4);
        let port = port_with(&[(&client, 1)]);
        started(client.connect_ex(address, pattern(LEN, 8), ToPort));
        let (server, _) = listener.accept().unwrap();
        same_bytes(&recv_exactly(&server, LEN), &pattern(LEN, 8));
        assert_eq!(next_end(&port).result(), Ok(LEN));
    });
}

// W test_connect.
#[test]
fn in_14_a_refused_connect_is_told_at_its_end() {
    promise(|| {
        for family in families() {
            let (_held, nobody) = refusing(family);
            let (listener, address) = listener(family);
            let client = stream(family);
            let port = port_with(&[(&client, 1)]);
            let id = started(client.connect_ex(nobody, b"lost".to_vec(), ToPort));
            let mut end = next_end(&port);
            assert_eq!((end.id(), end.system_code(), end.bytes()), (id, ERROR_CONNECTION_REFUSED, 0));
            fails(end.result(), &[WSAECONNREFUSED]);
            assert_eq!(end.take_buffer::<Vec<u8>>().unwrap(), b"lost");
            no_packet(&port);
            fails(client.peer_addr(), &[WSAENOTCONN]);
            // Another socket connects all the same, and so does this one.
            talk(&client_of(address), &listener.accept().unwrap().0);
            started(client.connect_ex(address, NOTHING, ToPort));
            assert_eq!(next_end(&port).result(), Ok(0));
            talk(&client, &listener.accept().unwrap().0);
        }
    });
}

// D ConnectEx: what the call itself refuses.
#[test]
fn in_14_a_connect_that_cannot_be_is_refused_at_once() {
    promise(|| {
        let (a, _b) = pair();
        let (one, address) = listener(Family::V4);
        let port = port_with(&[(&a, 1), (&one, 2)]);
        refused(a.connect_ex(address, NOTHING, ToPort), &[WSAEISCONN]);
        let (_two, other) = listener(Family::V4);
        refused(one.connect_ex(other, NOTHING, ToPort), &[WSAEINVAL]);
        no_packet(&port);
    });
}

// D ConnectEx: it pends for as long as the connect takes, and closing ends it.
#[test]
fn in_14_a_connect_under_way_pends_until_its_socket_is_closed() {
    promise(|| {
        let (_socket, address, _keep) = connecting();
        let client = stream(Family::V4);
        let port = port_with(&[(&client, 3)]);
        let id = pending(client.connect_ex(address, vec![1; 4], ToPort));
        no_packet(&port);
        // Another one meanwhile is refused, and does not touch the first.
        let buffer = refused(client.connect_ex(address, vec![2; 3], ToPort), &[WSAEALREADY, WSAEINVAL]);
        assert_eq!(buffer, [2; 3]);
        fails(client.connect(address), &[WSAEALREADY, WSAEINVAL]);
        refused(client.send_overlapped(vec![3; 3], ToPort), &[WSAENOTCONN]);
        no_packet(&port);
        client.close().unwrap();
        let end = next_end(&port);
        assert_eq!((end.id(), end.key()), (id, 3));
        assert!(end.result().is_err());
        no_packet(&port);
    });
}
