//! CL: closing with operations pending.

use crate::harness::{
    CLOSED_PENDING, NOTHING, SETTLE, SOON, compute, datagram, fails, families, in_its_own_process, in_time,
    is_one_of, listener, next_end, no_packet, pair, pair_of, pending, port_with, promise, quiet, received,
    recv_exactly, recv_pending, recv_to_the_end, refuses, reset, same_bytes, started, stream, within,
};
use doorbell_winsock::error::{
    ERROR_NETNAME_DELETED, WAIT_TIMEOUT, WSA_OPERATION_ABORTED, WSAECONNRESET, WSAENOTSOCK,
};
use doorbell_winsock::overlapped::ToPort;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{CompletionPort, Family, Packet, Socket, host};
use std::collections::HashSet;
use std::thread;
use std::time::Duration;

// W test_completion_port, test_iocp.
#[test]
fn cl_01_closing_ends_every_receive_once_with_an_error() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let (c, d) = pair_of(family);
            let port = port_with(&[(&b, 1), (&d, 2)]);
            let mut ids: HashSet<_> = (0..3).map(|_| recv_pending(&b, 16)).collect();
            let other = recv_pending(&d, 16);
            b.close().unwrap();
            for _ in 0..3 {
                let end = next_end(&port);
                assert!(ids.remove(&end.id()), "told twice, or of another socket");
                fails(end.result(), CLOSED_PENDING);
                assert_eq!(end.bytes(), 0);
            }
            no_packet(&port);
            // The peer is told, and the other socket's operation goes on.
            assert!(matches!(in_time(move || a.recv(&mut [0; 4])).map_err(|e| e.code()), Ok(0) | Err(10054)));
            c.send(b"x").unwrap();
            let end = next_end(&port);
            assert_eq!((end.id(), end.result()), (other, Ok(1)));
        }
    });
}

// W test_completion_port; D closesocket.
#[test]
fn cl_01_closing_ends_a_blocked_send_too() {
    promise(|| {
        for family in families() {
            let (_a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            let mut ids = HashSet::from([recv_pending(&b, 16), recv_pending(&b, 16)]);
            ids.insert(pending(b.send_overlapped(vec![1; 32 << 20], ToPort)));
            ids.insert(pending(b.send_overlapped(vec![2; 10], ToPort)));
            b.close().unwrap();
            for _ in 0..4 {
                let end = next_end(&port);
                assert!(ids.remove(&end.id()), "told twice");
                fails(end.result(), CLOSED_PENDING);
            }
            no_packet(&port);
        }
    });
}

// D closesocket: datagrams, a receive that waits for their sender as well.
#[test]
fn cl_01_closing_ends_the_receives_of_a_datagram_socket() {
    promise(|| {
        for family in families() {
            let (one, _) = datagram(family);
            let (other, address) = datagram(family);
            let port = port_with(&[(&one, 1), (&other, 2)]);
            let mut ids = HashSet::from([
                pending(one.recv_from_overlapped(vec![0; 4], Flags::NONE, ToPort)),
                pending(one.recv_from_overlapped(vec![0; 4], Flags::NONE, ToPort)),
            ]);
            let id = pending(other.recv_from_overlapped(vec![0; 4], Flags::NONE, ToPort));
            one.close().unwrap();
            for _ in 0..2 {
                let end = next_end(&port);
                assert!(ids.remove(&end.id()), "told twice, or of another socket");
                fails(end.result(), CLOSED_PENDING);
            }
            no_packet(&port);
            datagram(family).0.send_to(b"x", address).unwrap();
            let end = next_end(&port);
            assert_eq!((end.id(), end.result()), (id, Ok(1)));
        }
    });
}

// W test_completion_port: a listener's accepts, with and without a buffer.
#[test]
fn cl_01_closing_a_listener_ends_its_accepts() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let port = port_with(&[(&listener, 5)]);
            let mut ids = HashSet::new();
            for len in [16, 0, 0, 16] {
                let socket = Socket::for_accept(family).unwrap();
                ids.insert(pending(listener.accept_ex(&socket, vec![0; len], ToPort)));
            }
            // The first one has a connection and waits for its first bytes.
            let silent = stream(family);
            silent.connect(address).unwrap();
            no_packet(&port);
            listener.close().unwrap();
            for _ in 0..4 {
                let end = next_end(&port);
                assert!(ids.remove(&end.id()));
                assert_eq!((end.key(), end.system_code()), (5, WSA_OPERATION_ABORTED));
            }
            no_packet(&port);
            assert!(matches!(
                in_time(move || silent.recv(&mut [0; 4])).map_err(|e| e.code()),
                Ok(0) | Err(10054)
            ));
            refuses(address);
        }
    });
}

// D closesocket: from another thread, while somebody waits at the port, and by the drop of the last clone.
#[test]
fn cl_01_closing_wakes_the_thread_at_the_port() {
    promise(|| {
        for dropped in [false, true] {
            let (_a, b) = pair();
            let port = port_with(&[(&b, 1)]);
            let id = recv_pending(&b, 4);
            let waiter = {
                let port = port.clone();
                thread::spawn(move || next_end(&port))
            };
            thread::sleep(SETTLE);
            if dropped {
                drop(b)
            } else {
                b.close().unwrap()
            }
            assert!(within(SOON, || waiter.is_finished()));
            let end = waiter.join().unwrap();
            assert_eq!(end.id(), id);
            fails(end.result(), CLOSED_PENDING);
        }
    });
}

// D closesocket: the operation was started by a thread that is gone, or that computes.
#[test]
fn cl_01_closing_ends_operations_whose_starter_is_away() {
    promise(|| {
        let (_a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let gone = {
            let b = b.clone();
            thread::spawn(move || recv_pending(&b, 4)).join().unwrap()
        };
        let (tell, told) = std::sync::mpsc::channel();
        let busy = {
            let b = b.clone();
            thread::spawn(move || {
                tell.send(recv_pending(&b, 4)).unwrap();
                drop(b);
                compute(Duration::from_secs(1));
            })
        };
        let mut ids = HashSet::from([gone, told.recv().unwrap()]);
        b.close().unwrap();
        while !ids.is_empty() {
            let end = next_end(&port);
            assert!(ids.remove(&end.id()));
            fails(end.result(), CLOSED_PENDING);
        }
        busy.join().unwrap();
        no_packet(&port);
    });
}

// W test_completion_port.
#[test]
fn cl_02_packets_of_a_closed_socket_keep_its_key() {
    promise(|| {
        let (_a, b) = pair();
        let (_c, d) = pair();
        let port = port_with(&[(&b, 81), (&d, 82)]);
        recv_pending(&b, 4);
        recv_pending(&d, 4);
        b.close().unwrap();
        assert_eq!(next_end(&port).key(), 81);
        no_packet(&port);
        drop(d);
        assert_eq!(next_end(&port).key(), 82);
        no_packet(&port);
    });
}

// D AcceptEx: the socket for the new connection goes away.
#[test]
fn cl_03_closing_the_accept_socket_ends_the_accept_and_not_the_listener() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let port = port_with(&[(&listener, 1)]);
            let sockets =
                [(stream(family), 0), (Socket::for_accept(family).unwrap(), 0), (stream(family), 16)];
            for (socket, len) in sockets {
                let id = pending(listener.accept_ex(&socket, vec![0; len], ToPort));
                // Its end would end the accept (IN-05), so it stays beyond the close.
                let silent = stream(family);
                if len > 0 {
                    // It has its connection and waits for the first bytes.
                    silent.connect(address).unwrap();
                    no_packet(&port);
                }
                socket.close().unwrap();
                let end = next_end(&port);
                assert_eq!((end.id(), end.key(), end.system_code()), (id, 1, WSA_OPERATION_ABORTED));
            }
            no_packet(&port);
            // The next one waits in the backlog, and is accepted.
            let client = stream(family);
            client.connect(address).unwrap();
            let socket = Socket::for_accept(family).unwrap();
            started(listener.accept_ex(&socket, NOTHING, ToPort));
            assert_eq!(next_end(&port).result(), Ok(0));
            assert_eq!(socket.peer_addr(), client.local_addr());
        }
    });
}

// W test_completion_port: of several, only the one whose socket was closed.
#[test]
fn cl_03_the_other_accepts_go_on() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let port = port_with(&[(&listener, 1)]);
        let sockets: Vec<_> = (0..3).map(|_| Socket::for_accept(Family::V4).unwrap()).collect();
        let ids: Vec<_> = sockets.iter().map(|s| pending(listener.accept_ex(s, NOTHING, ToPort))).collect();
        sockets[0].close().unwrap();
        assert_eq!(next_end(&port).id(), ids[0]);
        let clients: Vec<_> = (0..2).map(|_| stream(Family::V4)).collect();
        for (number, client) in clients.iter().enumerate() {
            client.connect(address).unwrap();
            let end = next_end(&port);
            assert_eq!((end.id(), end.result()), (ids[number + 1], Ok(0)));
            assert_eq!(sockets[number + 1].peer_addr(), client.local_addr());
        }
        no_packet(&port);
    });
}

// D closesocket: after the completions were seen the buffers are the caller's alone.
#[test]
fn cl_04_after_its_end_nothing_touches_a_buffer() {
    promise(|| {
        for _ in 0..50 {
            let (a, b) = pair();
            let port = port_with(&[(&b, 1)]);
            recv_pending(&b, 4096);
            recv_pending(&b, 4096);
            let closer = {
                let b = b.clone();
                thread::spawn(move || b.close())
            };
            // The data races the close.
            a.send(&[0xEE; 4096]).ok();
            let buffers: Vec<(usize, Vec<u8>)> = (0..2)
                .map(|_| {
                    let mut end = next_end(&port);
                    (end.result().unwrap_or(0), end.take_buffer().unwrap())
                })
                .collect();
            closer.join().unwrap().unwrap();
            a.send(&[0xDD; 4096]).ok();
            for (taken, buffer) in buffers {
                assert!(buffer[..taken].iter().all(|byte| *byte == 0xEE));
                assert!(buffer[taken..].iter().all(|byte| *byte == 0));
            }
        }
    });
}

// Design: a descriptor given out again is not taken for the old socket.
#[test]
fn cl_05_a_new_socket_gets_nothing_of_an_old_one() {
    promise(|| {
        let port = CompletionPort::new(0).unwrap();
        for number in 0..100usize {
            let (a, b) = pair();
            port.associate(&b, number).unwrap();
            let old = recv_pending(&b, 8);
            drop(b);
            let (c, d) = pair();
            port.associate(&d, number + 1000).unwrap();
            let new = recv_pending(&d, 8);
            a.send(b"stray").ok();
            let end = next_end(&port);
            assert_eq!((end.id(), end.key()), (old, number));
            assert!(end.result().is_err());
            c.send(b"new").unwrap();
            let end = next_end(&port);
            assert_eq!((end.id(), end.key(), end.result()), (new, number + 1000, Ok(3)));
            drop(d);
        }
        no_packet(&port);
    });
}

// W test_completion_port, test_WSADuplicateSocket.
#[test]
fn cl_06_closing_one_of_two_duplicates_ends_no_operation() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            let twin = b.duplicate().unwrap();
            let id = recv_pending(&b, 16);
            b.close().unwrap();
            no_packet(&port);
            quiet(&a);
            a.send(b"still there").unwrap();
            let end = next_end(&port);
            assert_eq!((end.id(), end.key()), (id, 1));
            assert_eq!(received(end), b"still there");
            twin.send(b"x").unwrap();
            assert_eq!(recv_exactly(&a, 1), b"x");
            let id = recv_pending(&twin, 16);
            twin.close().unwrap();
            let end = next_end(&port);
            assert_eq!(end.id(), id);
            fails(end.result(), CLOSED_PENDING);
            assert!(matches!(in_time(move || a.recv(&mut [0; 4])).map_err(|e| e.code()), Ok(0) | Err(10054)));
        }
    });
}

// D closesocket: graceful. What was queued by overlapped sends that ended goes out before the end.
#[test]
fn cl_08_a_close_behind_finished_sends_delivers_them() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&a, 1)]);
        for number in 0..10 {
            started(a.send_overlapped(vec![number; 1000], ToPort));
        }
        for _ in 0..10 {
            assert_eq!(next_end(&port).result(), Ok(1000));
        }
        a.close().unwrap();
        let got = recv_to_the_end(&b);
        same_bytes(&got, &(0..10).flat_map(|number| [number; 1000]).collect::<Vec<_>>());
    });
}

// D closesocket; W close_with_rst.
#[test]
fn cl_09_linger_zero_resets_a_pending_receive_of_the_peer() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            recv_pending(&b, 16);
            reset(&a);
            let end = next_end(&port);
            assert_eq!(end.system_code(), ERROR_NETNAME_DELETED);
            fails(end.result(), &[WSAECONNRESET]);
            no_packet(&port);
        }
    });
}

// D closesocket: with operations of its own pending, the close is a reset all the same.
#[test]
fn cl_09_linger_zero_resets_with_operations_pending_too() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&a, 1), (&b, 2)]);
        recv_pending(&a, 16);
        recv_pending(&b, 16);
        reset(&a);
        let mut ends = [next_end(&port), next_end(&port)];
        ends.sort_by_key(|end| end.key());
        fails(ends[0].result(), CLOSED_PENDING);
        fails(ends[1].result(), &[WSAECONNRESET]);
    });
}

// D closesocket: a storm of starts and closes from several threads; every start has one end.
#[test]
fn cl_01_starts_and_closes_race_and_every_start_ends_once() {
    promise(|| {
        let port = CompletionPort::new(0).unwrap();
        for round in 0..50usize {
            let (a, b) = pair();
            port.associate(&b, round).unwrap();
            let starters: Vec<_> = (0..3)
                .map(|_| {
                    let b = b.clone();
                    thread::spawn(move || {
                        let mut ids = Vec::new();
                        for _ in 0..50 {
                            match b.recv_overlapped(vec![0; 4], Flags::NONE, ToPort) {
                                Ok(start) => ids.push(started::<Vec<u8>>(Ok(start))),
                                Err(refused) => {
                                    is_one_of(refused.error, &[WSAENOTSOCK]);
                                    break;
                                }
                            }
                        }
                        ids
                    })
                })
                .collect();
            if round % 2 == 0 {
                a.send(b"some data for some of them").unwrap();
            }
            b.close().unwrap();
            let ids: Vec<_> = starters.into_iter().flat_map(|t| t.join().unwrap()).collect();
            let mut left: HashSet<_> = ids.iter().copied().collect();
            assert_eq!(left.len(), ids.len(), "an id came twice");
            while !left.is_empty() {
                let end = next_end(&port);
                assert_eq!(end.key(), round);
                assert!(left.remove(&end.id()), "told twice");
            }
            match port.get(Some(Duration::ZERO)) {
                Ok(Packet::Io(end)) => panic!("one end too many: {end:?}"),
                other => fails(other, &[WAIT_TIMEOUT]),
            };
        }
    });
}

// D closesocket: nothing of a socket that had operations pending is left behind.
#[test]
fn cl_01_sockets_closed_with_operations_pending_leave_no_descriptor() {
    in_its_own_process(|| {
        let port = CompletionPort::new(0).unwrap();
        let (listener, address) = listener(Family::V4);
        port.associate(&listener, 0).unwrap();
        let round = || {
            for _ in 0..200 {
                let socket = Socket::for_accept(Family::V4).unwrap();
                started(listener.accept_ex(&socket, NOTHING, ToPort));
                let client = stream(Family::V4);
                client.connect(address).unwrap();
                assert_eq!(next_end(&port).result(), Ok(0));
                port.associate(&socket, 1).unwrap();
                recv_pending(&socket, 16);
                recv_pending(&socket, 16);
                drop(socket);
                next_end(&port);
                next_end(&port);
            }
        };
        round();
        let before = host::descriptors_open();
        round();
        assert!(
            within(SOON, || host::descriptors_open() <= before),
            "{before} descriptors before, {} after 200 connections",
            host::descriptors_open()
        );
    });
}
