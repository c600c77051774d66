//! CR: user APCs, in one queue with the routines.

use super::{Ran, alertably, until};
use crate::harness::{
    Counted, SETTLE, SILENCE, SOON, event, fails, is_set, pair, port_with, promise, received, within,
};
use doorbell_winsock::error::{ERROR_GEN_FAILURE, WSA_WAIT_IO_COMPLETION};
use doorbell_winsock::overlapped::ToRoutine;
use doorbell_winsock::routine::{Alertable, ThreadHandle, sleep_ex};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Event, FdSet, Result, Wait, select, wait_all, wait_any};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice::from_ref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn me() -> ThreadHandle {
    ThreadHandle::current().expect("the calling thread")
}

/// What ran, in its order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<usize>>>);

impl Log {
    fn note(&self, number: usize) {
        self.0.lock().unwrap().push(number);
    }

    fn queue(&self, thread: &ThreadHandle, number: usize) {
        let log = self.clone();
        thread.queue_apc(move || log.note(number)).expect("the APC is queued");
    }

    fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

// D QueueUserAPC; WK test_QueueUserAPC.
#[test]
fn cr_06_apcs_run_first_in_first_out_in_one_wait() {
    promise(|| {
        let log = Log::default();
        for count in [1, 3, 100] {
            for number in 0..count {
                log.queue(&me(), number);
            }
            assert_eq!(log.take(), [], "it ran inside the call");
            assert_eq!(sleep_ex(Some(SETTLE), Alertable::No), Ok(Wait::TimedOut));
            assert_eq!(log.take(), [], "it ran in a wait that is not alertable");
            assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
            assert_eq!(log.take(), (0..count).collect::<Vec<_>>());
            assert_eq!(alertably(Duration::ZERO), Ok(Wait::TimedOut));
        }
    });
}

// D Alertable I/O: one queue for both kinds.
#[test]
fn cr_06_apcs_and_routines_stand_in_one_queue() {
    promise(|| {
        let (a, b) = pair();
        let log = Log::default();
        for _ in 0..5 {
            for number in 0..3 {
                log.queue(&me(), 2 * number);
                let (ran, note) = (log.clone(), 2 * number + 1);
                b.recv_overlapped(vec![0; 1], Flags::NONE, ToRoutine(move |_| ran.note(note))).unwrap();
                a.send(b"x").unwrap();
                // The receive ends before the next APC is queued.
                assert!(within(SOON, || b.bytes_available() == Ok(0)));
                thread::sleep(SETTLE);
            }
            assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
            assert_eq!(log.take(), [0, 1, 2, 3, 4, 5]);
        }
    });
}

// D QueueUserAPC: one that is queued by one that runs is run by the same wait.
#[test]
fn cr_09_an_apc_that_queues_another_runs_it_in_the_same_wait() {
    promise(|| {
        let log = Log::default();
        let (inner, behind) = (log.clone(), log.clone());
        me().queue_apc(move || {
            inner.note(1);
            let last = inner.clone();
            me().queue_apc(move || last.note(3)).unwrap();
        })
        .unwrap();
        me().queue_apc(move || behind.note(2)).unwrap();
        assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
        assert_eq!(log.take(), [1, 2, 3]);
    });
}

// D WSAWaitForMultipleEvents; P8.
#[test]
fn cr_10_an_event_that_is_set_wins_over_what_is_queued() {
    promise(|| {
        let log = Log::default();
        for make in [Event::new, Event::auto_reset] {
            let (set, idle) = (make().unwrap(), event());
            for wait in [wait_any, wait_all] {
                set.set().unwrap();
                log.queue(&me(), 1);
                assert_eq!(wait(from_ref(&set), Some(SOON), Alertable::Yes), Ok(Wait::Index(0)));
                assert_eq!(log.take(), []);
                set.reset().unwrap();
                assert_eq!(wait(from_ref(&idle), Some(SOON), Alertable::Yes), Ok(Wait::IoCompletion));
                assert_eq!(log.take(), [1]);
            }
            // Of two for all, one is not enough.
            set.set().unwrap();
            log.queue(&me(), 2);
            let both = [set.clone(), idle.clone()];
            assert_eq!(wait_all(&both, Some(SOON), Alertable::Yes), Ok(Wait::IoCompletion));
            assert_eq!(log.take(), [2]);
            assert!(is_set(&set));
            // A routine stands in the same queue: it stays there until nothing is set.
            let (a, b) = pair();
            let ran = Ran::default();
            ran.send(&a, b"x");
            let id = ran.receive(&b, 4).id;
            assert!(within(SOON, || b.routine_result(id) == Ok(1)));
            for wait in [wait_any, wait_all] {
                set.set().unwrap();
                assert_eq!(wait(from_ref(&set), Some(SOON), Alertable::Yes), Ok(Wait::Index(0)));
                assert_eq!(ran.count(), 0);
            }
            set.reset().unwrap();
            assert_eq!(wait_any(from_ref(&set), Some(SOON), Alertable::Yes), Ok(Wait::IoCompletion));
            assert_eq!(ran.count(), 2);
        }
    });
}

// P8; D WSAWaitForMultipleEvents.
#[test]
fn cr_11_an_apc_that_sets_the_awaited_event_ends_the_wait_as_an_apc() {
    promise(|| {
        for make in [Event::new, Event::auto_reset] {
            let done = make().unwrap();
            let setter = done.clone();
            me().queue_apc(move || setter.set().unwrap()).unwrap();
            let events = [event(), done];
            assert_eq!(wait_any(&events, Some(SOON), Alertable::Yes), Ok(Wait::IoCompletion));
            assert_eq!(wait_any(&events, Some(SOON), Alertable::Yes), Ok(Wait::Index(1)));
            // So does a routine that sets it, also in the midst of the wait.
            let done = make().unwrap();
            let (a, b) = pair();
            let setter = done.clone();
            b.recv_overlapped(vec![0; 4], Flags::NONE, ToRoutine(move |_| setter.set().unwrap())).unwrap();
            let sender = thread::spawn(move || {
                thread::sleep(SETTLE);
                a.send(b"x").unwrap();
                a
            });
            let events = [event(), done];
            assert_eq!(wait_any(&events, Some(SOON), Alertable::Yes), Ok(Wait::IoCompletion));
            assert_eq!(wait_any(&events, Some(SOON), Alertable::Yes), Ok(Wait::Index(1)));
            sender.join().unwrap();
        }
    });
}

// WN test_delayexecution; P8.
#[test]
fn cr_12_with_a_time_out_of_zero_an_alertable_wait_runs_what_is_queued() {
    promise(|| {
        let (log, idle) = (Log::default(), event());
        let waits: [&dyn Fn() -> Result<Wait>; 2] = [&|| alertably(Duration::ZERO), &|| {
            wait_any(from_ref(&idle), Some(Duration::ZERO), Alertable::Yes)
        }];
        for wait in waits {
            for number in 0..3 {
                assert_eq!(wait(), Ok(Wait::TimedOut));
                log.queue(&me(), number);
                assert_eq!(wait(), Ok(Wait::IoCompletion));
                assert_eq!(log.take(), [number]);
            }
        }
        // And a routine whose operation has ended.
        let (a, b) = pair();
        let ran = Ran::default();
        ran.receive(&b, 4);
        assert_eq!(alertably(Duration::ZERO), Ok(Wait::TimedOut));
        a.send(b"x").unwrap();
        assert!(within(SOON, || alertably(Duration::ZERO) == Ok(Wait::IoCompletion)));
        assert_eq!(received(ran.only()), b"x");
    });
}

// D QueueUserAPC: from another thread it wakes each alertable wait, also one without end.
#[test]
fn cr_13_an_apc_from_another_thread_wakes_an_alertable_wait() {
    promise(|| {
        type Waiting = fn() -> bool;
        let waits: [Waiting; 5] = [
            || sleep_ex(None, Alertable::Yes) == Ok(Wait::IoCompletion),
            || alertably(SOON) == Ok(Wait::IoCompletion),
            || wait_any(&[event()], None, Alertable::Yes) == Ok(Wait::IoCompletion),
            || wait_all(&[event(), event()], None, Alertable::Yes) == Ok(Wait::IoCompletion),
            || {
                let woken = port_with(&[]).get_many(&mut Vec::new(), 4, None, Alertable::Yes);
                woken.is_err_and(|error| error.code() == WSA_WAIT_IO_COMPLETION)
            },
        ];
        for (at, wait) in waits.into_iter().enumerate() {
            let log = Log::default();
            let (tell, handle) = mpsc::channel();
            let waiter = thread::spawn(move || {
                tell.send(me()).unwrap();
                wait()
            });
            let handle = handle.recv().unwrap();
            // Another thread waits as well, and nothing is meant for it.
            let bystander = thread::spawn(|| alertably(2 * SETTLE));
            thread::sleep(SETTLE);
            assert!(!waiter.is_finished());
            log.queue(&handle.clone(), at);
            assert!(within(SOON, || waiter.is_finished()), "wait {at} goes on");
            assert!(waiter.join().unwrap(), "wait {at} ended with something else");
            assert_eq!(log.take(), [at]);
            assert_eq!(bystander.join().unwrap(), Ok(Wait::TimedOut));
        }
    });
}

// D QueueUserAPC: a wait that is not alertable is not disturbed, and lasts as long as it was told.
#[test]
fn cr_13_an_apc_from_another_thread_disturbs_no_other_wait() {
    promise(|| {
        let log = Log::default();
        let (tell, handle) = mpsc::channel();
        let waiter = thread::spawn(move || {
            tell.send(me()).unwrap();
            let start = Instant::now();
            let limit = Duration::from_millis(300);
            let slept = (sleep_ex(Some(limit), Alertable::No), start.elapsed() >= limit);
            let start = Instant::now();
            let waited = (wait_any(&[event()], Some(limit), Alertable::No), start.elapsed() >= limit);
            (slept, waited, alertably(Duration::ZERO))
        });
        let handle = handle.recv().unwrap();
        for number in 0..10 {
            thread::sleep(Duration::from_millis(20));
            log.queue(&handle, number);
            assert!(!waiter.is_finished());
        }
        let timed_out = (Ok(Wait::TimedOut), true);
        assert_eq!(waiter.join().unwrap(), (timed_out, timed_out, Ok(Wait::IoCompletion)));
        assert_eq!(log.take(), (0..10).collect::<Vec<_>>());
    });
}

// D QueueUserAPC: from many threads at a time each runs once, those of one thread in their order.
#[test]
fn cr_13_apcs_of_many_threads_run_once_each_in_the_order_of_each() {
    promise(|| {
        const EACH: usize = 500;
        let (log, target) = (Log::default(), me());
        let queuers: Vec<_> = (0..4)
            .map(|queuer| {
                let (log, target) = (log.clone(), target.clone());
                thread::spawn(move || {
                    for number in 0..EACH {
                        log.queue(&target, queuer * EACH + number);
                    }
                })
            })
            .collect();
        let mut ran = Vec::new();
        while ran.len() < 4 * EACH {
            assert_eq!(alertably(SOON), Ok(Wait::IoCompletion), "{} ran", ran.len());
            ran.extend(log.take());
        }
        for queuer in 0..4 {
            let its: Vec<usize> = ran.iter().copied().filter(|number| number / EACH == queuer).collect();
            assert_eq!(its, (queuer * EACH..(queuer + 1) * EACH).collect::<Vec<_>>());
        }
        assert_eq!(alertably(SILENCE), Ok(Wait::TimedOut));
        for queuer in queuers {
            queuer.join().unwrap();
        }
    });
}

// D QueueUserAPC: the thread has ended.
#[test]
fn cr_20_a_thread_that_has_ended_takes_no_apc() {
    promise(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let handle = thread::spawn(me).join().unwrap();
        for number in 1..=3 {
            let held = Counted::new(1, &drops);
            fails(handle.queue_apc(move || panic!("it ran with {held:?}")), &[ERROR_GEN_FAILURE]);
            assert_eq!(drops.load(Ordering::SeqCst), number);
        }
        assert_eq!(alertably(SILENCE), Ok(Wait::TimedOut));
    });
}

// D QueueUserAPC: what has not run when the thread ends never runs; this interface drops it.
#[test]
fn cr_20_an_apc_that_is_queued_when_its_thread_ends_is_dropped() {
    promise(|| {
        let (drops, log) = (Arc::new(AtomicUsize::new(0)), Log::default());
        let waits = |alertable: bool| {
            let (drops, log) = (drops.clone(), log.clone());
            thread::spawn(move || {
                for number in 0..5 {
                    let (held, log) = (Counted::new(number, &drops), log.clone());
                    me().queue_apc(move || log.note(held.bytes().len())).unwrap();
                }
                if alertable {
                    assert_eq!(alertably(Duration::ZERO), Ok(Wait::IoCompletion));
                }
            })
            .join()
            .unwrap();
        };
        waits(false);
        assert!(within(SOON, || drops.load(Ordering::SeqCst) == 5));
        assert_eq!(log.take(), []);
        waits(true);
        assert!(within(SOON, || drops.load(Ordering::SeqCst) == 10));
        assert_eq!(log.take(), [0, 1, 2, 3, 4]);
    });
}

// The rule of this interface: a panic in a routine is a panic of the wait that ran it, and the thread is as before.
#[test]
fn cr_05_a_panic_comes_out_of_the_wait_and_leaves_the_thread_usable() {
    promise(|| {
        let log = Log::default();
        let (a, b) = pair();
        let ran = Ran::default();
        let (port, (_c, idle)) = (port_with(&[]), pair());
        idle.set_recv_timeout(Some(SILENCE)).unwrap();
        // The last two need not end with the panic: they go on waiting, and it comes when they return.
        let waits: [&dyn Fn(); 6] = [
            &|| _ = alertably(SOON),
            &|| _ = wait_any(&[event()], Some(SOON), Alertable::Yes),
            &|| _ = wait_all(&[event(), event()], None, Alertable::Yes),
            &|| _ = port.get_many(&mut Vec::new(), 4, Some(SOON), Alertable::Yes),
            &|| _ = idle.recv(&mut [0; 4]),
            &|| _ = select(Some(&mut FdSet::from_iter([&idle])), None, None, Some(SILENCE)),
        ];
        for wait in waits {
            log.queue(&me(), 1);
            me().queue_apc(|| panic!("on purpose")).unwrap();
            log.queue(&me(), 3);
            let panic = catch_unwind(AssertUnwindSafe(wait)).expect_err("the panic comes out of the wait");
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
            // What was queued behind it ran with it, or runs in the next wait.
            let mut seen = log.take();
            if seen.len() < 2 {
                assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
                seen.extend(log.take());
            }
            assert_eq!(seen, [1, 3]);
            // The same of a routine, whose operation is over.
            b.recv_overlapped(vec![0; 4], Flags::NONE, ToRoutine(|_| panic!("on purpose"))).unwrap();
            a.send(b"x").unwrap();
            catch_unwind(AssertUnwindSafe(wait)).expect_err("the panic comes out of the wait");
            ran.receive(&b, 4);
            a.send(b"y").unwrap();
            until(&ran, 1);
            assert_eq!(received(ran.only()), b"y");
            assert_eq!(alertably(Duration::ZERO), Ok(Wait::TimedOut));
        }
    });
}
