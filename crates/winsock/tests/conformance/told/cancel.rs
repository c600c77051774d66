//! CN: cancellation.

use super::{Act, LONG, Told, WAYS, each, narrow};
use crate::harness::{
    NOTHING, SETTLE, connecting, datagram, fails, listener, pair, pair_of, pattern, promise, received,
    recv_exactly, recv_to_the_end, same_bytes, stream,
};
use doorbell_winsock::error::{ERROR_NOT_FOUND, WSA_OPERATION_ABORTED};
use doorbell_winsock::{Completion, Family, Socket};
use std::collections::HashSet;
use std::sync::mpsc;
use std::thread;

#[track_caller]
fn cancelled(end: &Completion) {
    assert_eq!((end.system_code(), end.bytes()), (WSA_OPERATION_ABORTED, 0), "{:?}", end.result());
    fails(end.result(), &[WSA_OPERATION_ABORTED]);
}

// D CancelIoEx.
#[test]
fn cn_01_cancelling_one_operation_leaves_the_others() {
    promise(|| {
        each(|mut told, family| {
            // The first, one in the middle, the last.
            for victim in 0..3 {
                let (a, b) = pair_of(family);
                let ids = [told.receives(&b, 2), told.receives(&b, 2), told.receives(&b, 2)];
                b.cancel(Some(ids[victim])).unwrap();
                let end = told.next();
                assert_eq!(end.id(), ids[victim]);
                cancelled(&end);
                told.silence();
                a.send(b"1122").unwrap();
                let left = ids.into_iter().enumerate().filter(|(number, _)| *number != victim);
                for ((_, id), text) in left.zip([b"11", b"22"]) {
                    let end = told.next();
                    assert_eq!(end.id(), id);
                    assert_eq!(received(end), text);
                }
                told.silence();
            }
        });
    });
}

// D CancelIoEx: a receive is cancelled, a send beside it goes on, and the one behind a cancelled send too.
#[test]
fn cn_01_cancelling_one_direction_does_not_touch_the_other() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = narrow(family);
            let receive = told.receives(&b, 4);
            let send = told.pending(Act::Send(&b), pattern(LONG, 1));
            b.cancel(Some(receive)).unwrap();
            let end = told.next();
            assert_eq!(end.id(), receive);
            cancelled(&end);
            same_bytes(&recv_exactly(&a, LONG), &pattern(LONG, 1));
            let end = told.next();
            assert_eq!((end.id(), end.result()), (send, Ok(LONG)));
            told.silence();
        });
    });
}

// D CancelIoEx.
#[test]
fn cn_02_cancelling_all_takes_those_of_every_thread_and_of_no_other_socket() {
    promise(|| {
        each(|mut told, family| {
            let (_a, b) = narrow(family);
            let (c, d) = pair_of(family);
            let other = told.receives(&d, 4);
            let mut mine = HashSet::from([told.receives(&b, 4), told.receives(&b, 4)]);
            let (way, theirs, (tell, started)) = (told.way, b.clone(), mpsc::channel());
            let starter = thread::spawn(move || {
                // It stays until its own operation has ended: its end would cancel too (OV-15).
                let mut told = Told::by(way);
                let id = told.receives(&theirs, 4);
                tell.send(()).unwrap();
                let end = told.next();
                assert_eq!(end.id(), id);
                cancelled(&end);
                told.silence();
            });
            started.recv().unwrap();
            mine.insert(told.pending(Act::Send(&b), vec![0; LONG]));
            // A third thread cancels.
            thread::spawn(move || b.cancel(None)).join().unwrap().unwrap();
            while !mine.is_empty() {
                let end = told.next();
                fails(end.result(), &[WSA_OPERATION_ABORTED]);
                assert!(mine.remove(&end.id()), "told twice, or of another");
            }
            starter.join().unwrap();
            told.silence();
            c.send(b"x").unwrap();
            let end = told.next();
            assert_eq!((end.id(), end.result()), (other, Ok(1)));
        });
    });
}

// D CancelIoEx, WSADuplicateSocket: to the system both handles are one file, so each cancels what was started through either.
#[test]
fn cn_02_a_duplicate_cancels_what_was_started_through_the_other() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let (_c, d) = pair_of(family);
            let twin = b.duplicate().unwrap();
            let elsewhere = told.receives(&d, 4);
            // One of them by its name.
            let left = told.receives(&twin, 4);
            let named = told.receives(&b, 4);
            twin.cancel(Some(named)).unwrap();
            let end = told.next();
            assert_eq!(end.id(), named);
            cancelled(&end);
            // All, and all of this thread.
            let mut ids = HashSet::from([left, told.receives(&b, 4)]);
            twin.cancel(None).unwrap();
            for _ in 0..2 {
                let end = told.next();
                assert!(ids.remove(&end.id()), "told twice, or of another");
                cancelled(&end);
            }
            let mut ids = HashSet::from([told.receives(&b, 4), told.receives(&twin, 4)]);
            b.cancel_thread().unwrap();
            for _ in 0..2 {
                let end = told.next();
                assert!(ids.remove(&end.id()), "told twice, or of another");
                cancelled(&end);
            }
            for handle in [&twin, &b] {
                fails(handle.cancel(None), &[ERROR_NOT_FOUND]);
            }
            // Also when the handle that it was started through is closed.
            let id = told.receives(&b, 4);
            b.close().unwrap();
            told.silence();
            twin.cancel(Some(id)).unwrap();
            let end = told.next();
            assert_eq!(end.id(), id);
            cancelled(&end);
            a.send(b"x").unwrap();
            assert_eq!(recv_exactly(&twin, 1), b"x");
            told.silence();
            d.cancel(Some(elsewhere)).unwrap();
            assert_eq!(told.next().id(), elsewhere);
        });
    });
}

// D CancelIoEx.
#[test]
fn cn_03_an_operation_that_ended_cannot_be_cancelled() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            fails(b.cancel(None), &[ERROR_NOT_FOUND]);
            let id = told.receives(&b, 4);
            a.send(b"x").unwrap();
            told.next();
            for _ in 0..2 {
                fails(b.cancel(Some(id)), &[ERROR_NOT_FOUND]);
            }
            // Nor is another one taken for it.
            let next = told.receives(&b, 4);
            fails(b.cancel(Some(id)), &[ERROR_NOT_FOUND]);
            told.silence();
            b.cancel(Some(next)).unwrap();
            let end = told.next();
            assert_eq!(end.id(), next);
            cancelled(&end);
            fails(b.cancel(Some(next)), &[ERROR_NOT_FOUND]);
            fails(b.cancel(None), &[ERROR_NOT_FOUND]);
        });
    });
}

// D CancelIo.
#[test]
fn cn_04_cancel_io_takes_only_those_of_its_thread() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let mine = told.receives(&b, 4);
            let (way, theirs) = (told.way, b.clone());
            let other = thread::spawn(move || {
                let mut told = Told::by(way);
                // With nothing of its own it does nothing, and that is no error.
                theirs.cancel_thread().unwrap();
                told.silence();
                let mut ids = HashSet::from([told.receives(&theirs, 4), told.receives(&theirs, 4)]);
                theirs.cancel_thread().unwrap();
                for _ in 0..2 {
                    let end = told.next();
                    assert!(ids.remove(&end.id()), "told twice, or of another");
                    cancelled(&end);
                }
                told.silence();
            });
            other.join().unwrap();
            told.silence();
            a.send(b"x").unwrap();
            let end = told.next();
            assert_eq!((end.id(), end.result()), (mine, Ok(1)));
        });
    });
}

// D CancelIoEx; W test_AcceptEx; CR-15.
#[test]
fn cn_05_a_cancelled_operation_ends_once_with_995() {
    promise(|| {
        each(|mut told, family| {
            let (_a, b) = pair_of(family);
            let (listener, _) = listener(family);
            let (d, _) = datagram(family);
            for _ in 0..3 {
                let accept = Socket::for_accept(family).unwrap();
                let starts = [
                    (&b, told.receives(&b, 4)),
                    (&listener, told.pending(Act::Accept(&listener, &accept), NOTHING)),
                    (&d, told.pending(Act::RecvFrom(&d), vec![0; 4])),
                ];
                for (socket, id) in starts {
                    socket.cancel(Some(id)).unwrap();
                    let end = told.next();
                    assert_eq!(end.id(), id);
                    cancelled(&end);
                }
                told.silence();
            }
        });
    });
}

// D CancelIoEx: the starter waits for the end while another thread cancels.
#[test]
fn cn_05_a_cancel_wakes_the_starter_that_waits() {
    promise(|| {
        each(|mut told, family| {
            let (_a, b) = pair_of(family);
            let id = told.receives(&b, 4);
            let canceller = thread::spawn(move || {
                thread::sleep(SETTLE);
                b.cancel(Some(id))
            });
            let end = told.next();
            assert_eq!(end.id(), id);
            cancelled(&end);
            canceller.join().unwrap().unwrap();
        });
    });
}

// D ConnectEx, CancelIoEx.
#[test]
fn cn_05_a_connect_under_way_can_be_cancelled() {
    promise(|| {
        let (_socket, address, _keep) = connecting();
        for way in WAYS {
            let mut told = Told::by(way);
            let client = stream(Family::V4);
            let id = told.pending(Act::Connect(&client, address), vec![1; 4]);
            told.silence();
            client.cancel(Some(id)).unwrap();
            let end = told.next();
            assert_eq!(end.id(), id);
            cancelled(&end);
            told.silence();
        }
    });
}

// D CancelIoEx: it only asks, and then the data counts.
#[test]
fn cn_06_a_cancel_that_races_the_data_loses_none_and_tells_once() {
    promise(|| {
        for way in WAYS {
            let mut told = Told::by(way);
            let (a, b) = pair();
            let (mut done, mut lost) = (0, 0);
            for number in 0..200u16 {
                let id = told.receives(&b, 2);
                let canceller = {
                    let b = b.clone();
                    thread::spawn(move || b.cancel(Some(id)))
                };
                if number % 3 != 0 {
                    thread::yield_now();
                }
                a.send(&number.to_le_bytes()).unwrap();
                let asked = canceller.join().unwrap();
                let end = told.next();
                assert_eq!(end.id(), id);
                if end.result().is_ok() {
                    done += 1;
                    assert_eq!(received(end), number.to_le_bytes());
                } else {
                    lost += 1;
                    cancelled(&end);
                    assert_eq!(asked, Ok(()));
                    // The data is there for the next one.
                    assert_eq!(recv_exactly(&b, 2), number.to_le_bytes());
                }
            }
            println!("{way:?}: {done} ended with data, {lost} were cancelled");
            told.silence();
        }
    });
}

// P8.
#[test]
fn cn_07_what_arrives_after_a_cancelled_receive_is_read_by_the_next() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            for round in 0..3 {
                told.receives(&b, 16);
                told.receives(&b, 16);
                b.cancel(None).unwrap();
                a.send(b"after").unwrap();
                cancelled(&told.next());
                cancelled(&told.next());
                if round == 0 {
                    assert_eq!(recv_exactly(&b, 5), b"after");
                } else {
                    told.started(Act::Recv(&b), vec![0; 16]);
                    assert_eq!(received(told.next()), b"after");
                }
            }
            told.silence();
        });
    });
}

// WINDOWS.md: a cancelled send says 995; the peer has a prefix of it, and the connection goes on behind that.
#[test]
fn cn_07_a_cancelled_send_sent_a_prefix() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = narrow(family);
            let id = told.pending(Act::Send(&a), pattern(LONG, 6));
            a.cancel(Some(id)).unwrap();
            let end = told.next();
            assert_eq!(end.id(), id);
            fails(end.result(), &[WSA_OPERATION_ABORTED]);
            told.started(Act::Send(&a), b"behind".to_vec());
            let reader = thread::spawn(move || recv_to_the_end(&b));
            assert_eq!(told.next().result(), Ok(6));
            a.close().unwrap();
            let got = reader.join().unwrap();
            let prefix = got.len().checked_sub(6).expect("the second send was lost");
            assert!(prefix < LONG);
            same_bytes(&got[..prefix], &pattern(LONG, 6)[..prefix]);
            assert_eq!(&got[prefix..], b"behind");
        });
    });
}

// P8.
#[test]
fn cn_08_after_a_cancelled_accept_the_connection_waits_in_the_backlog() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            let accept = Socket::for_accept(family).unwrap();
            let id = told.pending(Act::Accept(&listener, &accept), NOTHING);
            listener.cancel(Some(id)).unwrap();
            cancelled(&told.next());
            let client = stream(family);
            client.connect(address).unwrap();
            told.silence();
            assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
            // The socket can be used again.
            let id = told.pending(Act::Accept(&listener, &accept), NOTHING);
            let second = stream(family);
            second.connect(address).unwrap();
            let end = told.next();
            assert_eq!((end.id(), end.result()), (id, Ok(0)));
            assert_eq!(accept.peer_addr(), second.local_addr());
        });
    });
}
