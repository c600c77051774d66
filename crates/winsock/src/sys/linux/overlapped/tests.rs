use crate::error::{
    ERROR_NOT_FOUND, WSA_IO_INCOMPLETE, WSA_OPERATION_ABORTED, WSAECONNRESET, WSAEINVAL, WSAENOTCONN,
};
use crate::event_select::{Event, Wait, wait_any};
use crate::overlapped::{Completion, Op, OpId, Started, ToEvent, ToPort, ToPortAndEvent, ToRoutine};
use crate::routine::{Alertable, sleep_ex};
use crate::socket::{Family, Flags, Kind, Shutdown, Socket};
use crate::{CompletionPort, Packet};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

const SOON: Option<Duration> = Some(Duration::from_secs(5));
const NOW: Option<Duration> = Some(Duration::ZERO);
/// Long enough for the guard to see that a thread is away.
const SETTLE: Duration = Duration::from_millis(50);

fn pair() -> (Socket, Socket) {
    let listener = Socket::new(Family::V4, Kind::Stream).unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    listener.listen(8).unwrap();
    let near = Socket::new(Family::V4, Kind::Stream).unwrap();
    near.connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    (near, far)
}

fn recv(socket: &Socket, event: &Event) -> Op {
    socket.recv_overlapped(vec![0; 16], Flags::NONE, ToEvent(event)).unwrap()
}

fn wait(event: &Event, timeout: Option<Duration>) -> Wait {
    wait_any(std::slice::from_ref(event), timeout, Alertable::No).unwrap()
}

fn taken(op: Op) -> Vec<u8> {
    let mut completion = op.take();
    let bytes = completion.result().unwrap();
    let mut buffer: Vec<u8> = completion.take_buffer().unwrap();
    buffer.truncate(bytes);
    buffer
}

#[test]
fn an_event_is_unset_by_the_start_and_set_by_the_end() {
    let (near, far) = pair();
    let event = Event::new().unwrap();
    event.set().unwrap();
    let op = recv(&near, &event);
    assert!(!op.at_once());
    assert_eq!(wait(&event, NOW), Wait::TimedOut);
    assert_eq!(op.result().unwrap_err().code(), WSA_IO_INCOMPLETE);
    far.send(b"letter").unwrap();
    assert_eq!(wait(&event, SOON), Wait::Index(0));
    assert_eq!(op.result().unwrap(), 6);
    assert_eq!(taken(op), b"letter");
    let op = near.send_overlapped(b"answer".to_vec(), ToEvent(&event)).unwrap();
    assert!(op.at_once());
    assert_eq!(wait(&event, NOW), Wait::Index(0));
    // A refusal leaves the event alone.
    near.shutdown(Shutdown::Send).unwrap();
    assert!(near.send_overlapped(b"more".to_vec(), ToEvent(&event)).is_err());
    assert_eq!(wait(&event, NOW), Wait::Index(0));
}

#[test]
fn it_goes_on_while_its_starter_sleeps_elsewhere_or_computes() {
    let (near, far) = pair();
    let event = Event::new().unwrap();
    for computes in [false, true] {
        let op = recv(&near, &event);
        far.send(b"letter").unwrap();
        let start = Instant::now();
        thread::scope(|scope| {
            let foreign = scope.spawn(|| wait(&event, SOON));
            while computes && !foreign.is_finished() && start.elapsed() < Duration::from_secs(5) {
                std::hint::spin_loop();
            }
            assert_eq!(foreign.join().unwrap(), Wait::Index(0));
        });
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        assert_eq!(op.wait().unwrap(), 6);
    }
}

#[test]
fn an_outcome_may_be_waited_for_by_another_thread() {
    let (near, far) = pair();
    let event = Event::new().unwrap();
    let op = recv(&near, &event);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| op.wait().unwrap());
        thread::sleep(SETTLE);
        far.send(b"letter").unwrap();
        assert_eq!(waiter.join().unwrap(), 6);
    });
    let op = op.try_take().unwrap();
    assert_eq!(op.bytes(), 6);
}

#[test]
fn who_has_the_outcome_finds_the_event_set_already() {
    let (near, far) = pair();
    let event = Event::new().unwrap();
    for _ in 0..500 {
        let op = recv(&near, &event);
        thread::scope(|scope| {
            let asks = scope.spawn(|| {
                let start = Instant::now();
                while op.result().is_err() {
                    assert!(start.elapsed() < Duration::from_secs(5));
                    std::hint::spin_loop();
                }
                event.sys.object().is_set()
            });
            far.send(b"x").unwrap();
            // Brought by this thread, from its wait.
            assert_eq!(op.wait().unwrap(), 1);
            assert!(asks.join().unwrap(), "the next operation of this event would be told of");
        });
    }
}

#[test]
fn a_dropped_operation_takes_no_data() {
    let (near, far) = pair();
    let event = Event::new().unwrap();
    drop(recv(&near, &event));
    assert_eq!(wait(&event, SOON), Wait::Index(0));
    far.send(b"letter").unwrap();
    assert_eq!(taken(recv(&near, &event)), b"letter");
}

#[test]
fn the_end_of_a_thread_ends_what_it_started() {
    let (near, far) = pair();
    let (event, other) = (Event::new().unwrap(), Event::new().unwrap());
    let port = CompletionPort::new(1).unwrap();
    let (with_port, _far) = pair();
    port.associate(&with_port, 7).unwrap();
    let op = thread::scope(|scope| {
        let starter = scope.spawn(|| {
            near.recv_overlapped(vec![0; 16], Flags::NONE, ToRoutine(|_| panic!("never run"))).unwrap();
            with_port.recv_overlapped(vec![0; 16], Flags::NONE, ToPortAndEvent(&other)).unwrap();
            with_port.recv_overlapped(vec![0; 16], Flags::NONE, ToPort).unwrap();
            recv(&near, &event)
        });
        starter.join().unwrap()
    });
    assert_eq!(op.wait().unwrap_err().code(), WSA_OPERATION_ABORTED);
    assert_eq!(wait(&event, SOON), Wait::Index(0));
    assert_eq!(wait(&other, SOON), Wait::Index(0));
    match port.get(SOON).unwrap() {
        Packet::Io(completion) => assert_eq!(completion.system_code(), WSA_OPERATION_ABORTED),
        posted => panic!("{posted:?}"),
    }
    assert!(port.get(Some(SETTLE)).is_err(), "an operation told by the port alone goes on");
    // What comes afterwards is for the next one.
    far.send(b"letter").unwrap();
    assert_eq!(taken(recv(&near, &event)), b"letter");
}

#[test]
fn an_accepted_socket_may_be_handed_to_another_thread() {
    let (near, far) = pair();
    let event = Event::new().unwrap();
    far.send(b"first").unwrap();
    assert_eq!(taken(recv(&near, &event)), b"first");
    thread::scope(|scope| {
        scope.spawn(|| {
            let event = Event::new().unwrap();
            for _ in 0..3 {
                let op = recv(&near, &event);
                far.send(b"next").unwrap();
                assert_eq!(wait(&event, SOON), Wait::Index(0));
                assert_eq!(taken(op), b"next");
            }
        });
    });
    far.send(b"last").unwrap();
    assert_eq!(taken(recv(&near, &event)), b"last");
}

#[test]
fn with_an_event_a_port_is_told_of_nothing_or_of_all() {
    let (near, far) = pair();
    let event = Event::new().unwrap();
    let port = CompletionPort::new(1).unwrap();
    port.associate(&near, 7).unwrap();
    let op = recv(&near, &event);
    far.send(b"letter").unwrap();
    assert_eq!(wait(&event, SOON), Wait::Index(0));
    assert_eq!(taken(op), b"letter");
    assert!(port.get(Some(SETTLE)).is_err());
    near.recv_overlapped(vec![0; 16], Flags::NONE, ToPortAndEvent(&event)).unwrap();
    assert_eq!(wait(&event, NOW), Wait::TimedOut);
    far.send(b"letter").unwrap();
    assert!(matches!(port.get(SOON).unwrap(), Packet::Io(_)));
    assert_eq!(wait(&event, SOON), Wait::Index(0));
    let refused = near.recv_overlapped(vec![0; 16], Flags::NONE, ToRoutine(drop)).unwrap_err();
    assert_eq!(refused.error.code(), WSAEINVAL);
}

type Told = Rc<RefCell<Vec<(OpId, usize)>>>;

#[test]
fn a_routine_runs_in_an_alertable_wait_of_its_thread() {
    let (near, far) = pair();
    let told = Told::default();
    let note = |told: &Told| {
        let told = told.clone();
        move |completion: Completion| told.borrow_mut().push((completion.id(), completion.result().unwrap()))
    };
    let first = near.recv_overlapped(vec![0; 4], Flags::NONE, ToRoutine(note(&told))).unwrap();
    let second = near.recv_overlapped(vec![0; 4], Flags::NONE, ToRoutine(note(&told))).unwrap();
    assert!(!first.at_once && !second.at_once);
    assert_eq!(sleep_ex(NOW, Alertable::Yes).unwrap(), Wait::TimedOut);
    assert_eq!(near.routine_result(first.id).unwrap_err().code(), WSA_IO_INCOMPLETE);
    far.send(b"1234567").unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while near.routine_result(second.id).is_err() {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(sleep_ex(NOW, Alertable::No).unwrap(), Wait::TimedOut);
    assert!(told.borrow().is_empty());
    assert_eq!(sleep_ex(SOON, Alertable::Yes).unwrap(), Wait::IoCompletion);
    assert_eq!(*told.borrow(), [(first.id, 4), (second.id, 3)]);
    assert_eq!(near.routine_result(first.id).unwrap_err().code(), ERROR_NOT_FOUND);
    let at_once = near.send_overlapped(b"x".to_vec(), ToRoutine(note(&told))).unwrap();
    assert!(at_once.at_once);
    assert_eq!(told.borrow().len(), 2, "never inside the starting call");
    assert_eq!(sleep_ex(NOW, Alertable::Yes).unwrap(), Wait::IoCompletion);
    assert_eq!(told.borrow().len(), 3);
}

#[test]
fn a_chain_of_operations_runs_in_one_wait() {
    let (near, far) = pair();
    far.send(&[7; 40]).unwrap();
    let (depth, deepest, total) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let state = Rc::new((depth, deepest, total));
    fn next(socket: &Socket, state: &Rc<(Cell<usize>, Cell<usize>, Cell<usize>)>) {
        let (again, mine) = (socket.clone(), state.clone());
        let routine = move |completion: Completion| {
            let (depth, deepest, total) = &*mine;
            depth.set(depth.get() + 1);
            deepest.set(deepest.get().max(depth.get()));
            total.set(total.get() + completion.result().unwrap());
            if total.get() < 40 {
                next(&again, &mine);
            }
            depth.set(depth.get() - 1);
        };
        socket.recv_overlapped(vec![0; 4], Flags::NONE, ToRoutine(routine)).unwrap();
    }
    next(&near, &state);
    assert_eq!(sleep_ex(SOON, Alertable::Yes).unwrap(), Wait::IoCompletion);
    assert_eq!((state.1.get(), state.2.get()), (1, 40));
}

#[test]
fn close_reset_and_cancel_are_told_to_the_routine_once() {
    let told = Rc::new(RefCell::new(Vec::new()));
    let start = |socket: &Socket| {
        let told = told.clone();
        let routine = move |completion: Completion| {
            assert_eq!(completion.bytes(), 0);
            told.borrow_mut().push(completion.result().unwrap_err().code());
        };
        socket.recv_overlapped(vec![0; 4], Flags::NONE, ToRoutine(routine)).unwrap().id
    };
    let (near, far) = pair();
    let id = start(&near);
    near.cancel(Some(id)).unwrap();
    assert_eq!(sleep_ex(SOON, Alertable::Yes).unwrap(), Wait::IoCompletion);
    assert_eq!(told.take(), [WSA_OPERATION_ABORTED]);
    start(&near);
    far.set_linger(Some(Duration::ZERO)).unwrap();
    far.close().unwrap();
    assert_eq!(sleep_ex(SOON, Alertable::Yes).unwrap(), Wait::IoCompletion);
    assert_eq!(told.take(), [WSAECONNRESET]);
    let (near, _far) = pair();
    start(&near);
    near.close().unwrap();
    assert_eq!(sleep_ex(SOON, Alertable::Yes).unwrap(), Wait::IoCompletion);
    assert_eq!(told.take(), [WSA_OPERATION_ABORTED]);
    assert_eq!(sleep_ex(NOW, Alertable::Yes).unwrap(), Wait::TimedOut);
    let fresh = Socket::new(Family::V4, Kind::Stream).unwrap();
    let refused = fresh.recv_overlapped(vec![0; 4], Flags::NONE, ToRoutine(|_| panic!("never run")));
    assert_eq!(refused.unwrap_err().error.code(), WSAENOTCONN);
    assert_eq!(sleep_ex(NOW, Alertable::Yes).unwrap(), Wait::TimedOut);
}

#[test]
fn a_panic_of_a_routine_leaves_the_queue_usable() {
    let (near, _far) = pair();
    let ran = Rc::new(Cell::new(false));
    near.send_overlapped(b"a".to_vec(), ToRoutine(|_| panic!("as the test wants"))).unwrap();
    let then = ran.clone();
    near.send_overlapped(b"b".to_vec(), ToRoutine(move |_| then.set(true))).unwrap();
    let unwound = std::panic::catch_unwind(|| sleep_ex(NOW, Alertable::Yes));
    assert!(unwound.is_err() && !ran.get());
    assert_eq!(sleep_ex(NOW, Alertable::Yes).unwrap(), Wait::IoCompletion);
    assert!(ran.get());
}

#[test]
fn a_close_ends_operations_in_the_order_of_their_starts() {
    let (near, _far) = pair();
    let port = CompletionPort::new(0).unwrap();
    port.associate(&near, 1).unwrap();
    let ids: Vec<_> = (0..4)
        .map(|_| match near.recv_overlapped(vec![0; 4], Flags::NONE, ToPort).unwrap() {
            Started::Pending(id) => id,
            other => panic!("{other:?}"),
        })
        .collect();
    near.close().unwrap();
    let ends: Vec<_> = (0..4)
        .map(|_| match port.get(SOON).unwrap() {
            Packet::Io(end) => end.id(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ends, ids);
}
