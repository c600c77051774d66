//! BF: buffers and partial completion.

use crate::harness::{
    Counted, NOTHING, SILENCE, SOON, arrived, datagram, fails, families, known_on_wine, next_end, no_packet,
    pair, pair_of, pattern, pending, port_with, promise, quiet, received, recv_exactly, recv_pending,
    refused, reset, same_bytes, started, stream, within,
};
use doorbell_winsock::error::{WSA_OPERATION_ABORTED, WSAECONNRESET, WSAEINVAL, WSAENOTCONN, WSAENOTSOCK};
use doorbell_winsock::overlapped::{OpId, ToPort};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Completion, CompletionPort, Family, Packet, Shutdown, Started};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

// W test_WSARecv; D WSARecv, WSASend.
#[test]
fn bf_01_scatter_fills_in_order_and_gather_sends_in_order() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&a, 1), (&b, 2)]);
            pending(b.recv_overlapped(vec![vec![7; 4], vec![], vec![7; 8]], Flags::NONE, ToPort));
            a.send(b"01234567").unwrap();
            let mut end = next_end(&port);
            assert_eq!(end.result(), Ok(8));
            let pieces: Vec<Vec<u8>> = end.take_buffer().unwrap();
            assert_eq!(pieces, [b"0123".to_vec(), vec![], b"4567\x07\x07\x07\x07".to_vec()]);
            let pieces = vec![b"ab".to_vec(), vec![], b"cde".to_vec()];
            started(a.send_overlapped(pieces, ToPort));
            assert_eq!(next_end(&port).result(), Ok(5));
            assert_eq!(recv_exactly(&b, 5), b"abcde");
        }
    });
}

// D WSASend: many pieces, and far more than the system takes at once, so that a piece is cut in two.
#[test]
fn bf_01_a_long_gather_is_cut_nowhere() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&a, 1)]);
        let pieces: Vec<Vec<u8>> = (0..60).map(|number| pattern(number * 4999, number)).collect();
        let all = pieces.concat();
        started(a.send_overlapped(pieces, ToPort));
        same_bytes(&recv_exactly(&b, all.len()), &all);
        assert_eq!(next_end(&port).result(), Ok(all.len()));
    });
}

// D WSARecv, WSASend, WSASendTo: dwBufferCount has no limit, also where a system takes no more than a thousand at a time; a
// datagram stays one.
#[test]
fn bf_01_any_number_of_pieces() {
    known_on_wine("BF-01", || {
        const PIECES: usize = 3000;
        let bytes = pattern(2 * PIECES, 3);
        let pieces = || bytes.chunks(2).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let room = || vec![vec![0; 2]; PIECES];
        let (a, b) = pair();
        let ((c, _), (d, d_name)) = (datagram(Family::V4), datagram(Family::V4));
        let port = port_with(&[(&a, 1), (&b, 2), (&c, 3), (&d, 4)]);
        // 1. A stream, whether the receive waits for the send or comes behind it.
        for early in [true, false] {
            let receive = || started(b.recv_overlapped(room(), Flags::NONE, ToPort));
            if early {
                receive();
            }
            started(a.send_overlapped(pieces(), ToPort));
            if !early {
                arrived(&b, bytes.len());
                receive();
            }
            let mut ends = [next_end(&port), next_end(&port)];
            ends.sort_by_key(Completion::key);
            let [sent, mut taken] = ends;
            assert_eq!(sent.result(), Ok(bytes.len()));
            let count = taken.result().unwrap();
            let mut got = taken.take_buffer::<Vec<Vec<u8>>>().unwrap().concat();
            assert!(got[count..].iter().all(|byte| *byte == 0));
            got.truncate(count);
            got.extend(recv_exactly(&b, bytes.len() - count));
            same_bytes(&got, &bytes);
        }
        // 2. More than there is room for, so that it waits in the midst of them.
        let long: Vec<_> = (0..PIECES).map(|number| pattern(number, number)).collect();
        let all = long.concat();
        started(a.send_overlapped(long, ToPort));
        same_bytes(&recv_exactly(&b, all.len()), &all);
        assert_eq!(next_end(&port).result(), Ok(all.len()));
        // 3. A datagram.
        for early in [true, false] {
            let receive = || started(d.recv_from_overlapped(room(), Flags::NONE, ToPort));
            if early {
                receive();
            }
            started(c.send_to_overlapped(pieces(), d_name, ToPort));
            if !early {
                arrived(&d, 1);
                receive();
            }
            let mut ends = [next_end(&port), next_end(&port)];
            ends.sort_by_key(Completion::key);
            let [sent, mut taken] = ends;
            assert_eq!((sent.result(), taken.result()), (Ok(bytes.len()), Ok(bytes.len())));
            same_bytes(&taken.take_buffer::<Vec<Vec<u8>>>().unwrap().concat(), &bytes);
        }
        no_packet(&port);
    });
}

// P8.
#[test]
fn bf_02_a_short_receive_writes_only_what_it_reports() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        for early in [false, true] {
            if early {
                a.send(b"hi").unwrap();
                arrived(&b, 2);
            }
            started(b.recv_overlapped(vec![0xAA; 16], Flags::NONE, ToPort));
            if !early {
                a.send(b"hi").unwrap();
            }
            let mut end = next_end(&port);
            assert_eq!(end.result(), Ok(2));
            let buffer: Vec<u8> = end.take_buffer().unwrap();
            assert_eq!(&buffer[..2], b"hi");
            assert_eq!(&buffer[2..], [0xAA; 14]);
        }
        // Nor is anything written when it fails.
        pending(b.recv_overlapped(vec![0xAA; 16], Flags::NONE, ToPort));
        b.cancel(None).unwrap();
        assert_eq!(next_end(&port).take_buffer::<Vec<u8>>().unwrap(), [0xAA; 16]);
    });
}

// W test_empty_recv.
#[test]
fn bf_03_a_list_of_no_buffers_is_refused() {
    promise(|| {
        let (_a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        refused(b.recv_overlapped(Vec::<Vec<u8>>::new(), Flags::NONE, ToPort), &[WSAEINVAL]);
        no_packet(&port);
    });
}

// W test_empty_recv.
#[test]
fn bf_03_a_list_of_one_empty_buffer_is_fine() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        pending(b.recv_overlapped(vec![Vec::<u8>::new()], Flags::NONE, ToPort));
        a.send(b"x").unwrap();
        assert_eq!(next_end(&port).result(), Ok(0));
        assert_eq!(recv_exactly(&b, 1), b"x");
    });
}

// D WSARecv, WSASend: the descriptors of the pieces are the call's, the pieces the operation's. Whoever keeps the list where
// the caller had it reads here what others have written over it.
#[test]
fn bf_04_the_list_of_pieces_may_be_gone_right_after_the_call() {
    // The list of the pieces comes and goes with this frame, and both its place and the heap's are written over.
    #[inline(never)]
    fn write_over(rounds: usize) -> usize {
        let stack = [rounds; 2048];
        let heap: Vec<Vec<usize>> = (1..40).map(|size| vec![rounds; size * 2]).collect();
        std::hint::black_box(&stack).len() + std::hint::black_box(&heap).len()
    }
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&a, 1), (&b, 2)]);
        for socket in [&a, &b] {
            socket.set_send_buffer(16384).unwrap();
            socket.set_recv_buffer(16384).unwrap();
        }
        // Several receives and sends, so that all but the first wait behind others for their turn.
        let rooms: Vec<Vec<usize>> = vec![vec![5, 0, 70_000, 1], vec![1; 90], vec![200_000, 3]];
        let total: usize = rooms.iter().flatten().sum();
        let mut receives = VecDeque::new();
        for room in &rooms {
            let pieces: Vec<Vec<u8>> = room.iter().map(|len| vec![0; *len]).collect();
            receives.push_back(pending(b.recv_overlapped(pieces, Flags::NONE, ToPort)));
            write_over(total);
        }
        let bytes = pattern(total, 7);
        let parts: Vec<&[u8]> = bytes.chunks(total / 3 + 1).collect();
        for part in &parts {
            let pieces: Vec<Vec<u8>> = part.chunks(11_111).map(<[u8]>::to_vec).collect();
            started(a.send_overlapped(pieces, ToPort));
            write_over(total);
        }
        let (mut got, mut sent) = (Vec::new(), Vec::new());
        let mut hear = |receives: &mut VecDeque<OpId>, got: &mut Vec<u8>| {
            let mut end = next_end(&port);
            let count = end.result().unwrap();
            if end.key() == 1 {
                sent.push(count);
            } else {
                assert_eq!(Some(end.id()), receives.pop_front(), "out of order");
                let pieces: Vec<Vec<u8>> = end.take_buffer().unwrap();
                got.extend_from_slice(&pieces.concat()[..count]);
            }
            sent.len()
        };
        while !receives.is_empty() {
            hear(&mut receives, &mut got);
        }
        // What did not fit the receives is still on its way.
        got.extend(recv_exactly(&b, total - got.len()));
        same_bytes(&got, &bytes);
        while hear(&mut receives, &mut got) < parts.len() {}
        assert_eq!(sent, parts.iter().map(|part| part.len()).collect::<Vec<_>>());
    });
}

fn same(mut end: Completion, address: *const u8, capacity: usize) {
    assert!(end.take_buffer::<Box<[u8]>>().is_none(), "a buffer of another type came out");
    let buffer: Vec<u8> = end.take_buffer().expect("the buffer comes back");
    assert_eq!((buffer.as_ptr(), buffer.capacity()), (address, capacity), "another buffer came back");
    assert!(end.take_buffer::<Vec<u8>>().is_none(), "it came back twice");
}

fn buffer(len: usize) -> (Vec<u8>, *const u8, usize) {
    let mut buffer = Vec::with_capacity(len + 100);
    buffer.resize(len, 0);
    let (address, capacity) = (buffer.as_ptr(), buffer.capacity());
    (buffer, address, capacity)
}

// The rule of this interface: the address, whatever the outcome.
#[test]
fn bf_05_the_very_same_buffer_comes_back_whatever_the_outcome() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        // Pending, then success.
        let (bytes, address, capacity) = buffer(64);
        pending(b.recv_overlapped(bytes, Flags::NONE, ToPort));
        a.send(b"x").unwrap();
        same(next_end(&port), address, capacity);
        // Success at once, of a receive and of a send.
        a.send(b"x").unwrap();
        arrived(&b, 1);
        let (bytes, address, capacity) = buffer(64);
        started(b.recv_overlapped(bytes, Flags::NONE, ToPort));
        same(next_end(&port), address, capacity);
        let (bytes, address, capacity) = buffer(64);
        started(b.send_overlapped(bytes, ToPort));
        same(next_end(&port), address, capacity);
        // Cancelled.
        let (bytes, address, capacity) = buffer(64);
        let id = pending(b.recv_overlapped(bytes, Flags::NONE, ToPort));
        b.cancel(Some(id)).unwrap();
        same(next_end(&port), address, capacity);
        // Reset.
        let (bytes, address, capacity) = buffer(64);
        pending(b.recv_overlapped(bytes, Flags::NONE, ToPort));
        reset(&a);
        same(next_end(&port), address, capacity);
        // Refused at once.
        b.close().unwrap();
        let (bytes, address, capacity) = buffer(64);
        let bytes = refused(b.recv_overlapped(bytes, Flags::NONE, ToPort), &[WSAENOTSOCK]);
        assert_eq!((bytes.as_ptr(), bytes.capacity()), (address, capacity));
        // Closed while pending.
        let (_c, d) = pair();
        port.associate(&d, 2).unwrap();
        let (bytes, address, capacity) = buffer(64);
        pending(d.recv_overlapped(bytes, Flags::NONE, ToPort));
        d.close().unwrap();
        same(next_end(&port), address, capacity);
        no_packet(&port);
    });
}

// The rule of this interface: on a socket that skips the port the buffer is in the call's own answer.
#[test]
fn bf_05_the_buffer_of_a_skipped_packet_comes_with_the_answer() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        b.skip_completion_port_on_success().unwrap();
        a.send(b"x").unwrap();
        arrived(&b, 1);
        let (bytes, address, capacity) = buffer(64);
        match b.recv_overlapped(bytes, Flags::NONE, ToPort).unwrap() {
            Started::Done(end) => same(end, address, capacity),
            Started::Pending(_) => same(next_end(&port), address, capacity),
            Started::Queued(id) => panic!("{id:?} has a packet although its socket skips the port"),
        }
        no_packet(&port);
    });
}

// The rule of this interface: exactly once, counted by the buffer's own drop.
#[test]
fn bf_05_every_buffer_is_dropped_exactly_once() {
    promise(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let dropped = |count| drops.load(Ordering::SeqCst) == count;
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        // Taken from the packet: it is the caller's.
        pending(b.recv_overlapped(Counted::new(8, &drops), Flags::NONE, ToPort));
        a.send(b"x").unwrap();
        let mut end = next_end(&port);
        let buffer: Counted = end.take_buffer().unwrap();
        assert_eq!(&buffer.bytes()[..1], b"x");
        drop(end);
        assert!(dropped(0));
        drop(buffer);
        assert!(dropped(1));
        // Left in the packet: it goes with it.
        pending(b.recv_overlapped(Counted::new(8, &drops), Flags::NONE, ToPort));
        a.send(b"x").unwrap();
        let end = next_end(&port);
        assert!(dropped(1));
        drop(end);
        assert!(dropped(2));
        // Of two that pend when the socket is closed, both.
        pending(b.recv_overlapped(Counted::new(8, &drops), Flags::NONE, ToPort));
        pending(b.recv_overlapped(Counted::new(8, &drops), Flags::NONE, ToPort));
        drop(b);
        drop((next_end(&port), next_end(&port)));
        assert!(dropped(4));
        // Refused at once: in the answer.
        let fresh = stream(doorbell_winsock::Family::V4);
        drop(refused(fresh.recv_overlapped(Counted::new(8, &drops), Flags::NONE, ToPort), &[WSAENOTCONN]));
        assert!(dropped(5));
        no_packet(&port);
        assert!(dropped(5));
    });
}

// The rule of this interface: the last handle is gone, the operation is not, and nobody else gets its memory.
#[test]
fn bf_06_dropping_the_socket_frees_no_buffer_that_an_operation_owns() {
    promise(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (a, b) = pair();
        let port = port_with(&[(&b, 7)]);
        for _ in 0..10 {
            pending(b.recv_overlapped(Counted::new(4096, &drops), Flags::NONE, ToPort));
        }
        drop(b);
        drop(a);
        for number in 0..10 {
            let mut end = next_end(&port);
            assert_eq!(end.key(), 7);
            assert_eq!(drops.load(Ordering::SeqCst), number);
            assert!(end.result().is_err() || end.result() == Ok(0));
            assert!(end.take_buffer::<Counted>().is_some());
        }
        no_packet(&port);
        assert_eq!(drops.load(Ordering::SeqCst), 10);
    });
}

// The rule of this interface: with data racing the drop, what was freed stays what its new owner wrote.
#[test]
fn bf_06_memory_that_came_back_is_not_written_again() {
    promise(|| {
        for _ in 0..100 {
            let (a, b) = pair();
            let port = port_with(&[(&b, 1)]);
            recv_pending(&b, 4096);
            recv_pending(&b, 4096);
            b.cancel(None).ok();
            a.send(&[0xEE; 8192]).unwrap();
            let mut first = next_end(&port);
            let mut second = next_end(&port);
            for end in [&mut first, &mut second] {
                let taken = end.result().unwrap_or(0);
                let buffer: Vec<u8> = end.take_buffer().unwrap();
                assert!(buffer[..taken].iter().all(|byte| *byte == 0xEE));
                assert!(buffer[taken..].iter().all(|byte| *byte == 0), "written behind the count");
            }
            b.close().unwrap();
        }
    });
}

// The rule of this interface: a port that goes away keeps no buffer and frees none twice.
#[test]
fn bf_06_dropping_the_port_with_operations_pending_frees_each_buffer_once() {
    promise(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        for _ in 0..20 {
            let (a, b) = pair();
            let port = CompletionPort::new(0).unwrap();
            port.associate(&b, 1).unwrap();
            pending(b.recv_overlapped(Counted::new(64, &drops), Flags::NONE, ToPort));
            a.send(b"x").unwrap();
            drop(port);
            drop(b);
        }
        // Windows forgets the packets of a closed port; what it keeps it keeps, but nothing is freed twice.
        within(SILENCE, || drops.load(Ordering::SeqCst) >= 20);
        assert!(drops.load(Ordering::SeqCst) <= 20);
    });
}

// D WSARecv.
#[test]
fn bf_07_wait_all_ends_only_when_the_buffer_is_full() {
    known_on_wine("D1", || {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            let id = pending(b.recv_overlapped(vec![0; 4], Flags::WAIT_ALL, ToPort));
            a.send(b"ab").unwrap();
            no_packet(&port);
            a.send(b"cdef").unwrap();
            let end = next_end(&port);
            assert_eq!(end.id(), id);
            assert_eq!(received(end), b"abcd");
            // A part is there at the start; the end of the stream ends it with what there was.
            // Of several pieces each is filled.
            started(b.recv_overlapped(vec![vec![0; 3], vec![], vec![0; 2]], Flags::WAIT_ALL, ToPort));
            a.send(b"gh").unwrap();
            no_packet(&port);
            a.send(b"ij").unwrap();
            let mut end = next_end(&port);
            assert_eq!(end.result(), Ok(5));
            assert_eq!(end.take_buffer::<Vec<Vec<u8>>>().unwrap(), [b"efg".to_vec(), vec![], b"hi".to_vec()]);
            started(b.recv_overlapped(vec![0; 8], Flags::WAIT_ALL, ToPort));
            no_packet(&port);
            a.shutdown(Shutdown::Send).unwrap();
            assert_eq!(received(next_end(&port)), b"j");
        }
    });
}

// D WSARecv: one behind another, and a plain one behind both.
#[test]
fn bf_07_wait_all_keeps_its_place_in_the_order() {
    known_on_wine("D1", || {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let ids = [Flags::WAIT_ALL, Flags::WAIT_ALL, Flags::NONE]
            .map(|flags| pending(b.recv_overlapped(vec![0; 3], flags, ToPort)));
        for byte in b"1122233" {
            a.send(&[*byte]).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        for (id, text) in ids.into_iter().zip([b"112".as_slice(), b"223", b"3"]) {
            let end = next_end(&port);
            assert_eq!(end.id(), id);
            assert_eq!(received(end), text);
        }
    });
}

// D WSARecv: an error ends it too.
#[test]
fn bf_07_wait_all_ends_with_the_error() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        pending(b.recv_overlapped(vec![0; 4], Flags::WAIT_ALL, ToPort));
        reset(&a);
        fails(next_end(&port).result(), &[WSAECONNRESET]);
        let (_c, d) = pair();
        port.associate(&d, 2).unwrap();
        pending(d.recv_overlapped(vec![0; 4], Flags::WAIT_ALL, ToPort));
        d.cancel(None).unwrap();
        fails(next_end(&port).result(), &[WSA_OPERATION_ABORTED]);
    });
}

// P8.
#[test]
fn bf_08_an_overlapped_send_of_no_bytes_succeeds_and_the_peer_sees_nothing() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&a, 1)]);
        started(a.send_overlapped(NOTHING, ToPort));
        started(a.send_overlapped(vec![Vec::new(), Vec::new()], ToPort));
        started(a.send_overlapped(b"".as_slice(), ToPort));
        for _ in 0..3 {
            assert_eq!(next_end(&port).result(), Ok(0));
        }
        quiet(&b);
        // Behind a long one it waits for its turn.
        let long = pending(a.send_overlapped(vec![1; 8 << 20], ToPort));
        let empty = started(a.send_overlapped(NOTHING, ToPort));
        recv_exactly(&b, 8 << 20);
        let mut ends = [next_end(&port), next_end(&port)];
        ends.sort_by_key(Completion::id);
        assert_eq!(ends.each_ref().map(Completion::id), [long, empty]);
        assert_eq!(ends.map(|end| end.result()), [Ok(8 << 20), Ok(0)]);
        no_packet(&port);
    });
}

// The rule of this interface: every kind of buffer that can be sent.
#[test]
fn bf_01_all_kinds_of_buffers() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&a, 1), (&b, 2)]);
        let shared: Arc<[u8]> = Arc::from(b"arc".as_slice());
        started(a.send_overlapped(b"vec".to_vec(), ToPort));
        started(a.send_overlapped(Box::<[u8]>::from(b"box".as_slice()), ToPort));
        started(a.send_overlapped(shared.clone(), ToPort));
        started(a.send_overlapped(b"static".as_slice(), ToPort));
        let mut ends: Vec<Completion> = (0..4).map(|_| next_end(&port)).collect();
        assert!(ends[2].take_buffer::<Arc<[u8]>>().is_some_and(|back| Arc::ptr_eq(&back, &shared)));
        assert_eq!(recv_exactly(&b, 15), b"vecboxarcstatic");
        pending(b.recv_overlapped(vec![0; 8].into_boxed_slice(), Flags::NONE, ToPort));
        a.send(b"into a box").unwrap();
        let Ok(Packet::Io(mut end)) = port.get(Some(SOON)) else { panic!("no packet") };
        assert_eq!(&end.take_buffer::<Box<[u8]>>().unwrap()[..], b"into a b");
    });
}
