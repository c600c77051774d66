//! ER: the same numbers on every system.

use crate::harness::{
    LONG, NOTHING, SETTLE, SOON, any, arrived, datagram, fails, families, is_one_of, known_on_wine, listener,
    narrow, next_end, no_packet, pair, pair_of, pending, port_with, promise, quiet, readable, recv_exactly,
    recv_pending, refused, refusing, reset, started, stream, within,
};
use doorbell_winsock::error::{
    ERROR_ABANDONED_WAIT_0, ERROR_CONNECTION_ABORTED, ERROR_CONNECTION_REFUSED, ERROR_INVALID_HANDLE,
    ERROR_MORE_DATA, ERROR_NETNAME_DELETED, ERROR_NOT_FOUND, WAIT_TIMEOUT, WSA_IO_INCOMPLETE, WSA_IO_PENDING,
    WSA_OPERATION_ABORTED, WSA_WAIT_IO_COMPLETION, WSAEACCES, WSAEADDRINUSE, WSAEADDRNOTAVAIL,
    WSAEAFNOSUPPORT, WSAEALREADY, WSAECONNABORTED, WSAECONNREFUSED, WSAECONNRESET, WSAEINPROGRESS, WSAEINTR,
    WSAEINVAL, WSAEISCONN, WSAEMFILE, WSAEMSGSIZE, WSAENOBUFS, WSAENOTCONN, WSAENOTSOCK, WSAEOPNOTSUPP,
    WSAESHUTDOWN, WSAETIMEDOUT, WSAEWOULDBLOCK,
};
use doorbell_winsock::overlapped::ToPort;
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{CompletionPort, Error, Family, Kind, Shutdown, Socket};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::Duration;

// D Windows Sockets Error Codes. Three of them no test here brings about: WSAEMFILE, as Windows has no limit of descriptors (for
// Linux see `sys::linux::socket`), WSAENOBUFS, and WSAEINPROGRESS, which comes from the blocking hooks of Winsock 1.1 alone.
#[test]
fn er_01_every_code_has_its_number_its_name_and_words() {
    promise(|| {
        let table = [
            (WSAEINTR, 10004, "WSAEINTR"),
            (WSAEACCES, 10013, "WSAEACCES"),
            (WSAEINVAL, 10022, "WSAEINVAL"),
            (WSAEMFILE, 10024, "WSAEMFILE"),
            (WSAEWOULDBLOCK, 10035, "WSAEWOULDBLOCK"),
            (WSAEINPROGRESS, 10036, "WSAEINPROGRESS"),
            (WSAEALREADY, 10037, "WSAEALREADY"),
            (WSAENOTSOCK, 10038, "WSAENOTSOCK"),
            (WSAEMSGSIZE, 10040, "WSAEMSGSIZE"),
            (WSAEOPNOTSUPP, 10045, "WSAEOPNOTSUPP"),
            (WSAEAFNOSUPPORT, 10047, "WSAEAFNOSUPPORT"),
            (WSAEADDRINUSE, 10048, "WSAEADDRINUSE"),
            (WSAEADDRNOTAVAIL, 10049, "WSAEADDRNOTAVAIL"),
            (WSAECONNABORTED, 10053, "WSAECONNABORTED"),
            (WSAECONNRESET, 10054, "WSAECONNRESET"),
            (WSAENOBUFS, 10055, "WSAENOBUFS"),
            (WSAEISCONN, 10056, "WSAEISCONN"),
            (WSAENOTCONN, 10057, "WSAENOTCONN"),
            (WSAESHUTDOWN, 10058, "WSAESHUTDOWN"),
            (WSAETIMEDOUT, 10060, "WSAETIMEDOUT"),
            (WSAECONNREFUSED, 10061, "WSAECONNREFUSED"),
            (WSA_OPERATION_ABORTED, 995, "WSA_OPERATION_ABORTED"),
            (WSA_IO_INCOMPLETE, 996, "WSA_IO_INCOMPLETE"),
            (WSA_IO_PENDING, 997, "WSA_IO_PENDING"),
            (WAIT_TIMEOUT, 258, "WAIT_TIMEOUT"),
            (WSA_WAIT_IO_COMPLETION, 192, "WSA_WAIT_IO_COMPLETION"),
            (ERROR_ABANDONED_WAIT_0, 735, "ERROR_ABANDONED_WAIT_0"),
            (ERROR_NOT_FOUND, 1168, "ERROR_NOT_FOUND"),
            (ERROR_NETNAME_DELETED, 64, "ERROR_NETNAME_DELETED"),
            (ERROR_CONNECTION_REFUSED, 1225, "ERROR_CONNECTION_REFUSED"),
            (ERROR_CONNECTION_ABORTED, 1236, "ERROR_CONNECTION_ABORTED"),
            (ERROR_MORE_DATA, 234, "ERROR_MORE_DATA"),
        ];
        for (constant, number, name) in table {
            assert_eq!(constant, number, "{name}");
            let error = Error::new("call", number);
            assert_eq!(error.name(), name);
            assert!(error.to_string().starts_with(&format!("call: {name} ({number}): ")), "{error}");
            assert!(!error.meaning().is_empty() && !error.meaning().contains("without a description"));
        }
    });
}

// D Windows Sockets Error Codes: what the sockets themselves answer, and how it prints.
#[test]
fn er_01_a_failed_call_names_itself_and_never_shows_an_errno() {
    promise(|| {
        let (a, b) = pair();
        b.set_nonblocking(true).unwrap();
        let error = fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
        assert!(error.to_string().starts_with("recv: WSAEWOULDBLOCK (10035): "), "{error}");
        let error = fails(a.connect(b.local_addr().unwrap()), &[WSAEISCONN]);
        assert!(error.to_string().starts_with("connect: WSAEISCONN (10056): "), "{error}");
        reset(&a);
        readable(&b);
        let error = fails(b.recv(&mut [0; 4]), &[WSAECONNRESET]);
        assert_eq!(error.to_string(), "recv: WSAECONNRESET (10054): the peer reset the connection");
        let error = fails(b.cancel(None), &[ERROR_NOT_FOUND]);
        assert!(error.to_string().contains("ERROR_NOT_FOUND (1168)"), "{error}");
    });
}

// D bind: an address that is not this machine's (192.0.2.0/24 is kept for documents).
#[test]
fn er_01_a_foreign_address_is_not_available() {
    promise(|| {
        let socket = stream(Family::V4);
        fails(socket.bind("192.0.2.1:0".parse().unwrap()), &[WSAEADDRNOTAVAIL]);
        socket.bind(any(Family::V4)).expect("a refused bind leaves the socket as it was");
        // Nor is one of another family.
        let other = (Ipv6Addr::LOCALHOST, 9).into();
        refused(socket.connect_ex(other, NOTHING, ToPort), &[WSAEAFNOSUPPORT]);
    });
}

// D sendto: the wildcard is no address to send to, nor has anybody port 0. Wine asks the system below, which takes the one and
// calls the other WSAEINVAL (10022).
#[test]
fn er_01_nobody_is_at_the_wildcard_or_at_port_0() {
    known_on_wine("ER-01", || {
        for family in families() {
            let ((a, a_name), (b, b_name)) = (datagram(family), datagram(family));
            let port = port_with(&[(&a, 1)]);
            let no_port = any(family);
            let wildcard = match family {
                Family::V4 => (Ipv4Addr::UNSPECIFIED, b_name.port()).into(),
                Family::V6 => (Ipv6Addr::UNSPECIFIED, b_name.port()).into(),
            };
            for nowhere in [no_port, wildcard] {
                fails(a.send_to(b"x", nowhere), &[WSAEADDRNOTAVAIL]);
                let buffer =
                    refused(a.send_to_overlapped(b"x".to_vec(), nowhere, ToPort), &[WSAEADDRNOTAVAIL]);
                assert_eq!(buffer, b"x");
            }
            no_packet(&port);
            quiet(&b);
            // The socket is as it was.
            a.send_to(b"y", b_name).unwrap();
            assert_eq!(b.recv_from(&mut [0; 4]), Ok((1, a_name)));
        }
    });
}

// W test_tcp_reset, test_connect: the packet has the system's code, its result Winsock's.
#[test]
fn er_02_a_failure_has_a_system_face_and_a_winsock_face() {
    promise(|| {
        // Reset.
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        recv_pending(&b, 16);
        reset(&a);
        let end = next_end(&port);
        assert_eq!(end.system_code(), ERROR_NETNAME_DELETED);
        fails(end.result(), &[WSAECONNRESET]);
        // Cancel: the same on both faces.
        let (_c, d) = pair();
        port.associate(&d, 2).unwrap();
        recv_pending(&d, 16);
        d.cancel(None).unwrap();
        let end = next_end(&port);
        assert_eq!(end.system_code(), WSA_OPERATION_ABORTED);
        fails(end.result(), &[WSA_OPERATION_ABORTED]);
        // Refusal.
        let (_held, nobody) = refusing(Family::V4);
        let e = stream(Family::V4);
        port.associate(&e, 3).unwrap();
        started(e.connect_ex(nobody, NOTHING, ToPort));
        let end = next_end(&port);
        assert_eq!(end.system_code(), ERROR_CONNECTION_REFUSED);
        fails(end.result(), &[WSAECONNREFUSED]);
        // A datagram cut off.
        let (f, address) = datagram(Family::V4);
        port.associate(&f, 4).unwrap();
        pending(f.recv_from_overlapped(vec![0; 4], Flags::NONE, ToPort));
        let (g, _) = datagram(Family::V4);
        g.send_to(b"0123456789", address).unwrap();
        let end = next_end(&port);
        assert_eq!(end.system_code(), ERROR_MORE_DATA);
        fails(end.result(), &[WSAEMSGSIZE]);
    });
}

// W test_tcp_reset; D send.
#[test]
fn er_03_sending_on_a_reset_connection_fails_and_is_no_signal() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let (c, d) = pair_of(family);
            reset(&a);
            readable(&b);
            for _ in 0..3 {
                fails(b.send(b"x"), &[WSAECONNRESET, WSAECONNABORTED]);
            }
            // A send that was blocked as it came ends too.
            let (e, f) = narrow(family);
            let blocked = thread::spawn(move || f.send(&[1; LONG]));
            arrived(&e, 1);
            thread::sleep(SETTLE);
            reset(&e);
            assert!(within(SOON, || blocked.is_finished()), "send hangs after the reset");
            fails(blocked.join().unwrap(), &[WSAECONNRESET, WSAECONNABORTED]);
            // Another connection knows nothing of it.
            d.send(b"y").unwrap();
            assert_eq!(recv_exactly(&c, 1), b"y");
        }
    });
}

// W test_tcp_reset: whether the call says it or the packet.
#[test]
fn er_03_an_overlapped_send_on_a_reset_connection_fails() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        reset(&a);
        readable(&b);
        for _ in 0..3 {
            match b.send_overlapped(vec![1; 10], ToPort) {
                Err(refused) => is_one_of(refused.error, &[WSAECONNRESET, WSAECONNABORTED]),
                Ok(_) => fails(next_end(&port).result(), &[WSAECONNRESET, WSAECONNABORTED]),
            };
        }
        no_packet(&port);
    });
}

// W test_listen; D listen.
#[test]
fn er_04_listen_binds_nothing_implicitly() {
    promise(|| {
        for family in families() {
            let socket = stream(family);
            fails(socket.listen(BACKLOG_MAX), &[WSAEINVAL]);
            fails(socket.local_addr(), &[WSAEINVAL]);
            // After a bind the same socket listens, and again is no error.
            socket.bind(any(family)).unwrap();
            socket.listen(5).unwrap();
            socket.listen(BACKLOG_MAX).unwrap();
            stream(family).connect(socket.local_addr().unwrap()).unwrap();
        }
    });
}

// W test_listen, test_bind.
#[test]
fn er_05_a_second_bind_and_an_address_in_use() {
    promise(|| {
        for family in families() {
            let (first, address) = listener(family);
            fails(first.bind(any(family)), &[WSAEINVAL]);
            let second = stream(family);
            fails(second.bind(address), &[WSAEADDRINUSE]);
            let (taken, name) = datagram(family);
            fails(taken.bind(any(family)), &[WSAEINVAL]);
            fails(Socket::new(family, Kind::Datagram).unwrap().bind(name), &[WSAEADDRINUSE]);
            // A connection has its name already.
            let (a, b) = pair_of(family);
            for end in [&a, &b] {
                fails(end.bind(any(family)), &[WSAEINVAL]);
                fails(end.listen(5), &[WSAEISCONN, WSAEINVAL]);
            }
            // Streams and datagrams do not share their ports, nor do the families.
            Socket::new(family, Kind::Datagram).unwrap().bind(address).unwrap();
            // The refused socket is as new; the first one still listens.
            second.bind(any(family)).unwrap();
            fails(second.bind(any(family)), &[WSAEINVAL]);
            stream(family).connect(address).unwrap();
            first.accept().unwrap();
        }
    });
}

// D SO_EXCLUSIVEADDRUSE: asked for on both sides, nobody steals the port.
#[test]
fn er_05_a_listener_with_an_exclusive_address_is_not_robbed() {
    promise(|| {
        for family in families() {
            for kind in [Kind::Stream, Kind::Datagram] {
                let exclusive = || -> Socket {
                    let socket = Socket::new(family, kind).unwrap();
                    socket.set_exclusive_address().unwrap();
                    socket
                };
                let first = exclusive();
                first.bind(any(family)).unwrap();
                let address = first.local_addr().unwrap();
                // Windows answers 10013 to one who asks for a place that is taken exclusively.
                let robbed = &[WSAEADDRINUSE, WSAEACCES];
                let second = exclusive();
                fails(second.bind(address), robbed);
                fails(Socket::new(family, kind).unwrap().bind(address), robbed);
                if kind == Kind::Datagram {
                    continue;
                }
                first.listen(5).unwrap();
                fails(second.bind(address), robbed);
                // A connection that outlives the listener keeps nobody from listening there again.
                let client = stream(family);
                client.connect(address).unwrap();
                let (server, _) = first.accept().unwrap();
                first.close().unwrap();
                second.bind(address).unwrap();
                fails(exclusive().bind(address), robbed);
                second.listen(5).unwrap();
                fails(exclusive().bind(address), robbed);
                stream(family).connect(address).unwrap();
                second.accept().unwrap();
                server.send(b"x").unwrap();
                assert_eq!(recv_exactly(&client, 1), b"x");
            }
        }
    });
}

// W test_connect.
#[test]
fn er_06_accept_needs_a_listener_and_connect_none() {
    promise(|| {
        for family in families() {
            let fresh = stream(family);
            fails(fresh.accept(), &[WSAEINVAL]);
            fresh.bind(any(family)).unwrap();
            fails(fresh.accept(), &[WSAEINVAL]);
            let (connected, _peer) = pair_of(family);
            fails(connected.accept(), &[WSAEINVAL]);
            let (one, _) = listener(family);
            let (_other, address) = listener(family);
            fails(one.connect(address), &[WSAEINVAL]);
            // It went on listening.
            stream(family).connect(one.local_addr().unwrap()).unwrap();
            one.accept().unwrap();
        }
    });
}

// W test_getsockname, test_getpeername.
#[test]
fn er_07_addresses_that_are_not_there_yet() {
    promise(|| {
        for family in families() {
            for kind in [Kind::Stream, Kind::Datagram] {
                let socket = Socket::new(family, kind).unwrap();
                fails(socket.local_addr(), &[WSAEINVAL]);
                fails(socket.peer_addr(), &[WSAENOTCONN]);
                socket.bind(any(family)).unwrap();
                let address = socket.local_addr().unwrap();
                assert_eq!(address.ip(), any(family).ip());
                assert_ne!(address.port(), 0);
                fails(socket.peer_addr(), &[WSAENOTCONN]);
            }
            let (a, b) = pair_of(family);
            assert_eq!(a.peer_addr(), b.local_addr());
            assert_eq!(a.local_addr(), b.peer_addr());
        }
    });
}

// W test_listen.
#[test]
fn er_08_a_datagram_socket_does_not_listen() {
    promise(|| {
        let (bound, _) = datagram(Family::V4);
        fails(bound.listen(5), &[WSAEOPNOTSUPP]);
    });
}

// W test_listen: also when it is not bound.
#[test]
fn er_08_a_datagram_socket_that_is_not_bound_does_not_listen_either() {
    promise(|| {
        let unbound = Socket::new(Family::V4, Kind::Datagram).unwrap();
        fails(unbound.listen(5), &[WSAEOPNOTSUPP]);
    });
}

// D closesocket, CloseHandle: the numbers of closed things.
#[test]
fn er_01_closed_handles_have_their_two_numbers() {
    promise(|| {
        let socket = stream(Family::V4);
        socket.close().unwrap();
        fails(socket.shutdown(Shutdown::Both), &[WSAENOTSOCK]);
        let port = CompletionPort::new(0).unwrap();
        port.close().unwrap();
        fails(port.get(Some(Duration::ZERO)), &[ERROR_INVALID_HANDLE]);
    });
}
