//! OR: the order of several outstanding operations.

use super::{Act, LONG, each, narrow};
use crate::harness::{
    SETTLE, listener, pair_of, pattern, promise, received, recv_exactly, same_bytes, stream,
};
use doorbell_winsock::Socket;
use std::thread;

// W test_simultaneous_async_recv.
#[test]
fn or_01_receives_are_filled_in_the_order_of_their_starts() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let ids: Vec<_> = (0..4).map(|_| told.receives(&b, 16)).collect();
            a.send(&pattern(64, 0)).unwrap();
            for (number, id) in ids.into_iter().enumerate() {
                let end = told.next();
                assert_eq!(end.id(), id);
                assert_eq!(received(end), pattern(64, 0)[number * 16..][..16]);
            }
            told.silence();
        });
    });
}

// W test_simultaneous_async_recv: with a window of receives that moves along a stream.
#[test]
fn or_01_the_order_holds_while_receives_come_and_go() {
    promise(|| {
        const LEN: usize = 256 << 10;
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let sender = thread::spawn(move || {
                for piece in pattern(LEN, 1).chunks(7777) {
                    a.send(piece).unwrap();
                }
                a
            });
            let mut waiting: std::collections::VecDeque<_> =
                (0..8).map(|_| told.started(Act::Recv(&b), vec![0; 1000])).collect();
            let mut got = Vec::new();
            // By event any of those that ended may be seen first: the bytes follow the starts all the same (OR-04).
            let mut early = std::collections::HashMap::new();
            while got.len() < LEN {
                let end = told.next();
                early.insert(end.id(), received(end));
                while let Some(bytes) = waiting.front().and_then(|id| early.remove(id)) {
                    waiting.pop_front();
                    got.extend(bytes);
                    if got.len() + 8000 < LEN {
                        waiting.push_back(told.started(Act::Recv(&b), vec![0; 1000]));
                    } else if waiting.is_empty() {
                        let left = (LEN - got.len()).min(1000);
                        if left > 0 {
                            waiting.push_back(told.started(Act::Recv(&b), vec![0; left]));
                        }
                    }
                }
            }
            same_bytes(&got, &pattern(LEN, 1));
            sender.join().unwrap();
        });
    });
}

// P8: what does not fill the first ends the first alone.
#[test]
fn or_02_an_arrival_that_fills_the_first_not_leaves_the_second_pending() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = pair_of(family);
            let ids = [told.receives(&b, 16), told.receives(&b, 16), told.receives(&b, 16)];
            for (id, text) in ids.into_iter().zip(["one", "2", "three"]) {
                a.send(text.as_bytes()).unwrap();
                let end = told.next();
                assert_eq!(end.id(), id);
                assert_eq!(received(end), text.as_bytes());
                told.silence();
            }
        });
    });
}

// D WSASend: in the order of the starts, whole.
#[test]
fn or_03_sends_go_out_in_the_order_of_their_starts() {
    promise(|| {
        const LEN: usize = 128 << 10;
        each(|mut told, family| {
            let (a, b) = narrow(family);
            let ids: Vec<_> = (0..8).map(|n| told.started(Act::Send(&a), pattern(LEN + n, n))).collect();
            let reader = thread::spawn(move || recv_exactly(&b, 8 * LEN + 28));
            for (number, id) in ids.into_iter().enumerate() {
                let end = told.next();
                assert_eq!((end.id(), end.result()), (id, Ok(LEN + number)));
            }
            let expected: Vec<u8> = (0..8).flat_map(|n| pattern(LEN + n, n)).collect();
            same_bytes(&reader.join().unwrap(), &expected);
            told.silence();
        });
    });
}

// D WSASend: a short one behind a long one waits for its turn, also when it would fit.
#[test]
fn or_03_a_short_send_does_not_overtake_a_long_one() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = narrow(family);
            let long = told.pending(Act::Send(&a), pattern(LONG, 1));
            let short = told.started(Act::Send(&a), b"tail".to_vec());
            same_bytes(&recv_exactly(&b, LONG), &pattern(LONG, 1));
            assert_eq!(recv_exactly(&b, 4), b"tail");
            for (id, len) in [(long, LONG), (short, 4)] {
                let end = told.next();
                assert_eq!((end.id(), end.result()), (id, Ok(len)));
            }
        });
    });
}

// P8.
#[test]
fn or_05_accepts_take_connections_in_the_order_of_their_starts() {
    promise(|| {
        each(|mut told, family| {
            let (listener, address) = listener(family);
            let sockets: Vec<Socket> = (0..3).map(|_| Socket::for_accept(family).unwrap()).collect();
            let ids: Vec<_> =
                sockets.iter().map(|s| told.pending(Act::Accept(&listener, s), Vec::<u8>::new())).collect();
            told.deaf(SETTLE);
            for (id, socket) in ids.into_iter().zip(&sockets) {
                let client = stream(family);
                client.connect(address).unwrap();
                let mut end = told.next();
                assert_eq!((end.id(), end.result()), (id, Ok(0)));
                let accepted = end.take_accepted().unwrap();
                assert_eq!(accepted.id(), socket.id());
                assert_eq!(accepted.peer_addr(), client.local_addr());
                told.silence();
            }
        });
    });
}
