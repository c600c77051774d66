//! IN: accepts and connects.

use super::{Act, each};
use crate::harness::{
    NOTHING, SETTLE, any, fails, listener, pair_of, promise, readable, recv_exactly, refused, refusing,
    stream,
};
use doorbell_winsock::error::{
    ERROR_CONNECTION_REFUSED, WSA_OPERATION_ABORTED, WSAECONNREFUSED, WSAEINVAL, WSAEISCONN, WSAENOTCONN,
    WSAEWOULDBLOCK,
};
use doorbell_winsock::overlapped::Operation;
use doorbell_winsock::{Completion, Family, Socket};
use std::net::SocketAddr;
use std::thread;

fn acceptor(family: Family) -> Socket {
    Socket::for_accept(family).unwrap()
}

fn client_of(address: SocketAddr) -> Socket {
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
        each(|mut told, family| {
            let (listener, address) = listener(family);
            for _ in 0..3 {
                let socket = acceptor(family);
                let id = told.pending(Act::Accept(&listener, &socket), NOTHING);
                told.silence();
                let client = client_of(address);
                let end = told.next();
                assert_eq!((end.id(), end.result(), end.bytes()), (id, Ok(0), 0));
                let server = accepted(end);
                // It is the socket that went in, and it has an overlapped life of its own.
                assert_eq!(server.id(), socket.id());
                talk(&client, &server);
                told.receives(&server, 4);
                client.send(b"more").unwrap();
                assert_eq!(told.next().result(), Ok(4));
            }
            told.silence();
        });
    });
}

// W test_AcceptEx; D AcceptEx.
#[test]
fn in_04_with_a_buffer_an_accept_ends_with_the_first_bytes() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            let socket = acceptor(family);
            told.pending(Act::Accept(&listener, &socket), vec![7; 16]);
            let client = client_of(address);
            told.silence();
            client.send(b"hi").unwrap();
            let mut end = told.next();
            assert_eq!(end.result(), Ok(2));
            let buffer: Vec<u8> = end.take_buffer().unwrap();
            assert_eq!((&buffer[..2], buffer.len()), (b"hi".as_slice(), 16));
            assert_eq!(end.remote_addr(), Some(client.local_addr().unwrap()));
            assert_eq!(end.local_addr(), Some(client.peer_addr().unwrap()));
            talk(&client, &accepted(end));
        });
    });
}

// W test_AcceptEx: one that says nothing does not keep the others from being accepted.
#[test]
fn in_04_a_silent_client_does_not_hold_up_the_next() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            let sockets = [acceptor(family), acceptor(family)];
            for socket in &sockets {
                told.pending(Act::Accept(&listener, socket), vec![0; 16]);
            }
            let silent = client_of(address);
            let talker = client_of(address);
            talker.send(b"hello").unwrap();
            let end = told.next();
            assert_eq!(end.result(), Ok(5));
            assert_eq!(accepted(end).peer_addr(), talker.local_addr());
            told.silence();
            silent.send(b"at last").unwrap();
            let end = told.next();
            assert_eq!(end.result(), Ok(7));
            assert_eq!(accepted(end).peer_addr(), silent.local_addr());
        });
    });
}

// W test_AcceptEx, test_completion_port.
#[test]
fn in_05_a_client_that_closes_without_a_byte_ends_the_accept_with_nothing() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            let socket = acceptor(family);
            told.pending(Act::Accept(&listener, &socket), vec![0; 16]);
            let client = client_of(address);
            told.silence();
            client.close().unwrap();
            let end = told.next();
            assert_eq!(end.result(), Ok(0));
            assert_eq!(accepted(end).recv(&mut [0; 4]), Ok(0));
            told.silence();
        });
    });
}

// P8: a connection that waits already.
#[test]
fn in_08_a_connection_in_the_backlog_satisfies_a_new_accept() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            let clients: Vec<_> = (0..3).map(|_| client_of(address)).collect();
            thread::sleep(SETTLE);
            for client in &clients {
                told.started(Act::Accept(&listener, &acceptor(family)), NOTHING);
                let server = accepted(told.next());
                assert_eq!(server.peer_addr(), client.local_addr());
                talk(client, &server);
            }
            told.silence();
        });
    });
}

// W test_AcceptEx.
#[test]
fn in_09_one_socket_is_not_accepted_into_twice() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            let socket = acceptor(family);
            told.pending(Act::Accept(&listener, &socket), NOTHING);
            let buffer = refused(told.start(Act::Accept(&listener, &socket), vec![5; 3]), &[WSAEINVAL]);
            assert_eq!(buffer, [5; 3]);
            let client = client_of(address);
            talk(&client, &accepted(told.next()));
            told.silence();
            // Nor can a connected or a bound one be used, nor a socket that does not listen.
            refused(told.start(Act::Accept(&listener, &socket), NOTHING), &[WSAEINVAL]);
            let bound = stream(family);
            bound.bind(any(family)).unwrap();
            refused(told.start(Act::Accept(&listener, &bound), NOTHING), &[WSAEINVAL]);
            refused(told.start(Act::Accept(&bound, &acceptor(family)), NOTHING), &[WSAEINVAL]);
            told.silence();
            // One whose accept was cancelled is as it was.
            let socket = acceptor(family);
            let id = told.pending(Act::Accept(&listener, &socket), NOTHING);
            listener.cancel(Some(id)).unwrap();
            fails(told.next().result(), &[WSA_OPERATION_ABORTED]);
            told.pending(Act::Accept(&listener, &socket), NOTHING);
            let client = client_of(address);
            talk(&client, &accepted(told.next()));
        });
    });
}

// D AcceptEx: who was first has the first connection (OR-07), whether the thread that started it waits for it or not.
#[test]
fn in_03_a_plain_accept_does_not_overtake_one_that_pends() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            listener.set_nonblocking(true).unwrap();
            let socket = acceptor(family);
            told.pending(Act::Accept(&listener, &socket), NOTHING);
            let first = client_of(address);
            fails(listener.accept(), &[WSAEWOULDBLOCK]);
            let second = client_of(address);
            talk(&first, &accepted(told.next()));
            readable(&listener);
            let (server, from) = listener.accept().unwrap();
            assert_eq!(Ok(from), second.local_addr());
            // The mode is the listener's (MO-07).
            server.set_nonblocking(false).unwrap();
            talk(&second, &server);
            told.silence();
        });
    });
}

// W test_connect; D ConnectEx: it binds, connects, and sends its first block.
#[test]
fn in_13_a_connect_sends_its_first_block() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            for block in ["", "hey"] {
                let client = stream(family);
                let id = told.started(Act::Connect(&client, address), block.as_bytes().to_vec());
                let mut end = told.next();
                assert_eq!((end.id(), end.operation()), (id, Operation::Connect));
                assert_eq!(end.result(), Ok(block.len()));
                assert_eq!(end.take_buffer::<Vec<u8>>().unwrap(), block.as_bytes());
                let (server, _) = listener.accept().unwrap();
                assert_eq!(recv_exactly(&server, block.len()), block.as_bytes());
                assert_eq!(client.peer_addr(), Ok(address));
                talk(&client, &server);
            }
            told.silence();
        });
    });
}

// W test_connect.
#[test]
fn in_14_a_refused_connect_is_told_at_its_end() {
    promise(|| {
        each(|mut told, family| {
            let (_held, nobody) = refusing(family);
            let (listener, address) = listener(family);
            let client = stream(family);
            let id = told.started(Act::Connect(&client, nobody), b"lost".to_vec());
            let mut end = told.next();
            assert_eq!((end.id(), end.system_code(), end.bytes()), (id, ERROR_CONNECTION_REFUSED, 0));
            fails(end.result(), &[WSAECONNREFUSED]);
            assert_eq!(end.take_buffer::<Vec<u8>>().unwrap(), b"lost");
            told.silence();
            fails(client.peer_addr(), &[WSAENOTCONN]);
            talk(&client_of(address), &listener.accept().unwrap().0);
        });
    });
}

// D ConnectEx: what the call itself refuses.
#[test]
fn in_14_a_connect_that_cannot_be_is_refused_at_once() {
    promise(|| {
        each(|mut told, family| {
            let (a, _b) = pair_of(family);
            let (one, address) = listener(family);
            let (_two, other) = listener(family);
            refused(told.start(Act::Connect(&a, address), NOTHING), &[WSAEISCONN]);
            refused(told.start(Act::Connect(&one, other), NOTHING), &[WSAEINVAL]);
            told.silence();
        });
    });
}
