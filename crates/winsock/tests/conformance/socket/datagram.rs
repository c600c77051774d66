//! UD: datagrams, with plain calls.

use crate::harness::{SILENCE, any, datagram, fails, families, known_on_wine, promise, quiet, readable};
use doorbell_winsock::error::{
    WSAEINVAL, WSAEMSGSIZE, WSAENOTCONN, WSAESHUTDOWN, WSAETIMEDOUT, WSAEWOULDBLOCK,
};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, FdSet, Kind, Shutdown, Socket, select};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

fn unbound(family: Family) -> Socket {
    Socket::new(family, Kind::Datagram).unwrap()
}

// D recvfrom.
#[test]
fn ud_01_one_receive_takes_one_datagram() {
    promise(|| {
        for family in families() {
            let ((a, a_name), (b, b_name)) = (datagram(family), datagram(family));
            for text in [b"A".as_slice(), b"BB", b"CCC"] {
                assert_eq!(a.send_to(text, b_name), Ok(text.len()));
            }
            let mut buffer = [0; 100];
            for text in [b"A".as_slice(), b"BB", b"CCC"] {
                assert_eq!(b.recv_from(&mut buffer), Ok((text.len(), a_name)));
                assert_eq!(&buffer[..text.len()], text);
            }
            // The largest that IPv4 carries, and one byte more.
            if family == Family::V4 {
                assert_eq!(a.send_to(&vec![1; 65507], b_name), Ok(65507));
                assert_eq!(b.recv_from(&mut vec![0; 65536]), Ok((65507, a_name)));
                fails(a.send_to(&vec![1; 65508], b_name), &[WSAEMSGSIZE]);
            }
        }
    });
}

// D recvfrom.
#[test]
fn ud_02_a_datagram_that_is_too_long_is_cut_off_and_said_so() {
    promise(|| {
        for family in families() {
            let ((a, _), (b, b_name)) = (datagram(family), datagram(family));
            b.set_nonblocking(true).unwrap();
            for plain in [true, false] {
                a.send_to(b"0123456789", b_name).unwrap();
                readable(&b);
                let mut buffer = [0; 4];
                let got = if plain { b.recv(&mut buffer) } else { b.recv_from(&mut buffer).map(|(n, _)| n) };
                fails(got, &[WSAEMSGSIZE]);
                assert_eq!(&buffer, b"0123");
                fails(b.recv(&mut buffer), &[WSAEWOULDBLOCK]);
            }
            // One that just fits is whole, and the next one is not touched by the cut.
            a.send_to(b"01234", b_name).unwrap();
            a.send_to(b"next", b_name).unwrap();
            readable(&b);
            let mut buffer = [0; 4];
            fails(b.recv(&mut buffer), &[WSAEMSGSIZE]);
            readable(&b);
            assert_eq!(b.recv(&mut buffer), Ok(4));
            assert_eq!(&buffer, b"next");
        }
    });
}

// D recvfrom.
#[test]
fn ud_02_peeking_at_a_datagram_leaves_it_whole() {
    promise(|| {
        let ((a, _), (b, b_name)) = (datagram(Family::V4), datagram(Family::V4));
        a.send_to(b"0123456789", b_name).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(b.recv_with(&mut buffer, Flags::PEEK), Ok(10));
        fails(b.recv_with(&mut buffer[..4], Flags::PEEK), &[WSAEMSGSIZE]);
        assert_eq!(b.recv(&mut buffer), Ok(10));
    });
}

// P8; D recvfrom.
#[test]
fn ud_05_an_empty_datagram_is_not_an_end() {
    promise(|| {
        for family in families() {
            let ((a, a_name), (b, b_name)) = (datagram(family), datagram(family));
            for text in [b"".as_slice(), b"", b"x"] {
                assert_eq!(a.send_to(text, b_name), Ok(text.len()));
            }
            let mut buffer = [0; 8];
            for len in [0, 0, 1] {
                assert_eq!(b.recv_from(&mut buffer), Ok((len, a_name)));
            }
        }
    });
}

// W test_select: the part of the statement that select sees.
#[test]
fn ud_08_a_fresh_datagram_socket_is_writable() {
    promise(|| {
        for family in families() {
            for socket in [unbound(family), datagram(family).0] {
                let mut read = FdSet::from_iter([&socket]);
                let (mut write, mut except) = (read.clone(), read.clone());
                let ready =
                    select(Some(&mut read), Some(&mut write), Some(&mut except), Some(Duration::ZERO));
                assert_eq!((ready, write.contains(&socket)), (Ok(1), true));
            }
        }
    });
}

// D connect.
#[test]
fn ud_09_a_connected_datagram_socket_hears_only_its_peer() {
    promise(|| {
        for family in families() {
            let ((a, a_name), (b, b_name)) = (datagram(family), datagram(family));
            let (stranger, _) = datagram(family);
            b.connect(a_name).unwrap();
            assert_eq!(b.peer_addr(), Ok(a_name));
            stranger.send_to(b"no", b_name).unwrap();
            quiet(&b);
            a.send_to(b"yes", b_name).unwrap();
            let mut buffer = [0; 8];
            assert_eq!(b.recv(&mut buffer), Ok(3));
            assert_eq!(b.send(b"back"), Ok(4));
            assert_eq!(a.recv_from(&mut buffer), Ok((4, b_name)));
            // Connecting again changes the peer.
            b.connect(stranger.local_addr().unwrap()).unwrap();
            a.send_to(b"no more", b_name).unwrap();
            quiet(&b);
            stranger.send_to(b"now", b_name).unwrap();
            assert_eq!(b.recv(&mut buffer), Ok(3));
        }
    });
}

// D connect: an address of zeros gives the peer up, and nothing else. Wine keeps the peer.
#[test]
fn ud_09_a_socket_that_gave_up_its_peer_keeps_its_name() {
    known_on_wine("UD-09", || {
        for family in families() {
            let wildcard: SocketAddr = match family {
                Family::V4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
                Family::V6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let ((a, a_name), (stranger, _)) = (datagram(family), datagram(family));
            let bound = unbound(family);
            bound.bind(any(family)).unwrap();
            let sent = unbound(family);
            sent.send_to(b"x", a_name).unwrap();
            for socket in [bound, sent, unbound(family)] {
                for _ in 0..2 {
                    socket.connect(a_name).unwrap();
                    let name = socket.local_addr().unwrap();
                    socket.connect(wildcard).unwrap();
                    fails(socket.peer_addr(), &[WSAENOTCONN]);
                    fails(socket.send(b"x"), &[WSAENOTCONN]);
                    assert_eq!(socket.local_addr().unwrap().port(), name.port());
                    fails(socket.bind(any(family)), &[WSAEINVAL]);
                    for sender in [&stranger, &a] {
                        sender.send_to(b"heard", name).unwrap();
                        assert_eq!(socket.recv_from(&mut [0; 8]), Ok((5, sender.local_addr().unwrap())));
                    }
                }
            }
        }
    });
}

/// A datagram address that nobody owns. Another test may get the port, but no test sends to a stranger.
fn nobodys(family: Family) -> SocketAddr {
    let (socket, address) = datagram(family);
    socket.close().unwrap();
    address
}

// W test_UDP.
#[test]
fn ud_10_sends_to_a_port_that_nobody_owns_succeed() {
    promise(|| {
        for family in families() {
            let (a, _) = datagram(family);
            let nobody = nobodys(family);
            for _ in 0..10 {
                assert_eq!(a.send_to(b"x", nobody), Ok(1));
            }
            // Also on a connected socket, which Linux tells of the refusal.
            let b = unbound(family);
            b.connect(nobody).unwrap();
            for _ in 0..10 {
                assert_eq!(b.send(b"x"), Ok(1));
            }
        }
    });
}

// D recvfrom: switched off here.
#[test]
fn ud_11_such_a_send_makes_no_receive_fail() {
    promise(|| {
        for family in families() {
            let (a, a_name) = datagram(family);
            let (b, _) = datagram(family);
            a.send_to(b"x", nobodys(family)).unwrap();
            quiet(&a);
            b.send_to(b"hello", a_name).unwrap();
            let mut buffer = [0; 8];
            assert_eq!(a.recv(&mut buffer), Ok(5));
            // Connected to nobody, its receive waits.
            let c = unbound(family);
            c.connect(nobodys(family)).unwrap();
            c.send(b"x").unwrap();
            c.set_recv_timeout(Some(SILENCE)).unwrap();
            fails(c.recv(&mut buffer), &[WSAETIMEDOUT]);
        }
    });
}

// W test_WSASendTo.
#[test]
fn ud_12_a_send_binds_implicitly() {
    promise(|| {
        for family in families() {
            let (b, b_name) = datagram(family);
            let a = unbound(family);
            fails(a.local_addr(), &[WSAEINVAL]);
            a.send_to(b"x", b_name).unwrap();
            let port = a.local_addr().unwrap().port();
            assert_ne!(port, 0);
            // A connect binds as well.
            let c = unbound(family);
            c.connect(b_name).unwrap();
            assert_eq!(c.local_addr().unwrap().ip(), any(family).ip());
            assert_ne!(c.local_addr().unwrap().port(), 0);
            fails(c.bind(any(family)), &[WSAEINVAL]);
            assert_eq!(b.recv_from(&mut [0; 4]).unwrap().1.port(), port);
            a.send_to(b"y", b_name).unwrap();
            assert_eq!(a.local_addr().unwrap().port(), port);
        }
    });
}

// D recvfrom: without an address there is nothing to receive at. Wine waits.
#[test]
fn ud_12_a_receive_does_not_bind() {
    known_on_wine("UD-12", || {
        let a = unbound(Family::V4);
        fails(a.recv_from(&mut [0; 4]), &[WSAEINVAL]);
        fails(a.local_addr(), &[WSAEINVAL]);
    });
}

// W test_shutdown.
#[test]
fn ud_13_shutdown_works_on_datagram_sockets() {
    promise(|| {
        for family in families() {
            let ((a, a_name), (b, b_name)) = (datagram(family), datagram(family));
            a.connect(b_name).unwrap();
            b.connect(a_name).unwrap();
            a.shutdown(Shutdown::Receive).unwrap();
            fails(a.recv(&mut [0; 4]), &[WSAESHUTDOWN]);
            assert_eq!(a.send(b"x"), Ok(1));
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            b.shutdown(Shutdown::Send).unwrap();
            fails(b.send(b"y"), &[WSAESHUTDOWN]);
            a.send(b"z").unwrap();
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            // A peer is not needed for it; nor has the other end heard of it.
            for socket in [unbound(family), datagram(family).0] {
                for how in [Shutdown::Receive, Shutdown::Send, Shutdown::Both] {
                    socket.shutdown(how).unwrap();
                    socket.shutdown(how).unwrap();
                }
                fails(socket.recv_from(&mut [0; 4]), &[WSAESHUTDOWN]);
                fails(socket.send_to(b"x", b_name), &[WSAESHUTDOWN]);
            }
            quiet(&b);
        }
    });
}

// W test_connect_udp.
#[test]
fn ud_14_send_needs_a_peer() {
    promise(|| {
        for family in families() {
            fails(unbound(family).send(b"x"), &[WSAENOTCONN]);
            let (bound, _) = datagram(family);
            fails(bound.send(b"x"), &[WSAENOTCONN]);
            bound.connect(datagram(family).1).unwrap();
            bound.send(b"x").unwrap();
        }
    });
}
