//! OR: the order of several outstanding operations.

use super::{Act, LONG, Told, WAYS, each, narrow};
use crate::harness::{
    SETTLE, SOON, is_one_of, listener, pair, pair_of, pattern, promise, received, recv_exactly, same_bytes,
    stream,
};
use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::{Family, Socket};
use std::sync::mpsc;
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

// W test_simultaneous_async_recv: of several threads, in the order of their starts and not thread by thread.
#[test]
fn or_01_receives_of_several_threads_are_filled_in_the_order_of_their_starts() {
    promise(|| {
        const EACH: usize = 5;
        for way in WAYS {
            let (a, b) = pair();
            let (tell, told) = mpsc::channel();
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let (b, tell) = (b.clone(), tell.clone());
                    let (go, turns) = mpsc::channel();
                    let thread = thread::spawn(move || {
                        let mut mine = Told::by(way);
                        let mut starts = Vec::new();
                        while let Ok(turn) = turns.recv() {
                            starts.push((mine.receives(&b, 4), turn));
                            tell.send(None).unwrap();
                        }
                        // Nobody has to be the first to hear.
                        for _ in 0..EACH {
                            let end = mine.next();
                            let (_, turn) =
                                *starts.iter().find(|(id, _)| *id == end.id()).expect("a stranger's");
                            tell.send(Some((turn, received(end)))).unwrap();
                        }
                        mine.silence();
                    });
                    (thread, go)
                })
                .collect();
            for turn in 0..3 * EACH {
                threads[turn % 3].1.send(turn).unwrap();
                assert_eq!(told.recv_timeout(SOON), Ok(None));
            }
            let (threads, turns): (Vec<_>, Vec<_>) = threads.into_iter().unzip();
            drop(turns);
            let bytes = pattern(4 * 3 * EACH, 2);
            a.send(&bytes).unwrap();
            let mut got: Vec<(usize, Vec<u8>)> =
                (0..3 * EACH).map(|_| told.recv_timeout(SOON).unwrap().expect("an end")).collect();
            got.sort();
            same_bytes(&got.into_iter().flat_map(|(_, bytes)| bytes).collect::<Vec<u8>>(), &bytes);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
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

// D WSASend: from several threads each one's bytes stay together. One is stuck when they start, and they wait behind it; Wine
// now and then mixes those that are both tried at once.
#[test]
fn or_03_sends_of_several_threads_never_interleave() {
    promise(|| {
        const LEN: usize = 50_000;
        for way in WAYS {
            let mut told = Told::by(way);
            let (a, b) = narrow(Family::V4);
            told.pending(Act::Send(&a), vec![12; LONG]);
            let (tell, started) = mpsc::channel();
            let starters: Vec<_> = (0..4u8)
                .map(|name| {
                    let (a, tell) = (a.clone(), tell.clone());
                    thread::spawn(move || {
                        let mut told = Told::by(way);
                        let ids = [0, 1, 2].map(|n| told.pending(Act::Send(&a), vec![name * 3 + n; LEN]));
                        tell.send(()).unwrap();
                        for id in ids {
                            let end = told.next();
                            assert_eq!((end.id(), end.result()), (id, Ok(LEN)));
                        }
                        told.silence();
                    })
                })
                .collect();
            starters.iter().for_each(|_| started.recv_timeout(SOON).unwrap());
            assert!(recv_exactly(&b, LONG).iter().all(|byte| *byte == 12), "the first was overtaken");
            let mut names = Vec::new();
            for block in recv_exactly(&b, 12 * LEN).chunks(LEN) {
                assert!(block.iter().all(|byte| *byte == block[0]), "two sends were mixed");
                names.push(block[0]);
            }
            // Those of one thread in their order.
            names.sort_by_key(|name| name / 3);
            assert_eq!(names, (0..12).collect::<Vec<u8>>());
            starters.into_iter().for_each(|starter| starter.join().unwrap());
            assert_eq!(told.next().result(), Ok(LONG));
        }
    });
}

// P8: a plain send finds the line of those that an event or a routine tells of, as it does that of a port.
#[test]
fn or_07_a_plain_send_does_not_overtake_queued_ones() {
    promise(|| {
        each(|mut told, family| {
            let (a, b) = narrow(family);
            let ids =
                [told.pending(Act::Send(&a), vec![b'.'; LONG]), told.started(Act::Send(&a), vec![b','; 100])];
            a.set_nonblocking(true).unwrap();
            let taken = match a.send(b"tail") {
                Ok(n) => n,
                Err(error) => {
                    is_one_of(error, &[WSAEWOULDBLOCK]);
                    0
                }
            };
            let got = recv_exactly(&b, LONG + 100 + taken);
            assert!(got[..LONG].iter().all(|byte| *byte == b'.'), "it overtook the first");
            assert!(got[LONG..][..100].iter().all(|byte| *byte == b','), "it overtook the second");
            assert_eq!(&got[LONG + 100..], &b"tail"[..taken]);
            for (id, len) in ids.into_iter().zip([LONG, 100]) {
                let end = told.next();
                assert_eq!((end.id(), end.result()), (id, Ok(len)));
            }
            a.send(b"!").unwrap();
            assert_eq!(recv_exactly(&b, 1), b"!");
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
            // All at once as well.
            let sockets: Vec<Socket> = (0..3).map(|_| Socket::for_accept(family).unwrap()).collect();
            for socket in &sockets {
                told.pending(Act::Accept(&listener, socket), Vec::<u8>::new());
            }
            let clients: Vec<Socket> = sockets.iter().map(|_| stream(family)).collect();
            clients.iter().for_each(|client| client.connect(address).unwrap());
            sockets.iter().for_each(|_| assert_eq!(told.next().result(), Ok(0)));
            for (socket, client) in sockets.iter().zip(&clients) {
                assert_eq!(socket.peer_addr(), client.local_addr());
            }
        });
    });
}
