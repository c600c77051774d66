//! MO: what the blocking mode changes, and IN-02: what an accepted socket has from its listener.

use crate::harness::{
    NOTHING, SETTLE, arrived, connected, connecting, fails, families, is_one_of, listener, narrow, next_end,
    no_packet, pair, pair_of, pattern, pending, port_with, promise, readable, recv_exactly, recv_to_the_end,
    refused, same_bytes, stream,
};
use doorbell_winsock::error::{WSAEALREADY, WSAEISCONN, WSAENOTCONN, WSAETIMEDOUT, WSAEWOULDBLOCK};
use doorbell_winsock::overlapped::ToPort;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, Socket};
use std::thread;
use std::time::{Duration, Instant};

// W test_connecting_socket.
#[test]
fn mo_04_without_work_a_non_blocking_call_would_block() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            b.set_nonblocking(true).unwrap();
            for _ in 0..3 {
                fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
            }
            a.send(b"x").unwrap();
            arrived(&b, 1);
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
            let (listener, address) = listener(family);
            listener.set_nonblocking(true).unwrap();
            fails(listener.accept(), &[WSAEWOULDBLOCK]);
            stream(family).connect(address).unwrap();
            readable(&listener);
            listener.accept().unwrap();
            fails(listener.accept(), &[WSAEWOULDBLOCK]);
            // Back to blocking it waits.
            b.set_nonblocking(false).unwrap();
            let start = Instant::now();
            let sender = thread::spawn(move || {
                thread::sleep(Duration::from_millis(100));
                a.send(b"y").unwrap();
                a
            });
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            assert!(start.elapsed() >= Duration::from_millis(100));
            drop(sender.join());
        }
    });
}

// W test_connecting_socket.
#[test]
fn mo_04_a_non_blocking_connect_would_block_and_then_is_connected() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let socket = stream(family);
            socket.set_nonblocking(true).unwrap();
            fails(socket.connect(address), &[WSAEWOULDBLOCK]);
            connected(&socket);
            assert_eq!(socket.peer_addr(), Ok(address));
            for _ in 0..2 {
                fails(socket.connect(address), &[WSAEISCONN]);
            }
            let (server, _) = listener.accept().unwrap();
            fails(server.connect(address), &[WSAEISCONN]);
            socket.send(b"x").unwrap();
            assert_eq!(recv_exactly(&server, 1), b"x");
        }
    });
}

// W test_connecting_socket.
#[test]
fn mo_04_a_second_connect_meanwhile_is_already_under_way() {
    promise(|| {
        let (socket, address, _keep) = connecting();
        let (_listener, elsewhere) = listener(Family::V4);
        for _ in 0..3 {
            fails(socket.connect(address), &[WSAEALREADY]);
            fails(socket.connect(elsewhere), &[WSAEALREADY]);
        }
        // A blocking one does not wait for it either.
        socket.set_nonblocking(false).unwrap();
        fails(socket.connect(address), &[WSAEALREADY]);
    });
}

// W test_nonblocking_async_recv.
#[test]
fn mo_06_a_plain_receive_obeys_the_mode_and_touches_nothing() {
    promise(|| {
        let (_a, b) = pair();
        b.set_nonblocking(true).unwrap();
        let mut buffer = [7; 8];
        fails(b.recv(&mut buffer), &[WSAEWOULDBLOCK]);
        fails(b.recv_with(&mut buffer, Flags::WAIT_ALL), &[WSAEWOULDBLOCK]);
        assert_eq!(buffer, [7; 8]);
    });
}

// W test_accept_inheritance; D accept.
#[test]
fn mo_07_an_accepted_socket_has_the_listeners_mode() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            listener.set_nonblocking(true).unwrap();
            let accept = || -> (Socket, Socket) {
                let client = stream(family);
                client.connect(address).unwrap();
                readable(&listener);
                (client, listener.accept().unwrap().0)
            };
            let (client, server) = accept();
            fails(server.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
            // The client's own mode is its own.
            server.send(b"x").unwrap();
            assert_eq!(recv_exactly(&client, 1), b"x");
            // From a blocking listener it is a blocking one, and the earlier one stays as it was.
            listener.set_nonblocking(false).unwrap();
            let (second_client, second) = accept();
            fails(server.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
            let waiting = thread::spawn(move || second.recv(&mut [0; 4]));
            thread::sleep(SETTLE);
            assert!(!waiting.is_finished());
            second_client.send(b"y").unwrap();
            assert_eq!(waiting.join().unwrap(), Ok(1));
        }
    });
}

// W test_write_events, a remark.
#[test]
fn mo_08_what_a_non_blocking_send_says_it_took_arrives() {
    promise(|| {
        let (a, b) = narrow(Family::V4);
        a.set_nonblocking(true).unwrap();
        let stream = pattern(4 << 20, 9);
        let mut sent = 0;
        // Three times full, and in between half of it is read.
        let mut got = Vec::new();
        for _ in 0..3 {
            loop {
                match a.send(&stream[sent..sent + 100_000]) {
                    Ok(n) => sent += n,
                    Err(error) => {
                        is_one_of(error, &[WSAEWOULDBLOCK]);
                        break;
                    }
                }
            }
            let half = (sent - got.len()) / 2;
            got.extend(recv_exactly(&b, half));
        }
        a.close().unwrap();
        got.extend(recv_to_the_end(&b));
        same_bytes(&got, &stream[..sent]);
    });
}

// W test_connecting_socket, a todo there.
#[test]
fn mo_09_no_transfer_on_a_socket_still_connecting() {
    promise(|| {
        let (socket, address, _keep) = connecting();
        for nonblocking in [true, false] {
            socket.set_nonblocking(nonblocking).unwrap();
            fails(socket.recv(&mut [0; 4]), &[WSAENOTCONN]);
            fails(socket.recv(&mut []), &[WSAENOTCONN]);
            fails(socket.recv_with(&mut [0; 4], Flags::PEEK), &[WSAENOTCONN]);
            fails(socket.recv_from(&mut [0; 4]), &[WSAENOTCONN]);
            fails(socket.send(b"x"), &[WSAENOTCONN]);
            fails(socket.send(b""), &[WSAENOTCONN]);
            fails(socket.send_to(b"x", address), &[WSAENOTCONN]);
        }
    });
}

// W test_connecting_socket: the same of overlapped operations.
#[test]
fn mo_09_no_overlapped_transfer_on_a_socket_still_connecting() {
    promise(|| {
        let (socket, _address, _keep) = connecting();
        let port = port_with(&[(&socket, 1)]);
        refused(socket.recv_overlapped(vec![0; 4], Flags::NONE, ToPort), &[WSAENOTCONN]);
        refused(socket.send_overlapped(vec![0; 4], ToPort), &[WSAENOTCONN]);
        no_packet(&port);
    });
}

// W test_accept_inheritance.
#[test]
fn in_02_an_accepted_socket_has_the_listeners_options() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let accept = || -> Socket {
                let client = stream(family);
                client.connect(address).unwrap();
                listener.accept().unwrap().0
            };
            let plain = accept();
            assert_eq!(
                (plain.nodelay(), plain.keepalive(), plain.oob_inline()),
                (Ok(false), Ok(false), Ok(false))
            );
            assert_eq!(
                (plain.linger(), plain.recv_timeout(), plain.send_timeout()),
                (Ok(None), Ok(None), Ok(None))
            );
            listener.set_nodelay(true).unwrap();
            listener.set_keepalive(true).unwrap();
            listener.set_oob_inline(true).unwrap();
            listener.set_linger(Some(Duration::from_secs(7))).unwrap();
            listener.set_recv_timeout(Some(Duration::from_millis(1500))).unwrap();
            listener.set_send_timeout(Some(Duration::from_millis(2500))).unwrap();
            let heir = accept();
            assert_eq!((heir.nodelay(), heir.keepalive(), heir.oob_inline()), (Ok(true), Ok(true), Ok(true)));
            assert_eq!(heir.linger(), Ok(Some(Duration::from_secs(7))));
            assert_eq!(heir.recv_timeout(), Ok(Some(Duration::from_millis(1500))));
            assert_eq!(heir.send_timeout(), Ok(Some(Duration::from_millis(2500))));
            // And they are its own from then on.
            heir.set_nodelay(false).unwrap();
            assert_eq!((listener.nodelay(), plain.nodelay()), (Ok(true), Ok(false)));
        }
    });
}

// D AcceptEx, SO_UPDATE_ACCEPT_CONTEXT: one that an operation accepts into as well, whatever it was set to before. Its
// mode is its own.
#[test]
fn in_02_a_socket_accepted_into_has_the_listeners_options() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            listener.set_nodelay(true).unwrap();
            listener.set_keepalive(true).unwrap();
            listener.set_oob_inline(true).unwrap();
            listener.set_linger(Some(Duration::from_secs(7))).unwrap();
            listener.set_nonblocking(true).unwrap();
            let port = port_with(&[(&listener, 1)]);
            for nonblocking in [true, false] {
                let heir = Socket::for_accept(family).unwrap();
                heir.set_linger(Some(Duration::from_secs(3))).unwrap();
                heir.set_nonblocking(nonblocking).unwrap();
                pending(listener.accept_ex(&heir, NOTHING, ToPort));
                let client = stream(family);
                client.connect(address).unwrap();
                assert_eq!(next_end(&port).result(), Ok(0));
                assert_eq!(
                    (heir.nodelay(), heir.keepalive(), heir.oob_inline()),
                    (Ok(true), Ok(true), Ok(true))
                );
                assert_eq!(heir.linger(), Ok(Some(Duration::from_secs(7))));
                if nonblocking {
                    fails(heir.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
                    continue;
                }
                let waiting = thread::spawn(move || heir.recv(&mut [0; 4]));
                thread::sleep(SETTLE);
                assert!(!waiting.is_finished());
                client.send(b"y").unwrap();
                assert_eq!(waiting.join().unwrap(), Ok(1));
            }
        }
    });
}

// W test_accept_inheritance: the options work, they are not only shown.
#[test]
fn in_02_an_inherited_time_out_ends_a_recv() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        listener.set_recv_timeout(Some(Duration::from_millis(100))).unwrap();
        let client = stream(Family::V4);
        client.connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        fails(server.recv(&mut [0; 4]), &[WSAETIMEDOUT]);
        client.send(b"x").unwrap();
        assert_eq!(recv_exactly(&server, 1), b"x");
    });
}
