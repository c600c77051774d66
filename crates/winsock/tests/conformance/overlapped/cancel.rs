//! CN: cancellation.

use crate::harness::{
    NOTHING, SETTLE, arrived, becomes_set, connecting, datagram, event, fails, families, is_one_of, listener,
    next_end, no_packet, pair, pair_of, pattern, pending, port_with, promise, received, recv_exactly,
    recv_pending, recv_to_the_end, same_bytes, started, stream,
};
use doorbell_winsock::error::{ERROR_NOT_FOUND, WAIT_TIMEOUT, WSA_OPERATION_ABORTED};
use doorbell_winsock::overlapped::{ToPort, ToPortAndEvent};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Completion, Family, Socket};
use std::collections::HashSet;
use std::thread;
use std::time::Duration;

#[track_caller]
fn cancelled(end: &Completion) {
    assert_eq!((end.system_code(), end.bytes()), (WSA_OPERATION_ABORTED, 0), "{:?}", end.result());
    fails(end.result(), &[WSA_OPERATION_ABORTED]);
}

// D CancelIoEx.
#[test]
fn cn_01_cancelling_one_operation_leaves_the_others() {
    promise(|| {
        for family in families() {
            // The first, one in the middle, the last.
            for victim in 0..3 {
                let (a, b) = pair_of(family);
                let port = port_with(&[(&b, 1)]);
                let ids = [recv_pending(&b, 2), recv_pending(&b, 2), recv_pending(&b, 2)];
                b.cancel(Some(ids[victim])).unwrap();
                let end = next_end(&port);
                assert_eq!(end.id(), ids[victim]);
                cancelled(&end);
                no_packet(&port);
                a.send(b"1122").unwrap();
                let left: Vec<_> = (0..3).filter(|number| *number != victim).map(|n| ids[n]).collect();
                for (id, text) in left.into_iter().zip([b"11", b"22"]) {
                    let end = next_end(&port);
                    assert_eq!(end.id(), id);
                    assert_eq!(received(end), text);
                }
                no_packet(&port);
            }
        }
    });
}

// D CancelIoEx: a receive is cancelled, a send beside it goes on.
#[test]
fn cn_01_cancelling_a_receive_does_not_touch_a_send() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let receive = recv_pending(&b, 4);
        let send = pending(b.send_overlapped(pattern(8 << 20, 1), ToPort));
        b.cancel(Some(receive)).unwrap();
        let end = next_end(&port);
        assert_eq!(end.id(), receive);
        cancelled(&end);
        same_bytes(&recv_exactly(&a, 8 << 20), &pattern(8 << 20, 1));
        let end = next_end(&port);
        assert_eq!((end.id(), end.result()), (send, Ok(8 << 20)));
    });
}

// D CancelIoEx.
#[test]
fn cn_02_cancelling_all_takes_those_of_every_thread_and_of_no_other_socket() {
    promise(|| {
        let (_a, b) = pair();
        let (c, d) = pair();
        let port = port_with(&[(&b, 1), (&d, 2)]);
        let mut ids = HashSet::from([recv_pending(&b, 4), recv_pending(&b, 4)]);
        let other = recv_pending(&d, 4);
        let (alive, starter) = (b.clone(), b.clone());
        ids.insert(thread::spawn(move || recv_pending(&starter, 4)).join().unwrap());
        ids.insert(pending(alive.send_overlapped(vec![0; 32 << 20], ToPort)));
        // A third thread cancels.
        thread::spawn(move || alive.cancel(None)).join().unwrap().unwrap();
        while !ids.is_empty() {
            let end = next_end(&port);
            assert_eq!(end.key(), 1);
            assert!(ids.remove(&end.id()), "told twice");
            fails(end.result(), &[WSA_OPERATION_ABORTED]);
        }
        no_packet(&port);
        c.send(b"x").unwrap();
        let end = next_end(&port);
        assert_eq!((end.id(), end.result()), (other, Ok(1)));
    });
}

// D CancelIoEx, WSADuplicateSocket: to the system both handles are one file, and so they are to its port.
#[test]
fn cn_02_a_duplicate_cancels_what_was_started_through_the_other() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            let twin = b.duplicate().unwrap();
            let kept = recv_pending(&twin, 4);
            let named = recv_pending(&b, 4);
            twin.cancel(Some(named)).unwrap();
            let end = next_end(&port);
            assert_eq!(end.id(), named);
            cancelled(&end);
            let ids = HashSet::from([kept, recv_pending(&b, 4)]);
            b.cancel(None).unwrap();
            let ends = [next_end(&port), next_end(&port)];
            ends.iter().for_each(cancelled);
            assert_eq!(ends.iter().map(Completion::id).collect::<HashSet<_>>(), ids);
            // Also when the handle that it was started through is closed.
            let id = recv_pending(&b, 4);
            b.close().unwrap();
            twin.cancel(Some(id)).unwrap();
            let end = next_end(&port);
            assert_eq!(end.id(), id);
            cancelled(&end);
            fails(twin.cancel(None), &[ERROR_NOT_FOUND]);
            no_packet(&port);
            a.send(b"x").unwrap();
            assert_eq!(recv_exactly(&twin, 1), b"x");
        }
    });
}

// D CancelIoEx.
#[test]
fn cn_03_an_operation_that_ended_cannot_be_cancelled() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let id = recv_pending(&b, 4);
        a.send(b"x").unwrap();
        next_end(&port);
        for _ in 0..2 {
            fails(b.cancel(Some(id)), &[ERROR_NOT_FOUND]);
        }
        // Nor is another one taken for it, nor one of another socket.
        let next = recv_pending(&b, 4);
        fails(b.cancel(Some(id)), &[ERROR_NOT_FOUND]);
        let (_c, d) = pair();
        for _ in 0..3 {
            let other = recv_pending(&d, 4);
            assert!(other != id && other != next, "two operations of one name");
            fails(b.cancel(Some(other)), &[ERROR_NOT_FOUND]);
        }
        no_packet(&port);
        b.cancel(Some(next)).unwrap();
        let end = next_end(&port);
        assert_eq!(end.id(), next);
        cancelled(&end);
        fails(b.cancel(Some(next)), &[ERROR_NOT_FOUND]);
        // It has ended when its packet is queued, not when that is taken.
        a.send(b"y").unwrap();
        arrived(&b, 1);
        let done = event();
        let id = started(b.recv_overlapped(vec![0; 4], Flags::NONE, ToPortAndEvent(&done)));
        becomes_set(&done);
        fails(b.cancel(Some(id)), &[ERROR_NOT_FOUND]);
        fails(b.cancel(None), &[ERROR_NOT_FOUND]);
        assert_eq!(received(next_end(&port)), b"y");
    });
}

// D CancelIoEx.
#[test]
fn cn_03_on_an_idle_socket_there_is_nothing_to_cancel() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&a, 1)]);
        fails(stream(Family::V4).cancel(None), &[ERROR_NOT_FOUND]);
        fails(a.cancel(None), &[ERROR_NOT_FOUND]);
        fails(b.cancel(None), &[ERROR_NOT_FOUND]);
        recv_pending(&a, 4);
        fails(b.cancel(None), &[ERROR_NOT_FOUND]);
        a.cancel(None).unwrap();
        cancelled(&next_end(&port));
        fails(a.cancel(None), &[ERROR_NOT_FOUND]);
    });
}

// D CancelIo.
#[test]
fn cn_04_cancel_io_takes_only_those_of_its_thread() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let mine = recv_pending(&b, 4);
        let theirs = {
            let (b, port) = (b.clone(), port.clone());
            let other = thread::spawn(move || {
                // With nothing of its own it does nothing, and that is no error.
                b.cancel_thread().unwrap();
                no_packet(&port);
                let ids = [recv_pending(&b, 4), recv_pending(&b, 4)];
                b.cancel_thread().unwrap();
                ids
            });
            other.join().unwrap()
        };
        for id in theirs {
            let end = next_end(&port);
            assert_eq!(end.id(), id);
            cancelled(&end);
        }
        no_packet(&port);
        a.send(b"x").unwrap();
        let end = next_end(&port);
        assert_eq!((end.id(), end.result()), (mine, Ok(1)));
    });
}

// D CancelIo: a thread that comes after another one is not that one, whatever the system calls it.
#[test]
fn cn_04_a_later_thread_cancels_nothing_of_one_that_is_gone() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let starter = b.clone();
        let id = thread::spawn(move || recv_pending(&starter, 4)).join().unwrap();
        for _ in 0..10 {
            let b = b.clone();
            thread::spawn(move || b.cancel_thread()).join().unwrap().unwrap();
        }
        no_packet(&port);
        a.send(b"x").unwrap();
        let end = next_end(&port);
        assert_eq!((end.id(), end.result()), (id, Ok(1)));
    });
}

// D CancelIoEx; W test_AcceptEx.
#[test]
fn cn_05_a_cancelled_operation_ends_once_with_995() {
    promise(|| {
        for family in families() {
            let (_a, b) = pair_of(family);
            let (listener, _) = listener(family);
            let (d, _) = datagram(family);
            let port = port_with(&[(&b, 1), (&listener, 2), (&d, 3)]);
            for _ in 0..5 {
                let accept = Socket::for_accept(family).unwrap();
                let starts = [
                    (&b, recv_pending(&b, 4)),
                    (&listener, pending(listener.accept_ex(&accept, NOTHING, ToPort))),
                    (&d, pending(d.recv_from_overlapped(vec![0; 4], Flags::NONE, ToPort))),
                ];
                for (key, (socket, id)) in starts.into_iter().enumerate() {
                    socket.cancel(Some(id)).unwrap();
                    // Asked again it has ended, or is about to.
                    for again in [socket.cancel(Some(id)), socket.cancel(None)] {
                        if let Err(error) = again {
                            is_one_of(error, &[ERROR_NOT_FOUND]);
                        }
                    }
                    let end = next_end(&port);
                    assert_eq!((end.id(), end.key()), (id, key + 1));
                    cancelled(&end);
                }
            }
            no_packet(&port);
        }
    });
}

// D CancelIoEx, AcceptEx: the connection is there, its first bytes are not, and the accept may not have heard of it yet.
#[test]
fn cn_05_an_accept_that_is_cancelled_as_its_connection_comes_ends_all_the_same() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let port = port_with(&[(&listener, 1)]);
        // They stay: an accept that was cancelled in time leaves its client to the next one (CN-08).
        let mut clients = Vec::new();
        for round in 0..50 {
            let socket = Socket::for_accept(Family::V4).unwrap();
            let accept = pending(listener.accept_ex(&socket, vec![0; 16], ToPort));
            // Every other one is on its way before the client comes.
            if round % 2 == 0 {
                fails(port.get(Some(Duration::from_millis(1))), &[WAIT_TIMEOUT]);
            }
            let client = stream(Family::V4);
            client.connect(address).unwrap();
            listener.cancel(Some(accept)).unwrap();
            let end = next_end(&port);
            assert_eq!(end.id(), accept);
            cancelled(&end);
            clients.push(client);
        }
        no_packet(&port);
    });
}

// D CancelIoEx: somebody waits at the port while another thread cancels.
#[test]
fn cn_05_a_cancel_wakes_the_thread_at_the_port() {
    promise(|| {
        let (_a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let id = recv_pending(&b, 4);
        let waiter = {
            let port = port.clone();
            thread::spawn(move || next_end(&port))
        };
        thread::sleep(SETTLE);
        b.cancel(Some(id)).unwrap();
        let end = waiter.join().unwrap();
        assert_eq!(end.id(), id);
        cancelled(&end);
    });
}

// D CancelIoEx: it only asks, and then the data counts.
#[test]
fn cn_06_a_cancel_that_races_the_data_loses_none_and_tells_once() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let (mut done, mut lost) = (0, 0);
        for number in 0..300u16 {
            let id = recv_pending(&b, 2);
            let canceller = {
                let b = b.clone();
                thread::spawn(move || b.cancel(Some(id)))
            };
            if number % 3 != 0 {
                thread::yield_now();
            }
            a.send(&number.to_le_bytes()).unwrap();
            let asked = canceller.join().unwrap();
            let end = next_end(&port);
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
        println!("{done} ended with data, {lost} were cancelled");
        no_packet(&port);
    });
}

// P8.
#[test]
fn cn_07_what_arrives_after_a_cancelled_receive_is_read_by_the_next() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            for round in 0..3 {
                recv_pending(&b, 16);
                recv_pending(&b, 16);
                b.cancel(None).unwrap();
                a.send(b"after").unwrap();
                cancelled(&next_end(&port));
                cancelled(&next_end(&port));
                if round == 0 {
                    assert_eq!(recv_exactly(&b, 5), b"after");
                } else {
                    started(b.recv_overlapped(vec![0; 16], Flags::NONE, ToPort));
                    assert_eq!(received(next_end(&port)), b"after");
                }
            }
        }
    });
}

// WINDOWS.md: a cancelled send says 995; the peer has a prefix of it, and the connection goes on behind that.
#[test]
fn cn_07_a_cancelled_send_sent_a_prefix() {
    promise(|| {
        const LEN: usize = 32 << 20;
        let (a, b) = pair();
        let port = port_with(&[(&a, 1)]);
        let id = pending(a.send_overlapped(pattern(LEN, 0), ToPort));
        no_packet(&port);
        a.cancel(Some(id)).unwrap();
        let end = next_end(&port);
        assert_eq!(end.id(), id);
        fails(end.result(), &[WSA_OPERATION_ABORTED]);
        a.shutdown(doorbell_winsock::Shutdown::Send).unwrap();
        let got = recv_to_the_end(&b);
        assert!(got.len() < LEN);
        same_bytes(&got, &pattern(got.len(), 0));
        no_packet(&port);
    });
}

// D CancelIoEx: the next send in the row goes out whole.
#[test]
fn cn_01_cancelling_the_first_send_lets_the_second_go() {
    promise(|| {
        const LEN: usize = 32 << 20;
        let (a, b) = pair();
        let port = port_with(&[(&a, 1)]);
        let first = pending(a.send_overlapped(vec![1; LEN], ToPort));
        let second = pending(a.send_overlapped(vec![2; 1000], ToPort));
        a.cancel(Some(first)).unwrap();
        let end = next_end(&port);
        assert_eq!(end.id(), first);
        fails(end.result(), &[WSA_OPERATION_ABORTED]);
        let reader = thread::spawn(move || recv_to_the_end(&b));
        let end = next_end(&port);
        assert_eq!((end.id(), end.result()), (second, Ok(1000)));
        a.close().unwrap();
        let got = reader.join().unwrap();
        let ones = got.iter().take_while(|byte| **byte == 1).count();
        assert!(ones < LEN);
        same_bytes(&got[ones..], &[2; 1000]);
    });
}

// P8.
#[test]
fn cn_08_after_a_cancelled_accept_the_connection_waits_in_the_backlog() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let port = port_with(&[(&listener, 1)]);
            let socket = Socket::for_accept(family).unwrap();
            pending(listener.accept_ex(&socket, NOTHING, ToPort));
            listener.cancel(None).unwrap();
            let mut end = next_end(&port);
            cancelled(&end);
            assert!(end.take_accepted().is_some_and(|back| back == socket), "the accept socket comes back");
            let first = stream(family);
            first.connect(address).unwrap();
            let (server, from) = listener.accept().unwrap();
            assert_eq!(from, first.local_addr().unwrap());
            // The accept socket can be used again.
            pending(listener.accept_ex(&socket, NOTHING, ToPort));
            let second = stream(family);
            second.connect(address).unwrap();
            assert_eq!(next_end(&port).result(), Ok(0));
            assert_eq!(socket.peer_addr(), second.local_addr());
            drop(server);
            // One that has its connection and waits for the first bytes is still the listener's to cancel.
            let waiting = Socket::for_accept(family).unwrap();
            for one in [false, true] {
                let socket = Socket::for_accept(family).unwrap();
                let id = pending(listener.accept_ex(&socket, vec![0; 16], ToPort));
                let next = pending(listener.accept_ex(&waiting, NOTHING, ToPort));
                let silent = stream(family);
                silent.connect(address).unwrap();
                no_packet(&port);
                listener.cancel(one.then_some(id)).unwrap();
                let end = next_end(&port);
                cancelled(&end);
                if one {
                    // The other one goes on.
                    assert_eq!(end.id(), id);
                    let third = stream(family);
                    third.connect(address).unwrap();
                    assert_eq!(next_end(&port).id(), next);
                    assert_eq!(waiting.peer_addr(), third.local_addr());
                } else {
                    let other = next_end(&port);
                    cancelled(&other);
                    assert_eq!(HashSet::from([end.id(), other.id()]), HashSet::from([id, next]));
                }
                no_packet(&port);
            }
        }
    });
}

// D CancelIoEx: a connect can be cancelled too.
#[test]
fn cn_05_a_connect_under_way_can_be_cancelled() {
    promise(|| {
        let (_socket, address, _keep) = connecting();
        let client = stream(Family::V4);
        let port = port_with(&[(&client, 1)]);
        let id = pending(client.connect_ex(address, NOTHING, ToPort));
        thread::sleep(Duration::from_millis(50));
        client.cancel(Some(id)).unwrap();
        let end = next_end(&port);
        assert_eq!(end.id(), id);
        cancelled(&end);
        no_packet(&port);
    });
}
