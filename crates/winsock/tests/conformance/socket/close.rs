//! CL: closing, duplicates and linger, with plain calls.

use crate::harness::{
    SOON, any, fails, families, in_its_own_process, is_one_of, listener, pair, pair_of, pattern, promise,
    quiet, recv_exactly, recv_to_the_end, refuses, same_bytes, stream, within,
};
use doorbell_winsock::error::{WSAECONNRESET, WSAENOTSOCK, WSAESHUTDOWN, WSAEWOULDBLOCK};
use doorbell_winsock::{Family, Kind, Shutdown, Socket, host};
use std::collections::HashSet;
use std::thread;
use std::time::Duration;

// W test_completion_port, test_WSADuplicateSocket.
#[test]
fn cl_06_closing_one_of_two_duplicates_does_not_end_the_connection() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let twin = b.duplicate().unwrap();
            assert_ne!(twin.id(), b.id());
            b.close().unwrap();
            quiet(&a);
            fails(b.send(b"x"), &[WSAENOTSOCK]);
            a.send(b"to the twin").unwrap();
            assert_eq!(recv_exactly(&twin, 11), b"to the twin");
            twin.send(b"back").unwrap();
            assert_eq!(recv_exactly(&a, 4), b"back");
            assert_eq!(twin.peer_addr(), a.local_addr());
            twin.close().unwrap();
            assert_eq!(a.recv(&mut [0; 4]), Ok(0));
        }
    });
}

// D WSADuplicateSocket: the connection is shared, so a shutdown through one handle holds for both.
#[test]
fn cl_06_duplicates_share_the_connection() {
    promise(|| {
        let (a, b) = pair();
        let twin = b.duplicate().unwrap();
        b.send(b"1").unwrap();
        twin.send(b"2").unwrap();
        assert_eq!(recv_exactly(&a, 2), b"12");
        twin.shutdown(Shutdown::Send).unwrap();
        assert_eq!(a.recv(&mut [0; 4]), Ok(0));
        fails(b.send(b"x"), &[WSAESHUTDOWN]);
        a.send(b"y").unwrap();
        assert_eq!(recv_exactly(&b, 1), b"y");
    });
}

// W test_WSADuplicateSocket: a listener lives as long as its last handle.
#[test]
fn cl_06_a_duplicated_listener_goes_on_listening() {
    promise(|| {
        let (one, address) = listener(Family::V4);
        let twin = one.duplicate().unwrap();
        one.close().unwrap();
        let client = stream(Family::V4);
        client.connect(address).unwrap();
        assert_eq!(twin.accept().unwrap().1, client.local_addr().unwrap());
        twin.close().unwrap();
        refuses(address);
    });
}

// P8; D closesocket.
#[test]
fn cl_07_everything_on_a_closed_socket_is_not_a_socket() {
    promise(|| {
        let (a, _b) = pair();
        let clone = a.clone();
        a.close().unwrap();
        let gone = &[WSAENOTSOCK];
        let mut buffer = [0; 4];
        for closed in [&a, &clone] {
            fails(closed.close(), gone);
            fails(closed.recv(&mut buffer), gone);
            fails(closed.send(b"x"), gone);
            fails(closed.send(b""), gone);
            fails(closed.recv_from(&mut buffer), gone);
            fails(closed.send_to(b"x", any(Family::V4)), gone);
            fails(closed.bind(any(Family::V4)), gone);
            fails(closed.listen(1), gone);
            fails(closed.accept(), gone);
            fails(closed.connect(any(Family::V4)), gone);
            fails(closed.shutdown(Shutdown::Both), gone);
            fails(closed.duplicate(), gone);
            fails(closed.local_addr(), gone);
            fails(closed.peer_addr(), gone);
            fails(closed.set_nonblocking(true), gone);
            fails(closed.bytes_available(), gone);
            fails(closed.socket_error(), gone);
            fails(closed.set_nodelay(true), gone);
            fails(closed.linger(), gone);
            fails(closed.cancel(None), gone);
        }
    });
}

// D closesocket: a closed socket's descriptor may be given to another one, which the old name must not reach.
#[test]
fn cl_05_a_closed_socket_is_never_taken_for_a_newer_one() {
    promise(|| {
        let mut names = HashSet::new();
        let (old, _peer) = pair();
        names.insert(old.id());
        old.close().unwrap();
        for _ in 0..100 {
            let (a, b) = pair();
            assert!(names.insert(a.id()) && names.insert(b.id()), "a name was given twice");
            fails(old.send(b"stray"), &[WSAENOTSOCK]);
            fails(old.recv(&mut [0; 4]), &[WSAENOTSOCK]);
            fails(old.close(), &[WSAENOTSOCK]);
            a.send(b"x").unwrap();
            assert_eq!(recv_exactly(&b, 1), b"x");
            b.set_nonblocking(true).unwrap();
            fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
        }
    });
}

// D closesocket: the drop of the last clone closes.
#[test]
fn cl_08_the_last_clone_closes_the_socket() {
    promise(|| {
        let (a, b) = pair();
        let clone = a.clone();
        drop(a);
        quiet(&b);
        clone.send(b"x").unwrap();
        assert_eq!(recv_exactly(&b, 1), b"x");
        drop(clone);
        assert_eq!(b.recv(&mut [0; 4]), Ok(0));
    });
}

// D Graceful Shutdown.
#[test]
fn cl_08_close_delivers_what_send_accepted_then_the_end() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            a.set_nonblocking(true).unwrap();
            let block = pattern(1 << 16, 3);
            let mut accepted = Vec::new();
            loop {
                match a.send(&block) {
                    Ok(n) => accepted.extend_from_slice(&block[..n]),
                    Err(error) => {
                        is_one_of(error, &[WSAEWOULDBLOCK]);
                        break;
                    }
                }
            }
            assert!(!accepted.is_empty());
            a.close().unwrap();
            same_bytes(&recv_to_the_end(&b), &accepted);
            assert_eq!(b.recv(&mut [0; 4]), Ok(0));
        }
    });
}

// D closesocket, SO_LINGER.
#[test]
fn cl_09_linger_zero_makes_close_a_reset() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            assert_eq!(a.linger(), Ok(None));
            a.set_linger(Some(Duration::ZERO)).unwrap();
            assert_eq!(a.linger(), Ok(Some(Duration::ZERO)));
            a.close().unwrap();
            fails(b.recv(&mut [0; 4]), &[WSAECONNRESET]);
            // Taken back before the close, it is a graceful one.
            let (c, d) = pair_of(family);
            c.set_linger(Some(Duration::ZERO)).unwrap();
            c.set_linger(None).unwrap();
            c.close().unwrap();
            assert_eq!(d.recv(&mut [0; 4]), Ok(0));
        }
        // Neither a part of a second nor more seconds than there are become the zero that resets.
        for (asked, kept) in [(Duration::from_millis(1), 1), (Duration::MAX, 65535)] {
            let (a, _b) = pair();
            a.set_linger(Some(asked)).unwrap();
            assert_eq!(a.linger(), Ok(Some(Duration::from_secs(kept))));
            a.set_linger(None).unwrap();
        }
    });
}

// D closesocket: the drop closes as `close` does, linger and all.
#[test]
fn cl_09_a_dropped_socket_knows_its_linger() {
    promise(|| {
        let (a, b) = pair();
        a.set_linger(Some(Duration::ZERO)).unwrap();
        drop(a);
        fails(b.recv(&mut [0; 4]), &[WSAECONNRESET]);
    });
}

// D closesocket: nothing of a closed socket is left behind.
#[test]
fn cl_08_closed_sockets_leave_no_descriptor() {
    in_its_own_process(|| {
        let round = || {
            for _ in 0..200 {
                let (a, b) = pair();
                let twin = a.duplicate().unwrap();
                drop((a, b));
                twin.send(b"x").ok();
            }
            drop(Socket::new(Family::V4, Kind::Datagram).unwrap());
        };
        round();
        let before = host::descriptors_open();
        round();
        assert!(
            within(SOON, || host::descriptors_open() <= before),
            "{before} descriptors before, {} after 200 pairs",
            host::descriptors_open()
        );
    });
}

// D closesocket: eight threads close one socket; one of them is the first.
#[test]
fn cl_07_one_of_many_closes_succeeds() {
    promise(|| {
        for _ in 0..50 {
            let (a, b) = pair();
            let closers: Vec<_> = (0..8)
                .map(|_| {
                    let a = a.clone();
                    thread::spawn(move || a.close())
                })
                .collect();
            let outcomes: Vec<_> = closers.into_iter().map(|t| t.join().unwrap()).collect();
            assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1, "{outcomes:?}");
            assert_eq!(b.recv(&mut [0; 4]), Ok(0));
        }
    });
}
