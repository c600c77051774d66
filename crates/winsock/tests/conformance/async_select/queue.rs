//! AS-10, AS-14, AS-15: the queue of a window: its order, its threads, its limit, its end.

use super::{ONE, TWO, next, nothing};
use crate::harness::{SILENCE, SOON, arrived, fails, pair, promise};
use doorbell_winsock::async_select::{MESSAGES_MAX, WM_USER, WM_USER_MAX};
use doorbell_winsock::error::{
    ERROR_INVALID_PARAMETER, ERROR_INVALID_WINDOW_HANDLE, ERROR_NOT_ENOUGH_QUOTA, WSAEINVAL,
};
use doorbell_winsock::routine::{Alertable, ThreadHandle, sleep_ex};
use doorbell_winsock::{Message, MessageQueue, NetEvents, Wait};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ZERO: Option<Duration> = Some(Duration::ZERO);

#[track_caller]
fn next_posted(queue: &MessageQueue) -> (u32, usize, isize) {
    match queue.get(Some(SOON)) {
        Ok(Some(Message::Posted { id, wparam, lparam })) => (id, wparam, lparam),
        other => panic!("expected a posted message, got {other:?}"),
    }
}

// W test_accept_events; D PostMessage.
#[test]
fn as_10_messages_come_in_the_order_in_which_they_were_posted() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let window = queue.window();
        let pairs: Vec<_> = (0..5).map(|_| pair()).collect();
        for (number, (a, b)) in pairs.iter().enumerate() {
            a.send(b"x").unwrap();
            arrived(b, 1);
            window.post(ONE, number, 0).unwrap();
            b.async_select(&window, TWO, NetEvents::READ).unwrap();
            // Real Windows posts from a thread of its own.
            thread::sleep(Duration::from_millis(20));
        }
        for (number, (_, b)) in pairs.iter().enumerate() {
            assert_eq!(next_posted(&queue), (ONE, number, 0));
            next(&queue, TWO, b, NetEvents::READ, 0);
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        }
        nothing(&queue);
        // So with what comes while nobody pumps, in an order of its own, and a post behind it.
        for number in [3, 1, 4, 0, 2] {
            let (a, b) = &pairs[number];
            a.send(b"x").unwrap();
            arrived(b, 1);
            thread::sleep(Duration::from_millis(20));
            if number != 4 {
                window.post(ONE, number, 1).unwrap();
            }
        }
        for number in [3, 1, 4, 0, 2] {
            next(&queue, TWO, &pairs[number].1, NetEvents::READ, 0);
            if number != 4 {
                assert_eq!(next_posted(&queue), (ONE, number, 1));
            }
        }
        nothing(&queue);
    });
}

// D PostMessage.
#[test]
fn as_10_a_message_comes_as_it_was_posted() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let messages = [
            (WM_USER, 0, 0),
            (WM_USER_MAX, usize::MAX, isize::MIN),
            (WM_USER + 7, 1, -1),
            // As a socket's message looks on Windows, under an id of nobody's.
            (WM_USER + 8, 0x94, 1),
        ];
        for (id, wparam, lparam) in messages {
            queue.window().post(id, wparam, lparam).unwrap();
        }
        for message in messages {
            assert_eq!(next_posted(&queue), message);
        }
        for id in [0, WM_USER - 1, WM_USER_MAX + 1, u32::MAX] {
            fails(queue.window().post(id, 0, 0), &[ERROR_INVALID_PARAMETER]);
        }
        nothing(&queue);
    });
}

// D PostMessage: also under the id of a socket that is registered.
#[test]
fn as_10_what_is_posted_under_a_sockets_id_is_no_network_event() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let (a, b) = pair();
        b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        queue.window().post(ONE, 12345, 1).unwrap();
        assert_eq!(next_posted(&queue), (ONE, 12345, 1));
        a.send(b"x").unwrap();
        next(&queue, ONE, &b, NetEvents::READ, 0);
        nothing(&queue);
    });
}

// D GetMessage: a queue that is never empty still tells of sockets.
#[test]
fn as_10_posted_messages_keep_no_socket_away() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let window = queue.window();
        let (a, b) = pair();
        b.async_select(&window, TWO, NetEvents::READ).unwrap();
        for _ in 0..100 {
            window.post(ONE, 0, 0).unwrap();
        }
        for _ in 0..5 {
            a.send(b"x").unwrap();
            let deadline = Instant::now() + SOON;
            loop {
                match queue.get(Some(SOON)).unwrap().expect("a message") {
                    // Each is followed by another, as of a program that is never idle.
                    Message::Posted { .. } => window.post(ONE, 0, 0).unwrap(),
                    Message::Socket { event, .. } => break assert_eq!(event, NetEvents::READ),
                }
                assert!(Instant::now() < deadline, "the socket was not told of");
            }
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        }
    });
}

// D PostMessage: any thread posts, what one thread posts keeps its order.
#[test]
fn as_14_any_thread_posts() {
    const THREADS: usize = 4;
    const EACH: usize = 200;
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let window = queue.window();
                thread::spawn(move || {
                    for number in 0..EACH {
                        window.post(ONE, thread, number as isize).unwrap();
                    }
                })
            })
            .collect();
        let mut due: HashMap<usize, isize> = HashMap::new();
        for _ in 0..THREADS * EACH {
            let (_, thread, number) = next_posted(&queue);
            let due = due.entry(thread).or_default();
            assert_eq!(number, *due);
            *due += 1;
        }
        nothing(&queue);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

// W test_accept_events: another thread may register; its window's thread is told.
#[test]
fn as_14_any_thread_registers() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let (a, b) = pair();
        let (window, socket) = (queue.window(), b.clone());
        thread::spawn(move || socket.async_select(&window, ONE, NetEvents::READ).unwrap()).join().unwrap();
        for _ in 0..3 {
            let peer = a.clone();
            let sender = thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                peer.send(b"ab").unwrap();
            });
            next(&queue, ONE, &b, NetEvents::READ, 0);
            sender.join().unwrap();
            arrived(&b, 2);
            // A receive of another thread has it posted here again.
            let socket = b.clone();
            assert_eq!(thread::spawn(move || socket.recv(&mut [0; 1])).join().unwrap(), Ok(1));
            next(&queue, ONE, &b, NetEvents::READ, 0);
            assert_eq!(b.recv(&mut [0; 1]), Ok(1));
            nothing(&queue);
        }
    });
}

// D PostMessage, DispatchMessage: posting returns at once, also inside the window's procedure.
#[test]
fn as_14_nothing_runs_inline() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let window = queue.window();
        let (a, b) = pair();
        b.async_select(&window, TWO, NetEvents::READ).unwrap();
        a.send(b"abc").unwrap();
        arrived(&b, 3);
        window.post(ONE, 0, 0).unwrap();
        let mut depth = 0;
        let (mut posted, mut reads) = (0, 0);
        queue
            .run(|message| {
                depth += 1;
                assert_eq!(depth, 1, "the procedure ran inside itself");
                match message {
                    Message::Posted { id: ONE, wparam, lparam: 0 } => {
                        assert_eq!(wparam, posted);
                        posted += 1;
                        if posted < 5 {
                            window.post(ONE, posted, 0).unwrap();
                        }
                    }
                    Message::Socket { id: TWO, event: NetEvents::READ, .. } => {
                        reads += 1;
                        assert_eq!(b.recv(&mut [0; 1]), Ok(1));
                    }
                    other => panic!("{other:?}"),
                }
                depth -= 1;
                if posted == 5 && reads == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        nothing(&queue);
    });
}

// D GetMessage, PeekMessage.
#[test]
fn as_14_a_pump_waits_as_long_as_it_is_told() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        for limit in [Duration::ZERO, Duration::from_micros(1500), Duration::from_millis(100)] {
            let start = Instant::now();
            assert_eq!(queue.get(Some(limit)), Ok(None));
            assert!(start.elapsed() >= limit && start.elapsed() < SOON, "{:?}", start.elapsed());
        }
        let window = queue.window();
        let start = Instant::now();
        let poster = thread::spawn(move || {
            thread::sleep(Duration::from_millis(150));
            window.post(ONE, 0, 0).unwrap();
        });
        assert!(queue.get(None).unwrap().is_some());
        assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
        poster.join().unwrap();
    });
}

// D GetMessage: it is not an alertable wait.
#[test]
fn as_14_a_pump_runs_no_routine() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        let count = ran.clone();
        let queued = ThreadHandle::current().unwrap().queue_apc(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        queued.unwrap();
        assert_eq!(queue.get(Some(SILENCE)), Ok(None));
        queue.window().post(ONE, 0, 0).unwrap();
        assert!(queue.get(Some(SOON)).unwrap().is_some());
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        assert_eq!(sleep_ex(ZERO, Alertable::Yes), Ok(Wait::IoCompletion));
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    });
}

// D PostMessage: "10,000 posted messages".
#[test]
fn as_14_a_full_queue_refuses_what_is_posted() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let window = queue.window();
        let (a, b) = pair();
        b.async_select(&window, TWO, NetEvents::READ).unwrap();
        for number in 0..MESSAGES_MAX {
            window.post(ONE, number, 0).unwrap();
        }
        for _ in 0..3 {
            fails(window.post(ONE, 0, 0), &[ERROR_NOT_ENOUGH_QUOTA]);
        }
        let other = window.clone();
        fails(thread::spawn(move || other.post(ONE, 0, 0)).join().unwrap(), &[ERROR_NOT_ENOUGH_QUOTA]);
        // Another window's queue is its own.
        let elsewhere = thread::spawn(|| {
            let queue = MessageQueue::new().unwrap();
            queue.window().post(ONE, 7, 0).unwrap();
            assert_eq!(next_posted(&queue), (ONE, 7, 0));
        });
        elsewhere.join().unwrap();
        // One taken makes room for one.
        assert_eq!(next_posted(&queue), (ONE, 0, 0));
        window.post(ONE, MESSAGES_MAX, 0).unwrap();
        fails(window.post(ONE, 0, 0), &[ERROR_NOT_ENOUGH_QUOTA]);
        // A socket is told of all the same, behind those.
        a.send(b"x").unwrap();
        arrived(&b, 1);
        for number in 1..=MESSAGES_MAX {
            assert_eq!(next_posted(&queue), (ONE, number, 0));
        }
        next(&queue, TWO, &b, NetEvents::READ, 0);
        window.post(ONE, 0, 0).unwrap();
        assert_eq!(next_posted(&queue), (ONE, 0, 0));
        nothing(&queue);
    });
}

// D PostMessage, IsWindow.
#[test]
fn as_15_posting_to_a_window_that_is_gone_is_refused() {
    promise(|| {
        let queue = MessageQueue::new().unwrap();
        let window = queue.window();
        window.post(ONE, 0, 0).unwrap();
        drop(queue);
        fails(window.post(ONE, 0, 0), &[ERROR_INVALID_WINDOW_HANDLE]);
        // Nor is it the next one's.
        let next = MessageQueue::new().unwrap();
        fails(window.post(ONE, 0, 0), &[ERROR_INVALID_WINDOW_HANDLE]);
        assert_eq!(next.get(ZERO), Ok(None));
        let of_a_thread = thread::spawn(|| MessageQueue::new().unwrap().window()).join().unwrap();
        fails(of_a_thread.post(ONE, 0, 0), &[ERROR_INVALID_WINDOW_HANDLE]);
    });
}

// D WSAAsyncSelect.
#[test]
fn as_15_a_window_that_is_gone_is_refused() {
    promise(|| {
        let gone = MessageQueue::new().unwrap().window();
        let (a, b) = pair();
        for mask in [NetEvents::READ, NetEvents::ALL, NetEvents::NONE] {
            fails(b.async_select(&gone, ONE, mask), &[WSAEINVAL]);
        }
        // What was registered with another one stands.
        let queue = MessageQueue::new().unwrap();
        b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        fails(b.async_select(&gone, TWO, NetEvents::NONE), &[WSAEINVAL]);
        a.send(b"x").unwrap();
        next(&queue, ONE, &b, NetEvents::READ, 0);
    });
}

// D WSAAsyncSelect: a socket outlives the window that it was registered with.
#[test]
fn as_15_a_socket_outlives_its_window() {
    promise(|| {
        let ((a, b), (c, d)) = (pair(), pair());
        let (queue, beside) = (MessageQueue::new().unwrap(), MessageQueue::new().unwrap());
        b.async_select(&queue.window(), ONE, NetEvents::READ).unwrap();
        d.async_select(&beside.window(), ONE, NetEvents::READ).unwrap();
        drop(queue);
        a.send(b"x").unwrap();
        arrived(&b, 1);
        // Another window of this thread has its own.
        c.send(b"x").unwrap();
        next(&beside, ONE, &d, NetEvents::READ, 0);
        nothing(&beside);
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        let queue = MessageQueue::new().unwrap();
        a.send(b"yz").unwrap();
        b.async_select(&queue.window(), TWO, NetEvents::READ).unwrap();
        next(&queue, TWO, &b, NetEvents::READ, 0);
        assert_eq!(queue.get(ZERO), Ok(None));
    });
}
