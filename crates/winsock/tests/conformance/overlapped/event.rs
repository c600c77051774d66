//! OV: operations told by an event, and the handle that is asked then. What holds by routine as well stands in
//! [`told`](crate::told).

use crate::harness::{
    LONG, NOTHING, SETTLE, SOON, arrived, becomes_set, datagram, event, fails, families, in_time, is_set,
    listener, narrow, pair, pair_of, promise, received, refused, reset, stays_unset, stream, within,
};
use doorbell_winsock::error::{
    WSA_IO_INCOMPLETE, WSA_OPERATION_ABORTED, WSAECONNRESET, WSAENOTCONN, WSAESHUTDOWN,
};
use doorbell_winsock::overlapped::{Op, Refused, ToEvent};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Event, Shutdown, Socket, Wait, wait_all, wait_any};
use std::collections::HashSet;
use std::sync::Arc;
use std::thread;

/// Starts a receive that has nothing to take yet.
#[track_caller]
fn receives(socket: &Socket, len: usize, event: &Event) -> Op {
    let op = socket.recv_overlapped(vec![0; len], Flags::NONE, ToEvent(event)).expect("the receive starts");
    assert!(!op.at_once(), "expected WSA_IO_PENDING");
    op
}

// D WSARecv; W iocp_async_read.
#[test]
fn ov_01_an_operation_that_must_wait_pends() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let (_c, d) = pair_of(family);
            let (done, other) = (event(), event());
            let op = receives(&b, 16, &done);
            let still = receives(&d, 16, &other);
            stays_unset(&done);
            fails(op.result(), &[WSA_IO_INCOMPLETE]);
            a.send(b"abc").unwrap();
            becomes_set(&done);
            assert_eq!(op.result(), Ok(3));
            assert!(!op.at_once(), "how it started does not change");
            assert_eq!(received(op.take()), b"abc");
            fails(still.result(), &[WSA_IO_INCOMPLETE]);
            assert!(!is_set(&other));
        }
    });
}

// D WSARecv: success at once sets the event all the same.
#[test]
fn ov_02_an_operation_that_ends_at_once_sets_its_event() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let mut at_once = 0;
            for _ in 0..10 {
                let (sent, taken) = (event(), event());
                let send = a.send_overlapped(b"x".to_vec(), ToEvent(&sent)).unwrap();
                arrived(&b, 1);
                let receive = b.recv_overlapped(vec![0; 4], Flags::NONE, ToEvent(&taken)).unwrap();
                for (op, event) in [(&send, &sent), (&receive, &taken)] {
                    if op.at_once() {
                        at_once += 1;
                        assert_eq!((op.result(), is_set(event)), (Ok(1), true));
                    }
                    becomes_set(event);
                    assert_eq!(op.result(), Ok(1));
                    // It stays set: nobody took it back.
                    assert!(is_set(event));
                }
            }
            assert!(at_once > 0, "nothing succeeded at once");
            // Another thread waits for the event already.
            for make in [Event::new, Event::auto_reset] {
                let sent = make().unwrap();
                let waiter = {
                    let sent = sent.clone();
                    thread::spawn(move || wait_any(&[event(), sent], Some(SOON), Alertable::No))
                };
                thread::sleep(SETTLE);
                let send = a.send_overlapped(b"x".to_vec(), ToEvent(&sent)).unwrap();
                assert_eq!(waiter.join().unwrap(), Ok(Wait::Index(1)));
                assert_eq!(send.result(), Ok(1));
            }
        }
    });
}

// D Overlapped I/O and Event Objects: the event of a refused start is not touched by any end.
#[test]
fn ov_03_a_refused_start_sets_no_event() {
    promise(|| {
        let (a, b) = pair();
        let fresh = stream(doorbell_winsock::Family::V4);
        a.shutdown(Shutdown::Send).unwrap();
        let done = event();
        let buffer = refused(a.send_overlapped(vec![5; 3], ToEvent(&done)), &[WSAESHUTDOWN]);
        assert_eq!(buffer, [5; 3]);
        refused(fresh.recv_overlapped(buffer, Flags::NONE, ToEvent(&done)), &[WSAENOTCONN]);
        stays_unset(&done);
        // It serves the next operation.
        let op = receives(&a, 4, &done);
        b.send(b"x").unwrap();
        becomes_set(&done);
        assert_eq!(op.result(), Ok(1));
    });
}

// D WSAGetOverlappedResult.
#[test]
fn ov_04_starting_an_operation_resets_its_event() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let done = event();
            for _ in 0..3 {
                done.set().unwrap();
                let op = receives(&b, 4, &done);
                assert!(!is_set(&done), "the start did not reset it");
                stays_unset(&done);
                a.send(b"x").unwrap();
                becomes_set(&done);
                assert_eq!(op.take().result(), Ok(1));
                // It is still set from the end of that one when the next starts.
                assert!(is_set(&done));
            }
            // So does an operation of each other kind that has to wait.
            let ((listener, _), (d, _)) = (listener(family), datagram(family));
            let (full, _peer) = narrow(family);
            let accept = Socket::for_accept(family).unwrap();
            type Start<'a> = (&'a Socket, &'a dyn Fn() -> Result<Op, Refused<Vec<u8>>>);
            let starts: [Start<'_>; 4] = [
                (&full, &|| full.send_overlapped(vec![1; LONG], ToEvent(&done))),
                (&listener, &|| listener.accept_ex(&accept, NOTHING, ToEvent(&done))),
                (&d, &|| d.recv_from_overlapped(vec![0; 4], Flags::NONE, ToEvent(&done))),
                (&b, &|| b.recv_overlapped(NOTHING, Flags::NONE, ToEvent(&done))),
            ];
            for (socket, start) in starts {
                done.set().unwrap();
                let op = start().unwrap();
                assert!(!is_set(&done), "{op:?} did not reset it");
                socket.cancel(Some(op.id())).unwrap();
                fails(op.wait(), &[WSA_OPERATION_ABORTED]);
            }
            // An event that two share is unset by the second start, also when the first has ended already.
            let done = event();
            let (e, f) = pair_of(family);
            let first = receives(&b, 4, &done);
            a.send(b"x").unwrap();
            becomes_set(&done);
            let second = receives(&f, 4, &done);
            stays_unset(&done);
            assert_eq!(first.result(), Ok(1));
            e.send(b"yz").unwrap();
            becomes_set(&done);
            assert_eq!(second.result(), Ok(2));
        }
    });
}

// D WSAGetOverlappedResult; W test_WSARecv.
#[test]
fn ov_05_the_event_is_set_whatever_the_outcome() {
    promise(|| {
        type Outcome = (fn(&Socket, &Socket), Result<usize, i32>);
        let outcomes: [Outcome; 4] = [
            (|a, _| _ = a.send(b"xy"), Ok(2)),
            (|a, _| a.close().unwrap(), Ok(0)),
            (|a, _| reset(a), Err(WSAECONNRESET)),
            (|_, b| b.cancel(None).unwrap(), Err(WSA_OPERATION_ABORTED)),
        ];
        for (cause, outcome) in outcomes {
            let (a, b) = pair();
            let done = event();
            let op = receives(&b, 4, &done);
            cause(&a, &b);
            becomes_set(&done);
            assert_eq!(op.result().map_err(|error| error.code()), outcome);
            done.reset().unwrap();
            stays_unset(&done);
            assert_eq!(op.take().result().map_err(|error| error.code()), outcome);
        }
    });
}

// D WSAOVERLAPPED: an event that two operations share is set by the end of each.
#[test]
fn ov_05_an_event_that_two_operations_share_is_set_by_each() {
    promise(|| {
        let (a, b) = pair();
        let (c, d) = pair();
        let done = event();
        let (one, other) = (receives(&b, 4, &done), receives(&d, 4, &done));
        c.send(b"x").unwrap();
        becomes_set(&done);
        assert_eq!(other.result(), Ok(1));
        fails(one.result(), &[WSA_IO_INCOMPLETE]);
        done.reset().unwrap();
        a.send(b"yz").unwrap();
        becomes_set(&done);
        assert_eq!(one.result(), Ok(2));
    });
}

// D WSAOVERLAPPED: an auto-reset event lets one wait through for each end.
#[test]
fn ov_05_an_auto_reset_event_serves_as_well() {
    promise(|| {
        let (a, b) = pair();
        let done = Event::auto_reset().unwrap();
        for _ in 0..5 {
            let op = receives(&b, 4, &done);
            a.send(b"x").unwrap();
            becomes_set(&done);
            stays_unset(&done);
            assert_eq!(received(op.try_take().expect("it has ended")), b"x");
        }
    });
}

// D WSAGetOverlappedResult.
#[test]
fn ov_06_a_pending_result_is_incomplete() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let done = event();
            let mut op = receives(&b, 4, &done);
            let id = op.id();
            for _ in 0..5 {
                fails(op.result(), &[WSA_IO_INCOMPLETE]);
                op = op.try_take().expect_err("it is pending");
                assert_eq!(op.id(), id);
            }
            // An event that somebody sets by hand is no end.
            done.set().unwrap();
            fails(op.result(), &[WSA_IO_INCOMPLETE]);
            a.send(b"xy").unwrap();
            arrives(&op);
            for _ in 0..5 {
                assert_eq!(op.result(), Ok(2));
            }
            assert_eq!(received(op.take()), b"xy");
        }
    });
}

/// Waits until the operation has ended by asking it, whatever its event says.
#[track_caller]
fn arrives(op: &Op) {
    assert!(within(SOON, || op.result().is_ok()), "{:?}", op.result());
}

// D WSAGetOverlappedResult.
#[test]
fn ov_07_waiting_for_the_result_gives_what_asking_gives_afterwards() {
    promise(|| {
        type Outcome = (fn(&Socket, &Socket), Result<usize, i32>);
        let outcomes: [Outcome; 4] = [
            (|a, _| _ = a.send(b"xyz"), Ok(3)),
            (|a, _| a.close().unwrap(), Ok(0)),
            (|a, _| reset(a), Err(WSAECONNRESET)),
            (|_, b| b.cancel(None).unwrap(), Err(WSA_OPERATION_ABORTED)),
        ];
        for (cause, outcome) in outcomes {
            let (a, b) = pair();
            let done = event();
            let op = receives(&b, 4, &done);
            let causer = thread::spawn(move || {
                thread::sleep(SETTLE);
                cause(&a, &b);
                (a, b)
            });
            assert_eq!(op.wait().map_err(|error| error.code()), outcome);
            for _ in 0..3 {
                assert_eq!(op.result().map_err(|error| error.code()), outcome);
                assert_eq!(op.wait().map_err(|error| error.code()), outcome);
            }
            causer.join().unwrap();
        }
    });
}

// D WSAGetOverlappedResult: several threads wait for one operation, and one for its event.
#[test]
fn ov_07_any_number_of_threads_wait_for_one_operation() {
    promise(|| {
        let (a, b) = pair();
        let done = event();
        let op = Arc::new(receives(&b, 4, &done));
        let mut waiters: Vec<_> = (0..3)
            .map(|_| {
                let op = op.clone();
                thread::spawn(move || op.wait())
            })
            .collect();
        waiters.push({
            let (op, done) = (op.clone(), done.clone());
            thread::spawn(move || {
                becomes_set(&done);
                op.result()
            })
        });
        thread::sleep(SETTLE);
        assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
        a.send(b"xy").unwrap();
        for waiter in waiters {
            assert_eq!(in_time(move || waiter.join().unwrap()), Ok(2));
        }
        assert_eq!(received(Arc::try_unwrap(op).expect("the only one").take()), b"xy");
    });
}

// D WSAGetOverlappedResult: what has ended stays ended when the event is reset, set, or gone.
#[test]
fn ov_07_the_result_outlives_the_event() {
    promise(|| {
        let (a, b) = pair();
        let done = event();
        let op = receives(&b, 4, &done);
        a.send(b"x").unwrap();
        becomes_set(&done);
        done.reset().unwrap();
        let op = in_time(move || {
            assert_eq!(op.wait(), Ok(1));
            op
        });
        drop(done);
        assert_eq!(op.result(), Ok(1));
        assert_eq!(received(op.take()), b"x");
        // And an operation whose event's last clone the caller dropped ends all the same.
        let op = receives(&b, 4, &event());
        a.send(b"y").unwrap();
        arrives(&op);
        assert_eq!(received(op.take()), b"y");
    });
}

// D WSAWaitForMultipleEvents: one wait for the ends of many operations, for any and for all.
#[test]
fn ov_05_one_wait_serves_many_operations() {
    promise(|| {
        let pairs: Vec<(Socket, Socket)> = (0..16).map(|_| pair()).collect();
        let events: Vec<Event> = (0..16).map(|_| event()).collect();
        let ops: Vec<Op> = pairs.iter().zip(&events).map(|((_, b), event)| receives(b, 4, event)).collect();
        let soon = Some(SOON);
        for at in [7, 3, 15] {
            pairs[at].0.send(b"x").unwrap();
            assert_eq!(wait_any(&events, soon, Alertable::No), Ok(Wait::Index(at)));
            assert_eq!(ops[at].result(), Ok(1));
            events[at].reset().unwrap();
        }
        for (at, (a, _)) in pairs.iter().enumerate() {
            if [7, 3, 15].contains(&at) {
                events[at].set().unwrap();
            } else {
                a.send(b"y").unwrap();
            }
        }
        assert_eq!(wait_all(&events, soon, Alertable::No), Ok(Wait::Index(0)));
        assert!(ops.iter().all(|op| op.result() == Ok(1)));
    });
}

// D WSARecv.
#[test]
fn ov_16_a_thousand_receives_in_a_row_with_one_buffer_and_one_event() {
    promise(|| {
        let (a, b) = pair();
        let done = event();
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
            let op = b.recv_overlapped(buffer, Flags::NONE, ToEvent(&done)).unwrap();
            assert!(ids.insert(op.id()), "an id came twice");
            if !early {
                a.send(&number.to_le_bytes()).unwrap();
            }
            becomes_set(&done);
            let mut end = op.try_take().expect("its event is set");
            assert_eq!(end.result(), Ok(8));
            buffer = end.take_buffer().unwrap();
            assert_eq!(buffer, number.to_le_bytes());
            assert_eq!(buffer.as_ptr(), address);
        }
    });
}
