//! CR: completion routines and user APCs. What holds by event as well stands in [`told`](crate::told).

mod apc;
mod start;
mod waits;

use crate::harness::{
    CLOSED_PENDING, SETTLE, SILENCE, SOON, arrived, event, fails, is_set, no_packet, pair, port_with,
    promise, received, recv_exactly, reset, within,
};
use doorbell_winsock::error::{WSA_OPERATION_ABORTED, WSAECONNRESET};
use doorbell_winsock::overlapped::{Operation, Routed, ToEvent, ToRoutine};
use doorbell_winsock::routine::{Alertable, sleep_ex};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Completion, MessageQueue, Result, Shutdown, Socket, Wait, wait_all, wait_any};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::slice::from_ref;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What routines were given, in the order in which they ran.
#[derive(Clone, Default)]
struct Ran(Rc<RefCell<Vec<Completion>>>);

impl Ran {
    fn count(&self) -> usize {
        self.0.borrow().len()
    }

    #[track_caller]
    fn only(&self) -> Completion {
        let mut ends = self.0.borrow_mut();
        assert_eq!(ends.len(), 1, "{ends:?}");
        ends.remove(0)
    }

    fn receive(&self, socket: &Socket, len: usize) -> Routed {
        let ends = self.0.clone();
        let routine = ToRoutine(move |end| ends.borrow_mut().push(end));
        socket.recv_overlapped(vec![0; len], Flags::NONE, routine).expect("the receive starts")
    }

    fn send(&self, socket: &Socket, bytes: &[u8]) -> Routed {
        let ends = self.0.clone();
        socket
            .send_overlapped(bytes.to_vec(), ToRoutine(move |end| ends.borrow_mut().push(end)))
            .expect("the send starts")
    }
}

fn alertably(timeout: Duration) -> Result<Wait> {
    sleep_ex(Some(timeout), Alertable::Yes)
}

/// Alertable waits until `count` routines have run.
#[track_caller]
fn until(ran: &Ran, count: usize) {
    while ran.count() < count {
        assert_eq!(alertably(SOON), Ok(Wait::IoCompletion), "{} of {count} ran", ran.count());
    }
}

// D WSARecv: not even when the call succeeds at once.
#[test]
fn cr_01_a_routine_never_runs_in_the_call_that_starts_its_operation() {
    promise(|| {
        let (a, b) = pair();
        let ran = Ran::default();
        let mut at_once = 0;
        for _ in 0..10 {
            at_once += usize::from(ran.send(&a, b"x").at_once);
            arrived(&b, 1);
            at_once += usize::from(ran.receive(&b, 4).at_once);
            assert!(within(SOON, || b.bytes_available() == Ok(0)));
            assert_eq!(ran.count(), 0, "it ran inside a call");
        }
        assert!(at_once > 0, "nothing succeeded at once");
        until(&ran, 20);
        assert_eq!(alertably(SILENCE), Ok(Wait::TimedOut));
        assert!(ran.0.borrow().iter().all(|end| end.result() == Ok(1)));
    });
}

// D Overlapped I/O.
#[test]
fn cr_02_a_routine_runs_only_on_the_thread_that_started_the_operation() {
    promise(|| {
        let (a, b) = pair();
        let (tell, told) = mpsc::channel();
        let (go, may_wait) = mpsc::channel::<()>();
        let starter = thread::spawn(move || {
            for _ in 0..2 {
                let ran = Rc::new(Cell::new(None));
                let running = ran.clone();
                let routine =
                    move |end: Completion| running.set(Some((thread::current().id(), end.result())));
                b.recv_overlapped(vec![0; 4], Flags::NONE, ToRoutine(routine)).unwrap();
                tell.send(None).unwrap();
                may_wait.recv().unwrap();
                assert_eq!(ran.get(), None, "it ran outside an alertable wait");
                assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
                tell.send(ran.get()).unwrap();
            }
        });
        for _ in 0..2 {
            assert_eq!(told.recv_timeout(SOON), Ok(None));
            a.send(b"x").unwrap();
            // Others wait alertably while the starter does not: they run nothing.
            let other = thread::spawn(|| alertably(SILENCE));
            assert_eq!(wait_any(&[event()], Some(SILENCE), Alertable::Yes), Ok(Wait::TimedOut));
            assert_eq!(other.join().unwrap(), Ok(Wait::TimedOut));
            go.send(()).unwrap();
            assert_eq!(told.recv_timeout(SOON), Ok(Some((starter.thread().id(), Ok(1)))));
        }
        starter.join().unwrap();
    });
}

// D WSAWaitForMultipleEvents.
#[test]
fn cr_03_waits_that_are_not_alertable_leave_routines_queued() {
    promise(|| {
        let ((a, b), (c, d)) = (pair(), pair());
        let (idle, ran) = (event(), Ran::default());
        let port = port_with(&[]);
        let messages = MessageQueue::new().unwrap();
        // From here on no call that blocks: it would run what is queued (BL-11).
        ran.receive(&b, 4);
        a.send(b"x").unwrap();
        thread::sleep(SETTLE);
        let waits: [&dyn Fn(); 6] = [
            &|| assert_eq!(sleep_ex(Some(SETTLE), Alertable::No), Ok(Wait::TimedOut)),
            &|| assert_eq!(wait_any(from_ref(&idle), Some(SETTLE), Alertable::No), Ok(Wait::TimedOut)),
            &|| assert_eq!(wait_all(from_ref(&idle), Some(SETTLE), Alertable::No), Ok(Wait::TimedOut)),
            &|| no_packet(&port),
            &|| assert!(matches!(messages.get(Some(SETTLE)), Ok(None))),
            // For one operation that is told by an event: it ends behind the one that has the routine.
            &|| {
                let op = d.recv_overlapped(vec![0; 4], Flags::NONE, ToEvent(&event())).unwrap();
                let sender = {
                    let c = c.clone();
                    thread::spawn(move || {
                        thread::sleep(SETTLE);
                        c.send(b"y").unwrap();
                    })
                };
                assert_eq!(op.wait(), Ok(1));
                sender.join().unwrap();
            },
        ];
        for (at, wait) in waits.iter().enumerate() {
            wait();
            assert_eq!(ran.count(), 0, "wait {at} ran it");
        }
        assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
        assert_eq!(received(ran.only()), b"x");
        // And where the operation ends in the midst of the wait, which is the one that hears of it.
        for (at, wait) in waits.iter().enumerate() {
            ran.receive(&b, 4);
            let sender = {
                let a = a.clone();
                thread::spawn(move || {
                    thread::sleep(SETTLE / 2);
                    a.send(b"z").unwrap();
                })
            };
            wait();
            assert_eq!(ran.count(), 0, "wait {at} ran it");
            sender.join().unwrap();
            until(&ran, 1);
            assert_eq!(received(ran.only()), b"z");
        }
    });
}

// D WSAWaitForMultipleEvents; W test_WSARecv.
#[test]
fn cr_04_a_wait_that_ran_a_routine_says_so() {
    promise(|| {
        let (a, b) = pair();
        let (idle, other, ran) = (event(), event(), Ran::default());
        let both = [idle.clone(), other.clone()];
        let waits: [&dyn Fn() -> Result<Wait>; 4] = [
            &|| alertably(SOON),
            &|| sleep_ex(None, Alertable::Yes),
            &|| wait_any(&both, Some(SOON), Alertable::Yes),
            &|| wait_all(&both, None, Alertable::Yes),
        ];
        for wait in waits {
            // The data comes before the wait, and while it lasts.
            for delay in [Duration::ZERO, SETTLE] {
                ran.receive(&b, 4);
                let (sender, held) = (a.clone(), thread::current());
                let sending = thread::spawn(move || {
                    thread::sleep(delay);
                    sender.send(b"x").unwrap();
                    drop(held);
                });
                assert_eq!(wait(), Ok(Wait::IoCompletion));
                assert_eq!(received(ran.only()), b"x");
                sending.join().unwrap();
            }
        }
        assert!(!is_set(&idle) && !is_set(&other));
    });
}

// D Alertable I/O.
#[test]
fn cr_05_one_wait_runs_everything_that_is_queued() {
    promise(|| {
        // More than are likely to be fetched at a time, some that pend and some that end at once, and not all of one kind.
        const MANY: usize = 100;
        let ran = Ran::default();
        let pairs: Vec<(Socket, Socket)> = (0..MANY).map(|_| pair()).collect();
        let ids: Vec<_> = pairs.iter().map(|(_, b)| ran.receive(b, 4).id).collect();
        for (a, _) in &pairs {
            ran.send(a, b"x");
        }
        for ((_, b), id) in pairs.iter().zip(ids) {
            assert!(within(SOON, || b.routine_result(id) == Ok(1)));
        }
        assert_eq!(ran.count(), 0);
        assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
        assert_eq!(ran.count(), 2 * MANY, "one wait did not run all");
        assert_eq!(alertably(Duration::ZERO), Ok(Wait::TimedOut));
    });
}

// D Alertable I/O: the order of the ends, not of the starts.
#[test]
fn cr_06_routines_run_in_the_order_in_which_the_operations_ended() {
    promise(|| {
        let ran = Ran::default();
        let pairs: Vec<(Socket, Socket)> = (0..4).map(|_| pair()).collect();
        for (_, b) in &pairs {
            ran.receive(b, 4);
        }
        for at in [2, 0, 3, 1] {
            pairs[at].0.send(&[at as u8]).unwrap();
            thread::sleep(SETTLE);
        }
        until(&ran, 4);
        let order: Vec<u8> = ran.0.take().into_iter().map(|end| received(end)[0]).collect();
        assert_eq!(order, [2, 0, 3, 1]);
        // Of one socket's receives, fed by one send, the order of the starts.
        let (a, b) = pair();
        let ids = [ran.receive(&b, 2).id, ran.receive(&b, 2).id, ran.receive(&b, 2).id];
        a.send(b"112233").unwrap();
        until(&ran, 3);
        assert_eq!(ran.0.take().iter().map(Completion::id).collect::<Vec<_>>(), ids);
    });
}

// D LPWSAOVERLAPPED_COMPLETION_ROUTINE; CR-14.
#[test]
fn cr_07_a_routine_is_given_error_count_and_operation() {
    promise(|| {
        type Outcome = (fn(&Socket, &Socket), std::result::Result<usize, i32>);
        let outcomes: [Outcome; 4] = [
            (|a, _| _ = a.send(b"xyz"), Ok(3)),
            (|a, _| a.close().unwrap(), Ok(0)),
            (|a, _| reset(a), Err(WSAECONNRESET)),
            (|_, b| b.cancel(None).unwrap(), Err(WSA_OPERATION_ABORTED)),
        ];
        for (cause, outcome) in outcomes {
            let (a, b) = pair();
            let ran = Ran::default();
            let routed = ran.receive(&b, 8);
            assert!(!routed.at_once);
            cause(&a, &b);
            until(&ran, 1);
            let end = ran.only();
            assert_eq!((end.id(), end.operation(), end.key()), (routed.id, Operation::Receive, 0));
            assert_eq!(end.bytes(), outcome.unwrap_or(0));
            assert_eq!(end.result().map_err(|error| error.code()), outcome);
            assert_eq!(alertably(SILENCE), Ok(Wait::TimedOut), "it was told twice");
        }
    });
}

// D WSARecv: hEvent is ignored where there is a routine. An event of the same socket knows nothing of it, neither one that
// told of an operation before nor one that another operation waits with.
#[test]
fn cr_08_an_operation_told_by_routine_sets_no_event() {
    promise(|| {
        let (a, b) = pair();
        let (spent, waiting) = (event(), event());
        let ran = Ran::default();
        // 1. An event that told of a receive of this socket.
        a.send(b"1").unwrap();
        b.recv_overlapped(vec![0; 4], Flags::NONE, ToEvent(&spent)).unwrap().take();
        spent.reset().unwrap();
        // 2. The routine's receive, and behind it one that waits with an event: each end is told its own way.
        ran.receive(&b, 1);
        let behind = b.recv_overlapped(vec![0; 4], Flags::NONE, ToEvent(&waiting)).unwrap();
        a.send(b"2").unwrap();
        until(&ran, 1);
        assert_eq!(ran.only().result(), Ok(1));
        assert_eq!((is_set(&spent), is_set(&waiting)), (false, false));
        a.send(b"3").unwrap();
        assert_eq!(behind.wait(), Ok(1));
        assert!(is_set(&waiting));
        // 3. Nor does a failure, an end at once, or a cancel.
        waiting.reset().unwrap();
        ran.receive(&b, 4);
        b.cancel(None).unwrap();
        a.send(b"4").unwrap();
        arrived(&b, 1);
        ran.receive(&b, 4);
        a.close().unwrap();
        ran.receive(&b, 4);
        until(&ran, 3);
        assert_eq!((is_set(&spent), is_set(&waiting)), (false, false));
    });
}

/// Receives byte after byte, each in the routine of the one before.
fn chain(
    socket: Socket,
    left: usize,
    depth: Rc<Cell<usize>>,
    got: Rc<RefCell<Vec<u8>>>,
    pended: Rc<Cell<usize>>,
) {
    let again = (socket.clone(), depth.clone(), got.clone(), pended.clone());
    let routine = move |end: Completion| {
        let (socket, depth, got, pended) = again;
        depth.set(depth.get() + 1);
        assert_eq!(depth.get(), 1, "a routine ran inside another one");
        got.borrow_mut().extend(received(end));
        if left > 1 {
            chain(socket, left - 1, depth.clone(), got, pended);
        }
        depth.set(depth.get() - 1);
    };
    let routed = socket.recv_overlapped(vec![0; 1], Flags::NONE, ToRoutine(routine)).unwrap();
    pended.set(pended.get() + usize::from(!routed.at_once));
}

// D Alertable I/O: what ends meanwhile runs in the same wait.
#[test]
fn cr_09_a_routine_starts_the_next_operation_and_none_runs_inside_another() {
    promise(|| {
        let (a, b) = pair();
        let (got, pended): (Rc<RefCell<Vec<u8>>>, Rc<Cell<usize>>) = Default::default();
        let text: Vec<u8> = (0..100).collect();
        a.send(&text).unwrap();
        arrived(&b, 100);
        chain(b.clone(), 100, Rc::default(), got.clone(), pended.clone());
        let mut waits = 0;
        while got.borrow().len() < 100 {
            waits += 1;
            assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
        }
        assert_eq!(*got.borrow(), text);
        assert!(waits <= 1 + pended.get(), "{waits} waits, and only {} receives pended", pended.get());
        // The chain goes on as the data comes.
        chain(b, 10, Rc::default(), got.clone(), pended);
        for byte in 0..10 {
            a.send(&[byte]).unwrap();
            let len = got.borrow().len();
            assert!(within(SOON, || alertably(SETTLE).is_ok() && got.borrow().len() > len));
        }
        assert_eq!(got.borrow()[100..], text[..10]);
    });
}

// P8; D WSARecv: pending or started afterwards, once or again, each direction for itself.
#[test]
fn cr_14_the_end_is_no_error_and_no_bytes_and_a_reset_is_wsaeconnreset() {
    promise(|| {
        for resets in [false, true] {
            let (a, b) = pair();
            let (_c, d) = pair();
            let ran = Ran::default();
            let mut ids = vec![ran.receive(&b, 4).id, ran.receive(&b, 0).id, ran.receive(&b, 4).id];
            let undisturbed = ran.receive(&d, 4).id;
            if resets {
                reset(&a)
            } else {
                a.shutdown(Shutdown::Send).unwrap()
            }
            until(&ran, 3);
            if !resets {
                // The end stays, and the other direction goes on.
                ids.extend([ran.receive(&b, 4).id, ran.send(&b, b"still there").id]);
                until(&ran, 5);
                assert_eq!(recv_exactly(&a, 11), b"still there");
            }
            let ends = ran.0.take();
            assert_eq!(ends.iter().map(Completion::id).collect::<HashSet<_>>(), ids.into_iter().collect());
            assert!(ends.iter().all(|end| end.id() != undisturbed));
            for end in ends.iter().filter(|end| end.operation() == Operation::Receive) {
                let outcome = end.result().map_err(|error| error.code());
                assert_eq!((outcome, end.bytes()), (if resets { Err(WSAECONNRESET) } else { Ok(0) }, 0));
            }
            assert_eq!(alertably(SILENCE), Ok(Wait::TimedOut), "it was told twice, or of another socket");
        }
    });
}

// D CancelIoEx: the cancel itself runs nothing.
#[test]
fn cr_15_the_routine_of_a_cancelled_operation_runs_in_the_next_alertable_wait() {
    promise(|| {
        let (_a, b) = pair();
        let ran = Ran::default();
        for by_thread in [false, true] {
            let ids = HashSet::from([ran.receive(&b, 4).id, ran.receive(&b, 4).id]);
            if by_thread {
                b.cancel_thread().unwrap();
            } else {
                b.cancel(None).unwrap();
            }
            assert_eq!(ran.count(), 0);
            until(&ran, 2);
            let ends = ran.0.take();
            assert_eq!(ends.iter().map(Completion::id).collect::<HashSet<_>>(), ids);
            for end in ends {
                fails(end.result(), &[WSA_OPERATION_ABORTED]);
                assert_eq!(end.bytes(), 0);
            }
            assert_eq!(alertably(SILENCE), Ok(Wait::TimedOut));
        }
    });
}

// D closesocket: nor does the close.
#[test]
fn cr_16_closing_the_socket_runs_the_routine_once_with_an_error() {
    promise(|| {
        for dropped in [false, true] {
            let (_a, b) = pair();
            let (_c, d) = pair();
            let ran = Ran::default();
            let id = ran.receive(&b, 4).id;
            ran.receive(&d, 4);
            if dropped {
                drop(b);
            } else {
                b.close().unwrap();
            }
            assert_eq!(ran.count(), 0);
            until(&ran, 1);
            let end = ran.only();
            assert_eq!(end.id(), id);
            fails(end.result(), CLOSED_PENDING);
            assert_eq!(alertably(SILENCE), Ok(Wait::TimedOut));
            assert_eq!(ran.count(), 0);
        }
    });
}

// D Alertable I/O: two threads, each with its own operations on the same socket.
#[test]
fn cr_02_two_threads_run_their_own_routines_side_by_side() {
    promise(|| {
        const ROUNDS: u16 = 200;
        let (a, b) = pair();
        let (tell, told) = mpsc::channel();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (b, tell) = (b.clone(), tell.clone());
                thread::spawn(move || {
                    let me = thread::current().id();
                    for _ in 0..ROUNDS / 2 {
                        let tell = tell.clone();
                        let routine = move |end: Completion| {
                            assert_eq!(thread::current().id(), me);
                            tell.send((end.id(), received(end))).unwrap();
                        };
                        b.recv_overlapped(vec![0; 2], Flags::NONE, ToRoutine(routine)).unwrap();
                        while alertably(SOON) != Ok(Wait::IoCompletion) {}
                    }
                })
            })
            .collect();
        let mut ends = Vec::new();
        for number in 0..ROUNDS {
            a.send(&number.to_le_bytes()).unwrap();
            ends.push(told.recv_timeout(SOON).expect("a routine did not run"));
        }
        let bytes: Vec<u8> = ends.into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert_eq!(bytes, (0..ROUNDS).flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

// D LPWSAOVERLAPPED_COMPLETION_ROUTINE: a routine may use every call, also one that waits.
#[test]
fn cr_09_a_routine_may_close_its_socket_and_make_new_ones() {
    promise(|| {
        let (a, b) = pair();
        let (tell, told) = mpsc::channel();
        let socket = b.clone();
        let routine = move |end: Completion| {
            assert_eq!(received(end), b"x");
            socket.close().unwrap();
            let (c, d) = pair();
            c.send(b"inside").unwrap();
            assert_eq!(recv_exactly(&d, 6), b"inside");
            tell.send((c, d)).unwrap();
        };
        b.recv_overlapped(vec![0; 4], Flags::NONE, ToRoutine(routine)).unwrap();
        a.send(b"x").unwrap();
        assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
        let (c, d) = told.try_recv().expect("it ran");
        let ran = Ran::default();
        ran.receive(&d, 4);
        c.send(b"y").unwrap();
        until(&ran, 1);
        assert_eq!(received(ran.only()), b"y");
    });
}
