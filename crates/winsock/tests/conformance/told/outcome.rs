//! OV, MO, SD, ER: the outcomes of operations.

use super::{Act, LONG, each, narrow};
use crate::harness::{
    NOTHING, SETTLE, arrived, datagram, fails, listener, pair_of, pattern, promise, quiet, readable,
    received, recv_exactly, recv_to_the_end, refused, refusing, reset, same_bytes, stream,
};
use doorbell_winsock::error::{
    ERROR_CONNECTION_REFUSED, ERROR_NETNAME_DELETED, WSA_OPERATION_ABORTED, WSAECONNABORTED, WSAECONNREFUSED,
    WSAECONNRESET, WSAEMSGSIZE, WSAENOTCONN, WSAENOTSOCK, WSAESHUTDOWN, WSAEWOULDBLOCK,
};
use doorbell_winsock::overlapped::Operation;
use doorbell_winsock::{Shutdown, Socket};
use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

// D WSARecv: the end has the name, the kind, the count and the buffer of the operation.
#[test]
fn ov_02_each_end_belongs_to_its_operation() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            for _ in 0..5 {
                let receive = told.receives(&b, 8);
                let send = told.started(Act::Send(&a), b"abc".to_vec());
                let mut ends = [told.next(), told.next()];
                ends.sort_by_key(|end| end.operation() != Operation::Receive);
                let [taken, sent] = ends;
                assert_eq!((taken.id(), taken.operation(), taken.bytes()), (receive, Operation::Receive, 3));
                assert_eq!((sent.id(), sent.operation(), sent.result()), (send, Operation::Send, Ok(3)));
                assert_eq!(received(taken), b"abc");
                assert_eq!(received(sent), b"abc");
            }
            told.silence();
        });
    });
}

// D Overlapped I/O: whatever can be done at once is told all the same, each kind, and by routine not in the call (CR-01).
#[test]
fn ov_02_success_at_once_is_told_of_every_kind() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            let (client, accept) = (stream(family), Socket::for_accept(family).unwrap());
            client.connect(address).unwrap();
            readable(&listener);
            let (a, b) = pair_of(family);
            a.send(b"left").unwrap();
            let ((c, _), (d, d_name)) = (datagram(family), datagram(family));
            c.send_to(b"gram", d_name).unwrap();
            readable(&b);
            readable(&d);
            // Nobody waits in between, so that each stands for itself: the ends come in any order.
            let wanted = HashMap::from([
                (told.started(Act::Accept(&listener, &accept), NOTHING), (Operation::Accept, 0)),
                (told.started(Act::RecvFrom(&d), vec![0; 8]), (Operation::ReceiveFrom, 4)),
                (told.started(Act::SendTo(&c, d_name), b"more".to_vec()), (Operation::SendTo, 4)),
                (told.started(Act::Send(&a), NOTHING), (Operation::Send, 0)),
                (told.started(Act::Recv(&b), NOTHING), (Operation::Receive, 0)),
                (told.started(Act::Send(&b), b"back".to_vec()), (Operation::Send, 4)),
            ]);
            assert_eq!(wanted.len(), 6, "two operations of one name");
            assert!(told.ends.borrow().is_empty(), "a routine ran in a call that starts or looks");
            let mut left = wanted;
            while !left.is_empty() {
                let end = told.next();
                let (operation, bytes) = left.remove(&end.id()).expect("told twice");
                assert_eq!((end.operation(), end.result()), (operation, Ok(bytes)));
            }
            told.silence();
            assert_eq!((recv_exactly(&b, 4), recv_exactly(&a, 4)), (b"left".to_vec(), b"back".to_vec()));
            assert_eq!(accept.peer_addr(), client.local_addr());
        });
    });
}

// D Overlapped I/O and Event Objects; W test_completion_port; D WSARecv for routines (CR-18).
#[test]
fn ov_03_an_operation_refused_at_once_is_told_nowhere() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let (fresh, closed) = (stream(family), stream(family));
            closed.close().unwrap();
            // Two that pend, on the socket that refuses and elsewhere: they stay as they are.
            let (c, d) = pair_of(family);
            let pends = told.receives(&a, 4);
            let elsewhere = told.receives(&d, 4);
            a.shutdown(Shutdown::Send).unwrap();
            b.shutdown(Shutdown::Receive).unwrap();
            let buffer = refused(told.start(Act::Send(&a), vec![5; 3]), &[WSAESHUTDOWN]);
            assert_eq!(buffer, [5; 3]);
            refused(told.start(Act::Recv(&b), buffer), &[WSAESHUTDOWN]);
            refused(told.start(Act::Recv(&fresh), vec![0; 3]), &[WSAENOTCONN]);
            refused(told.start(Act::Recv(&closed), vec![0; 3]), &[WSAENOTSOCK]);
            refused(told.start(Act::Send(&closed), vec![0; 3]), &[WSAENOTSOCK]);
            told.silence();
            // The other directions are as they were.
            told.started(Act::Send(&b), b"x".to_vec());
            let mut ends = [told.next(), told.next()];
            ends.sort_by_key(|end| end.id() != pends);
            let [taken, sent] = ends;
            assert_eq!((taken.id(), sent.result()), (pends, Ok(1)));
            assert_eq!(received(taken), b"x");
            c.send(b"y").unwrap();
            let end = told.next();
            assert_eq!((end.id(), end.result()), (elsewhere, Ok(1)));
        });
    });
}

// D WSARecv.
#[test]
fn ov_08_a_receive_ends_as_soon_as_there_is_any_data() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let (_c, d) = pair_of(family);
            let other = told.receives(&d, 16);
            for _ in 0..10 {
                let id = told.receives(&b, 1024);
                a.send(b"x").unwrap();
                let end = told.next();
                assert_eq!(end.id(), id);
                assert_eq!(received(end), b"x");
            }
            told.silence();
            d.cancel(Some(other)).unwrap();
            assert_eq!(told.next().id(), other);
        });
    });
}

// D WSARecv; P8; CR-14.
#[test]
fn ov_09_a_graceful_end_ends_every_receive_with_success_and_nothing() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let (_c, d) = pair_of(family);
            let ids = [told.receives(&b, 16), told.receives(&b, 16)];
            told.receives(&d, 16);
            a.close().unwrap();
            for id in ids {
                let end = told.next();
                assert_eq!((end.id(), end.result(), end.system_code()), (id, Ok(0), 0));
            }
            for _ in 0..2 {
                let id = told.started(Act::Recv(&b), vec![0; 4]);
                let end = told.next();
                assert_eq!((end.id(), end.result()), (id, Ok(0)));
            }
            told.silence();
        });
    });
}

// W test_shutdown: half a close is an end too, and what was sent before comes first.
#[test]
fn ov_09_the_last_bytes_come_before_the_end() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let ids = [told.receives(&b, 4), told.receives(&b, 4), told.receives(&b, 4)];
            a.send(b"last").unwrap();
            a.shutdown(Shutdown::Send).unwrap();
            let ends = ids.map(|_| told.next());
            assert_eq!(ends.each_ref().map(|end| end.id()), ids);
            assert_eq!(ends.map(|end| end.result()), [Ok(4), Ok(0), Ok(0)]);
        });
    });
}

// W test_tcp_reset, test_WSARecv; CR-14, ER-02: both faces of the failure.
#[test]
fn ov_10_a_reset_ends_every_receive_with_an_error() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let (_c, d) = pair_of(family);
            let ids = [told.receives(&b, 16), told.receives(&b, 16)];
            told.receives(&d, 16);
            reset(&a);
            for id in ids {
                let end = told.next();
                assert_eq!((end.id(), end.system_code(), end.bytes()), (id, ERROR_NETNAME_DELETED, 0));
                fails(end.result(), &[WSAECONNRESET]);
            }
            told.silence();
            // With a send that is stuck both directions end, each once.
            let (e, f) = narrow(family);
            let mut ids = HashSet::from([told.receives(&f, 16), told.pending(Act::Send(&f), vec![1; LONG])]);
            reset(&e);
            for _ in 0..2 {
                let end = told.next();
                assert!(ids.remove(&end.id()), "told twice, or of another");
                fails(end.result(), &[WSAECONNRESET, WSAECONNABORTED]);
                assert_eq!(end.bytes(), 0);
            }
            told.silence();
        });
    });
}

// D WSASend; W test_send.
#[test]
fn ov_11_a_send_ends_when_all_its_bytes_were_taken() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = narrow(family);
            let id = told.pending(Act::Send(&a), pattern(LONG, 0));
            told.silence();
            let reader = thread::spawn(move || {
                let mut got = Vec::with_capacity(LONG);
                while got.len() < LONG {
                    got.extend(recv_exactly(&b, LONG / 8));
                    thread::sleep(Duration::from_millis(5));
                }
                (b, got)
            });
            let mut end = told.next();
            assert_eq!((end.id(), end.result()), (id, Ok(LONG)));
            same_bytes(&end.take_buffer::<Vec<u8>>().unwrap(), &pattern(LONG, 0));
            let (b, got) = reader.join().unwrap();
            same_bytes(&got, &pattern(LONG, 0));
            quiet(&b);
            told.silence();
        });
    });
}

// D Overlapped I/O: as above, and the thread that waits for the peer's bytes does it with a call of ours.
#[test]
fn ov_11_a_long_send_goes_on_while_its_starter_reads_the_peer() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = narrow(family);
            told.pending(Act::Send(&a), pattern(LONG, 3));
            same_bytes(&recv_exactly(&b, LONG), &pattern(LONG, 3));
            assert_eq!(told.next().result(), Ok(LONG));
        });
    });
}

// D Overlapped I/O: each direction on its own.
#[test]
fn ov_12_a_receive_and_a_send_are_outstanding_together() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = narrow(family);
            let receive = told.receives(&a, 16);
            let send = told.pending(Act::Send(&a), pattern(LONG, 4));
            // The receive ends although the send is stuck.
            b.send(b"hello").unwrap();
            let end = told.next();
            assert_eq!(end.id(), receive);
            assert_eq!(received(end), b"hello");
            // The send ends although a receive pends.
            let second = told.receives(&a, 16);
            let reader = thread::spawn(move || (recv_exactly(&b, LONG), b));
            let end = told.next();
            assert_eq!((end.id(), end.result()), (send, Ok(LONG)));
            let (got, b) = reader.join().unwrap();
            same_bytes(&got, &pattern(LONG, 4));
            b.close().unwrap();
            let end = told.next();
            assert_eq!((end.id(), end.result()), (second, Ok(0)));
        });
    });
}

// W test_timeout; D WSARecv.
#[test]
fn ov_13_time_outs_do_not_apply_to_overlapped_operations() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = narrow(family);
            let limit = Some(Duration::from_millis(50));
            b.set_recv_timeout(limit).unwrap();
            b.set_send_timeout(limit).unwrap();
            let receive = told.receives(&b, 16);
            let send = told.pending(Act::Send(&b), vec![1; LONG]);
            told.silence();
            told.silence();
            a.send(b"late").unwrap();
            let end = told.next();
            assert_eq!((end.id(), end.result()), (receive, Ok(4)));
            recv_exactly(&a, LONG);
            let end = told.next();
            assert_eq!((end.id(), end.result()), (send, Ok(LONG)));
        });
    });
}

// P8: a receive of nothing waits for something and leaves it.
#[test]
fn ov_14_an_empty_receive_waits_for_data_and_takes_nothing() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            told.receives(&b, 0);
            told.silence();
            a.send(b"data").unwrap();
            assert_eq!(told.next().result(), Ok(0));
            assert_eq!(b.bytes_available(), Ok(4));
            for _ in 0..3 {
                told.started(Act::Recv(&b), NOTHING);
                assert_eq!(told.next().result(), Ok(0));
            }
            assert_eq!(recv_exactly(&b, 4), b"data");
            // It has its place in the order, and what it left is for the next, at once.
            let ids = [told.receives(&b, 0), told.receives(&b, 4), told.receives(&b, 0)];
            a.send(b"more").unwrap();
            let ends = [told.next(), told.next()];
            assert_eq!(ends.each_ref().map(|end| end.id()), ids[..2]);
            assert_eq!(ends.map(|end| end.result()), [Ok(0), Ok(4)]);
            told.silence();
            // The peer's end is something to wait for too, and so is a reset.
            a.close().unwrap();
            let end = told.next();
            assert_eq!((end.id(), end.result()), (ids[2], Ok(0)));
            let (c, d) = pair_of(family);
            told.receives(&d, 0);
            reset(&c);
            fails(told.next().result(), &[WSAECONNRESET]);
            told.silence();
        });
    });
}

// W test_nonblocking_async_recv.
#[test]
fn ov_17_with_data_queued_it_pends_or_succeeds_and_is_told_once() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let mut at_once = 0;
            for number in 0..100u8 {
                a.send(&[number]).unwrap();
                if number % 2 == 0 {
                    arrived(&b, 1);
                }
                let (id, done) = told.start(Act::Recv(&b), vec![0; 4]).unwrap();
                at_once += usize::from(done);
                let end = told.next();
                assert_eq!(end.id(), id);
                assert_eq!(received(end), [number]);
            }
            println!("{at_once} of 100 succeeded at once");
            told.silence();
        });
    });
}

// W test_nonblocking_async_recv; D ioctlsocket.
#[test]
fn mo_05_the_mode_does_not_matter_for_overlapped_operations() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = narrow(family);
            b.set_nonblocking(true).unwrap();
            told.receives(&b, 16);
            told.silence();
            a.send(b"x").unwrap();
            assert_eq!(received(told.next()), b"x");
            // A long send pends as well, it is not cut to what fits.
            let send = told.pending(Act::Send(&b), vec![1; LONG]);
            recv_exactly(&a, LONG);
            let end = told.next();
            assert_eq!((end.id(), end.result()), (send, Ok(LONG)));
            // And a plain call still obeys the mode.
            fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
        });
    });
}

// D shutdown; P8. One thread does it all: the sends must go on while it blocks in its receives.
#[test]
fn sd_06_sends_queued_before_sd_send_are_delivered_before_the_end() {
    promise(|| {
        const LEN: usize = 256 << 10;
        each(|mut told, family| {
            let (a, b) = narrow(family);
            let ids: Vec<_> = (0..4).map(|n| told.started(Act::Send(&a), pattern(LEN, n))).collect();
            a.shutdown(Shutdown::Send).unwrap();
            refused(told.start(Act::Send(&a), b"late".to_vec()), &[WSAESHUTDOWN]);
            let got = recv_to_the_end(&b);
            same_bytes(&got, &(0..4).flat_map(|n| pattern(LEN, n)).collect::<Vec<u8>>());
            for id in ids {
                let end = told.next();
                assert_eq!((end.id(), end.result()), (id, Ok(LEN)));
            }
            told.silence();
        });
    });
}

// W test_tcp_reset, test_connect; P8: refuse and cancel have their two faces, as a reset has.
#[test]
fn er_02_a_failure_has_a_system_face_and_a_winsock_face() {
    promise(|| {
        each(|mut told, family| {
            let (_held, nobody) = refusing(family);
            let client = stream(family);
            told.started(Act::Connect(&client, nobody), NOTHING);
            let end = told.next();
            assert_eq!((end.system_code(), end.bytes()), (ERROR_CONNECTION_REFUSED, 0));
            fails(end.result(), &[WSAECONNREFUSED]);
            let (_a, b) = pair_of(family);
            told.receives(&b, 4);
            b.cancel(None).unwrap();
            let end = told.next();
            assert_eq!((end.system_code(), end.bytes()), (WSA_OPERATION_ABORTED, 0));
            fails(end.result(), &[WSA_OPERATION_ABORTED]);
        });
    });
}

// D WSARecvFrom: one datagram for each receive, in the order of the starts, each with its sender (OR-06, UD-06).
#[test]
fn or_06_datagram_receives_take_one_each_in_order() {
    promise(|| {
        each(|mut told, family| {
            let (a, a_name) = datagram(family);
            let (b, b_name) = datagram(family);
            let (c, c_name) = datagram(family);
            let texts = [("one", a_name), ("", c_name), ("one too long", a_name), ("four", c_name)];
            let ids: Vec<_> = texts.iter().map(|_| told.pending(Act::RecvFrom(&b), vec![0; 8])).collect();
            told.silence();
            for (text, name) in texts {
                let from = if name == a_name { &a } else { &c };
                from.send_to(text.as_bytes(), b_name).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
            for (id, (text, name)) in ids.into_iter().zip(texts) {
                let mut end = told.next();
                assert_eq!((end.id(), end.remote_addr()), (id, Some(name)));
                let fits = text.len().min(8);
                // What does not fit is lost, and not the next one's.
                if fits < text.len() {
                    fails(end.result(), &[WSAEMSGSIZE]);
                } else {
                    assert_eq!(end.result(), Ok(fits));
                }
                assert_eq!(&end.take_buffer::<Vec<u8>>().unwrap()[..fits], &text.as_bytes()[..fits]);
            }
            told.silence();
        });
    });
}

// D Overlapped I/O: many operations of many sockets at a time, each told once.
#[test]
fn ov_05_of_many_operations_each_is_told_once() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            let pairs: Vec<(Socket, Socket)> = (0..30)
                .map(|_| {
                    let client = stream(family);
                    client.connect(address).unwrap();
                    (client, listener.accept().unwrap().0)
                })
                .collect();
            for round in 0..5u8 {
                for (_, b) in &pairs {
                    told.receives(b, 4);
                }
                for (at, (a, _)) in pairs.iter().enumerate().rev() {
                    a.send(&[at as u8, round]).unwrap();
                }
                told.deaf(if round == 0 { SETTLE } else { Duration::ZERO });
                let mut seen = [false; 30];
                for _ in 0..30 {
                    let bytes = received(told.next());
                    assert_eq!((bytes.len(), bytes[1]), (2, round));
                    assert!(!std::mem::replace(&mut seen[usize::from(bytes[0])], true), "told twice");
                }
            }
            told.silence();
        });
    });
}
