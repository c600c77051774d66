//! CP: closing a port, and packets that outlive what they tell of.

use crate::harness::{
    Counted, SETTLE, SOON, arrived, becomes_set, event, fails, in_time, listener, next_end, next_posted,
    no_packet, pair, pending, port_with, promise, quiet, received, recv_exactly, recv_pending, reset,
    started, stream, within,
};
use doorbell_winsock::error::{
    ERROR_ABANDONED_WAIT_0, ERROR_INVALID_HANDLE, WSA_OPERATION_ABORTED, WSAECONNRESET,
};
use doorbell_winsock::overlapped::{ToPort, ToPortAndEvent};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{CompletionPort, Family};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

// D GetQueuedCompletionStatus.
#[test]
fn cp_23_closing_the_port_releases_every_thread() {
    promise(|| {
        let (_a, b) = pair();
        let port = CompletionPort::new(1).unwrap();
        port.associate(&b, 1).unwrap();
        recv_pending(&b, 4);
        let threads: Vec<_> = (0..6)
            .map(|number| {
                let port = port.clone();
                thread::spawn(move || {
                    let limit = (number % 2 == 0).then_some(Duration::from_secs(25));
                    let mut packets = Vec::new();
                    match number {
                        0..3 => port.get(limit).map(drop),
                        3 => port.get_many(&mut packets, 8, limit, Alertable::No).map(drop),
                        _ => port.get_many(&mut packets, 8, limit, Alertable::Yes).map(drop),
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        port.close().unwrap();
        for thread in threads {
            assert!(within(SOON, || thread.is_finished()), "a thread sleeps on");
            fails(thread.join().unwrap(), &[ERROR_ABANDONED_WAIT_0]);
        }
    });
}

// D CloseHandle; the rule of this interface: what is queued goes with the port, what still comes with its socket.
#[test]
fn cp_23_what_nobody_took_is_dropped_once() {
    promise(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let dropped = |count| within(SOON, || drops.load(Ordering::SeqCst) == count);
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        for number in 0..4 {
            a.send(b"x").unwrap();
            arrived(&b, 1);
            started(b.recv_overlapped(Counted::new(8, &drops), Flags::NONE, ToPort));
            assert!(within(SOON, || b.bytes_available() == Ok(0)));
            port.post(0, number, 0).unwrap();
        }
        for _ in 0..2 {
            pending(b.recv_overlapped(Counted::new(8, &drops), Flags::NONE, ToPort));
        }
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        port.close().unwrap();
        assert!(dropped(4), "{drops:?}");
        b.close().unwrap();
        assert!(dropped(6), "{drops:?}");
        drop((a, b, port));
        thread::sleep(SETTLE);
        assert!(dropped(6), "{drops:?}");
    });
}

// P8.
#[test]
fn cp_24_a_closed_port_is_an_invalid_handle() {
    promise(|| {
        let port = CompletionPort::new(0).unwrap();
        let clone = port.clone();
        port.close().unwrap();
        for port in [&port, &clone] {
            fails(port.post(1, 2, 3), &[ERROR_INVALID_HANDLE]);
            fails(port.get(None), &[ERROR_INVALID_HANDLE]);
            fails(port.get(Some(Duration::ZERO)), &[ERROR_INVALID_HANDLE]);
            fails(port.get_many(&mut Vec::new(), 4, None, Alertable::No), &[ERROR_INVALID_HANDLE]);
            fails(port.associate(&stream(Family::V4), 1), &[ERROR_INVALID_HANDLE]);
            fails(port.close(), &[ERROR_INVALID_HANDLE]);
        }
        // Of eight that close at once one is the first; who is at work then learns of it when it is back.
        let port = CompletionPort::new(1).unwrap();
        port.post(0, 1, 0).unwrap();
        next_posted(&port);
        let closers: Vec<_> = (0..8)
            .map(|_| {
                let port = port.clone();
                thread::spawn(move || port.close())
            })
            .collect();
        let outcomes: Vec<_> = closers.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        fails(port.get(None), &[ERROR_INVALID_HANDLE]);
    });
}

// D CloseHandle: a port is closed by the drop of its last clone, not before.
#[test]
fn cp_24_a_port_lives_as_long_as_its_last_clone() {
    promise(|| {
        let port = CompletionPort::new(0).unwrap();
        drop(port.clone());
        port.post(1, 2, 3).unwrap();
        assert_eq!(next_posted(&port), (1, 2, 3));
    });
}

// D GetQueuedCompletionStatus: closing a socket does not take back what is queued.
#[test]
fn cp_25_a_queued_packet_outlives_its_socket() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 77)]);
        a.send(b"x").unwrap();
        arrived(&b, 1);
        let id = started(b.recv_overlapped(vec![0; 4], Flags::NONE, ToPort));
        thread::sleep(Duration::from_millis(20));
        b.close().unwrap();
        let end = next_end(&port);
        assert_eq!((end.id(), end.key()), (id, 77));
        assert_eq!(received(end), b"x");
        no_packet(&port);
    });
}

// D I/O Completion Ports: what the packet says is final however late it is taken, whatever became of its socket.
#[test]
fn cp_30_the_result_is_taken_from_the_packet_however_late() {
    promise(|| {
        let (a, b) = pair();
        let (c, d) = pair();
        let port = port_with(&[(&a, 1), (&b, 2), (&d, 3)]);
        // One that ends at once, one that pends and is filled, one that is cancelled; then their sockets do other things.
        a.send(b"first").unwrap();
        arrived(&b, 5);
        let mut ids = vec![started(b.recv_overlapped(vec![0; 8], Flags::NONE, ToPort))];
        let done = event();
        ids.push(pending(b.recv_overlapped(vec![0; 4], Flags::NONE, ToPortAndEvent(&done))));
        ids.push(recv_pending(&b, 4));
        a.send(b"next").unwrap();
        becomes_set(&done);
        b.cancel(Some(ids[2])).unwrap();
        let sent = started(b.send_overlapped(b"answer".to_vec(), ToPort));
        assert_eq!(recv_exactly(&a, 6), b"answer");
        let other = pending(d.recv_overlapped(vec![0; 4], Flags::NONE, ToPortAndEvent(&done)));
        reset(&c);
        becomes_set(&done);
        for socket in [b, a, d] {
            socket.close().unwrap();
        }
        let outcomes = thread::spawn(move || {
            let mut ends: Vec<_> = (0..5).map(|_| next_end(&port)).collect();
            no_packet(&port);
            ends.sort_by_key(|end| (end.key(), end.id()));
            ends.iter_mut()
                .map(|end| (end.id(), end.result().map_err(|e| e.code()), end.take_buffer()))
                .collect()
        });
        let outcomes: Vec<(_, _, Option<Vec<u8>>)> = outcomes.join().unwrap();
        let text = |text: &[u8], len| {
            let mut buffer = text.to_vec();
            buffer.resize(len, 0);
            Some(buffer)
        };
        assert_eq!(
            outcomes,
            [
                (ids[0], Ok(5), text(b"first", 8)),
                (ids[1], Ok(4), text(b"next", 4)),
                (ids[2], Err(WSA_OPERATION_ABORTED), text(b"", 4)),
                (sent, Ok(6), text(b"answer", 6)),
                (other, Err(WSAECONNRESET), text(b"", 4)),
            ]
        );
    });
}

// W test_completion_port.
#[test]
fn cp_31_closing_a_socket_with_nothing_pending_posts_nothing() {
    promise(|| {
        let (a, b) = pair();
        let fresh = stream(Family::V4);
        let (listener, _) = listener(Family::V4);
        let port = port_with(&[(&b, 1), (&fresh, 2), (&listener, 3)]);
        recv_pending(&b, 4);
        a.send(b"x").unwrap();
        next_end(&port);
        for socket in [&b, &fresh, &listener] {
            socket.close().unwrap();
        }
        no_packet(&port);
    });
}

// P8; D CloseHandle.
#[test]
fn cp_32_closing_the_port_does_not_disturb_its_sockets() {
    promise(|| {
        for dropped in [false, true] {
            let (a, b) = pair();
            let (c, d) = pair();
            let port = port_with(&[(&b, 1), (&d, 2)]);
            recv_pending(&b, 3);
            if dropped {
                drop(port)
            } else {
                port.close().unwrap()
            }
            // One with nothing pending is as before; so is the sending side of the other.
            c.send(b"x").unwrap();
            assert_eq!(recv_exactly(&d, 1), b"x");
            b.send(b"y").unwrap();
            assert_eq!(recv_exactly(&a, 1), b"y");
            // The first three bytes may go to the operation that pends.
            a.send(b"abcdef").unwrap();
            let rest = in_time({
                let b = b.clone();
                move || {
                    let mut got = vec![0; 6];
                    let len = b.recv(&mut got).unwrap();
                    got.truncate(len);
                    got
                }
            });
            assert!(b"abcdef".ends_with(&rest) || b"abcdef".starts_with(&rest), "{rest:?}");
            quiet(&a);
            b.close().unwrap();
            assert_eq!(a.recv(&mut [0; 4]).map_err(|e| e.code()), Ok(0));
        }
    });
}
