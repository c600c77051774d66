//! CP: which waiting threads a port releases, and how many run at a time.

use crate::harness::{
    SETTLE, SILENCE, SOON, compute, known_on_wine, next_end, next_posted, pair, port_with, promise, readable,
    recv_pending, within,
};
use doorbell_winsock::async_select::WM_USER;
use doorbell_winsock::error::WSA_WAIT_IO_COMPLETION;
use doorbell_winsock::port::blocking;
use doorbell_winsock::routine::{Alertable, ThreadHandle, sleep_ex};
use doorbell_winsock::{CompletionPort, FdSet, MessageQueue, NetEvents, Packet, Socket, host, select};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Starts threads that wait at the port one after the other; each takes one packet, tells its number, and ends.
fn waiters(port: &CompletionPort, count: usize) -> mpsc::Receiver<usize> {
    let (tell, told) = mpsc::channel();
    for number in 0..count {
        let (port, tell) = (port.clone(), tell.clone());
        let (coming, comes) = mpsc::channel();
        thread::spawn(move || {
            coming.send(()).ok();
            // Each waits in its way; to the port they are all the same.
            let limit = Some(Duration::from_secs(20));
            let got = match number % 3 {
                0 => port.get(limit).map(drop),
                1 => port.get_many(&mut Vec::new(), 1, limit, Alertable::No).map(drop),
                _ => port.get_many(&mut Vec::new(), 1, limit, Alertable::Yes).map(drop),
            };
            if got.is_ok() {
                tell.send(number).ok();
            }
        });
        waits_soon(&comes);
    }
    told
}

/// The thread runs and is about to wait; nobody can see that it does, so it gets the time of many slices for it.
fn waits_soon(comes: &mpsc::Receiver<()>) {
    comes.recv_timeout(SOON).expect("the thread never ran");
    thread::sleep(SETTLE);
}

// D I/O Completion Ports.
#[test]
fn cp_19_waiting_threads_are_released_last_in_first_out() {
    promise(|| {
        for concurrency in [0, 1, 4] {
            let port = CompletionPort::new(concurrency).unwrap();
            let told = waiters(&port, 4);
            for expected in (0..4).rev() {
                port.post(0, 1, 0).unwrap();
                assert_eq!(told.recv_timeout(SOON), Ok(expected), "concurrency {concurrency}");
            }
        }
    });
}

// D I/O Completion Ports: a thread whose wait ended without a packet comes in anew, as the last.
#[test]
fn cp_19_a_thread_that_waits_anew_is_the_last_in() {
    promise(|| {
        let port = CompletionPort::new(1).unwrap();
        let (tell, told) = mpsc::channel();
        let (handing, handle) = mpsc::channel();
        let (first, first_tells) = (port.clone(), tell.clone());
        thread::spawn(move || {
            handing.send(ThreadHandle::current().unwrap()).unwrap();
            loop {
                let mut packets = Vec::new();
                let got = first.get_many(&mut packets, 1, Some(Duration::from_secs(20)), Alertable::Yes);
                if first_tells.send(got.map_or_else(|error| error.code(), |_| 1)).is_err() || got.is_ok() {
                    return;
                }
            }
        });
        let handle = handle.recv_timeout(SOON).unwrap();
        thread::sleep(SETTLE);
        let second = port.clone();
        thread::spawn(move || {
            if second.get(Some(Duration::from_secs(20))).is_ok() {
                tell.send(2).ok();
            }
        });
        thread::sleep(SETTLE);
        handle.queue_apc(|| {}).unwrap();
        assert_eq!(told.recv_timeout(SOON), Ok(WSA_WAIT_IO_COMPLETION));
        thread::sleep(SETTLE);
        for expected in [1, 2] {
            port.post(0, 1, 0).unwrap();
            assert_eq!(told.recv_timeout(SOON), Ok(expected));
        }
    });
}

// D I/O Completion Ports: the packets of operations are no other case.
#[test]
fn cp_19_packets_of_operations_release_in_that_order_too() {
    promise(|| {
        let port = CompletionPort::new(0).unwrap();
        let pairs: Vec<(Socket, Socket)> = (0..4).map(|_| pair()).collect();
        for (key, (_, b)) in pairs.iter().enumerate() {
            port.associate(b, key).unwrap();
            recv_pending(b, 4);
        }
        let told = waiters(&port, 4);
        for (expected, (a, _)) in (0..4).rev().zip(&pairs) {
            a.send(b"x").unwrap();
            assert_eq!(told.recv_timeout(SOON), Ok(expected));
        }
    });
}

// D I/O Completion Ports: one packet at a time is one thread's work, whatever the number of threads.
#[test]
fn cp_19_one_packet_at_a_time_is_served_by_one_thread() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let (tell, told) = mpsc::channel();
        for number in 0..4 {
            let (port, tell) = (port.clone(), tell.clone());
            let (coming, comes) = mpsc::channel();
            thread::spawn(move || {
                coming.send(()).ok();
                while port.get(Some(Duration::from_secs(20))).is_ok() {
                    tell.send(number).ok();
                }
            });
            waits_soon(&comes);
        }
        for turn in 0..12 {
            if turn % 2 == 0 {
                port.post(0, 1, 0).unwrap();
            } else {
                recv_pending(&b, 1);
                a.send(b"x").unwrap();
            }
            assert_eq!(told.recv_timeout(SOON), Ok(3), "turn {turn}");
            // Until it waits again; a post before that may go to another one on any system.
            thread::sleep(SETTLE);
        }
        port.close().unwrap();
    });
}

/// How many workers were at work at a time, when `packets` packets of `work` each were there for `threads` threads.
fn peak(concurrency: u32, threads: usize, packets: usize, work: Duration) -> usize {
    let port = CompletionPort::new(concurrency).unwrap();
    let (running, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (tell, told) = mpsc::channel();
    for _ in 0..threads {
        let (port, running, peak, tell) = (port.clone(), running.clone(), peak.clone(), tell.clone());
        thread::spawn(move || {
            while port.get(None).is_ok() {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                compute(work);
                running.fetch_sub(1, Ordering::SeqCst);
                tell.send(()).ok();
            }
        });
    }
    thread::sleep(SETTLE);
    for _ in 0..packets {
        port.post(0, 1, 0).unwrap();
    }
    for _ in 0..packets {
        told.recv_timeout(SOON).expect("a packet was not served");
    }
    port.close().unwrap();
    peak.load(Ordering::SeqCst)
}

// D I/O Completion Ports.
#[test]
fn cp_20_no_more_threads_run_than_the_concurrency_value_says() {
    known_on_wine("D11", || {
        assert_eq!(peak(1, 4, 24, Duration::from_millis(10)), 1);
        assert_eq!(peak(2, 4, 24, Duration::from_millis(10)), 2);
    });
}

// D I/O Completion Ports: a value above the number of threads limits nothing.
#[test]
fn cp_20_up_to_the_value_they_run_together() {
    promise(|| {
        assert_eq!(peak(4, 4, 24, Duration::from_millis(50)), 4);
    });
}

// D I/O Completion Ports: while the one place is taken, packets of operations wait in their order like the others.
#[test]
fn cp_20_packets_wait_while_the_one_place_is_taken() {
    known_on_wine("D11", || {
        let (a, b) = pair();
        let port = CompletionPort::new(1).unwrap();
        port.associate(&b, 7).unwrap();
        recv_pending(&b, 4);
        let (tell, told) = mpsc::channel();
        let go = Arc::new(AtomicBool::new(false));
        for _ in 0..3 {
            let (port, tell, go) = (port.clone(), tell.clone(), go.clone());
            thread::spawn(move || {
                while let Ok(packet) = port.get(None) {
                    tell.send(packet.key()).ok();
                    while packet.key() == 1 && !go.load(Ordering::SeqCst) {
                        std::hint::spin_loop();
                    }
                }
            });
        }
        thread::sleep(SETTLE);
        port.post(0, 1, 0).unwrap();
        assert_eq!(told.recv_timeout(SOON), Ok(1));
        a.send(b"x").unwrap();
        thread::sleep(SETTLE);
        port.post(0, 2, 0).unwrap();
        let early = told.recv_timeout(SILENCE);
        go.store(true, Ordering::SeqCst);
        assert!(early.is_err(), "a second thread ran beside the first: {early:?}");
        assert_eq!(told.recv_timeout(SOON), Ok(7));
        assert_eq!(told.recv_timeout(SOON), Ok(2));
        port.close().unwrap();
    });
}

// D I/O Completion Ports: a thread that ends gives its place back.
#[test]
fn cp_20_a_thread_that_ends_frees_its_place() {
    promise(|| {
        let port = CompletionPort::new(1).unwrap();
        for _ in 0..10 {
            let taker = port.clone();
            port.post(0, 1, 0).unwrap();
            // It takes a packet and goes, without ever asking again.
            thread::spawn(move || taker.get(Some(SOON)).map(drop)).join().unwrap().unwrap();
        }
        let told = waiters(&port, 1);
        port.post(0, 1, 0).unwrap();
        assert_eq!(told.recv_timeout(SOON), Ok(0));
    });
}

thread_local! {
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

/// Comes to a port when its thread has ended, and even what the library knew of the thread may be gone.
struct Late(CompletionPort, mpsc::Sender<Result<usize, i32>>);

impl Drop for Late {
    fn drop(&mut self) {
        let key = |packet: Packet| packet.key();
        self.1.send(self.0.get(Some(Duration::ZERO)).map(key).map_err(|e| e.code())).ok();
        let mut packets = Vec::new();
        let many = self.0.get_many(&mut packets, 1, Some(Duration::from_millis(1)), Alertable::No);
        self.1.send(many.map(|_| packets[0].key()).map_err(|e| e.code())).ok();
    }
}

// D I/O Completion Ports: the last that a thread does is done by the thread too, and gives the place back.
#[test]
fn cp_20_a_thread_that_takes_packets_while_it_ends_frees_its_place() {
    promise(|| {
        // What a thread uses first is dropped last, by most systems.
        for late_first in [false, true] {
            let port = CompletionPort::new(1).unwrap();
            (1..=3).for_each(|key| port.post(0, key, 0).unwrap());
            let (tell, told) = mpsc::channel();
            let taker = port.clone();
            let ending = thread::spawn(move || {
                let late = Late(taker.clone(), tell);
                if late_first {
                    LATE.set(Some(late));
                    assert_eq!(next_posted(&taker).1, 1);
                } else {
                    assert_eq!(next_posted(&taker).1, 1);
                    LATE.set(Some(late));
                }
            });
            assert_eq!([told.recv_timeout(SOON), told.recv_timeout(SOON)], [Ok(Ok(2)), Ok(Ok(3))]);
            ending.join().unwrap();
            port.post(0, 4, 0).unwrap();
            assert_eq!(next_posted(&port).1, 4);
        }
    });
}

/// Concurrency 1 and two workers: the first waits inside its work until the second has had the next packet.
fn frees_its_place(wait: impl FnOnce(&Socket, mpsc::Receiver<()>) + Send + 'static) {
    let port = CompletionPort::new(1).unwrap();
    let (mine, peer) = pair();
    let (served, second_served) = mpsc::channel();
    let (entered, first_entered) = mpsc::channel();
    let first = {
        let port = port.clone();
        thread::spawn(move || {
            assert_eq!(next_posted(&port).1, 1);
            entered.send(()).unwrap();
            wait(&mine, second_served);
        })
    };
    port.post(0, 1, 0).unwrap();
    first_entered.recv_timeout(SOON).unwrap();
    let second = {
        let port = port.clone();
        thread::spawn(move || {
            let got = next_posted(&port).1;
            served.send(()).ok();
            peer.send(b"x").unwrap();
            got
        })
    };
    thread::sleep(Duration::from_millis(50));
    port.post(0, 2, 0).unwrap();
    assert!(within(SOON, || second.is_finished()), "the second worker was never released");
    assert_eq!(second.join().unwrap(), 2);
    first.join().unwrap();
}

// D I/O Completion Ports.
#[test]
fn cp_21_a_thread_that_blocks_frees_its_place() {
    promise(|| {
        frees_its_place(|_, served| blocking(|| served.recv_timeout(SOON)).unwrap());
        // And without a word, since it does sleep.
        frees_its_place(|_, served| served.recv_timeout(SOON).unwrap());
        // The waits of this crate know it by themselves.
        frees_its_place(|socket, _| assert_eq!(socket.recv(&mut [0; 4]), Ok(1)));
        frees_its_place(|socket, _| readable(socket));
        frees_its_place(|_, served| {
            while served.try_recv().is_err() {
                sleep_ex(Some(Duration::from_millis(5)), Alertable::No).unwrap();
            }
        });
        frees_its_place(|socket, _| {
            let queue = MessageQueue::new().unwrap();
            socket.async_select(&queue.window(), WM_USER, NetEvents::READ).unwrap();
            assert!(queue.get(Some(SOON)).unwrap().is_some());
        });
        // At another port it is that one's thread (D I/O Completion Ports).
        frees_its_place(|socket, _| {
            let other = port_with(&[(socket, 1)]);
            recv_pending(socket, 4);
            assert_eq!(next_end(&other).result(), Ok(1));
        });
        frees_its_place(|socket, _| {
            let mut read = FdSet::from_iter([socket]);
            assert_eq!(select(Some(&mut read), None, None, None), Ok(1));
        });
    });
}

// D I/O Completion Ports: with packets queued before the first one blocks.
#[test]
fn cp_21_a_packet_that_waits_is_given_out_when_the_place_becomes_free() {
    promise(|| {
        let port = CompletionPort::new(1).unwrap();
        let (served, second_served) = mpsc::channel();
        let workers: Vec<_> = [Some(second_served), None]
            .into_iter()
            .map(|wait| {
                let (port, served) = (port.clone(), served.clone());
                let worker = thread::spawn(move || {
                    next_posted(&port);
                    if let Some(wait) = wait {
                        compute(Duration::from_millis(100));
                        blocking(|| wait.recv_timeout(SOON)).expect("the other one never got the packet");
                    } else {
                        served.send(()).ok();
                    }
                });
                thread::sleep(Duration::from_millis(50));
                worker
            })
            .rev()
            .collect();
        // Last in, first out gives the second worker the first packet; either order must end.
        port.post(0, 1, 0).unwrap();
        port.post(0, 2, 0).unwrap();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

// D I/O Completion Ports: behind the block it counts again.
#[test]
fn cp_21_after_the_block_the_thread_counts_again() {
    known_on_wine("D11", || {
        let port = CompletionPort::new(1).unwrap();
        let (tell, told) = mpsc::channel();
        for _ in 0..2 {
            let (port, tell) = (port.clone(), tell.clone());
            thread::spawn(move || {
                while let Ok(packet) = port.get(None) {
                    blocking(|| thread::sleep(Duration::from_millis(20)));
                    tell.send((packet.key(), Instant::now())).ok();
                    compute(Duration::from_millis(300));
                }
            });
        }
        thread::sleep(SETTLE);
        port.post(0, 1, 0).unwrap();
        let (key, began) = told.recv_timeout(SOON).unwrap();
        assert_eq!(key, 1);
        port.post(0, 2, 0).unwrap();
        let (key, next) = told.recv_timeout(SOON).unwrap();
        assert_eq!(key, 2);
        assert!(
            next - began >= Duration::from_millis(300),
            "the second ran beside it after {:?}",
            next - began
        );
        port.close().unwrap();
    });
}

// D CreateIoCompletionPort.
#[test]
fn cp_22_a_value_of_0_stands_for_the_number_of_processors() {
    known_on_wine("D11", || {
        let processors = host::processors();
        let found = peak(0, processors + 2, 12 * processors, Duration::from_millis(30));
        assert_eq!(found, processors);
    });
}

// D I/O Completion Ports: a wake is never lost, with posts from many threads and short waits.
#[test]
fn cp_18_no_wake_is_lost() {
    promise(|| {
        for concurrency in [1, 2, 8] {
            let port = CompletionPort::new(concurrency).unwrap();
            let served = Arc::new(AtomicUsize::new(0));
            for _ in 0..3 {
                let (port, served) = (port.clone(), served.clone());
                thread::spawn(move || {
                    while port.get(Some(Duration::from_secs(20))).is_ok() {
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            for number in 1..=2000 {
                port.post(0, number, 0).unwrap();
                if number % 2 == 0 {
                    assert!(
                        within(SOON, || served.load(Ordering::SeqCst) == number),
                        "packet {number} is stuck"
                    );
                }
            }
            port.close().unwrap();
        }
    });
}
