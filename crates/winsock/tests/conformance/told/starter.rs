//! OV-07, OV-15, CR-20: what operations do while the thread that started them does something else, or is gone.

use super::{Act, LONG, Told, WAYS, Way, narrow};
use crate::harness::{
    Counted, NOTHING, SETTLE, SOON, becomes_set, compute, connecting, event, fails, foreign_pair, is_set,
    let_in, listener, pair, pattern, promise, received, recv_exactly, recv_to_the_end, same_bytes,
    stays_unset, stream, within,
};
use doorbell_winsock::error::{WSA_IO_INCOMPLETE, WSA_OPERATION_ABORTED};
use doorbell_winsock::overlapped::{ToEvent, ToRoutine};
use doorbell_winsock::routine::{Alertable, sleep_ex};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{CompletionPort, Family, FdSet, Socket, Wait, select, wait_any};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// As long as the starters below are busy with something else.
const AWAY: Duration = Duration::from_millis(1500);

/// What a starter may do meanwhile: compute, sleep elsewhere, and each wait of ours, for something that never comes.
fn doings() -> Vec<(&'static str, fn())> {
    vec![
        ("compute", || compute(AWAY)),
        ("sleep", || thread::sleep(AWAY)),
        ("sleep_ex", || assert_eq!(sleep_ex(Some(AWAY), Alertable::No), Ok(Wait::TimedOut))),
        ("wait_any", || assert_eq!(wait_any(&[event()], Some(AWAY), Alertable::No), Ok(Wait::TimedOut))),
        ("get", || _ = CompletionPort::new(1).unwrap().get(Some(AWAY)).expect_err("nothing is posted")),
        ("recv", || {
            let (_a, b) = pair();
            b.set_recv_timeout(Some(AWAY)).unwrap();
            b.recv(&mut [0; 4]).expect_err("nothing is sent");
        }),
        ("select", || {
            let (_a, b) = pair();
            assert_eq!(select(Some(&mut FdSet::from_iter([&b])), None, None, Some(AWAY)), Ok(0));
        }),
    ]
}

// D Overlapped I/O: another thread waits for the event, the starter is in none of our calls, or in another one.
#[test]
fn ov_07_a_receive_ends_whatever_its_starter_does() {
    promise(|| {
        for (name, doing) in doings() {
            println!("while the starter is in {name}");
            let (socket, mut peer) = foreign_pair();
            let done = event();
            let starter = {
                let done = done.clone();
                thread::spawn(move || {
                    let op = socket.recv_overlapped(vec![0; 16], Flags::NONE, ToEvent(&done)).unwrap();
                    doing();
                    (op.take(), Instant::now())
                })
            };
            thread::sleep(SETTLE);
            assert!(!is_set(&done));
            peer.write_all(b"now").unwrap();
            becomes_set(&done);
            let ended = Instant::now();
            let (end, left) = starter.join().unwrap();
            assert_eq!(received(end), b"now");
            assert!(ended < left, "it ended only when its starter had finished");
        }
    });
}

// D WSAGetOverlappedResult: another thread blocks in the operation itself.
#[test]
fn ov_07_another_thread_waits_for_an_operation_whose_starter_computes() {
    promise(|| {
        let doings: [fn(); 2] = [|| compute(AWAY), || thread::sleep(AWAY)];
        for doing in doings {
            let (socket, mut peer) = foreign_pair();
            let done = event();
            let (tell, started) = mpsc::channel();
            let starter = thread::spawn(move || {
                let op = socket.recv_overlapped(vec![0; 16], Flags::NONE, ToEvent(&done)).unwrap();
                tell.send(op).unwrap();
                doing();
                Instant::now()
            });
            let op = started.recv().unwrap();
            fails(op.result(), &[WSA_IO_INCOMPLETE]);
            let writer = thread::spawn(move || {
                thread::sleep(SETTLE);
                peer.write_all(b"now").unwrap();
                peer
            });
            assert_eq!(op.wait(), Ok(3));
            let ended = Instant::now();
            assert_eq!(received(op.take()), b"now");
            assert!(ended < starter.join().unwrap(), "it ended only when its starter had finished");
            drop(writer.join().unwrap());
        }
    });
}

// D Overlapped I/O: nobody is in a call of ours, and the peer is a stranger.
#[test]
fn ov_11_a_long_send_goes_on_while_its_starter_computes_or_sleeps() {
    promise(|| {
        for way in WAYS {
            for computes in [true, false] {
                println!("by {way:?}, while the starter {}", if computes { "computes" } else { "sleeps" });
                let (socket, mut peer) = foreign_pair();
                socket.set_send_buffer(65536).unwrap();
                let over = Arc::new(AtomicBool::new(false));
                let starter = {
                    let over = over.clone();
                    thread::spawn(move || {
                        let mut told = Told::by(way);
                        told.pending(Act::Send(&socket), pattern(LONG, 2));
                        while !over.load(Ordering::SeqCst) {
                            let step = Duration::from_millis(5);
                            if computes { compute(step) } else { thread::sleep(step) }
                        }
                        assert_eq!(told.next().result(), Ok(LONG));
                        told.silence();
                    })
                };
                peer.set_read_timeout(Some(SOON)).unwrap();
                let mut got = vec![0; LONG];
                let read = peer.read_exact(&mut got);
                over.store(true, Ordering::SeqCst);
                read.expect("the operation stands still while its starter does something else");
                same_bytes(&got, &pattern(LONG, 2));
                starter.join().unwrap();
            }
        }
    });
}

// D Overlapped I/O, AcceptEx, ConnectEx: these go on as well, and a connect's first block is sent.
#[test]
fn ov_07_accepts_and_connects_end_while_their_starter_computes_or_sleeps() {
    promise(|| {
        thread::scope(|scope| {
            for way in WAYS {
                for computes in [true, false] {
                    scope.spawn(move || accepts_and_connects_go_on(way, computes));
                }
            }
        });
    });
}

fn accepts_and_connects_go_on(way: Way, computes: bool) {
    let (listener, address) = listener(Family::V4);
    let (_queued, full, keep) = connecting();
    let accept = Socket::for_accept(Family::V4).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let (tell, started) = mpsc::channel();
    let starter = {
        let (accept, over) = (accept.clone(), over.clone());
        thread::spawn(move || {
            let client = stream(Family::V4);
            let mut told = Told::by(way);
            let accepts = told.pending(Act::Accept(&listener, &accept), NOTHING);
            let connects = told.pending(Act::Connect(&client, full), b"ding".to_vec());
            tell.send(()).unwrap();
            while !over.load(Ordering::SeqCst) {
                let step = Duration::from_millis(5);
                if computes { compute(step) } else { thread::sleep(step) }
            }
            for (id, bytes) in [(accepts, 0), (connects, 4)] {
                let end = told.next();
                assert_eq!((end.id(), end.result()), (id, Ok(bytes)));
            }
            told.silence();
        })
    };
    started.recv().unwrap();
    let client = stream(Family::V4);
    client.connect(address).unwrap();
    let accepted = within(SOON, || accept.send(b"dong").is_ok());
    let connected = catch_unwind(AssertUnwindSafe(|| let_in(&keep[0], b"ding")));
    over.store(true, Ordering::SeqCst);
    assert!(accepted && connected.is_ok(), "by {way:?}, computes: {computes}; accepted: {accepted}");
    assert_eq!(recv_exactly(&client, 4), b"dong");
    starter.join().unwrap();
}

// D Overlapped I/O: operations of several sockets go on side by side while their starter is away, and it finds them ended.
#[test]
fn ov_08_a_starter_that_comes_back_finds_everything_ended() {
    promise(|| {
        for way in WAYS {
            let mut told = Told::by(way);
            let mut pairs: Vec<_> = (0..8).map(|_| foreign_pair()).collect();
            for (socket, _) in &pairs {
                told.receives(socket, 8);
                told.receives(socket, 8);
            }
            for (at, (_, peer)) in pairs.iter_mut().enumerate() {
                peer.write_all(&[at as u8; 16]).unwrap();
            }
            thread::sleep(SETTLE);
            // Nothing is left behind for the kernel to keep: the operations have taken it.
            for (socket, _) in &pairs {
                assert!(within(SOON, || socket.bytes_available() == Ok(0)), "an operation stands still");
            }
            let mut seen = [0; 8];
            for _ in 0..16 {
                let bytes = received(told.next());
                assert_eq!(bytes, [bytes[0]; 8]);
                seen[usize::from(bytes[0])] += 1;
            }
            assert_eq!(seen, [2; 8]);
            told.silence();
        }
    });
}

// D Overlapped I/O: one of two threads that have operations on a socket computes, or sleeps, and then is gone. The other one's
// go on all the same, also those that wait in a line behind its own.
#[test]
fn ov_12_two_threads_have_operations_on_one_socket_and_one_is_away() {
    promise(|| {
        for way in WAYS {
            for computes in [true, false] {
                println!("by {way:?}, while the first {}", if computes { "computes" } else { "sleeps" });
                let (socket, mut peer) = foreign_pair();
                socket.set_send_buffer(65536).unwrap();
                peer.set_read_timeout(Some(SOON)).unwrap();
                let over = Arc::new(AtomicBool::new(false));
                let (tell, started) = mpsc::channel();
                let first = {
                    let (socket, over) = (socket.clone(), over.clone());
                    thread::spawn(move || {
                        let mut told = Told::by(way);
                        let ended = told.receives(&socket, 4);
                        told.receives(&socket, 4);
                        tell.send(()).unwrap();
                        while !over.load(Ordering::SeqCst) {
                            let step = Duration::from_millis(5);
                            if computes { compute(step) } else { thread::sleep(step) }
                        }
                        // What ended meanwhile is here, and what pends goes with the thread.
                        let end = told.next();
                        assert_eq!((end.id(), end.result()), (ended, Ok(4)));
                    })
                };
                started.recv().unwrap();
                let mut told = Told::by(way);
                let send = told.pending(Act::Send(&socket), pattern(LONG, 5));
                let behind = told.receives(&socket, 4);
                let mut got = vec![0; LONG];
                peer.read_exact(&mut got).expect("the send stands still while another thread is away");
                same_bytes(&got, &pattern(LONG, 5));
                let end = told.next();
                assert_eq!((end.id(), end.result()), (send, Ok(LONG)));
                peer.write_all(b"1111").unwrap();
                told.silence();
                over.store(true, Ordering::SeqCst);
                first.join().unwrap();
                peer.write_all(b"2222").unwrap();
                let end = told.next();
                assert_eq!(end.id(), behind);
                assert_eq!(received(end), b"2222");
                told.silence();
            }
        }
    });
}

// D CancelIo, ExitThread; WA test_async_thread_termination.
#[test]
fn ov_15_operations_of_an_event_end_with_their_starter() {
    promise(|| {
        let (a, b) = pair();
        let done = [event(), event()];
        let mine = event();
        let ops = {
            let (b, done) = (b.clone(), done.clone());
            let starter = thread::spawn(move || {
                done.map(|event| b.recv_overlapped(vec![7; 4], Flags::NONE, ToEvent(&event)).unwrap())
            });
            starter.join().unwrap()
        };
        for (op, event) in ops.into_iter().zip(&done) {
            becomes_set(event);
            fails(op.result(), &[WSA_OPERATION_ABORTED]);
            fails(op.wait(), &[WSA_OPERATION_ABORTED]);
            let mut end = op.try_take().expect("it has ended");
            assert_eq!((end.system_code(), end.bytes()), (WSA_OPERATION_ABORTED, 0));
            assert_eq!(end.take_buffer::<Vec<u8>>().unwrap(), [7; 4]);
        }
        // What arrives is for those who are there.
        let op = b.recv_overlapped(vec![0; 4], Flags::NONE, ToEvent(&mine)).unwrap();
        a.send(b"1234").unwrap();
        assert_eq!(op.wait(), Ok(4));
        assert_eq!(received(op.take()), b"1234");
    });
}

// D ExitThread: the same while others wait for the event and in the operation.
#[test]
fn ov_15_the_end_of_the_starter_wakes_those_who_wait() {
    promise(|| {
        let (_a, b) = pair();
        let done = event();
        let (tell, started) = mpsc::channel();
        let (go, leave) = mpsc::channel::<()>();
        let starter = {
            let done = done.clone();
            thread::spawn(move || {
                tell.send(b.recv_overlapped(vec![0; 4], Flags::NONE, ToEvent(&done)).unwrap()).unwrap();
                leave.recv().ok();
            })
        };
        let op = started.recv().unwrap();
        let waiter = thread::spawn(move || op.wait());
        thread::sleep(SETTLE);
        stays_unset(&done);
        drop(go);
        becomes_set(&done);
        fails(waiter.join().unwrap(), &[WSA_OPERATION_ABORTED]);
        starter.join().unwrap();
    });
}

// D ExitThread: what had ended before keeps its result, and another thread's operations go on.
#[test]
fn ov_15_the_end_of_a_thread_touches_only_what_it_left_pending() {
    promise(|| {
        let (a, b) = pair();
        let (c, d) = pair();
        let (first, last, mine) = (event(), event(), event());
        let kept = d.recv_overlapped(vec![0; 4], Flags::NONE, ToEvent(&mine)).unwrap();
        let (ended, cut) = {
            let (b, d, first, last) = (b.clone(), d.clone(), first.clone(), last.clone());
            let starter = thread::spawn(move || {
                let ended = b.recv_overlapped(vec![0; 4], Flags::NONE, ToEvent(&first)).unwrap();
                a.send(b"x").unwrap();
                assert_eq!(ended.wait(), Ok(1));
                (ended, d.recv_overlapped(vec![0; 4], Flags::NONE, ToEvent(&last)).unwrap(), a)
            });
            let (ended, cut, _a) = starter.join().unwrap();
            (ended, cut)
        };
        becomes_set(&last);
        fails(cut.result(), &[WSA_OPERATION_ABORTED]);
        assert_eq!(received(ended.take()), b"x");
        stays_unset(&mine);
        c.send(b"y").unwrap();
        assert_eq!(kept.wait(), Ok(1));
        assert_eq!(received(kept.take()), b"y");
    });
}

// D ExitThread: sends too, with the rest of what they had to send.
#[test]
fn ov_15_a_send_ends_with_its_starter() {
    promise(|| {
        let (a, b) = narrow(Family::V4);
        let done = event();
        let op = {
            let (a, done) = (a.clone(), done.clone());
            let starter = thread::spawn(move || a.send_overlapped(pattern(LONG, 5), ToEvent(&done)).unwrap());
            starter.join().unwrap()
        };
        becomes_set(&done);
        fails(op.result(), &[WSA_OPERATION_ABORTED]);
        a.close().unwrap();
        let got = recv_to_the_end(&b);
        assert!(got.len() < LONG);
        same_bytes(&got, &pattern(LONG, 5)[..got.len()]);
    });
}

// D ExitThread: accepts and connects too, and what they held is free: by event it comes back, by routine it is dropped.
#[test]
fn ov_15_accepts_and_connects_end_with_their_starter() {
    promise(|| {
        for way in WAYS {
            let (listener, address) = listener(Family::V4);
            let (_queued, full, _keep) = connecting();
            let (accept, client) = (Socket::for_accept(Family::V4).unwrap(), stream(Family::V4));
            let done = [event(), event()];
            let (runs, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let ops = {
                let (listener, accept, done) = (listener.clone(), accept.clone(), done.clone());
                let (runs, drops) = (runs.clone(), drops.clone());
                let starter = thread::spawn(move || {
                    let acts = [Act::Accept(&listener, &accept), Act::Connect(&client, full)];
                    let mut ops = Vec::new();
                    for (act, event) in acts.into_iter().zip(&done) {
                        let (buffer, runs) = (Counted::new(4, &drops), runs.clone());
                        if way == Way::Event {
                            ops.push(act.start(buffer, ToEvent(event)).unwrap());
                        } else {
                            let routine = move |_| _ = runs.fetch_add(1, Ordering::SeqCst);
                            act.start(buffer, ToRoutine(routine)).unwrap();
                        }
                    }
                    (ops, client)
                });
                starter.join().unwrap().0
            };
            for (already, (op, event)) in ops.into_iter().zip(&done).enumerate() {
                becomes_set(event);
                let mut end = op.take();
                fails(end.result(), &[WSA_OPERATION_ABORTED]);
                assert_eq!(drops.load(Ordering::SeqCst), already);
                drop(end.take_buffer::<Counted>().expect("the buffer comes back"));
            }
            assert!(within(SOON, || drops.load(Ordering::SeqCst) == 2), "what they held is dropped");
            // The listener and the accept socket serve the next.
            let mut told = Told::by(way);
            told.pending(Act::Accept(&listener, &accept), NOTHING);
            let client = stream(Family::V4);
            client.connect(address).unwrap();
            assert_eq!(told.next().take_accepted().unwrap().peer_addr(), client.local_addr());
            told.silence();
            assert_eq!((runs.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)), (0, 2));
        }
    });
}

// D QueueUserAPC, ExitThread; CR-20: nobody runs them, and what they hold is dropped.
#[test]
fn cr_20_routines_of_a_thread_that_is_gone_are_dropped_and_never_run() {
    promise(|| {
        let (runs, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (a, b) = pair();
        let starter = {
            let (b, runs, drops) = (b.clone(), runs.clone(), drops.clone());
            thread::spawn(move || {
                for _ in 0..3 {
                    let (runs, held) = (runs.clone(), Counted::new(1, &drops));
                    let routine = move |_| {
                        runs.fetch_add(held.bytes().len(), Ordering::SeqCst);
                    };
                    b.recv_overlapped(Counted::new(64, &drops), Flags::NONE, ToRoutine(routine)).unwrap();
                }
            })
        };
        starter.join().unwrap();
        assert!(
            within(SOON, || drops.load(Ordering::SeqCst) == 6),
            "{} of three buffers and three routines are dropped",
            drops.load(Ordering::SeqCst)
        );
        // Data finds no operation any more, and no other thread runs what that one had.
        a.send(b"later").unwrap();
        assert_eq!(sleep_ex(Some(SETTLE), Alertable::Yes), Ok(Wait::TimedOut));
        assert_eq!(recv_exactly(&b, 5), b"later");
        assert_eq!((runs.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)), (0, 6));
    });
}

// D ExitThread; CR-20: also those that are queued already, because their operations had ended.
#[test]
fn cr_20_queued_routines_are_dropped_with_their_thread() {
    promise(|| {
        let (runs, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (a, b) = pair();
        let starter = {
            let (runs, drops) = (runs.clone(), drops.clone());
            thread::spawn(move || {
                for socket in [&a, &b] {
                    let (runs, held) = (runs.clone(), Counted::new(1, &drops));
                    let routine = move |_| {
                        runs.fetch_add(held.bytes().len(), Ordering::SeqCst);
                    };
                    socket.send_overlapped(Counted::new(8, &drops), ToRoutine(routine)).unwrap();
                }
                thread::sleep(SETTLE);
                assert_eq!(drops.load(Ordering::SeqCst), 0);
                (a, b)
            })
        };
        let (a, b): (Socket, Socket) = starter.join().unwrap();
        assert!(within(SOON, || drops.load(Ordering::SeqCst) == 4));
        assert_eq!(runs.load(Ordering::SeqCst), 0);
        // Both sends had been done.
        assert_eq!((recv_exactly(&a, 8), recv_exactly(&b, 8)), (vec![0; 8], vec![0; 8]));
    });
}
