//! OR: several operations outstanding on one socket.

use crate::harness::{
    LONG, NOTHING, SETTLE, SOON, datagram, families, is_one_of, listener, narrow, next_end, no_packet, pair,
    pair_of, pattern, pending, port_with, promise, received, recv_exactly, recv_pending, recv_to_the_end,
    same_bytes, started, stream,
};
use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::overlapped::ToPort;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, Packet};
use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

// W test_simultaneous_async_recv.
#[test]
fn or_01_receives_are_filled_in_the_order_of_their_starts() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            let ids: Vec<_> = (0..8).map(|_| recv_pending(&b, 4)).collect();
            a.send(b"00001111222233334444555566667777").unwrap();
            for (number, id) in ids.into_iter().enumerate() {
                let end = next_end(&port);
                assert_eq!(end.id(), id, "number {number}");
                assert_eq!(received(end), [b'0' + number as u8; 4]);
            }
        }
    });
}

// W test_simultaneous_async_recv: byte by byte, with pauses, and with new ones started while others end.
#[test]
fn or_01_the_order_holds_while_receives_come_and_go() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let stream = pattern(4000, 1);
        let expected = stream.clone();
        let sender = thread::spawn(move || {
            for (number, part) in stream.chunks(7).enumerate() {
                a.send(part).unwrap();
                if number % 50 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            a.shutdown(doorbell_winsock::Shutdown::Send).unwrap();
            a
        });
        let start = || started(b.recv_overlapped(vec![0; 3], Flags::NONE, ToPort));
        let mut outstanding: std::collections::VecDeque<_> = (0..6).map(|_| start()).collect();
        let mut got = Vec::new();
        while let Some(id) = outstanding.pop_front() {
            let end = next_end(&port);
            assert_eq!(end.id(), id);
            let bytes = received(end);
            if !bytes.is_empty() {
                outstanding.push_back(start());
            }
            got.extend(bytes);
        }
        same_bytes(&got, &expected);
        drop(sender.join());
    });
}

// W test_simultaneous_async_recv.
#[test]
fn or_02_an_arrival_that_fills_the_first_not_leaves_the_second_pending() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            let (first, second) = (recv_pending(&b, 16), recv_pending(&b, 16));
            a.send(b"few").unwrap();
            let end = next_end(&port);
            assert_eq!(end.id(), first);
            assert_eq!(received(end), b"few");
            no_packet(&port);
            a.send(b"more").unwrap();
            let end = next_end(&port);
            assert_eq!(end.id(), second);
            assert_eq!(received(end), b"more");
        }
    });
}

// D WSASend.
#[test]
fn or_03_sends_go_out_in_the_order_of_their_starts() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&a, 1)]);
            let lengths = [3 << 20, 1, 1 << 20, 100, 2 << 20, 7];
            let mut expected = Vec::new();
            let mut ids = Vec::new();
            for (number, len) in lengths.into_iter().enumerate() {
                expected.extend(pattern(len, number * 1000));
                ids.push(started(a.send_overlapped(pattern(len, number * 1000), ToPort)));
            }
            let reader = thread::spawn(move || recv_to_the_end(&b));
            for (id, len) in ids.into_iter().zip(lengths) {
                let end = next_end(&port);
                assert_eq!((end.id(), end.result()), (id, Ok(len)));
            }
            a.close().unwrap();
            same_bytes(&reader.join().unwrap(), &expected);
        }
    });
}

// D WSASend: from several threads each one's bytes stay together. One is stuck when they start, and they wait behind it; Wine
// now and then mixes those that are both tried at once.
#[test]
fn or_03_sends_of_several_threads_never_interleave() {
    promise(|| {
        const LEN: usize = 300_000;
        let (a, b) = narrow(Family::V4);
        let port = port_with(&[(&a, 1)]);
        pending(a.send_overlapped(vec![20; LONG], ToPort));
        let starters: Vec<_> = (0..4u8)
            .map(|name| {
                let a = a.clone();
                thread::spawn(move || {
                    for number in 0..5 {
                        pending(a.send_overlapped(vec![name * 5 + number; LEN], ToPort));
                    }
                })
            })
            .collect();
        for starter in starters {
            starter.join().unwrap();
        }
        let reader = thread::spawn(move || (recv_exactly(&b, LONG), recv_exactly(&b, 20 * LEN)));
        assert_eq!(next_end(&port).result(), Ok(LONG));
        for _ in 0..20 {
            assert_eq!(next_end(&port).result(), Ok(LEN));
        }
        let (first, rest) = reader.join().unwrap();
        assert!(first.iter().all(|byte| *byte == 20), "the first was overtaken");
        let mut names = Vec::new();
        for block in rest.chunks(LEN) {
            assert!(block.iter().all(|byte| *byte == block[0]), "two sends were mixed");
            names.push(block[0]);
        }
        // Those of one thread in their order.
        names.sort_by_key(|name| name / 5);
        assert_eq!(names, (0..20).collect::<Vec<u8>>());
    });
}

// D Overlapped I/O: sorted by their starts the parts are the stream, whoever saw the packets.
#[test]
fn or_04_the_bytes_follow_the_starts_whichever_thread_sees_the_packets() {
    promise(|| {
        const PARTS: usize = 400;
        let (a, b) = pair();
        let port = port_with(&[(&b, 1)]);
        let number: HashMap<_, _> = (0..PARTS).map(|number| (recv_pending(&b, 64), number)).collect();
        let (tell, told) = mpsc::channel();
        for _ in 0..2 {
            let (port, tell) = (port.clone(), tell.clone());
            thread::spawn(move || {
                while let Ok(Packet::Io(end)) = port.get(Some(SOON)) {
                    let id = end.id();
                    tell.send((id, received(end))).ok();
                }
            });
        }
        let stream = pattern(PARTS * 32, 6);
        for part in stream.chunks(1000) {
            a.send(part).unwrap();
        }
        let mut parts = vec![Vec::new(); PARTS];
        let mut total = 0;
        let mut seen = 0;
        while total < stream.len() {
            let (id, bytes) = told.recv_timeout(SOON).expect("a part is missing");
            total += bytes.len();
            seen += 1;
            parts[number[&id]] = bytes;
        }
        // A receive may end with less than its 64 bytes; then fewer of them were used up, and all in one row.
        assert!(seen <= PARTS && parts[..seen].iter().all(|part| !part.is_empty()));
        same_bytes(&parts.concat(), &stream);
        port.close().unwrap();
    });
}

// P8.
#[test]
fn or_05_accepts_take_connections_in_the_order_of_their_starts() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let port = port_with(&[(&listener, 1)]);
            let start = || {
                let socket = doorbell_winsock::Socket::for_accept(family).unwrap();
                pending(listener.accept_ex(&socket, NOTHING, ToPort))
            };
            let ids = [start(), start(), start()];
            for (number, id) in ids.into_iter().enumerate() {
                let client = stream(family);
                client.connect(address).unwrap();
                let mut end = next_end(&port);
                assert_eq!((end.id(), end.result()), (id, Ok(0)), "number {number}");
                assert_eq!(end.take_accepted().unwrap().peer_addr(), client.local_addr());
                if number < 2 {
                    no_packet(&port);
                }
            }
        }
    });
}

// D WSARecvFrom.
#[test]
fn or_06_datagram_receives_take_one_each_in_order() {
    promise(|| {
        for family in families() {
            let ((a, a_name), (b, b_name)) = (datagram(family), datagram(family));
            let port = port_with(&[(&b, 1)]);
            let ids: Vec<_> =
                (0..4).map(|_| pending(b.recv_from_overlapped(vec![0; 16], Flags::NONE, ToPort))).collect();
            for text in [b"1".as_slice(), b"22", b"", b"4444"] {
                a.send_to(text, b_name).unwrap();
            }
            for (id, text) in ids.into_iter().zip([b"1".as_slice(), b"22", b"", b"4444"]) {
                let end = next_end(&port);
                assert_eq!((end.id(), end.remote_addr()), (id, Some(a_name)));
                assert_eq!(received(end), text);
            }
        }
    });
}

// P8.
#[test]
fn or_07_a_plain_send_does_not_overtake_queued_ones() {
    promise(|| {
        const LEN: usize = 8 << 20;
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&a, 1)]);
            pending(a.send_overlapped(vec![b'.'; LEN], ToPort));
            a.set_nonblocking(true).unwrap();
            let taken = match a.send(b"tail") {
                Ok(n) => n,
                Err(error) => {
                    is_one_of(error, &[WSAEWOULDBLOCK]);
                    0
                }
            };
            let got = recv_exactly(&b, LEN + taken);
            assert_eq!(next_end(&port).result(), Ok(LEN));
            assert!(got[..LEN].iter().all(|byte| *byte == b'.'), "the tail overtook");
            assert_eq!(&got[LEN..], &b"tail"[..taken]);
            a.send(b"!").unwrap();
            assert_eq!(recv_exactly(&b, 1), b"!");
        }
    });
}

// P8: a blocking one waits for its turn.
#[test]
fn or_07_a_blocking_send_waits_behind_queued_ones() {
    promise(|| {
        const LEN: usize = 8 << 20;
        let (a, b) = pair_of(Family::V4);
        let port = port_with(&[(&a, 1)]);
        pending(a.send_overlapped(vec![b'.'; LEN], ToPort));
        let sender = {
            let a = a.clone();
            thread::spawn(move || a.send(b"tail"))
        };
        thread::sleep(SETTLE);
        let got = recv_exactly(&b, LEN + 4);
        assert_eq!(sender.join().unwrap(), Ok(4));
        assert_eq!(next_end(&port).result(), Ok(LEN));
        assert!(got[..LEN].iter().all(|byte| *byte == b'.') && &got[LEN..] == b"tail");
    });
}
