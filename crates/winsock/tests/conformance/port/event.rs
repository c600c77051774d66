//! CP: sockets of a port whose operations have an event, alone or beside the packet.

use crate::harness::{
    SILENCE, SOON, arrived, becomes_set, event, fails, is_set, known_on_wine, next_end, next_posted,
    no_packet, pair, pending, port_with, promise, received, recv_pending, reset, started, stays_unset,
};
use doorbell_winsock::error::{WSA_OPERATION_ABORTED, WSAECONNRESET};
use doorbell_winsock::overlapped::{OpId, ToEvent, ToPortAndEvent};
use doorbell_winsock::routine::{Alertable, ThreadHandle, sleep_ex};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{CompletionPort, Event, Socket, Started, Wait, wait_any};
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Starts a receive of a port and an event that has nothing to take yet.
#[track_caller]
fn receives(socket: &Socket, event: &Event) -> OpId {
    pending(socket.recv_overlapped(vec![0; 8], Flags::NONE, ToPortAndEvent(event)))
}

// D GetQueuedCompletionStatus; W test_connect_completion_port.
#[test]
fn cp_08_an_operation_of_an_event_alone_posts_no_packet() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        for at_once in [false, true] {
            let done = event();
            if at_once {
                a.send(b"x").unwrap();
                arrived(&b, 1);
            }
            let op = b.recv_overlapped(vec![0; 8], Flags::NONE, ToEvent(&done)).unwrap();
            if !at_once {
                stays_unset(&done);
                a.send(b"x").unwrap();
            }
            becomes_set(&done);
            assert_eq!(received(op.take()), b"x");
            no_packet(&port);
        }
        // Nor does one that fails.
        let done = event();
        let op = b.recv_overlapped(vec![0; 8], Flags::NONE, ToEvent(&done)).unwrap();
        b.cancel(Some(op.id())).unwrap();
        becomes_set(&done);
        fails(op.result(), &[WSA_OPERATION_ABORTED]);
        no_packet(&port);
    });
}

// D GetQueuedCompletionStatus: beside those of the port, in one line with them.
#[test]
fn cp_08_operations_of_an_event_and_of_the_port_keep_their_order() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let done = event();
        let first = recv_pending(&b, 2);
        let op = b.recv_overlapped(vec![0; 2], Flags::NONE, ToEvent(&done)).unwrap();
        let third = recv_pending(&b, 2);
        a.send(b"112233").unwrap();
        becomes_set(&done);
        assert_eq!(received(op.take()), b"22");
        for (id, text) in [(first, b"11"), (third, b"33")] {
            let end = next_end(&port);
            assert_eq!(end.id(), id);
            assert_eq!(received(end), text);
        }
        no_packet(&port);
    });
}

// W test_connect_completion_port.
#[test]
fn cp_09_with_an_event_beside_the_port_both_happen() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 9)]);
        let done = event();
        for early in [false, true] {
            done.set().unwrap();
            let id = if early {
                a.send(b"x").unwrap();
                arrived(&b, 1);
                started(b.recv_overlapped(vec![0; 8], Flags::NONE, ToPortAndEvent(&done)))
            } else {
                let id = receives(&b, &done);
                // Starting it reset the event (OV-04).
                assert!(!is_set(&done));
                no_packet(&port);
                stays_unset(&done);
                a.send(b"x").unwrap();
                id
            };
            becomes_set(&done);
            let end = next_end(&port);
            assert_eq!((end.id(), end.key()), (id, 9));
            assert_eq!(received(end), b"x");
            no_packet(&port);
            assert!(is_set(&done), "taking the packet does not touch the event");
        }
    });
}

// W test_connect_completion_port: failures as well.
#[test]
fn cp_09_both_happen_whatever_the_outcome() {
    promise(|| {
        type Outcome = (fn(&Socket, &Socket), i32);
        let outcomes: [Outcome; 2] =
            [(|a, _| reset(a), WSAECONNRESET), (|_, b| b.cancel(None).unwrap(), WSA_OPERATION_ABORTED)];
        for (cause, code) in outcomes {
            let (a, b) = pair();
            let port = port_with(&[(&b, 1)]);
            let done = event();
            let id = receives(&b, &done);
            cause(&a, &b);
            becomes_set(&done);
            let end = next_end(&port);
            assert_eq!(end.id(), id);
            fails(end.result(), &[code]);
            no_packet(&port);
        }
    });
}

// D CreateIoCompletionPort: without a port there is only the event.
#[test]
fn cp_09_on_a_socket_without_a_port_the_event_is_set_alone() {
    promise(|| {
        let (a, b) = pair();
        let done = event();
        receives(&b, &done);
        stays_unset(&done);
        a.send(b"x").unwrap();
        becomes_set(&done);
        // The byte was taken, and its packet went nowhere.
        assert_eq!(b.bytes_available(), Ok(0));
        let port = port_with(&[(&b, 1)]);
        no_packet(&port);
    });
}

// D SetFileCompletionNotificationModes; WN test_file_completion_information: the mode is about packets alone.
#[test]
fn cp_11_in_skip_mode_the_event_is_set_and_the_mode_stays() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let mut at_once = 0;
        for _ in 0..10 {
            // Said again it changes nothing.
            b.skip_completion_port_on_success().unwrap();
            a.send(b"x").unwrap();
            arrived(&b, 1);
            let done = event();
            match b.recv_overlapped(vec![0; 8], Flags::NONE, ToPortAndEvent(&done)).unwrap() {
                Started::Done(end) => {
                    at_once += 1;
                    assert_eq!(received(end), b"x");
                }
                Started::Pending(id) => assert_eq!(next_end(&port).id(), id),
                Started::Queued(id) => panic!("{id:?} has a packet"),
            }
            becomes_set(&done);
        }
        assert!(at_once > 0, "nothing succeeded at once");
        // What pends has both.
        let done = event();
        let id = receives(&b, &done);
        a.send(b"y").unwrap();
        becomes_set(&done);
        assert_eq!(next_end(&port).id(), id);
        no_packet(&port);
    });
}

// D ExitThread; WA test_async_thread_termination: with an event beside the port an operation ends with its starter,
// with the port alone it goes on (CP-28).
#[test]
fn ov_15_an_event_beside_the_port_ties_an_operation_to_its_starter() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let done = event();
        let (with, alone) = {
            let (b, done) = (b.clone(), done.clone());
            thread::spawn(move || (receives(&b, &done), recv_pending(&b, 8))).join().unwrap()
        };
        becomes_set(&done);
        let end = next_end(&port);
        assert_eq!(end.id(), with);
        fails(end.result(), &[WSA_OPERATION_ABORTED]);
        no_packet(&port);
        a.send(b"x").unwrap();
        let end = next_end(&port);
        assert_eq!(end.id(), alone);
        assert_eq!(received(end), b"x");
    });
}

// D I/O Completion Ports: a wait for an event is a wait, and another thread gets the place.
#[test]
fn cp_21_a_wait_for_an_event_frees_the_place() {
    promise(|| {
        let waits: [fn(&Event); 3] = [
            |event| becomes_set(event),
            |event| assert_eq!(wait_any(from_ref(event), None, Alertable::Yes), Ok(Wait::Index(0))),
            |served| {
                let both = [served.clone(), event()];
                assert_eq!(wait_any(&both, Some(SOON), Alertable::No), Ok(Wait::Index(0)));
            },
        ];
        for wait in waits {
            let port = CompletionPort::new(1).unwrap();
            let served = event();
            let (entered, first_entered) = mpsc::channel();
            let first = {
                let (port, served) = (port.clone(), served.clone());
                thread::spawn(move || {
                    assert_eq!(next_posted(&port).1, 1);
                    entered.send(()).unwrap();
                    wait(&served);
                })
            };
            port.post(0, 1, 0).unwrap();
            first_entered.recv_timeout(SOON).unwrap();
            let second = {
                let port = port.clone();
                thread::spawn(move || {
                    let got = next_posted(&port).1;
                    served.set().unwrap();
                    got
                })
            };
            port.post(0, 2, 0).unwrap();
            assert_eq!(second.join().unwrap(), 2);
            first.join().unwrap();
        }
    });
}

// D I/O Completion Ports; WSAGetOverlappedResult: so is a wait for an operation.
#[test]
fn cp_21_a_wait_for_an_operation_frees_the_place() {
    promise(|| {
        let port = CompletionPort::new(1).unwrap();
        let (a, b) = pair();
        let (entered, first_entered) = mpsc::channel();
        let first = {
            let port = port.clone();
            thread::spawn(move || {
                assert_eq!(next_posted(&port).1, 1);
                let done = event();
                let op = b.recv_overlapped(vec![0; 8], Flags::NONE, ToEvent(&done)).unwrap();
                entered.send(()).unwrap();
                assert_eq!(op.wait(), Ok(1));
            })
        };
        port.post(0, 1, 0).unwrap();
        first_entered.recv_timeout(SOON).unwrap();
        let second = {
            let port = port.clone();
            thread::spawn(move || {
                let got = next_posted(&port).1;
                a.send(b"x").unwrap();
                (got, a)
            })
        };
        thread::sleep(Duration::from_millis(50));
        port.post(0, 2, 0).unwrap();
        assert_eq!(second.join().unwrap().0, 2);
        first.join().unwrap();
    });
}

// D I/O Completion Ports: a wait that runs an APC does not wait meanwhile, and gives the place away again behind it if
// it goes on. Wine counts nobody.
#[test]
fn cp_21_an_apc_that_runs_in_a_wait_takes_the_place_again() {
    known_on_wine("D11", || {
        type Waits = (fn(&Event, &Socket), bool);
        // Those that an APC ends, and one that goes on behind it (BL-11).
        let waits: [Waits; 3] = [
            (|_, _| assert_eq!(sleep_ex(None, Alertable::Yes), Ok(Wait::IoCompletion)), false),
            (
                |never, _| {
                    assert_eq!(wait_any(from_ref(never), None, Alertable::Yes), Ok(Wait::IoCompletion))
                },
                false,
            ),
            (|_, socket| assert_eq!(socket.recv(&mut [0; 4]), Ok(1)), true),
        ];
        for (wait, goes_on) in waits {
            let port = CompletionPort::new(1).unwrap();
            let (a, b) = pair();
            let (tell, told) = mpsc::channel();
            let first = {
                let port = port.clone();
                thread::spawn(move || {
                    let handle = ThreadHandle::current().unwrap();
                    assert_eq!(next_posted(&port).1, 1);
                    tell.send(handle).unwrap();
                    wait(&event(), &b);
                })
            };
            port.post(0, 1, 0).unwrap();
            let handle = told.recv_timeout(SOON).unwrap();
            let (serve, served) = mpsc::channel();
            let second = {
                let port = port.clone();
                thread::spawn(move || {
                    while let Ok(packet) = port.get(None) {
                        serve.send(packet.key()).unwrap();
                    }
                })
            };
            port.post(0, 2, 0).unwrap();
            assert_eq!(served.recv_timeout(SOON), Ok(2), "the wait freed no place");
            let (enter, entered) = mpsc::channel();
            let go = Arc::new(AtomicBool::new(false));
            let computes = go.clone();
            let apc = move || {
                enter.send(()).unwrap();
                while !computes.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
            };
            handle.queue_apc(apc).unwrap();
            entered.recv_timeout(SOON).expect("the APC never ran");
            port.post(0, 3, 0).unwrap();
            let early = served.recv_timeout(SILENCE);
            go.store(true, Ordering::SeqCst);
            assert!(early.is_err(), "a second thread ran beside the APC: {early:?}");
            // Whether the first thread waits on or has ended, its place is free now.
            assert_eq!(served.recv_timeout(SOON), Ok(3));
            assert!(!goes_on || !first.is_finished(), "the APC ended the wait");
            a.send(b"x").unwrap();
            first.join().unwrap();
            port.close().unwrap();
            second.join().unwrap();
        }
    });
}
