//! CP: completion ports and their sockets. The queue of packets, which threads are released and how many at a time,
//! operations that have an event, and closing stand in files of their own below.

mod close;
mod event;
mod queue;
mod release;

use crate::harness::{
    NOTHING, SOON, arrived, connecting, datagram, fails, families, let_in, listener, next_end, next_posted,
    no_packet, pair, pair_of, pattern, pending, port_with, promise, readable, received, recv_exactly,
    recv_pending, refused, refuses, reset, same_bytes, started, stream,
};
use doorbell_winsock::error::{
    ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER, ERROR_NETNAME_DELETED, WAIT_TIMEOUT,
    WSA_OPERATION_ABORTED, WSAENOTCONN, WSAENOTSOCK, WSAESHUTDOWN,
};
use doorbell_winsock::overlapped::ToPort;
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Completion, CompletionPort, Family, Packet, Shutdown, Socket, Started};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

// D CreateIoCompletionPort; W test_completion_port.
#[test]
fn cp_01_a_port_serves_any_number_of_sockets_each_under_its_key() {
    promise(|| {
        let port = CompletionPort::new(0).unwrap();
        no_packet(&port);
        let keys = [0, 1, usize::MAX, 7, 7];
        let pairs: Vec<(Socket, Socket)> = keys.iter().map(|_| pair()).collect();
        for ((_, b), key) in pairs.iter().zip(keys) {
            port.associate(b, key).unwrap();
            recv_pending(b, 4);
        }
        for ((a, _), key) in pairs.iter().zip(keys) {
            a.send(b"x").unwrap();
            let end = next_end(&port);
            assert_eq!((end.key(), Packet::Io(end).key()), (key, key));
        }
        no_packet(&port);
    });
}

// D CreateIoCompletionPort: a packet of another port's socket never comes here.
#[test]
fn cp_01_two_ports_share_nothing() {
    promise(|| {
        let (a, b) = pair();
        let (c, d) = pair();
        let (one, other) = (port_with(&[(&b, 1)]), port_with(&[(&d, 1)]));
        recv_pending(&b, 4);
        recv_pending(&d, 4);
        one.post(0, 9, 0).unwrap();
        assert_eq!(next_posted(&one), (0, 9, 0));
        c.send(b"x").unwrap();
        no_packet(&one);
        assert_eq!(received(next_end(&other)), b"x");
        a.send(b"y").unwrap();
        no_packet(&other);
        let end: Completion = next_end(&one);
        assert_eq!(received(end), b"y");
    });
}
// D CreateIoCompletionPort; P8.
#[test]
fn cp_02_a_socket_is_associated_once() {
    promise(|| {
        let (a, b) = pair();
        let (one, other) = (port_with(&[(&b, 1)]), CompletionPort::new(0).unwrap());
        for _ in 0..2 {
            fails(one.associate(&b, 2), &[ERROR_INVALID_PARAMETER]);
            fails(other.associate(&b, 3), &[ERROR_INVALID_PARAMETER]);
            fails(one.associate(&b, 1), &[ERROR_INVALID_PARAMETER]);
        }
        recv_pending(&b, 4);
        a.send(b"x").unwrap();
        assert_eq!(next_end(&one).key(), 1);
        no_packet(&other);
        // The peer's end is another socket.
        other.associate(&a, 4).unwrap();
        let closed = stream(Family::V4);
        closed.close().unwrap();
        fails(other.associate(&closed, 5), &[WSAENOTSOCK, ERROR_INVALID_HANDLE]);
        // A port that is closed takes no socket, and does not spoil it for others.
        let (a, b) = pair();
        one.close().unwrap();
        fails(one.associate(&b, 6), &[ERROR_INVALID_HANDLE]);
        // Of many at once one is the first.
        let racers: Vec<_> = (0..8)
            .map(|key| {
                let (port, b) = (other.clone(), b.clone());
                thread::spawn(move || port.associate(&b, key).map(|()| key))
            })
            .collect();
        let outcomes: Vec<_> = racers.into_iter().map(|t| t.join().unwrap()).collect();
        let winners: Vec<_> = outcomes.iter().flatten().copied().collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        recv_pending(&b, 4);
        a.send(b"x").unwrap();
        assert_eq!(next_end(&other).key(), winners[0]);
    });
}

// D GetQueuedCompletionStatus: success at once is told by a packet too.
#[test]
fn cp_03_an_operation_that_succeeds_at_once_posts_a_packet() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&a, 1), (&b, 2)]);
            for _ in 0..20 {
                let sent = started(a.send_overlapped(b"x".to_vec(), ToPort));
                arrived(&b, 1);
                let taken = started(b.recv_overlapped(vec![0; 4], Flags::NONE, ToPort));
                for (id, key) in [(sent, 1), (taken, 2)] {
                    let end = next_end(&port);
                    assert_eq!((end.id(), end.key(), end.result()), (id, key, Ok(1)));
                }
            }
            // Accepts and datagrams as well, and an end of 0 bytes.
            let (listener, address) = listener(family);
            let (d, d_name) = datagram(family);
            port.associate(&listener, 3).unwrap();
            port.associate(&d, 4).unwrap();
            let client = stream(family);
            client.connect(address).unwrap();
            readable(&listener);
            started(listener.accept_ex(&Socket::for_accept(family).unwrap(), NOTHING, ToPort));
            let end = next_end(&port);
            assert_eq!((end.key(), end.result()), (3, Ok(0)));
            started(d.send_to_overlapped(b"xyz".to_vec(), d_name, ToPort));
            assert_eq!(next_end(&port).result(), Ok(3));
            readable(&d);
            started(d.recv_from_overlapped(vec![0; 8], Flags::NONE, ToPort));
            let end = next_end(&port);
            assert_eq!((end.key(), end.result()), (4, Ok(3)));
            a.shutdown(Shutdown::Send).unwrap();
            readable(&b);
            started(b.recv_overlapped(vec![0; 4], Flags::NONE, ToPort));
            assert_eq!(next_end(&port).result(), Ok(0));
            no_packet(&port);
        }
    });
}

// W test_completion_port.
#[test]
fn cp_04_a_pending_operation_posts_exactly_one_packet_whatever_the_outcome() {
    promise(|| {
        type Outcome = (fn(&Socket, &Socket), i32);
        let outcomes: [Outcome; 4] = [
            (|a, _| _ = a.send(b"x"), 0),
            (|a, _| a.close().unwrap(), 0),
            (|a, _| reset(a), ERROR_NETNAME_DELETED),
            (|_, b| b.cancel(None).unwrap(), WSA_OPERATION_ABORTED),
        ];
        for (cause, code) in outcomes {
            let (a, b) = pair();
            let port = port_with(&[(&b, 1)]);
            let id = recv_pending(&b, 4);
            no_packet(&port);
            cause(&a, &b);
            let end = next_end(&port);
            assert_eq!((end.id(), end.system_code()), (id, code));
            no_packet(&port);
        }
    });
}

// W test_completion_port.
#[test]
fn cp_05_an_operation_refused_at_once_posts_nothing() {
    promise(|| {
        let fresh = stream(Family::V4);
        let (a, _b) = pair();
        let port = port_with(&[(&fresh, 1), (&a, 2)]);
        a.shutdown(Shutdown::Both).unwrap();
        for _ in 0..3 {
            refused(fresh.recv_overlapped(vec![0; 4], Flags::NONE, ToPort), &[WSAENOTCONN]);
            refused(fresh.send_overlapped(vec![0; 4], ToPort), &[WSAENOTCONN]);
            refused(a.recv_overlapped(vec![0; 4], Flags::NONE, ToPort), &[WSAESHUTDOWN]);
            refused(a.send_overlapped(vec![0; 4], ToPort), &[WSAESHUTDOWN]);
        }
        no_packet(&port);
    });
}

// D GetQueuedCompletionStatus; miow issue 25.
#[test]
fn cp_06_a_failed_operation_is_a_packet_and_no_packet_is_an_error() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        for timeout in [Duration::ZERO, Duration::from_millis(50)] {
            let start = Instant::now();
            fails(port.get(Some(timeout)), &[WAIT_TIMEOUT]);
            assert!(start.elapsed() >= timeout);
            let mut packets = Vec::new();
            fails(port.get_many(&mut packets, 4, Some(timeout), Alertable::No), &[WAIT_TIMEOUT]);
            assert!(packets.is_empty());
        }
        recv_pending(&b, 4);
        reset(&a);
        match port.get(Some(SOON)) {
            Ok(Packet::Io(end)) => assert_eq!((end.key(), end.system_code()), (1, ERROR_NETNAME_DELETED)),
            other => panic!("{other:?}"),
        }
        fails(port.get(Some(Duration::ZERO)), &[WAIT_TIMEOUT]);
        // Times that no clock measures: shorter than its tick, and beyond its end.
        fails(port.get(Some(Duration::from_nanos(1))), &[WAIT_TIMEOUT]);
        for endless in [None, Some(Duration::MAX), Some(Duration::from_millis(u64::from(u32::MAX)))] {
            let waiter = {
                let port = port.clone();
                thread::spawn(move || port.get(endless).map(|packet| packet.key()))
            };
            thread::sleep(Duration::from_millis(50));
            assert!(!waiter.is_finished(), "{endless:?} was over at once");
            port.post(0, 9, 0).unwrap();
            assert_eq!(waiter.join().unwrap(), Ok(9));
        }
    });
}

// W test_connect_completion_port, test_shutdown_completion_port.
#[test]
fn cp_07_plain_calls_post_nothing() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let client = stream(Family::V4);
        let port = port_with(&[(&listener, 1), (&client, 2)]);
        client.connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        port.associate(&server, 3).unwrap();
        client.send(b"x").unwrap();
        assert_eq!(server.recv(&mut [0; 4]), Ok(1));
        server.send(b"y").unwrap();
        assert_eq!(client.recv(&mut [0; 4]), Ok(1));
        client.shutdown(Shutdown::Send).unwrap();
        assert_eq!(server.recv(&mut [0; 4]), Ok(0));
        server.shutdown(Shutdown::Both).unwrap();
        let (a, _) = datagram(Family::V4);
        let (b, b_name) = datagram(Family::V4);
        port.associate(&b, 4).unwrap();
        a.send_to(b"z", b_name).unwrap();
        b.recv_from(&mut [0; 4]).unwrap();
        no_packet(&port);
    });
}

// D SetFileCompletionNotificationModes.
#[test]
fn cp_10_in_skip_mode_success_at_once_posts_nothing_and_the_rest_does() {
    promise(|| {
        let (a, b) = pair();
        let (c, d) = pair();
        let port = port_with(&[(&a, 1), (&b, 2), (&d, 3)]);
        a.skip_completion_port_on_success().unwrap();
        b.skip_completion_port_on_success().unwrap();
        let mut at_once = 0;
        for _ in 0..20 {
            for start in [a.send_overlapped(b"x".to_vec(), ToPort), {
                arrived(&b, 1);
                b.recv_overlapped(vec![0; 4], Flags::NONE, ToPort)
            }] {
                match start.unwrap() {
                    Started::Done(mut end) => {
                        at_once += 1;
                        assert_eq!(end.result(), Ok(1));
                        assert!(end.take_buffer::<Vec<u8>>().is_some());
                    }
                    Started::Pending(id) => assert_eq!(next_end(&port).id(), id),
                    Started::Queued(id) => panic!("{id:?} has a packet"),
                }
            }
        }
        assert!(at_once > 0, "nothing succeeded at once");
        // Pending ones post, and so do failures.
        recv_pending(&b, 4);
        a.send(b"y").unwrap();
        assert_eq!(next_end(&port).result(), Ok(1));
        recv_pending(&b, 4);
        b.cancel(None).unwrap();
        fails(next_end(&port).result(), &[WSA_OPERATION_ABORTED]);
        // Another socket of the port has its own mode.
        c.send(b"z").unwrap();
        arrived(&d, 1);
        started(d.recv_overlapped(vec![0; 4], Flags::NONE, ToPort));
        assert_eq!(next_end(&port).key(), 3);
        no_packet(&port);
    });
}

// P8; D CreateIoCompletionPort.
#[test]
fn cp_26_an_operation_started_before_the_association_posts_after_it() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            // Started by this thread, and by one that is gone when they end, but not before the association (OV-15).
            let first = recv_pending(&b, 2);
            let (tell, told) = mpsc::channel();
            let (go, wait) = mpsc::channel::<()>();
            let starter = {
                let b = b.clone();
                thread::spawn(move || {
                    tell.send(recv_pending(&b, 2)).unwrap();
                    wait.recv().unwrap();
                })
            };
            let ids = [first, told.recv().unwrap()];
            let port = CompletionPort::new(0).unwrap();
            port.associate(&b, 5).unwrap();
            go.send(()).unwrap();
            starter.join().unwrap();
            no_packet(&port);
            a.send(b"1122").unwrap();
            let mut ends = [next_end(&port), next_end(&port)];
            ends.sort_by_key(Completion::id);
            assert_eq!(ends.each_ref().map(|end| (end.id(), end.key())), ids.map(|id| (id, 5)));
            assert_eq!(ends.map(received), [b"11", b"22"]);
        }
    });
}

// W test_completion_port.
#[test]
fn cp_27_a_duplicate_shares_the_association() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 3)]);
        let twin = b.duplicate().unwrap();
        fails(port.associate(&twin, 4), &[ERROR_INVALID_PARAMETER]);
        recv_pending(&twin, 4);
        a.send(b"x").unwrap();
        let end = next_end(&port);
        assert_eq!((end.key(), end.result()), (3, Ok(1)));
    });
}

// W test_completion_port.
#[test]
fn cp_27_operations_end_only_when_the_last_duplicate_is_closed() {
    promise(|| {
        for first in [false, true] {
            let (one, address) = listener(Family::V4);
            let port = port_with(&[(&one, 3)]);
            let twin = one.duplicate().unwrap();
            let socket = Socket::for_accept(Family::V4).unwrap();
            let id = pending(one.accept_ex(&socket, NOTHING, ToPort));
            // In either order.
            let (now, then) = if first { (one, twin) } else { (twin, one) };
            now.close().unwrap();
            no_packet(&port);
            then.close().unwrap();
            let end = next_end(&port);
            assert_eq!((end.id(), end.key(), end.system_code()), (id, 3, WSA_OPERATION_ABORTED));
            refuses(address);
        }
    });
}

// WA test_async_thread_termination.
#[test]
fn cp_28_operations_survive_the_thread_that_started_them() {
    promise(|| {
        let (a, b) = pair();
        let (listener, address) = listener(Family::V4);
        let (c, d) = pair();
        let (_queued, full, keep) = connecting();
        let client = stream(Family::V4);
        let port = port_with(&[(&b, 1), (&listener, 2), (&d, 3), (&client, 4)]);
        {
            let (b, listener, d, client) = (b.clone(), listener.clone(), d.clone(), client.clone());
            let starter = thread::spawn(move || {
                recv_pending(&b, 4);
                let socket = Socket::for_accept(Family::V4).unwrap();
                pending(listener.accept_ex(&socket, NOTHING, ToPort));
                pending(d.send_overlapped(pattern(8 << 20, 1), ToPort));
                pending(client.connect_ex(full, b"ding".to_vec(), ToPort));
            });
            starter.join().unwrap();
        }
        no_packet(&port);
        let_in(&keep[0], b"ding");
        assert_eq!(next_end(&port).key(), 4);
        a.send(b"x").unwrap();
        let end = next_end(&port);
        assert_eq!((end.key(), end.result()), (1, Ok(1)));
        let client = stream(Family::V4);
        client.connect(address).unwrap();
        let mut end = next_end(&port);
        assert_eq!((end.key(), end.result()), (2, Ok(0)));
        assert_eq!(end.take_accepted().unwrap().peer_addr(), client.local_addr());
        same_bytes(&recv_exactly(&c, 8 << 20), &pattern(8 << 20, 1));
        let end = next_end(&port);
        assert_eq!((end.key(), end.result()), (3, Ok(8 << 20)));
    });
}

// WA test_async_thread_termination: a worker that served a port is gone, and the port and its sockets are not.
#[test]
fn cp_28_a_worker_may_leave_with_operations_pending() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        recv_pending(&b, 1);
        for number in 0..20u8 {
            let worker = {
                let (port, b) = (port.clone(), b.clone());
                thread::spawn(move || {
                    let got = received(next_end(&port));
                    started(b.recv_overlapped(vec![0; 1], Flags::NONE, ToPort));
                    got
                })
            };
            a.send(&[number]).unwrap();
            assert_eq!(worker.join().unwrap(), [number]);
        }
        no_packet(&port);
    });
}

// D I/O Completion Ports: what the packet's thread sees is final.
#[test]
fn cp_29_buffer_and_count_are_visible_to_the_thread_that_gets_the_packet() {
    promise(|| {
        const LEN: usize = 65536;
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let (tell, told) = mpsc::channel();
        let checker = {
            let port = port.clone();
            thread::spawn(move || {
                while let Ok(Packet::Io(mut end)) = port.get(Some(SOON)) {
                    let bytes = end.result().unwrap();
                    let mut buffer: Vec<u8> = end.take_buffer().unwrap();
                    buffer.truncate(bytes);
                    if tell.send(buffer).is_err() {
                        return;
                    }
                }
            })
        };
        let mut block = vec![0; LEN];
        for number in 0..1000usize {
            block.fill(number as u8);
            block[..8].copy_from_slice(&number.to_le_bytes());
            a.send(&block).unwrap();
            let mut got = Vec::new();
            while got.len() < LEN {
                started(b.recv_overlapped(vec![0; LEN - got.len()], Flags::NONE, ToPort));
                got.extend(told.recv_timeout(SOON).unwrap());
            }
            same_bytes(&got, &block);
        }
        drop(told);
        port.close().unwrap();
        checker.join().unwrap();
    });
}
