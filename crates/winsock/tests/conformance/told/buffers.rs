//! BF: buffers come back exactly once, and nobody writes into them afterwards.

use super::{Act, LONG, Told, WAYS, Way, each, narrow};
use crate::harness::{
    Counted, NOTHING, SILENCE, SOON, arrived, connecting, datagram, event, known_on_wine, listener, pair,
    pair_of, pattern, port_with, promise, quiet, received, recv_exactly, recv_to_the_end, refused, refusing,
    reset, same_bytes, stream, within,
};
use doorbell_winsock::error::{WSAEINVAL, WSAENOTCONN, WSAESHUTDOWN};
use doorbell_winsock::overlapped::{IoBuf, IoBufMut, Operation, Segments, ToEvent, ToPort, ToRoutine};
use doorbell_winsock::routine::{Alertable, sleep_ex};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Completion, Event, Family, Shutdown, Socket, Wait, wait_any};
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

// W test_WSARecv; D WSARecv.
#[test]
fn bf_01_scatter_fills_in_order_and_gather_sends_in_order() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            told.started(Act::Send(&a), vec![b"ab".to_vec(), NOTHING, b"cdefgh".to_vec()]);
            let mut end = told.next();
            assert_eq!(end.result(), Ok(8));
            let back: Vec<Vec<u8>> = end.take_buffer().unwrap();
            assert_eq!(back, [b"ab".to_vec(), NOTHING, b"cdefgh".to_vec()]);
            arrived(&b, 8);
            told.started(Act::Recv(&b), vec![vec![9; 4], NOTHING, vec![9; 8]]);
            let mut end = told.next();
            assert_eq!(end.result(), Ok(8));
            let filled: Vec<Vec<u8>> = end.take_buffer().unwrap();
            assert_eq!(filled, [b"abcd".to_vec(), NOTHING, b"efgh\x09\x09\x09\x09".to_vec()]);
            // The same of one that has to wait.
            told.pending(Act::Recv(&b), vec![NOTHING, vec![9; 3], vec![9; 4], vec![9; 2]]);
            a.send(b"12345").unwrap();
            let mut end = told.next();
            assert_eq!(end.result(), Ok(5));
            let filled: Vec<Vec<u8>> = end.take_buffer().unwrap();
            assert_eq!(filled, [NOTHING, b"123".to_vec(), b"45\x09\x09".to_vec(), vec![9; 2]]);
            // And of a send that is stuck in the midst of a piece, more than once.
            let (c, d) = narrow(family);
            let bytes = pattern(LONG, 8);
            let mut pieces: Vec<Vec<u8>> = bytes.chunks(50_001).map(<[u8]>::to_vec).collect();
            pieces.insert(7, NOTHING);
            told.pending(Act::Send(&c), pieces);
            same_bytes(&recv_exactly(&d, LONG), &bytes);
            assert_eq!(told.next().result(), Ok(LONG));
            quiet(&d);
        });
    });
}

// P8: what a short receive does not report it does not touch.
#[test]
fn bf_02_a_short_receive_writes_only_what_it_reports() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            for pending in [true, false] {
                if pending {
                    told.pending(Act::Recv(&b), vec![0xAA; 16]);
                    a.send(b"hi").unwrap();
                } else {
                    a.send(b"hi").unwrap();
                    arrived(&b, 2);
                    told.started(Act::Recv(&b), vec![0xAA; 16]);
                }
                let mut end = told.next();
                assert_eq!(end.result(), Ok(2));
                let buffer: Vec<u8> = end.take_buffer().unwrap();
                assert_eq!(&buffer[..2], b"hi");
                assert_eq!(buffer[2..], [0xAA; 14]);
            }
        });
    });
}

// W test_empty_recv.
#[test]
fn bf_03_a_list_of_no_buffers_is_refused() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let (d, d_name) = datagram(family);
            let pends = told.receives(&b, 4);
            for act in [Act::Recv(&b), Act::Send(&b), Act::RecvFrom(&d), Act::SendTo(&d, d_name)] {
                refused(told.start(act, Vec::<Vec<u8>>::new()), &[WSAEINVAL]);
            }
            told.silence();
            // What pends is as it was, and nothing went out.
            assert_eq!((a.bytes_available(), d.bytes_available()), (Ok(0), Ok(0)));
            a.send(b"x").unwrap();
            let end = told.next();
            assert_eq!((end.id(), end.result()), (pends, Ok(1)));
        });
    });
}

#[track_caller]
fn same(mut end: Completion, address: *const u8, capacity: usize) {
    let bytes: Vec<u8> = end.take_buffer().expect("the buffer comes back");
    assert_eq!((bytes.as_ptr(), bytes.capacity()), (address, capacity));
    assert!(end.take_buffer::<Vec<u8>>().is_none(), "it came back twice");
}

/// A buffer with room behind its length, its address and its capacity.
fn buffer(len: usize) -> (Vec<u8>, *const u8, usize) {
    let mut bytes = Vec::with_capacity(2 * len);
    bytes.resize(len, 0);
    let (address, capacity) = (bytes.as_ptr(), bytes.capacity());
    (bytes, address, capacity)
}

// The rule of this interface.
#[test]
fn bf_05_the_very_same_buffer_comes_back_whatever_the_outcome() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let (bytes, address, capacity) = buffer(64);
            told.pending(Act::Recv(&b), bytes);
            a.send(b"x").unwrap();
            same(told.next(), address, capacity);
            let (bytes, address, capacity) = buffer(64);
            told.started(Act::Send(&b), bytes);
            same(told.next(), address, capacity);
            let (bytes, address, capacity) = buffer(64);
            let id = told.pending(Act::Recv(&b), bytes);
            b.cancel(Some(id)).unwrap();
            same(told.next(), address, capacity);
            let (bytes, address, capacity) = buffer(64);
            told.pending(Act::Recv(&b), bytes);
            reset(&a);
            same(told.next(), address, capacity);
            let fresh = stream(family);
            let (bytes, address, capacity) = buffer(64);
            let bytes = refused(told.start(Act::Recv(&fresh), bytes), &[WSAENOTCONN]);
            assert_eq!((bytes.as_ptr(), bytes.capacity()), (address, capacity));
            let (_c, d) = pair_of(family);
            let (bytes, address, capacity) = buffer(64);
            told.pending(Act::Recv(&d), bytes);
            d.close().unwrap();
            same(told.next(), address, capacity);
            // Of the other kinds: an accept that waits for the first bytes, the connect that brings them, a refused one, and
            // a datagram that is cut off.
            let (listener, to) = listener(family);
            let (client, accept) = (stream(family), Socket::for_accept(family).unwrap());
            let (room, room_address, room_capacity) = buffer(64);
            told.pending(Act::Accept(&listener, &accept), room);
            let (bytes, address, capacity) = buffer(64);
            told.started(Act::Connect(&client, to), bytes);
            let mut ends = [told.next(), told.next()];
            ends.sort_by_key(|end| end.operation() != Operation::Accept);
            let [accepted, connected] = ends;
            same(accepted, room_address, room_capacity);
            same(connected, address, capacity);
            let (_held, nobody) = refusing(family);
            let (bytes, address, capacity) = buffer(64);
            told.started(Act::Connect(&stream(family), nobody), bytes);
            same(told.next(), address, capacity);
            let (e, name) = datagram(family);
            let (bytes, address, capacity) = buffer(4);
            told.pending(Act::RecvFrom(&e), bytes);
            datagram(family).0.send_to(b"too long", name).unwrap();
            same(told.next(), address, capacity);
            told.silence();
        });
    });
}

// The rule of this interface: exactly once, counted by the buffer's own drop.
#[test]
fn bf_05_every_buffer_is_dropped_exactly_once() {
    promise(|| {
        for way in WAYS {
            let mut told = Told::by(way);
            let drops = Arc::new(AtomicUsize::new(0));
            let dropped = || drops.load(Ordering::SeqCst);
            let (a, b) = pair();
            // Taken: it is the caller's.
            told.pending(Act::Recv(&b), Counted::new(8, &drops));
            a.send(b"x").unwrap();
            let mut end = told.next();
            let buffer: Counted = end.take_buffer().unwrap();
            assert_eq!(&buffer.bytes()[..1], b"x");
            drop(end);
            assert_eq!(dropped(), 0);
            drop(buffer);
            assert_eq!(dropped(), 1);
            // Left: it goes with what was told.
            told.pending(Act::Recv(&b), Counted::new(8, &drops));
            a.send(b"x").unwrap();
            let end = told.next();
            assert_eq!(dropped(), 1);
            drop(end);
            assert_eq!(dropped(), 2);
            // Of two that pend when the socket is closed, both.
            told.pending(Act::Recv(&b), Counted::new(8, &drops));
            told.pending(Act::Recv(&b), Counted::new(8, &drops));
            drop(b);
            drop((told.next(), told.next()));
            assert_eq!(dropped(), 4);
            // Refused at once: in the answer.
            let fresh = stream(Family::V4);
            drop(refused(told.start(Act::Recv(&fresh), Counted::new(8, &drops)), &[WSAENOTCONN]));
            assert_eq!(dropped(), 5);
            told.silence();
            assert_eq!(dropped(), 5);
        }
    });
}

// The rule of this interface: an operation whose handle is dropped is cancelled, and its buffer is dropped once.
#[test]
fn bf_06_a_dropped_op_is_cancelled_and_its_buffer_dropped_once() {
    promise(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (a, b) = pair();
        let event = event();
        for number in 1..=10 {
            let op = b.recv_overlapped(Counted::new(64, &drops), Flags::NONE, ToEvent(&event)).unwrap();
            assert!(!op.at_once());
            drop(op);
            assert!(within(SOON, || drops.load(Ordering::SeqCst) >= number), "buffer {number} is kept");
        }
        // It took nothing with it: the data is there for the next one, and the buffers are not dropped again.
        quiet(&b);
        a.send(b"later").unwrap();
        assert_eq!(recv_exactly(&b, 5), b"later");
        assert_eq!(drops.load(Ordering::SeqCst), 10);
        // An accept gives its listener's place and its socket free, a connect its bytes.
        let (listener, address) = listener(Family::V4);
        let (_queued, full, _keep) = connecting();
        let (accept, client) = (Socket::for_accept(Family::V4).unwrap(), stream(Family::V4));
        let acts = [Act::Accept(&listener, &accept), Act::Connect(&client, full)];
        for (number, act) in acts.into_iter().enumerate() {
            drop(act.start(Counted::new(4, &drops), ToEvent(&event)).unwrap());
            assert!(within(SOON, || drops.load(Ordering::SeqCst) == 11 + number), "{number} is kept");
        }
        let mut told = Told::by(Way::Event);
        told.pending(Act::Accept(&listener, &accept), NOTHING);
        let client = stream(Family::V4);
        client.connect(address).unwrap();
        assert_eq!(told.next().take_accepted().unwrap().peer_addr(), client.local_addr());
    });
}

// The rule of this interface: of several in a line the others go on, in their order; by their ends nothing is lost.
#[test]
fn bf_06_a_dropped_op_leaves_those_before_and_behind_it() {
    promise(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        for victim in 0..3 {
            let (a, b) = narrow(Family::V4);
            let events = [event(), event(), event()];
            let mut ops: Vec<_> = events
                .iter()
                .map(|event| b.recv_overlapped(Counted::new(2, &drops), Flags::NONE, ToEvent(event)).unwrap())
                .collect();
            drop(ops.remove(victim));
            a.send(b"1122").unwrap();
            for (op, text) in ops.into_iter().zip([b"11", b"22"]) {
                assert_eq!(op.wait(), Ok(2), "with {victim} dropped");
                assert_eq!(op.take().take_buffer::<Counted>().unwrap().bytes(), text);
            }
            // Of three sends the first of which is stuck: the peer has a part of what was dropped, the rest whole.
            let texts = [pattern(LONG, 1), b"second".to_vec(), b"third".to_vec()];
            let mut ops: Vec<_> = texts
                .iter()
                .zip(&events)
                .map(|(text, event)| a.send_overlapped(text.clone(), ToEvent(event)).unwrap())
                .collect();
            drop(ops.remove(victim));
            let reader = thread::spawn(move || recv_to_the_end(&b));
            for op in ops {
                op.wait().unwrap();
            }
            a.close().unwrap();
            let got = reader.join().unwrap();
            let left = texts.iter().enumerate().filter(|(number, _)| *number != victim);
            let whole: Vec<u8> = left.flat_map(|(_, text)| text.clone()).collect();
            let part = got.len().checked_sub(whole.len()).expect("something is lost");
            assert!(part < texts[victim].len(), "what was dropped went out whole");
            if victim == 0 {
                same_bytes(&got[..part], &texts[0][..part]);
            }
            same_bytes(&got[if victim == 0 { part } else { 0 }..], &whole);
        }
        assert!(within(SOON, || drops.load(Ordering::SeqCst) == 9));
    });
}

// D WSARecv; see also the tests of ports.
#[test]
fn bf_07_wait_all_ends_only_when_the_buffer_is_full() {
    known_on_wine("D1", || {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            a.send(b"ab").unwrap();
            arrived(&b, 2);
            // A part is there at the start, and one comes while it waits. Behind it another one waits for its turn.
            let id = told.pending(Act::Fill(&b), vec![0; 6]);
            let behind = told.pending(Act::Fill(&b), vec![vec![0; 1], NOTHING, vec![0; 2]]);
            a.send(b"cd").unwrap();
            told.silence();
            a.send(b"efgh").unwrap();
            let end = told.next();
            assert_eq!(end.id(), id);
            assert_eq!(received(end), b"abcdef");
            told.silence();
            // The end of the stream ends it with what there is.
            a.shutdown(Shutdown::Send).unwrap();
            let end = told.next();
            assert_eq!((end.id(), end.result()), (behind, Ok(2)));
            told.silence();
        });
    });
}

// P8; D send. By event and by routine as well; and it asks what every send asks.
#[test]
fn bf_08_an_overlapped_send_of_no_bytes_succeeds_and_the_peer_sees_nothing() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = narrow(family);
            for number in 0..3 {
                let id = told.started(Act::Send(&a), vec![NOTHING; number + 1]);
                let end = told.next();
                assert_eq!((end.id(), end.result()), (id, Ok(0)));
            }
            quiet(&b);
            // Behind a long one it waits for its turn.
            let ids = [told.pending(Act::Send(&a), vec![1; LONG]), told.pending(Act::Send(&a), NOTHING)];
            told.silence();
            recv_exactly(&b, LONG);
            for (id, bytes) in ids.into_iter().zip([LONG, 0]) {
                let end = told.next();
                assert_eq!((end.id(), end.result()), (id, Ok(bytes)));
            }
            a.shutdown(Shutdown::Send).unwrap();
            refused(told.start(Act::Send(&a), NOTHING), &[WSAESHUTDOWN]);
            refused(told.start(Act::Send(&stream(family)), NOTHING), &[WSAENOTCONN]);
        });
    });
}

// The rule of this interface: dropped when it has ended already, or given up behind its back by a close.
#[test]
fn bf_06_an_op_dropped_after_its_end_drops_its_buffer_once() {
    promise(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        for number in 0..20 {
            let (a, b) = pair();
            let event = event();
            let op = b.recv_overlapped(Counted::new(64, &drops), Flags::NONE, ToEvent(&event)).unwrap();
            if number % 2 == 0 {
                a.send(b"x").unwrap();
                assert_eq!(op.wait(), Ok(1));
            } else {
                b.close().unwrap();
                op.wait().expect_err("the socket is closed");
            }
            assert_eq!(drops.load(Ordering::SeqCst), number);
            drop(op);
            assert!(within(SOON, || drops.load(Ordering::SeqCst) == number + 1));
        }
        thread::sleep(SILENCE);
        assert_eq!(drops.load(Ordering::SeqCst), 20);
    });
}

// The rule of this interface: the event of a dropped operation may be gone as well, and data may race the drop.
#[test]
fn bf_06_a_drop_that_races_the_data_loses_at_most_what_was_taken() {
    promise(|| {
        for number in 0..50 {
            let drops = Arc::new(AtomicUsize::new(0));
            let (a, b) = pair();
            let event = event();
            let op = b.recv_overlapped(Counted::new(4, &drops), Flags::NONE, ToEvent(&event)).unwrap();
            let sender = thread::spawn(move || {
                a.send(b"12345678").unwrap();
                a
            });
            if number % 2 == 0 {
                thread::yield_now();
            }
            drop(op);
            drop(event);
            let a = sender.join().unwrap();
            assert!(within(SOON, || drops.load(Ordering::SeqCst) == 1));
            // The operation took its four bytes or none.
            a.close().unwrap();
            let got = recv_to_the_end(&b);
            assert!(got == b"12345678" || got == b"5678", "{got:?}");
        }
    });
}

// The rule of this interface: with a send the system reads the buffer as long as it needs it.
#[test]
fn bf_06_a_dropped_send_sends_a_prefix_of_what_it_was_given() {
    promise(|| {
        let (a, b) = narrow(Family::V4);
        let event = event();
        let op = a.send_overlapped(pattern(LONG, 9), ToEvent(&event)).unwrap();
        assert!(!op.at_once());
        drop(op);
        // Memory that was freed is likely to come back here.
        let noise: Vec<Vec<u8>> = (0..4).map(|_| vec![0x55; LONG / 4]).collect();
        let reader = thread::spawn(move || recv_to_the_end(&b));
        thread::sleep(SILENCE);
        a.close().unwrap();
        let got = reader.join().unwrap();
        assert!(got.len() <= LONG);
        same_bytes(&got, &pattern(LONG, 9)[..got.len()]);
        drop(noise);
    });
}

// The rule of this interface: a routine that is left alone keeps its buffer until the end, and then both go.
#[test]
fn bf_06_what_a_routine_does_not_take_is_dropped_with_what_it_was_given() {
    promise(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (a, b) = pair();
        for number in 0..10 {
            let held = Counted::new(0, &drops);
            b.recv_overlapped(
                Counted::new(64, &drops),
                Flags::NONE,
                ToRoutine(move |end: Completion| {
                    assert_eq!(end.bytes(), held.bytes().len() + 1);
                }),
            )
            .unwrap();
            a.send(b"x").unwrap();
            assert_eq!(drops.load(Ordering::SeqCst), 2 * number);
            assert_eq!(sleep_ex(Some(SOON), Alertable::Yes), Ok(Wait::IoCompletion));
            assert_eq!(drops.load(Ordering::SeqCst), 2 * number + 2);
        }
        let mut told = Told::by(Way::Routine);
        told.receives(&b, 4);
        a.send(b"y").unwrap();
        assert_eq!(received(told.next()), b"y");
    });
}

/// A buffer that uses its socket as it is dropped.
struct Busy {
    bytes: Counted,
    socket: Socket,
    event: Event,
}

// SAFETY: the bytes are those of the buffer inside, which keeps the contract.
unsafe impl IoBuf for Busy {
    fn segments(&mut self) -> Segments {
        self.bytes.segments()
    }
}
// SAFETY: as above.
unsafe impl IoBufMut for Busy {}

impl Drop for Busy {
    fn drop(&mut self) {
        // What these say depends on where it is dropped; that they return does not.
        self.event.set().unwrap();
        let _ = self.socket.bytes_available();
        let _ = self.socket.cancel(None);
        let _ = self.socket.recv_overlapped(vec![0; 1], Flags::NONE, ToPort);
        let _ = self.socket.send(b"!");
        let _ = wait_any(from_ref(&self.event), Some(SOON), Alertable::No);
    }
}

// The rule of this interface: nobody holds anything while a buffer is dropped, wherever that is.
#[test]
fn bf_05_a_buffer_may_use_its_socket_as_it_is_dropped() {
    promise(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let idle = event();
        let dropped = |what, count| {
            let all = || {
                // Whoever brings the end may be this thread, in its wait.
                wait_any(from_ref(&idle), Some(Duration::from_millis(5)), Alertable::No).unwrap();
                drops.load(Ordering::SeqCst) == count
            };
            assert!(within(SOON, all), "{what}: {} of {count}", drops.load(Ordering::SeqCst));
        };
        let busy =
            |socket: &Socket| Busy { bytes: Counted::new(8, &drops), socket: socket.clone(), event: event() };
        // 1. An operation that is given up, before its end and behind it.
        let (a, b) = pair();
        drop(b.recv_overlapped(busy(&b), Flags::NONE, ToEvent(&event())).unwrap());
        dropped("given up", 1);
        b.cancel(None).ok();
        drop(b.send_overlapped(busy(&b), ToEvent(&event())).unwrap());
        dropped("given up behind its end", 2);
        // 2. A packet that no port takes; the peer's byte, its end, a cancel and a close end the operation.
        let ends: [fn(&Socket, &Socket); 4] = [
            |a, _| _ = a.send(b"12345678").unwrap(),
            |a, _| a.close().unwrap(),
            |_, b| b.cancel(None).unwrap(),
            |_, b| b.close().unwrap(),
        ];
        for (number, end) in ends.into_iter().enumerate() {
            let (c, d) = pair();
            d.recv_overlapped(busy(&d), Flags::NONE, ToPort).unwrap();
            end(&c, &d);
            dropped("no port", 3 + number);
            d.close().ok();
        }
        // 3. Routines of a thread that ends, one that pends and one that is queued.
        let (_e, f) = pair();
        let of_thread = [busy(&f), busy(&f)];
        let thread = {
            let f = f.clone();
            thread::spawn(move || {
                let [queued, pends] = of_thread;
                f.send_overlapped(queued, ToRoutine(drop)).unwrap();
                f.recv_overlapped(pends, Flags::NONE, ToRoutine(drop)).unwrap();
            })
        };
        thread.join().unwrap();
        dropped("a thread's end", 8);
        // 4. A packet that nobody takes out of its port.
        let (_g, h) = pair();
        let port = port_with(&[(&h, 1)]);
        h.send_overlapped(busy(&h), ToPort).unwrap();
        drop(port);
        dropped("a port's end", 9);
        drop(a);
    });
}
