//! BL-07, BL-08: closing a socket under calls that are blocked on it.

use crate::harness::{
    CLOSED_MEANWHILE, SETTLE, SOON, connecting, datagram, fails, families, in_time, listener, pair, pair_of,
    promise, refuses, stream, within,
};
use doorbell_winsock::error::{WSAECONNRESET, WSAENOTSOCK, WSAEWOULDBLOCK};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, Result, Socket};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

// D closesocket.
#[test]
fn bl_07_closing_a_socket_ends_a_recv_blocked_on_it() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let (c, d) = pair_of(family);
            let blocked: Vec<_> = (0..2)
                .map(|_| {
                    let a = a.clone();
                    thread::spawn(move || a.recv(&mut [0; 8]))
                })
                .collect();
            let bystander = thread::spawn(move || c.recv(&mut [0; 8]));
            thread::sleep(Duration::from_millis(150));
            a.close().unwrap();
            for thread in blocked {
                assert!(within(SOON, || thread.is_finished()), "recv hangs after the close");
                fails(thread.join().unwrap(), CLOSED_MEANWHILE);
            }
            fails(a.recv(&mut [0; 8]), &[WSAENOTSOCK]);
            // The peer is told at once, and another socket's receive waits on.
            let ended = in_time(move || b.recv(&mut [0; 8]));
            assert!(matches!(ended, Ok(0)) || ended.is_err_and(|e| e.code() == WSAECONNRESET));
            assert!(!bystander.is_finished());
            d.send(b"x").unwrap();
            assert_eq!(bystander.join().unwrap(), Ok(1));
        }
    });
}

// D closesocket: whatever the call waits for.
#[test]
fn bl_07_closing_a_socket_ends_whatever_is_blocked_on_it() {
    promise(|| {
        type Call = fn(&Socket, SocketAddr) -> Result<usize>;
        let calls: [(&str, Call); 6] = [
            ("peek", |s, _| s.recv_with(&mut [0; 8], Flags::PEEK)),
            ("fill", |s, _| s.recv_with(&mut [0; 8], Flags::WAIT_ALL)),
            ("urgent", |s, _| s.recv_with(&mut [0; 1], Flags::OUT_OF_BAND)),
            ("nothing", |s, _| s.recv(&mut [])),
            ("connect", |s, to| s.connect(to).map(|()| 0)),
            ("datagram", |s, _| s.recv_from(&mut [0; 8]).map(|(len, _)| len)),
        ];
        let (_full, full, _keep) = connecting();
        let blocked = calls.map(|(name, call)| {
            let (socket, peer) = match name {
                "connect" => (stream(Family::V4), None),
                "datagram" => (datagram(Family::V4).0, None),
                _ => {
                    let (socket, peer) = pair();
                    (socket, Some(peer))
                }
            };
            let thread = {
                let socket = socket.clone();
                thread::spawn(move || call(&socket, full))
            };
            (name, socket, peer, thread)
        });
        thread::sleep(SETTLE);
        for (name, socket, _peer, thread) in blocked {
            assert!(!thread.is_finished(), "{name} did not wait: {:?}", thread.join());
            socket.close().unwrap();
            assert!(within(SOON, || thread.is_finished()), "{name} hangs after the close");
            fails(thread.join().unwrap(), CLOSED_MEANWHILE);
        }
    });
}

// D closesocket: at whichever moment of the call it comes.
#[test]
fn bl_07_a_close_is_missed_by_no_recv_that_is_about_to_wait() {
    promise(|| {
        for round in 0..60 {
            let (a, _b) = pair();
            let blocked = {
                let a = a.clone();
                thread::spawn(move || a.recv(&mut [0; 8]))
            };
            for _ in 0..round * 20 {
                std::hint::spin_loop();
            }
            a.close().unwrap();
            assert!(within(SOON, || blocked.is_finished()), "recv hangs after the close");
            fails(blocked.join().unwrap(), CLOSED_MEANWHILE);
        }
    });
}

// D closesocket: the promise of `Socket::close` for every call that blocks.
#[test]
fn bl_07_closing_a_socket_ends_a_send_blocked_on_it() {
    promise(|| {
        let (a, b) = pair();
        let blocked = {
            let a = a.clone();
            thread::spawn(move || a.send(&vec![1; 32 << 20]))
        };
        thread::sleep(Duration::from_millis(150));
        assert!(!blocked.is_finished(), "nobody read, and yet it was accepted");
        a.close().unwrap();
        assert!(within(SOON, || blocked.is_finished()), "send hangs after the close");
        fails(blocked.join().unwrap(), &[10004, 10053, 10054, 10038, 995, 10022, 10058]);
        drop(b);
    });
}

// D closesocket.
#[test]
fn bl_08_closing_a_listener_ends_an_accept_blocked_on_it() {
    promise(|| {
        for family in families() {
            let (one, address) = listener(family);
            let (other, other_address) = listener(family);
            // That it did not block once changes nothing.
            one.set_nonblocking(true).unwrap();
            fails(one.accept(), &[WSAEWOULDBLOCK]);
            one.set_nonblocking(false).unwrap();
            let blocked: Vec<_> = (0..2)
                .map(|_| {
                    let one = one.clone();
                    thread::spawn(move || one.accept().map(drop))
                })
                .collect();
            let bystander = thread::spawn(move || other.accept().map(drop));
            thread::sleep(Duration::from_millis(150));
            one.close().unwrap();
            for thread in blocked {
                assert!(within(SOON, || thread.is_finished()), "accept hangs after the close");
                fails(thread.join().unwrap(), CLOSED_MEANWHILE);
            }
            // Nobody listens there any more.
            refuses(address);
            assert!(!bystander.is_finished());
            stream(family).connect(other_address).unwrap();
            bystander.join().unwrap().unwrap();
        }
    });
}
