//! UD: overlapped datagrams.

use crate::harness::{
    NOTHING, datagram, fails, families, is_one_of, known_on_wine, next_end, no_packet, pending, port_with,
    promise, readable, received, refused, started,
};
use doorbell_winsock::error::{ERROR_MORE_DATA, WSAEINVAL, WSAEMSGSIZE, WSAESHUTDOWN};
use doorbell_winsock::overlapped::{Operation, ToPort};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, Kind, Shutdown, Socket};

// P8; W test_ip_pktinfo.
#[test]
fn ud_03_a_datagram_cut_off_ends_a_pending_receive_with_what_fits() {
    promise(|| {
        for family in families() {
            let ((a, a_name), (b, b_name)) = (datagram(family), datagram(family));
            let port = port_with(&[(&b, 1)]);
            for with_sender in [true, false] {
                let buffer = vec![0; 4];
                let id = if with_sender {
                    pending(b.recv_from_overlapped(buffer, Flags::NONE, ToPort))
                } else {
                    pending(b.recv_overlapped(buffer, Flags::NONE, ToPort))
                };
                a.send_to(b"0123456789", b_name).unwrap();
                let mut end = next_end(&port);
                assert_eq!((end.id(), end.system_code(), end.bytes()), (id, ERROR_MORE_DATA, 4));
                if with_sender {
                    assert_eq!(end.remote_addr(), Some(a_name));
                }
                fails(end.result(), &[WSAEMSGSIZE]);
                assert_eq!(end.take_buffer::<Vec<u8>>().unwrap(), b"0123");
            }
            // Into nothing anything is too long.
            pending(b.recv_from_overlapped(NOTHING, Flags::NONE, ToPort));
            a.send_to(b"x", b_name).unwrap();
            let end = next_end(&port);
            assert_eq!(
                (end.system_code(), end.bytes(), end.remote_addr()),
                (ERROR_MORE_DATA, 0, Some(a_name))
            );
            // The rest is gone, the next one is whole.
            pending(b.recv_from_overlapped(vec![0; 4], Flags::NONE, ToPort));
            no_packet(&port);
            a.send_to(b"next", b_name).unwrap();
            assert_eq!(received(next_end(&port)), b"next");
        }
    });
}

// P8. Winsock fails the call and posts a packet too; here the packet alone tells, so that the buffer comes back once.
#[test]
fn ud_04_a_datagram_cut_off_at_once_is_told_by_a_packet() {
    promise(|| {
        for connected in [false, true] {
            let ((a, a_name), (b, b_name)) = (datagram(Family::V4), datagram(Family::V4));
            if connected {
                b.connect(a_name).unwrap();
            }
            let port = port_with(&[(&b, 1)]);
            a.send_to(b"0123456789", b_name).unwrap();
            readable(&b);
            let buffer = vec![0; 4];
            let id = if connected {
                started(b.recv_overlapped(buffer, Flags::NONE, ToPort))
            } else {
                started(b.recv_from_overlapped(buffer, Flags::NONE, ToPort))
            };
            let mut end = next_end(&port);
            assert_eq!((end.id(), end.system_code(), end.bytes()), (id, ERROR_MORE_DATA, 4));
            assert_eq!(end.take_buffer::<Vec<u8>>().unwrap(), b"0123");
            no_packet(&port);
        }
    });
}

// P8; D WSARecvFrom.
#[test]
fn ud_05_an_empty_datagram_ends_a_receive_and_is_no_end() {
    promise(|| {
        for family in families() {
            let ((a, a_name), (b, b_name)) = (datagram(family), datagram(family));
            let port = port_with(&[(&b, 1)]);
            for text in [b"".as_slice(), b"x", b""] {
                pending(b.recv_from_overlapped(vec![0; 4], Flags::NONE, ToPort));
                a.send_to(text, b_name).unwrap();
                let end = next_end(&port);
                assert_eq!((end.result(), end.remote_addr()), (Ok(text.len()), Some(a_name)));
                pending(b.recv_overlapped(vec![0; 4], Flags::NONE, ToPort));
                a.send_to(text, b_name).unwrap();
                assert_eq!(next_end(&port).result(), Ok(text.len()));
            }
            no_packet(&port);
        }
    });
}

// D WSARecvFrom.
#[test]
fn ud_06_each_end_has_its_own_sender() {
    promise(|| {
        for family in families() {
            let (b, b_name) = datagram(family);
            let port = port_with(&[(&b, 1)]);
            let senders = [datagram(family), datagram(family), datagram(family)];
            for _ in &senders {
                pending(b.recv_from_overlapped(vec![0; 4], Flags::NONE, ToPort));
            }
            for (sender, _) in &senders {
                sender.send_to(b"me", b_name).unwrap();
            }
            for (_, name) in &senders {
                let end = next_end(&port);
                assert_eq!((end.operation(), end.remote_addr()), (Operation::ReceiveFrom, Some(*name)));
            }
        }
    });
}

// D WSASendTo: it binds, and each is told once.
#[test]
fn ud_12_an_overlapped_send_binds_implicitly() {
    promise(|| {
        for family in families() {
            let (b, b_name) = datagram(family);
            let a = Socket::new(family, Kind::Datagram).unwrap();
            let port = port_with(&[(&a, 1)]);
            refused(a.recv_from_overlapped(vec![0; 4], Flags::NONE, ToPort), &[WSAEINVAL]);
            // A list of no buffers is none, and binds nothing (BF-03).
            refused(a.send_to_overlapped(Vec::<Vec<u8>>::new(), b_name, ToPort), &[WSAEINVAL]);
            fails(a.local_addr(), &[WSAEINVAL]);
            for text in [b"one".as_slice(), b"", b"three"] {
                started(a.send_to_overlapped(text, b_name, ToPort));
                let end = next_end(&port);
                assert_eq!((end.operation(), end.result()), (Operation::SendTo, Ok(text.len())));
                let mut buffer = [0; 8];
                let (len, from) = b.recv_from(&mut buffer).unwrap();
                assert_eq!(&buffer[..len], text);
                assert_eq!(from.port(), a.local_addr().unwrap().port());
            }
            no_packet(&port);
        }
    });
}

// D WSASendTo: one that is too long.
#[test]
fn ud_02_a_datagram_too_long_to_send_fails_and_is_told_once() {
    promise(|| {
        let ((a, _), (_b, b_name)) = (datagram(Family::V4), datagram(Family::V4));
        let port = port_with(&[(&a, 1)]);
        match a.send_to_overlapped(vec![0; 65508], b_name, ToPort) {
            Err(refused) => is_one_of(refused.error, &[WSAEMSGSIZE]),
            Ok(_) => fails(next_end(&port).result(), &[WSAEMSGSIZE]),
        };
        no_packet(&port);
    });
}

// W test_shutdown.
#[test]
fn ud_13_a_shut_direction_refuses_overlapped_datagrams() {
    promise(|| {
        let ((a, a_name), (b, b_name)) = (datagram(Family::V4), datagram(Family::V4));
        a.connect(b_name).unwrap();
        b.connect(a_name).unwrap();
        let port = port_with(&[(&a, 1)]);
        a.shutdown(Shutdown::Both).unwrap();
        refused(a.recv_overlapped(vec![0; 4], Flags::NONE, ToPort), &[WSAESHUTDOWN]);
        refused(a.send_overlapped(vec![0; 4], ToPort), &[WSAESHUTDOWN]);
        no_packet(&port);
    });
}

// D recvfrom: nor of a connected socket, which Linux tells of the refusal, as Wine then does.
#[test]
fn ud_11_a_send_to_nobody_ends_no_pending_receive_of_a_connected_socket() {
    known_on_wine("UD-11", || {
        for family in families() {
            let (gone, nobody) = datagram(family);
            gone.close().unwrap();
            let (a, _) = datagram(family);
            a.connect(nobody).unwrap();
            let port = port_with(&[(&a, 1)]);
            let receive = pending(a.recv_overlapped(vec![0; 8], Flags::NONE, ToPort));
            for number in 0..10 {
                if number % 2 == 0 {
                    assert_eq!(a.send(b"x"), Ok(1));
                    continue;
                }
                let send = started(a.send_overlapped(b"x".to_vec(), ToPort));
                let end = next_end(&port);
                assert_eq!((end.id(), end.result()), (send, Ok(1)));
            }
            no_packet(&port);
            // It goes on, and hears its new peer.
            let (b, b_name) = datagram(family);
            a.connect(b_name).unwrap();
            b.send_to(b"hello", a.local_addr().unwrap()).unwrap();
            let end = next_end(&port);
            assert_eq!(end.id(), receive);
            assert_eq!(received(end), b"hello");
        }
    });
}

// D recvfrom: a send to nobody ends no receive that pends.
#[test]
fn ud_11_a_send_to_nobody_ends_no_pending_receive() {
    promise(|| {
        for family in families() {
            let ((a, a_name), (b, _)) = (datagram(family), datagram(family));
            let (gone, nobody) = datagram(family);
            gone.close().unwrap();
            let port = port_with(&[(&a, 1)]);
            pending(a.recv_from_overlapped(vec![0; 8], Flags::NONE, ToPort));
            for _ in 0..3 {
                a.send_to(b"x", nobody).unwrap();
            }
            no_packet(&port);
            b.send_to(b"hello", a_name).unwrap();
            assert_eq!(received(next_end(&port)), b"hello");
        }
    });
}
