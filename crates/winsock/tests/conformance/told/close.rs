//! CL: closing with operations pending.

use super::{Act, LONG, Told, WAYS, each, narrow};
use crate::harness::{
    CLOSED_PENDING, NOTHING, SETTLE, fails, in_time, listener, pair, pair_of, promise, received,
    recv_exactly, refuses, stream,
};
use doorbell_winsock::error::{WSA_OPERATION_ABORTED, WSAENOTSOCK};
use doorbell_winsock::{Completion, Socket};
use std::collections::HashSet;
use std::sync::mpsc;
use std::thread;

// W test_completion_port, test_iocp; D closesocket; CR-16.
#[test]
fn cl_01_closing_ends_every_operation_once_with_an_error() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = narrow(family);
            let (c, d) = pair_of(family);
            let other = told.receives(&d, 16);
            let mut ids = HashSet::from([told.receives(&b, 16), told.receives(&b, 16)]);
            ids.insert(told.pending(Act::Send(&b), vec![1; LONG]));
            ids.insert(told.pending(Act::Send(&b), vec![2; 10]));
            told.silence();
            b.close().unwrap();
            for _ in 0..4 {
                let end = told.next();
                assert!(ids.remove(&end.id()), "told twice, or of another");
                fails(end.result(), CLOSED_PENDING);
            }
            told.silence();
            drop(a);
            // The other socket's operation goes on.
            c.send(b"x").unwrap();
            let end = told.next();
            assert_eq!((end.id(), end.result()), (other, Ok(1)));
        });
    });
}

// D closesocket: the peer of a socket that is closed with a receive pending is told.
#[test]
fn cl_01_the_peer_of_a_socket_closed_with_a_receive_pending_sees_its_end() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            told.receives(&b, 16);
            b.close().unwrap();
            fails(told.next().result(), CLOSED_PENDING);
            assert!(matches!(in_time(move || a.recv(&mut [0; 4])).map_err(|e| e.code()), Ok(0) | Err(10054)));
            let refused = told.start(Act::Recv(&b), vec![0; 4]).expect_err("it is closed");
            assert_eq!(refused.error.code(), WSAENOTSOCK);
        });
    });
}

// W test_completion_port: a listener's accepts, with and without a buffer.
#[test]
fn cl_01_closing_a_listener_ends_its_accepts() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            let mut ids = HashSet::new();
            for len in [0, 0, 16] {
                let socket = Socket::for_accept(family).unwrap();
                ids.insert(told.pending(Act::Accept(&listener, &socket), vec![0; len]));
            }
            listener.close().unwrap();
            for _ in 0..3 {
                let end = told.next();
                assert!(ids.remove(&end.id()), "told twice, or of another");
                assert_eq!(end.system_code(), WSA_OPERATION_ABORTED);
            }
            told.silence();
            refuses(address);
        });
    });
}

// D closesocket: by another thread while the starter waits for the end, and by the drop of the last clone.
#[test]
fn cl_01_closing_wakes_the_starter_that_waits() {
    promise(|| {
        for dropped in [false, true] {
            each(|mut told, family| {
                let (_a, b) = pair_of(family);
                let id = told.receives(&b, 4);
                let closer = thread::spawn(move || {
                    thread::sleep(SETTLE);
                    if dropped { drop(b) } else { b.close().unwrap() }
                });
                let end = told.next();
                assert_eq!(end.id(), id);
                fails(end.result(), CLOSED_PENDING);
                closer.join().unwrap();
                told.silence();
            });
        }
    });
}

// D closesocket: operations that two threads started end for each in its own way.
#[test]
fn cl_01_closing_ends_the_operations_of_every_thread() {
    promise(|| {
        let (_a, b) = pair();
        let (tell, started) = mpsc::channel();
        let threads = WAYS.map(|way| {
            let (b, tell) = (b.clone(), tell.clone());
            thread::spawn(move || {
                let mut told = Told::by(way);
                let mut ids = HashSet::from([told.receives(&b, 4), told.receives(&b, 4)]);
                drop(b);
                tell.send(()).unwrap();
                for _ in 0..2 {
                    let end = told.next();
                    assert!(ids.remove(&end.id()), "told twice, or of another");
                    fails(end.result(), CLOSED_PENDING);
                }
                told.silence();
            })
        });
        for _ in WAYS {
            started.recv().unwrap();
        }
        b.close().unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

// W test_AcceptEx.
#[test]
fn cl_03_closing_the_accept_socket_ends_the_accept_and_not_the_listener() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            let socket = Socket::for_accept(family).unwrap();
            let id = told.pending(Act::Accept(&listener, &socket), NOTHING);
            socket.close().unwrap();
            let end = told.next();
            assert_eq!((end.id(), end.system_code()), (id, WSA_OPERATION_ABORTED));
            told.silence();
            let next = Socket::for_accept(family).unwrap();
            told.pending(Act::Accept(&listener, &next), NOTHING);
            let client = stream(family);
            client.connect(address).unwrap();
            assert_eq!(told.next().result(), Ok(0));
            client.send(b"hi").unwrap();
            assert_eq!(recv_exactly(&next, 2), b"hi");
        });
    });
}

// D closesocket: after the completions were seen the buffers are the caller's alone.
#[test]
fn cl_04_after_its_end_nothing_touches_a_buffer() {
    promise(|| {
        for way in WAYS {
            for _ in 0..30 {
                let mut told = Told::by(way);
                let (a, b) = pair();
                told.receives(&b, 4096);
                told.receives(&b, 4096);
                let closer = thread::spawn(move || b.close());
                // The data races the close.
                a.send(&[0xEE; 4096]).ok();
                let buffers = [told.next(), told.next()].map(|mut end: Completion| {
                    (end.result().unwrap_or(0), end.take_buffer::<Vec<u8>>().expect("the buffer"))
                });
                closer.join().unwrap().unwrap();
                a.send(&[0xDD; 4096]).ok();
                for (taken, buffer) in buffers {
                    assert!(buffer[..taken].iter().all(|byte| *byte == 0xEE));
                    assert!(buffer[taken..].iter().all(|byte| *byte == 0));
                }
            }
        }
    });
}

// Design: a descriptor given out again is not taken for the old socket.
#[test]
fn cl_05_a_new_socket_gets_nothing_of_an_old_one() {
    promise(|| {
        for way in WAYS {
            let mut told = Told::by(way);
            for _ in 0..50 {
                let (a, b) = pair();
                told.receives(&b, 8);
                drop(b);
                let (c, d) = pair();
                a.send(b"stray").ok();
                fails(told.next().result(), CLOSED_PENDING);
                told.receives(&d, 8);
                c.send(b"new").unwrap();
                assert_eq!(received(told.next()), b"new");
            }
            told.silence();
        }
    });
}

// W test_completion_port, test_WSADuplicateSocket.
#[test]
fn cl_06_closing_one_of_two_duplicates_ends_no_operation() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let twin = b.duplicate().unwrap();
            let id = told.receives(&b, 16);
            b.close().unwrap();
            told.silence();
            a.send(b"still there").unwrap();
            let end = told.next();
            assert_eq!(end.id(), id);
            assert_eq!(received(end), b"still there");
            let id = told.receives(&twin, 16);
            twin.close().unwrap();
            let end = told.next();
            assert_eq!(end.id(), id);
            fails(end.result(), CLOSED_PENDING);
        });
    });
}
