//! CP: the queue of a port: posts, order, batches, and each packet to one thread.

use crate::harness::{
    SETTLE, SILENCE, SOON, arrived, becomes_set, event, fails, foreign_pair, in_its_own_process, next_posted,
    no_packet, pair, pending, port_with, promise, received, recv_pending, reset, started,
};
use doorbell_winsock::error::{ERROR_INVALID_PARAMETER, ERROR_NETNAME_DELETED, WAIT_TIMEOUT};
use doorbell_winsock::overlapped::{OpId, ToPort, ToPortAndEvent};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{CompletionPort, Packet, Socket, host};
use std::collections::{HashSet, VecDeque};
use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Up to `max` packets, from at least one on.
#[track_caller]
fn batch(port: &CompletionPort, max: usize) -> Vec<Packet> {
    let mut packets = Vec::new();
    let count = port.get_many(&mut packets, max, Some(SOON), Alertable::No).expect("packets");
    assert_eq!(count, packets.len());
    assert!((1..=max).contains(&count), "{count} packets");
    packets
}

/// The key of a posted packet, the id of an operation's.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Seen {
    Posted(usize),
    Io(OpId),
}

fn seen(packet: &Packet) -> Seen {
    match packet {
        Packet::Posted { key, .. } => Seen::Posted(*key),
        Packet::Io(end) => Seen::Io(end.id()),
    }
}

// WK test_post_completion.
#[test]
fn cp_12_a_posted_packet_comes_out_as_it_was_posted() {
    promise(|| {
        let port = CompletionPort::new(0).unwrap();
        let posts = [(5, 6, 0), (123, 456, 0xDEAD), (0, 0, 0), (u32::MAX, usize::MAX, usize::MAX), (1, 0, 1)];
        for (bytes, key, token) in posts {
            port.post(bytes, key, token).unwrap();
            assert_eq!(next_posted(&port), (bytes, key, token));
        }
        for (bytes, key, token) in posts {
            port.post(bytes, key, token).unwrap();
        }
        for (packet, (bytes, key, token)) in batch(&port, 10).iter().zip(posts) {
            assert!(matches!(packet, Packet::Posted { bytes: b, key: k, token: t }
                if (*b, *k, *t) == (bytes, key, token)));
            assert_eq!(packet.key(), key);
        }
        no_packet(&port);
    });
}

// D I/O Completion Ports.
#[test]
fn cp_13_packets_come_out_in_the_order_they_were_queued() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&a, 1), (&b, 2)]);
        // Operations that end at once, posts between them.
        let mut expected = Vec::new();
        for number in 0..300 {
            port.post(0, number, 0).unwrap();
            expected.push(Seen::Posted(number));
            if number % 3 == 0 {
                a.send(b"x").unwrap();
                arrived(&b, 1);
                expected.push(Seen::Io(started(b.recv_overlapped(vec![0; 4], Flags::NONE, ToPort))));
            }
        }
        let mut got = Vec::new();
        while got.len() < expected.len() {
            // Singly and in batches.
            if got.len() % 2 == 0 {
                got.push(seen(&port.get(Some(SOON)).unwrap()));
            } else {
                got.extend(batch(&port, 7).iter().map(seen));
            }
        }
        assert_eq!(got, expected);
        no_packet(&port);
    });
}

// D I/O Completion Ports: an operation that pended has its place where it ended.
#[test]
fn cp_13_an_operation_that_pended_has_its_place_between_two_posts() {
    promise(|| {
        for _ in 0..5 {
            let (a, b) = pair();
            let port = port_with(&[(&b, 1)]);
            let ended = event();
            let id = pending(b.recv_overlapped(vec![0; 4], Flags::NONE, ToPortAndEvent(&ended)));
            port.post(0, 10, 0).unwrap();
            a.send(b"x").unwrap();
            // The event is set with the packet (CP-09).
            becomes_set(&ended);
            port.post(0, 11, 0).unwrap();
            let order: Vec<_> = (0..3).map(|_| seen(&port.get(Some(SOON)).unwrap())).collect();
            assert_eq!(order, [Seen::Posted(10), Seen::Io(id), Seen::Posted(11)]);
        }
    });
}

// D I/O Completion Ports: with threads that post meanwhile. What each of them posts keeps its order, and so do the ends
// of a socket, whoever brings them.
#[test]
fn cp_13_packets_of_one_origin_keep_their_order_among_those_of_others() {
    promise(|| {
        const BYTES: usize = 6000;
        let (b, mut peer) = foreign_pair();
        let port = port_with(&[(&b, 0)]);
        // So many of a poster's packets may lie there: on a slow machine they would bury those of the socket.
        const LEAD: usize = 64;
        let leads = [1, 2].map(|poster| {
            let (post, posted) = mpsc::sync_channel(LEAD);
            let port = port.clone();
            thread::spawn(move || {
                let mut numbers = 0..;
                while post.send(()).is_ok() && port.post(numbers.next().unwrap(), poster, 0).is_ok() {}
            });
            posted
        });
        let start = || started(b.recv_overlapped(vec![0; 1], Flags::NONE, ToPort));
        let mut outstanding: VecDeque<_> = (0..32).map(|_| start()).collect();
        thread::spawn(move || (0..BYTES).try_for_each(|number| peer.write_all(&[number as u8])));
        let (mut taken, mut posted) = (0, [0; 3]);
        let mut take = || {
            for packet in batch(&port, 7) {
                match packet {
                    Packet::Posted { bytes, key, .. } if bytes == posted[key] => {
                        posted[key] += 1;
                        leads[key - 1].recv().unwrap();
                    }
                    Packet::Io(end) if Some(end.id()) == outstanding.front().copied() && taken < BYTES => {
                        outstanding.pop_front();
                        assert_eq!(received(end), [taken as u8]);
                        taken += 1;
                        outstanding.push_back(start());
                    }
                    // The end of the stream, behind it all.
                    Packet::Io(_) if taken == BYTES => return Ok(true),
                    other => return Err(format!("{other:?} after {taken} bytes; of the posters {posted:?}")),
                }
            }
            Ok(false)
        };
        let outcome = loop {
            match take() {
                Ok(false) => {}
                outcome => break outcome,
            }
        };
        port.close().unwrap();
        assert_eq!(outcome, Ok(true));
    });
}

// D GetQueuedCompletionStatusEx; WK test_post_completion.
#[test]
fn cp_14_a_batch_takes_what_is_there_up_to_its_size() {
    promise(|| {
        let port = CompletionPort::new(0).unwrap();
        for key in 0..6 {
            port.post(0, key, 0).unwrap();
        }
        let mut packets = Vec::new();
        assert_eq!(port.get_many(&mut packets, 4, Some(SOON), Alertable::No), Ok(4));
        // The next ones come behind those that are in the list.
        assert_eq!(port.get_many(&mut packets, 4, Some(SOON), Alertable::No), Ok(2));
        assert!(packets.iter().map(seen).eq((0..6).map(Seen::Posted)));
        fails(port.get_many(&mut packets, 4, Some(Duration::ZERO), Alertable::No), &[WAIT_TIMEOUT]);
        assert_eq!(packets.len(), 6);
        // It does not wait to be filled, neither with packets there nor when the first one comes.
        port.post(0, 9, 0).unwrap();
        assert_eq!(port.get_many(&mut packets, 100, None, Alertable::No), Ok(1));
        let waiter = {
            let port = port.clone();
            thread::spawn(move || batch(&port, 100).len())
        };
        thread::sleep(SETTLE);
        port.post(0, 10, 0).unwrap();
        assert_eq!(waiter.join().unwrap(), 1);
        // Many more than any batch of the system.
        for key in 0..1000 {
            port.post(0, key, 0).unwrap();
        }
        let mut got = Vec::new();
        while got.len() < 1000 {
            // A caller that wants all there are does not pay for more.
            let max = if got.is_empty() { 600 } else { usize::MAX };
            got.extend(batch(&port, max).iter().map(seen));
        }
        assert!(got.into_iter().eq((0..1000).map(Seen::Posted)));
    });
}

// D GetQueuedCompletionStatusEx.
#[test]
fn cp_15_a_batch_succeeds_with_failed_operations_in_it() {
    promise(|| {
        let (a, b) = pair();
        let (c, d) = pair();
        let port = port_with(&[(&b, 1), (&d, 2)]);
        recv_pending(&b, 4);
        recv_pending(&d, 4);
        reset(&a);
        c.send(b"x").unwrap();
        thread::sleep(SETTLE);
        port.post(0, 3, 0).unwrap();
        let mut packets = Vec::new();
        while packets.len() < 3 {
            packets.extend(batch(&port, 10));
        }
        let codes: HashSet<_> = packets
            .iter()
            .map(|packet| match packet {
                Packet::Io(end) => (end.key(), end.system_code()),
                Packet::Posted { key, .. } => (*key, 0),
            })
            .collect();
        assert_eq!(codes, HashSet::from([(1, ERROR_NETNAME_DELETED), (2, 0), (3, 0)]));
    });
}

// D GetQueuedCompletionStatusEx: alertable with nothing queued for the thread is as not alertable.
#[test]
fn cp_16_an_alertable_wait_gives_packets_and_times_out() {
    promise(|| {
        let port = CompletionPort::new(0).unwrap();
        let mut packets = Vec::new();
        let start = Instant::now();
        let limit = Duration::from_millis(50);
        fails(port.get_many(&mut packets, 4, Some(limit), Alertable::Yes), &[WAIT_TIMEOUT]);
        assert!(start.elapsed() >= limit);
        port.post(0, 1, 0).unwrap();
        assert_eq!(port.get_many(&mut packets, 4, None, Alertable::Yes), Ok(1));
    });
}

// D I/O Completion Ports.
#[test]
fn cp_18_each_packet_goes_to_exactly_one_thread() {
    promise(|| {
        const PACKETS: usize = 10_000;
        let port = CompletionPort::new(0).unwrap();
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let port = port.clone();
                thread::spawn(move || {
                    let mut got = Vec::new();
                    loop {
                        // Two take singly, two in batches.
                        let packets =
                            if number < 2 { vec![port.get(Some(SOON)).unwrap()] } else { batch(&port, 16) };
                        let stops = packets.iter().filter(|packet| packet.key() == PACKETS).count();
                        got.extend(packets.iter().map(Packet::key).filter(|key| *key < PACKETS));
                        if stops > 0 {
                            // Those of the others go back.
                            (1..stops).for_each(|_| port.post(0, PACKETS, 0).unwrap());
                            return got;
                        }
                    }
                })
            })
            .collect();
        for key in 0..PACKETS {
            port.post(0, key, 0).unwrap();
        }
        (0..4).for_each(|_| port.post(0, PACKETS, 0).unwrap());
        let mut all: Vec<_> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..PACKETS));
        no_packet(&port);
    });
}

// D I/O Completion Ports: the same of operations on many sockets.
#[test]
fn cp_18_each_end_of_an_operation_goes_to_exactly_one_thread() {
    promise(|| {
        const ROUNDS: u8 = 50;
        let port = CompletionPort::new(0).unwrap();
        let pairs: Vec<(Socket, Socket)> = (0..16).map(|_| pair()).collect();
        for (key, (_, b)) in pairs.iter().enumerate() {
            port.associate(b, key).unwrap();
        }
        let (tell, told) = mpsc::channel();
        let servers: Vec<Socket> = pairs.iter().map(|(_, b)| b.clone()).collect();
        for _ in 0..4 {
            let (port, tell, servers) = (port.clone(), tell.clone(), servers.clone());
            thread::spawn(move || {
                while let Ok(Packet::Io(end)) = port.get(None) {
                    let key = end.key();
                    tell.send((key, received(end))).ok();
                    started(servers[key].recv_overlapped(vec![0; 1], Flags::NONE, ToPort));
                }
            });
        }
        for server in &servers {
            recv_pending(server, 1);
        }
        for round in 0..ROUNDS {
            for (a, _) in &pairs {
                a.send(&[round]).unwrap();
            }
        }
        let mut got = vec![Vec::new(); 16];
        for _ in 0..16 * u32::from(ROUNDS) {
            let (key, bytes) = told.recv_timeout(SOON).expect("a byte is missing");
            got[key].extend(bytes);
        }
        assert!(told.recv_timeout(SILENCE).is_err(), "one too many");
        for mut bytes in got {
            bytes.sort_unstable();
            assert!(bytes.into_iter().eq(0..ROUNDS));
        }
        port.close().unwrap();
    });
}

// D GetQueuedCompletionStatusEx.
#[test]
fn cp_33_a_batch_of_no_room_is_an_error() {
    promise(|| {
        let port = CompletionPort::new(0).unwrap();
        let mut packets = Vec::new();
        fails(
            port.get_many(&mut packets, 0, Some(Duration::ZERO), Alertable::No),
            &[ERROR_INVALID_PARAMETER],
        );
        port.post(0, 1, 0).unwrap();
        fails(port.get_many(&mut packets, 0, None, Alertable::No), &[ERROR_INVALID_PARAMETER]);
        assert!(packets.is_empty());
        assert_eq!(next_posted(&port), (0, 1, 0));
    });
}

// D GetQueuedCompletionStatus: a packet and the end of a wait may meet; the packet is then still there.
#[test]
fn cp_18_no_packet_is_lost_to_a_wait_that_runs_out() {
    promise(|| {
        const PACKETS: usize = 2000;
        let port = CompletionPort::new(0).unwrap();
        let (tell, told) = mpsc::channel();
        for number in 0..3 {
            let (port, tell) = (port.clone(), tell.clone());
            thread::spawn(move || {
                let limit = Some(Duration::from_micros(200 * number));
                loop {
                    match port.get(limit) {
                        Ok(packet) => tell.send(packet.key()).unwrap(),
                        Err(error) if error.code() == WAIT_TIMEOUT => {}
                        Err(_) => return,
                    }
                }
            });
        }
        for key in 0..PACKETS {
            port.post(0, key, 0).unwrap();
            if key % 16 == 0 {
                thread::sleep(Duration::from_micros(300));
            }
        }
        let mut got: Vec<_> =
            (0..PACKETS).map(|_| told.recv_timeout(SOON).expect("a packet was lost")).collect();
        got.sort_unstable();
        assert!(got.into_iter().eq(0..PACKETS));
        assert!(told.recv_timeout(SILENCE).is_err());
        port.close().unwrap();
    });
}

// D I/O Completion Ports: waiting is waiting. Sockets in every state that could keep a poll busy are there.
#[test]
fn cp_06_threads_that_wait_at_a_port_cost_no_time() {
    in_its_own_process(|| {
        let port = CompletionPort::new(0).unwrap();
        let pairs: Vec<(Socket, Socket)> = (0..40).map(|_| pair()).collect();
        for (key, (a, b)) in pairs.iter().enumerate() {
            port.associate(b, key).unwrap();
            match key % 4 {
                // Nothing comes.
                0 => _ = recv_pending(b, 16),
                // Data that nobody asked for, and an end that nobody asked for.
                1 => _ = a.send(b"unread").unwrap(),
                2 => a.close().unwrap(),
                // A send that is stuck.
                _ => _ = pending(b.send_overlapped(vec![1; 8 << 20], ToPort)),
            }
        }
        for _ in 0..3 {
            let port = port.clone();
            thread::spawn(move || port.get(None).map(drop));
        }
        thread::sleep(Duration::from_millis(300));
        let before = host::process_figures();
        thread::sleep(Duration::from_secs(1));
        let after = host::process_figures();
        let spent = (after.user + after.system).saturating_sub(before.user + before.system);
        port.close().unwrap();
        assert!(spent < Duration::from_millis(150), "{spent:?} of processor time in a second of waiting");
    });
}
