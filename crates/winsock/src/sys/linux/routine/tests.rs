use crate::error::{WAIT_TIMEOUT, WSA_WAIT_IO_COMPLETION, WSAETIMEDOUT};
use crate::overlapped::ToRoutine;
use crate::routine::{Alertable, ThreadHandle, sleep_ex};
use crate::socket::{Family, Flags, Kind, Socket};
use crate::{Completion, CompletionPort, Event, FdSet, Packet, Wait, select, wait_any};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const SOON: Option<Duration> = Some(Duration::from_secs(5));
const NOW: Option<Duration> = Some(Duration::ZERO);
/// Long enough for a thread to have begun its wait.
const SETTLE: Duration = Duration::from_millis(50);

fn listener() -> Socket {
    let listener = Socket::new(Family::V4, Kind::Stream).unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    listener.listen(8).unwrap();
    listener
}

fn pair() -> (Socket, Socket) {
    let listener = listener();
    let near = Socket::new(Family::V4, Kind::Stream).unwrap();
    near.connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    (near, far)
}

/// A thread that blocks in `wait` must run an APC and go on waiting, until `finish` lets it out.
fn runs_an_apc_and_goes_on(wait: impl FnOnce() + Send, finish: impl FnOnce()) {
    let (tell, told) = mpsc::channel();
    let ran = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            tell.send(ThreadHandle::current().unwrap()).unwrap();
            wait();
        });
        let handle = told.recv().unwrap();
        for count in 1..=3 {
            thread::sleep(SETTLE);
            let ran_there = ran.clone();
            handle.queue_apc(move || _ = ran_there.fetch_add(1, SeqCst)).unwrap();
            let deadline = Instant::now() + Duration::from_secs(5);
            while ran.load(SeqCst) < count {
                assert!(Instant::now() < deadline, "no APC ran");
                thread::sleep(Duration::from_millis(1));
            }
        }
        assert!(!waiter.is_finished(), "the call did not go on waiting");
        finish();
        waiter.join().unwrap();
    });
}

#[test]
fn blocking_calls_run_apcs_while_they_wait() {
    let (near, far) = pair();
    runs_an_apc_and_goes_on(
        || assert_eq!(near.recv(&mut [0; 9]).unwrap(), 1),
        || _ = far.send(b"x").unwrap(),
    );
    let whole = || assert_eq!(near.recv_with(&mut [0; 4], Flags::WAIT_ALL).unwrap(), 4);
    far.send(b"abc").unwrap();
    runs_an_apc_and_goes_on(whole, || _ = far.send(b"d").unwrap());
    let selected = || {
        let mut set = FdSet::new();
        set.insert(&near);
        assert_eq!(select(Some(&mut set), None, None, SOON).unwrap(), 1);
    };
    runs_an_apc_and_goes_on(selected, || _ = far.send(b"x").unwrap());
    let listener = listener();
    let client = Socket::new(Family::V4, Kind::Stream).unwrap();
    let address = listener.local_addr().unwrap();
    runs_an_apc_and_goes_on(|| _ = listener.accept().unwrap(), || client.connect(address).unwrap());
    let bytes = vec![7; 30_000_000];
    let all = || assert_eq!(near.send(&bytes).unwrap(), bytes.len());
    runs_an_apc_and_goes_on(all, || {
        let mut taken = 1;
        while taken < bytes.len() + 1 {
            taken += far.recv(&mut vec![0; 1 << 20]).unwrap();
        }
    });
}

#[test]
fn a_call_that_need_not_wait_runs_nothing() {
    let (near, far) = pair();
    let ran = Arc::new(AtomicUsize::new(0));
    let there = ran.clone();
    ThreadHandle::current().unwrap().queue_apc(move || _ = there.fetch_add(1, SeqCst)).unwrap();
    far.send(b"x").unwrap();
    thread::sleep(SETTLE);
    assert_eq!(near.recv(&mut [0; 9]).unwrap(), 1);
    assert_eq!(near.send(b"x").unwrap(), 1);
    assert_eq!(ran.load(SeqCst), 0);
    near.set_recv_timeout(Some(SETTLE)).unwrap();
    assert_eq!(near.recv(&mut [0; 9]).unwrap_err().code(), WSAETIMEDOUT);
    assert_eq!(ran.load(SeqCst), 1);
}

#[test]
fn a_blocking_call_runs_the_routines_of_operations() {
    let (near, far) = pair();
    let (other, peer) = pair();
    let told = Rc::new(Cell::new(0));
    let note = told.clone();
    other
        .recv_overlapped(vec![0; 9], Flags::NONE, ToRoutine(move |c: Completion| note.set(c.bytes())))
        .unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SETTLE);
            peer.send(b"abc").unwrap();
            thread::sleep(SETTLE);
            far.send(b"x").unwrap();
        });
        assert_eq!(near.recv(&mut [0; 9]).unwrap(), 1);
    });
    assert_eq!(told.get(), 3);
}

#[test]
fn an_alertable_get_runs_routines_only_without_a_packet() {
    let port = CompletionPort::new(1).unwrap();
    let me = ThreadHandle::current().unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let queue = |handle: &ThreadHandle| {
        let ran = ran.clone();
        handle.queue_apc(move || _ = ran.fetch_add(1, SeqCst)).unwrap();
    };
    let mut packets = Vec::new();
    queue(&me);
    port.post(1, 2, 3).unwrap();
    assert_eq!(port.get_many(&mut packets, 8, SOON, Alertable::Yes).unwrap(), 1);
    assert_eq!(ran.load(SeqCst), 0);
    assert_eq!(port.get(NOW).unwrap_err().code(), WAIT_TIMEOUT);
    assert_eq!(ran.load(SeqCst), 0);
    for (queued, timeout) in [(1, NOW), (2, SOON), (3, None)] {
        let refused = port.get_many(&mut packets, 8, timeout, Alertable::Yes).unwrap_err();
        assert_eq!((refused.code(), ran.load(SeqCst)), (WSA_WAIT_IO_COMPLETION, queued));
        queue(&me);
    }
    assert_eq!(sleep_ex(NOW, Alertable::Yes).unwrap(), Wait::IoCompletion);
    // From outside, while it polls and while it is parked behind a thread that runs.
    for parked in [false, true] {
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            if parked {
                port.post(1, 1, 1).unwrap();
                assert!(matches!(port.get(SOON).unwrap(), Packet::Posted { .. }));
            }
            let (port, queue) = (&port, &queue);
            let waiter = scope.spawn(move || {
                tell.send(ThreadHandle::current().unwrap()).unwrap();
                port.get_many(&mut Vec::new(), 8, SOON, Alertable::Yes).unwrap_err().code()
            });
            let handle = told.recv().unwrap();
            thread::sleep(SETTLE);
            queue(&handle);
            assert_eq!(waiter.join().unwrap(), WSA_WAIT_IO_COMPLETION);
        });
    }
    assert_eq!(port.get(NOW).unwrap_err().code(), WAIT_TIMEOUT);
}

#[test]
fn a_packet_reaches_an_alertable_get() {
    let port = CompletionPort::new(1).unwrap();
    let (near, far) = pair();
    port.associate(&near, 5).unwrap();
    near.recv_overlapped(vec![0; 9], Flags::NONE, crate::overlapped::ToPort).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SETTLE);
            far.send(b"x").unwrap();
            thread::sleep(SETTLE);
            port.post(1, 2, 3).unwrap();
        });
        let mut packets = Vec::new();
        assert_eq!(port.get_many(&mut packets, 8, SOON, Alertable::Yes).unwrap(), 1);
        assert_eq!(port.get_many(&mut packets, 8, SOON, Alertable::Yes).unwrap(), 1);
        assert_eq!(packets.iter().map(Packet::key).collect::<Vec<_>>(), [5, 2]);
    });
}

#[test]
fn an_event_that_is_set_wins_over_what_is_queued() {
    let event = [Event::new().unwrap()];
    let me = ThreadHandle::current().unwrap();
    me.queue_apc(|| ()).unwrap();
    event[0].set().unwrap();
    assert_eq!(wait_any(&event, SOON, Alertable::Yes).unwrap(), Wait::Index(0));
    event[0].reset().unwrap();
    assert_eq!(wait_any(&event, SOON, Alertable::Yes).unwrap(), Wait::IoCompletion);
}

#[test]
fn routines_never_nest() {
    let me = ThreadHandle::current().unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let (again, there) = (me.clone(), ran.clone());
    let outer = move || {
        let inner = there.clone();
        again.queue_apc(move || _ = inner.fetch_add(1, SeqCst)).unwrap();
        assert_eq!(sleep_ex(Some(Duration::from_millis(5)), Alertable::Yes).unwrap(), Wait::TimedOut);
        assert_eq!(there.load(SeqCst), 0);
    };
    me.queue_apc(outer).unwrap();
    assert_eq!(sleep_ex(NOW, Alertable::Yes).unwrap(), Wait::IoCompletion);
    assert_eq!(ran.load(SeqCst), 1, "it runs in the same wait");
}

/// Waits alertably when it goes, and tells how that ended.
struct LastWait(RefCell<Option<mpsc::Sender<Option<Wait>>>>);

impl Drop for LastWait {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            let _ = tell.send(sleep_ex(SOON, Alertable::Yes).ok());
        }
    }
}

thread_local! {
    static LAST_WAIT: LastWait = const { LastWait(RefCell::new(None)) };
}

#[test]
fn an_alertable_wait_of_a_thread_that_is_ending_finds_its_routines_gone() {
    let (near, far) = pair();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            // What a thread has goes in the opposite order of its first use: the routines, this, the home.
            ThreadHandle::current().unwrap();
            LAST_WAIT.with(|last| last.0.replace(Some(tell)));
            near.recv_overlapped(vec![0; 16], Flags::NONE, ToRoutine(|_| panic!("never run"))).unwrap();
            far.send(b"letter").unwrap();
        });
    });
    assert_eq!(told.recv().unwrap(), Some(Wait::IoCompletion));
}
