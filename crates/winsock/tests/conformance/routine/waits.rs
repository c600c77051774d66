//! BL-11, SE, CP-16, CP-17: which other calls run routines and APCs while they wait.

use super::{Ran, alertably, until};
use crate::harness::{
    SETTLE, SILENCE, SOON, arrived, datagram, fails, known_on_wine, listener, next_posted, no_packet, pair,
    port_with, promise, readable, received, recv_exactly, recv_pending, stream, within,
};
use doorbell_winsock::error::{WAIT_TIMEOUT, WSA_WAIT_IO_COMPLETION, WSAETIMEDOUT, WSAEWOULDBLOCK};
use doorbell_winsock::routine::{Alertable, ThreadHandle};
use doorbell_winsock::{CompletionPort, Family, FdSet, Packet, Socket, Wait, select};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Counts the APCs that ran.
#[derive(Clone, Default)]
struct Runs(Arc<AtomicUsize>);

impl Runs {
    fn queue(&self, thread: &ThreadHandle) {
        let runs = self.0.clone();
        thread.queue_apc(move || _ = runs.fetch_add(1, Ordering::SeqCst)).expect("the APC is queued");
    }

    fn queue_here(&self) {
        self.queue(&ThreadHandle::current().unwrap());
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Runs a call that has to wait in a thread of its own, queues three APCs to it, and only then lets it end: it must
/// have run them and gone on waiting.
fn runs_apcs_and_goes_on<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
    end: impl FnOnce(),
) -> T {
    let runs = Runs::default();
    let (tell, told) = mpsc::channel();
    let waiter = thread::spawn(move || {
        tell.send(ThreadHandle::current().unwrap()).unwrap();
        call()
    });
    let handle = told.recv().unwrap();
    for number in 1..=3 {
        thread::sleep(SETTLE);
        runs.queue(&handle);
        assert!(within(SOON, || runs.count() == number), "APC {number} did not run");
    }
    thread::sleep(SETTLE);
    assert!(!waiter.is_finished(), "an APC ended the call");
    end();
    assert!(within(SOON, || waiter.is_finished()), "it never ended");
    waiter.join().unwrap()
}

// W test_WSARecv; D WSARecv.
#[test]
fn bl_11_a_recv_that_waits_runs_apcs_and_goes_on_waiting() {
    promise(|| {
        let (a, b) = pair();
        let socket = b.clone();
        let got = runs_apcs_and_goes_on(move || recv_exactly(&socket, 4), || _ = a.send(b"data").unwrap());
        assert_eq!(got, b"data");
        let (receiver, target) = datagram(Family::V4);
        let (sender, _) = datagram(Family::V4);
        let got = runs_apcs_and_goes_on(
            move || receiver.recv_from(&mut [0; 8]).map(|(bytes, _)| bytes),
            || _ = sender.send_to(b"xyz", target).unwrap(),
        );
        assert_eq!(got, Ok(3));
    });
}

// W test_WSARecv; P8: queued before it waits, and the time-out is not shortened by it.
#[test]
fn bl_11_a_recv_that_runs_an_apc_waits_out_its_time() {
    promise(|| {
        let (_a, b) = pair();
        let (runs, limit) = (Runs::default(), Duration::from_millis(200));
        b.set_recv_timeout(Some(limit)).unwrap();
        for number in 1..=3 {
            runs.queue_here();
            let start = Instant::now();
            fails(b.recv(&mut [0; 4]), &[WSAETIMEDOUT]);
            assert!(start.elapsed() >= limit - Duration::from_millis(20), "after {:?}", start.elapsed());
            assert_eq!(runs.count(), number);
        }
    });
}

// W test_WSARecv; P8.
#[test]
fn bl_11_a_call_that_need_not_wait_runs_nothing() {
    promise(|| {
        let (a, b) = pair();
        let (one, address) = listener(Family::V4);
        let runs = Runs::default();
        let client = stream(Family::V4);
        client.connect(address).unwrap();
        readable(&one);
        a.send(b"x").unwrap();
        arrived(&b, 1);
        runs.queue_here();
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        assert_eq!(a.send(b"y"), Ok(1));
        one.accept().unwrap();
        b.set_nonblocking(true).unwrap();
        arrived(&b, 1);
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        // One that may not wait does not either.
        fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
        assert_eq!(runs.count(), 0);
        assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
        assert_eq!(runs.count(), 1);
    });
}

// W test_accept.
#[test]
fn bl_11_an_accept_that_waits_runs_apcs_and_goes_on_waiting() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let client = stream(Family::V4);
        let accepted = runs_apcs_and_goes_on(
            move || listener.accept().map(|(_, from)| from),
            || client.connect(address).unwrap(),
        );
        assert_eq!(accepted, client.local_addr());
    });
}

// D WSASend: the other direction. Wine waits for it without being alertable.
#[test]
fn bl_11_a_send_that_waits_runs_apcs_and_goes_on_waiting() {
    known_on_wine("BL-11", || {
        const LEN: usize = 8 << 20;
        let (a, b) = pair();
        let mut got = Vec::new();
        let sent = runs_apcs_and_goes_on(move || a.send(&vec![1; LEN]), || got = recv_exactly(&b, LEN));
        assert_eq!((sent, got.len()), (Ok(LEN), LEN));
    });
}

// W test_WSARecv: the routine of an operation is run as an APC is.
#[test]
fn bl_11_a_recv_that_waits_runs_completion_routines() {
    promise(|| {
        let (a, b) = pair();
        let (c, d) = pair();
        let ran = Ran::default();
        ran.receive(&d, 8);
        let sender = thread::spawn(move || {
            thread::sleep(SETTLE);
            c.send(b"first").unwrap();
            thread::sleep(SETTLE);
            a.send(b"second").unwrap();
            (a, c)
        });
        assert_eq!(recv_exactly(&b, 6), b"second");
        assert_eq!(received(ran.only()), b"first");
        // A call that need not wait leaves it queued.
        let (a, c) = sender.join().unwrap();
        ran.receive(&d, 8);
        c.send(b"third").unwrap();
        a.send(b"fourth").unwrap();
        arrived(&b, 6);
        thread::sleep(SETTLE);
        assert_eq!(recv_exactly(&b, 6), b"fourth");
        assert_eq!(ran.count(), 0);
        until(&ran, 1);
    });
}

// W test_select.
#[test]
fn se_04_a_select_that_waits_runs_apcs_and_goes_on_waiting() {
    promise(|| {
        let (a, b) = pair();
        let socket = b.clone();
        let found = runs_apcs_and_goes_on(
            move || select(Some(&mut FdSet::from_iter([&socket])), None, None, None),
            || _ = a.send(b"x").unwrap(),
        );
        assert_eq!(found, Ok(1));
        recv_exactly(&b, 1);
        let (runs, limit) = (Runs::default(), Duration::from_millis(150));
        for number in 1..=3 {
            runs.queue_here();
            let start = Instant::now();
            let mut set = FdSet::from_iter([&b]);
            assert_eq!(select(Some(&mut set), None, None, Some(limit)), Ok(0));
            assert!(set.is_empty() && start.elapsed() >= limit - Duration::from_millis(20));
            assert_eq!(runs.count(), number);
        }
    });
}

// W test_select.
#[test]
fn se_04_a_select_that_need_not_wait_runs_nothing() {
    promise(|| {
        let (a, b) = pair();
        let runs = Runs::default();
        a.send(b"x").unwrap();
        arrived(&b, 1);
        runs.queue_here();
        for timeout in [None, Some(SOON), Some(Duration::ZERO)] {
            let mut set = FdSet::from_iter([&b]);
            assert_eq!(select(Some(&mut set), None, None, timeout), Ok(1));
            assert_eq!(runs.count(), 0);
        }
        assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
        assert_eq!(runs.count(), 1);
    });
}

fn many(port: &CompletionPort, timeout: Duration) -> (doorbell_winsock::Result<usize>, Vec<Packet>) {
    let mut packets = Vec::new();
    let taken = port.get_many(&mut packets, 8, Some(timeout), Alertable::Yes);
    (taken, packets)
}

// D GetQueuedCompletionStatusEx.
#[test]
fn cp_16_an_alertable_wait_at_a_port_runs_apcs_only_when_no_packet_is_there() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let runs = Runs::default();
        for (number, timeout) in [Duration::ZERO, SOON].into_iter().enumerate() {
            // A packet is there: it is taken, and nothing runs.
            port.post(1, 2, 3).unwrap();
            runs.queue_here();
            assert_eq!(many(&port, timeout).0, Ok(1));
            assert_eq!(runs.count(), number);
            // None is there: the APC runs, and that is what the wait says.
            let (taken, packets) = many(&port, timeout);
            fails(taken, &[WSA_WAIT_IO_COMPLETION]);
            assert!(packets.is_empty());
            assert_eq!(runs.count(), number + 1);
            fails(many(&port, Duration::ZERO).0, &[WAIT_TIMEOUT]);
        }
        // With an operation's packet it is the same.
        recv_pending(&b, 4);
        a.send(b"x").unwrap();
        thread::sleep(SETTLE);
        runs.queue_here();
        assert_eq!(many(&port, SOON).0, Ok(1));
        assert_eq!(runs.count(), 2);
        assert_eq!(alertably(SOON), Ok(Wait::IoCompletion));
    });
}

// D GetQueuedCompletionStatusEx: routines of sockets without a port run there, and a packet wakes it as well.
#[test]
fn cp_16_an_alertable_wait_at_a_port_runs_routines() {
    promise(|| {
        let (a, b) = pair();
        let (c, d) = pair();
        let port = port_with(&[(&d, 1)]);
        let ran = Ran::default();
        for _ in 0..3 {
            ran.receive(&b, 8);
            recv_pending(&d, 8);
            let sender = {
                let (a, c) = (a.clone(), c.clone());
                thread::spawn(move || {
                    thread::sleep(SETTLE);
                    a.send(b"routine").unwrap();
                    thread::sleep(SETTLE);
                    c.send(b"packet").unwrap();
                })
            };
            fails(many(&port, SOON).0, &[WSA_WAIT_IO_COMPLETION]);
            assert_eq!(received(ran.only()), b"routine");
            let (taken, packets) = many(&port, SOON);
            assert_eq!((taken, packets.len()), (Ok(1), 1));
            sender.join().unwrap();
        }
    });
}

// P8; D GetQueuedCompletionStatus.
#[test]
fn cp_17_a_plain_wait_at_a_port_runs_nothing() {
    promise(|| {
        let (a, b): (Socket, Socket) = pair();
        let port = CompletionPort::new(0).unwrap();
        let (runs, ran) = (Runs::default(), Ran::default());
        runs.queue_here();
        ran.receive(&b, 4);
        a.send(b"x").unwrap();
        for timeout in [Duration::ZERO, SILENCE] {
            fails(port.get(Some(timeout)), &[WAIT_TIMEOUT]);
            fails(port.get_many(&mut Vec::new(), 4, Some(timeout), Alertable::No), &[WAIT_TIMEOUT]);
        }
        port.post(1, 2, 3).unwrap();
        assert_eq!(next_posted(&port), (1, 2, 3));
        no_packet(&port);
        assert_eq!((runs.count(), ran.count()), (0, 0));
        until(&ran, 1);
        assert_eq!(runs.count(), 1);
    });
}
