//! OV: overlapped operations, told at a port. The other groups stand in files of their own below.

mod accept;
mod buffers;
mod cancel;
mod close;
mod datagram;
mod event;
mod order;
mod shutdown;

use crate::harness::{
    NOTHING, SOON, arrived, compute, connecting, datagram, fails, families, foreign_pair, known_on_wine,
    let_in, listener, next_end, no_packet, pair, pair_of, pattern, pending, port_with, promise, quiet,
    received, recv_exactly, recv_pending, refused, reset, same_bytes, started, stream,
};
use doorbell_winsock::error::{
    ERROR_NETNAME_DELETED, WAIT_TIMEOUT, WSAECONNRESET, WSAENOTCONN, WSAENOTSOCK, WSAESHUTDOWN,
    WSAEWOULDBLOCK,
};
use doorbell_winsock::overlapped::{Operation, ToPort};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, Shutdown, Socket, Started};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Duration;

// D WSARecv; W iocp_async_read.
#[test]
fn ov_01_an_operation_that_must_wait_pends() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 9)]);
            let start = b.recv_overlapped(vec![77; 8], Flags::NONE, ToPort);
            let Ok(Started::Pending(id)) = start else { panic!("{start:?}") };
            no_packet(&port);
            a.send(b"abc").unwrap();
            let mut end = next_end(&port);
            assert_eq!((end.id(), end.operation(), end.key()), (id, Operation::Receive, 9));
            assert_eq!((end.result(), end.bytes(), end.system_code()), (Ok(3), 3, 0));
            // What was not received was not touched.
            assert_eq!(end.take_buffer::<Vec<u8>>().unwrap(), b"abcMMMMM");
            no_packet(&port);
        }
    });
}

// D WSARecv, WSASend: success at once is told all the same.
#[test]
fn ov_02_an_operation_that_ends_at_once_is_told_all_the_same() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&a, 1), (&b, 2)]);
        for _ in 0..50 {
            let sent = started(a.send_overlapped(b"abc".to_vec(), ToPort));
            let end = next_end(&port);
            assert_eq!(
                (end.id(), end.key(), end.operation(), end.result()),
                (sent, 1, Operation::Send, Ok(3))
            );
            arrived(&b, 3);
            let taken = started(b.recv_overlapped(vec![0; 8], Flags::NONE, ToPort));
            let end = next_end(&port);
            assert_eq!((end.id(), end.key()), (taken, 2));
            assert_eq!(received(end), b"abc");
        }
        no_packet(&port);
    });
}

// D Overlapped I/O and Event Objects; W test_completion_port.
#[test]
fn ov_03_an_operation_refused_at_once_is_told_nowhere() {
    promise(|| {
        for family in families() {
            let (a, _b) = pair_of(family);
            let fresh = stream(family);
            let closed = stream(family);
            let port = port_with(&[(&a, 1), (&fresh, 2), (&closed, 3)]);
            closed.close().unwrap();
            a.shutdown(Shutdown::Send).unwrap();
            let buffer = refused(a.send_overlapped(vec![5; 3], ToPort), &[WSAESHUTDOWN]);
            assert_eq!(buffer, [5; 3]);
            refused(fresh.recv_overlapped(buffer, Flags::NONE, ToPort), &[WSAENOTCONN]);
            refused(closed.recv_overlapped(vec![0; 3], Flags::NONE, ToPort), &[WSAENOTSOCK]);
            no_packet(&port);
        }
    });
}

// D WSARecv.
#[test]
fn ov_08_a_receive_ends_as_soon_as_there_is_any_data() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            for _ in 0..10 {
                recv_pending(&b, 1024);
                a.send(b"x").unwrap();
                assert_eq!(received(next_end(&port)), b"x");
            }
            no_packet(&port);
        }
    });
}

// D WSARecv; P8.
#[test]
fn ov_09_a_graceful_end_ends_every_receive_with_success_and_nothing() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let (_c, d) = pair_of(family);
            let port = port_with(&[(&b, 1), (&d, 2)]);
            let ids = [recv_pending(&b, 16), recv_pending(&b, 16)];
            recv_pending(&d, 16);
            a.close().unwrap();
            for id in ids {
                let end = next_end(&port);
                assert_eq!((end.id(), end.result()), (id, Ok(0)));
            }
            // And those that come later.
            for _ in 0..2 {
                started(b.recv_overlapped(vec![0; 4], Flags::NONE, ToPort));
                assert_eq!(next_end(&port).result(), Ok(0));
            }
            no_packet(&port);
        }
    });
}

// W test_shutdown: half a close is an end too, and what was sent before comes first.
#[test]
fn ov_09_the_last_bytes_come_before_the_end() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let ids = [recv_pending(&b, 4), recv_pending(&b, 4), recv_pending(&b, 4)];
        a.send(b"last").unwrap();
        a.shutdown(Shutdown::Send).unwrap();
        let ends = ids.map(|_| next_end(&port));
        assert_eq!(ends.each_ref().map(|end| end.id()), ids);
        assert_eq!(ends.map(|end| end.result()), [Ok(4), Ok(0), Ok(0)]);
    });
}

// W test_tcp_reset, test_WSARecv.
#[test]
fn ov_10_a_reset_ends_every_receive_with_an_error() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let (_c, d) = pair_of(family);
            let port = port_with(&[(&b, 1), (&d, 2)]);
            let ids = [recv_pending(&b, 16), recv_pending(&b, 16), recv_pending(&b, 16)];
            recv_pending(&d, 16);
            reset(&a);
            for id in ids {
                let end = next_end(&port);
                assert_eq!((end.id(), end.system_code(), end.bytes()), (id, ERROR_NETNAME_DELETED, 0));
                fails(end.result(), &[WSAECONNRESET]);
            }
            no_packet(&port);
        }
    });
}

// D WSASend; W test_send.
#[test]
fn ov_11_a_send_ends_when_all_its_bytes_were_taken() {
    promise(|| {
        const LEN: usize = 2 << 20;
        for family in families() {
            let (a, b) = pair_of(family);
            a.set_send_buffer(65536).unwrap();
            b.set_recv_buffer(65536).unwrap();
            let port = port_with(&[(&a, 1)]);
            pending(a.send_overlapped(pattern(LEN, 0), ToPort));
            no_packet(&port);
            let reader = thread::spawn(move || {
                let mut got = Vec::with_capacity(LEN);
                while got.len() < LEN {
                    got.extend(recv_exactly(&b, LEN / 8));
                    thread::sleep(Duration::from_millis(5));
                }
                (b, got)
            });
            let mut end = next_end(&port);
            assert_eq!(end.result(), Ok(LEN));
            same_bytes(&end.take_buffer::<Vec<u8>>().unwrap(), &pattern(LEN, 0));
            let (b, got) = reader.join().unwrap();
            same_bytes(&got, &pattern(LEN, 0));
            quiet(&b);
            no_packet(&port);
        }
    });
}

// D Overlapped I/O: nobody waits at the port, nobody is in a call of ours, and the peer is a stranger.
#[test]
fn ov_11_a_long_send_goes_on_while_nobody_is_at_the_port() {
    promise(|| {
        const LEN: usize = 8 << 20;
        let (a, mut peer) = foreign_pair();
        let port = port_with(&[(&a, 1)]);
        peer.set_read_timeout(Some(SOON)).unwrap();
        pending(a.send_overlapped(pattern(LEN, 2), ToPort));
        let mut got = vec![0; LEN];
        peer.read_exact(&mut got).expect("the operation stands still while its starter does something else");
        same_bytes(&got, &pattern(LEN, 2));
        assert_eq!(next_end(&port).result(), Ok(LEN));
    });
}

// D Overlapped I/O: the same of a receive that is to fill a buffer larger than what the system keeps.
#[test]
fn ov_08_a_long_receive_goes_on_while_nobody_is_at_the_port() {
    known_on_wine("D1", || {
        const LEN: usize = 16 << 20;
        let (a, mut peer) = foreign_pair();
        let port = port_with(&[(&a, 1)]);
        peer.set_write_timeout(Some(SOON)).unwrap();
        pending(a.recv_overlapped(vec![0; LEN], Flags::WAIT_ALL, ToPort));
        peer.write_all(&pattern(LEN, 5))
            .expect("the operation stands still while its starter does something else");
        same_bytes(&received(next_end(&port)), &pattern(LEN, 5));
    });
}

// D Overlapped I/O: as above, and the thread that waits for the peer's bytes does it with a call of ours.
#[test]
fn ov_11_a_long_send_goes_on_while_its_starter_reads_the_peer() {
    promise(|| {
        const LEN: usize = 8 << 20;
        let (a, b) = pair();
        let port = port_with(&[(&a, 1)]);
        pending(a.send_overlapped(pattern(LEN, 3), ToPort));
        same_bytes(&recv_exactly(&b, LEN), &pattern(LEN, 3));
        assert_eq!(next_end(&port).result(), Ok(LEN));
    });
}

// D Overlapped I/O: each direction on its own.
#[test]
fn ov_12_a_receive_and_a_send_are_outstanding_together() {
    promise(|| {
        const LEN: usize = 8 << 20;
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&a, 1)]);
            let receive = recv_pending(&a, 16);
            let send = pending(a.send_overlapped(pattern(LEN, 4), ToPort));
            // The receive ends although the send is stuck.
            b.send(b"hello").unwrap();
            let end = next_end(&port);
            assert_eq!(end.id(), receive);
            assert_eq!(received(end), b"hello");
            // The send ends although a receive pends.
            let second = recv_pending(&a, 16);
            let reader = thread::spawn(move || (recv_exactly(&b, LEN), b));
            let end = next_end(&port);
            assert_eq!((end.id(), end.result()), (send, Ok(LEN)));
            let (got, b) = reader.join().unwrap();
            same_bytes(&got, &pattern(LEN, 4));
            b.close().unwrap();
            let end = next_end(&port);
            assert_eq!((end.id(), end.result()), (second, Ok(0)));
        }
    });
}

// W test_timeout; D WSARecv.
#[test]
fn ov_13_time_outs_do_not_apply_to_overlapped_operations() {
    promise(|| {
        let (a, b) = pair();
        let limit = Some(Duration::from_millis(50));
        b.set_recv_timeout(limit).unwrap();
        b.set_send_timeout(limit).unwrap();
        let port = port_with(&[(&b, 1)]);
        let receive = recv_pending(&b, 16);
        let send = pending(b.send_overlapped(vec![1; 8 << 20], ToPort));
        fails(port.get(Some(Duration::from_millis(300))), &[WAIT_TIMEOUT]);
        a.send(b"late").unwrap();
        let end = next_end(&port);
        assert_eq!((end.id(), end.result()), (receive, Ok(4)));
        recv_exactly(&a, 8 << 20);
        let end = next_end(&port);
        assert_eq!((end.id(), end.result()), (send, Ok(8 << 20)));
    });
}

// P8: a receive of nothing waits for something and leaves it.
#[test]
fn ov_14_an_empty_receive_waits_for_data_and_takes_nothing() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            recv_pending(&b, 0);
            no_packet(&port);
            a.send(b"data").unwrap();
            assert_eq!(next_end(&port).result(), Ok(0));
            assert_eq!(b.bytes_available(), Ok(4));
            // With data there it ends at once, and still takes nothing.
            for _ in 0..3 {
                started(b.recv_overlapped(NOTHING, Flags::NONE, ToPort));
                assert_eq!(next_end(&port).result(), Ok(0));
            }
            assert_eq!(recv_exactly(&b, 4), b"data");
            // The peer's end is something to wait for too.
            recv_pending(&b, 0);
            a.close().unwrap();
            assert_eq!(next_end(&port).result(), Ok(0));
            no_packet(&port);
        }
    });
}

// WA test_async_thread_termination: the part of the statement that ports have, see also CP-28.
#[test]
fn ov_15_an_operation_of_a_port_outlives_its_starter() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            let ids = {
                let b = b.clone();
                thread::spawn(move || [recv_pending(&b, 2), recv_pending(&b, 2)]).join().unwrap()
            };
            no_packet(&port);
            a.send(b"1122").unwrap();
            for (id, text) in ids.into_iter().zip([b"11", b"22"]) {
                let end = next_end(&port);
                assert_eq!(end.id(), id);
                assert_eq!(received(end), text);
            }
        }
    });
}

// D WSARecv.
#[test]
fn ov_16_a_thousand_receives_in_a_row_with_one_buffer() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let mut ids = HashSet::new();
        let mut buffer = vec![0; 8];
        let address = buffer.as_ptr();
        for number in 0..1000u64 {
            // Every other one pends, the rest find their data waiting.
            let early = number % 2 == 0;
            if early {
                a.send(&number.to_le_bytes()).unwrap();
                arrived(&b, 8);
            }
            assert!(ids.insert(started(b.recv_overlapped(buffer, Flags::NONE, ToPort))), "an id came twice");
            if !early {
                a.send(&number.to_le_bytes()).unwrap();
            }
            let mut end = next_end(&port);
            assert_eq!(end.result(), Ok(8));
            buffer = end.take_buffer().unwrap();
            assert_eq!(buffer, number.to_le_bytes());
            assert_eq!(buffer.as_ptr(), address);
        }
    });
}

// W test_nonblocking_async_recv.
#[test]
fn ov_17_with_data_queued_it_pends_or_succeeds_and_is_told_once() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        for number in 0..100u8 {
            a.send(&[number]).unwrap();
            let id = match b.recv_overlapped(vec![0; 4], Flags::NONE, ToPort) {
                Ok(Started::Pending(id) | Started::Queued(id)) => id,
                other => panic!("{other:?}"),
            };
            let end = next_end(&port);
            assert_eq!(end.id(), id);
            assert_eq!(received(end), [number]);
        }
        no_packet(&port);
    });
}

// W test_nonblocking_async_recv; D ioctlsocket.
#[test]
fn mo_05_the_mode_does_not_matter_for_overlapped_operations() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&a, 1), (&b, 2)]);
        b.set_nonblocking(true).unwrap();
        recv_pending(&b, 16);
        no_packet(&port);
        a.send(b"x").unwrap();
        assert_eq!(received(next_end(&port)), b"x");
        // A long send pends as well, it is not cut to what fits.
        let send = pending(b.send_overlapped(vec![1; 8 << 20], ToPort));
        recv_exactly(&a, 8 << 20);
        let end = next_end(&port);
        assert_eq!((end.id(), end.result()), (send, Ok(8 << 20)));
        // And a plain call still obeys the mode.
        fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
        // Nor for an accept, a connect and a datagram.
        let (listener, address) = listener(Family::V4);
        let client = stream(Family::V4);
        let (c, c_name) = datagram(Family::V4);
        for (socket, key) in [(&listener, 3), (&client, 4), (&c, 5)] {
            socket.set_nonblocking(true).unwrap();
            port.associate(socket, key).unwrap();
        }
        pending(listener.accept_ex(&Socket::for_accept(Family::V4).unwrap(), NOTHING, ToPort));
        pending(c.recv_from_overlapped(vec![0; 4], Flags::NONE, ToPort));
        no_packet(&port);
        started(client.connect_ex(address, b"hey".to_vec(), ToPort));
        let mut ends = [next_end(&port), next_end(&port)].map(|end| (end.key(), end.result()));
        ends.sort_by_key(|(key, _)| *key);
        assert_eq!(ends, [(3, Ok(0)), (4, Ok(3))]);
        c.send_to(b"x", c_name).unwrap();
        assert_eq!(received(next_end(&port)), b"x");
    });
}

// D WSARecv: MSG_PEEK is a flag of overlapped receives too.
#[test]
fn bl_10_an_overlapped_peek_takes_nothing() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        pending(b.recv_overlapped(vec![0; 2], Flags::PEEK, ToPort));
        a.send(b"abcd").unwrap();
        assert_eq!(received(next_end(&port)), b"ab");
        started(b.recv_overlapped(vec![0; 8], Flags::PEEK, ToPort));
        assert!(b"abcd".starts_with(&received(next_end(&port))));
        assert_eq!(recv_exactly(&b, 4), b"abcd");
    });
}

// D Overlapped I/O: the starter computes or sleeps, and its operations of each kind end meanwhile.
#[test]
fn ov_15_operations_end_whatever_their_starter_does() {
    promise(|| {
        for computes in [true, false] {
            println!("while the starter {}", if computes { "computes" } else { "sleeps" });
            let (socket, mut peer) = foreign_pair();
            let (listener, address) = listener(Family::V4);
            let (_queued, full, keep) = connecting();
            let client = stream(Family::V4);
            let port = port_with(&[(&socket, 1), (&listener, 2), (&client, 3)]);
            let (tell, started) = mpsc::channel();
            let (over, is_over) = mpsc::channel::<()>();
            let starter = thread::spawn(move || {
                recv_pending(&socket, 16);
                let accept = Socket::for_accept(Family::V4).unwrap();
                pending(listener.accept_ex(&accept, NOTHING, ToPort));
                pending(client.connect_ex(full, b"ding".to_vec(), ToPort));
                tell.send(()).unwrap();
                let step = Duration::from_millis(5);
                while is_over.try_recv() == Err(TryRecvError::Empty) {
                    if computes { compute(step) } else { thread::sleep(step) }
                }
            });
            started.recv().unwrap();
            peer.write_all(b"now").unwrap();
            assert_eq!(received(next_end(&port)), b"now");
            let comes = stream(Family::V4);
            comes.connect(address).unwrap();
            let mut end = next_end(&port);
            assert_eq!((end.key(), end.result()), (2, Ok(0)));
            assert_eq!(end.take_accepted().unwrap().peer_addr(), comes.local_addr());
            let_in(&keep[0], b"ding");
            let end = next_end(&port);
            assert_eq!((end.key(), end.result()), (3, Ok(4)));
            drop(over);
            starter.join().unwrap();
        }
    });
}
