//! BL: blocking sockets. The other groups of plain calls stand in files of their own below.

mod blocked;
mod close;
mod datagram;
mod mode;
mod shutdown;
mod time_out;

use crate::harness::{
    SETTLE, SILENCE, SOON, any, arrived, fails, families, is_one_of, known_on_wine, listener, pair, pair_of,
    pattern, promise, quiet, readable, recv_exactly, recv_to_the_end, refusing, reset, same_bytes, stream,
    within,
};
use doorbell_winsock::error::{
    WSAEADDRINUSE, WSAECONNABORTED, WSAECONNREFUSED, WSAECONNRESET, WSAEINVAL, WSAENOTCONN, WSAETIMEDOUT,
    WSAEWOULDBLOCK,
};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, Shutdown, Socket};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

// D recv; W do_synchronous_recv.
#[test]
fn bl_01_a_blocking_recv_waits_and_takes_what_is_there() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let (_c, d) = pair_of(family);
            let start = Instant::now();
            let sender = thread::spawn(move || {
                thread::sleep(Duration::from_millis(100));
                b.send(b"abc").unwrap();
                b
            });
            let mut buffer = [0; 100];
            assert_eq!(a.recv(&mut buffer), Ok(3));
            assert!(start.elapsed() >= Duration::from_millis(100), "before anything was sent");
            assert_eq!(&buffer[..3], b"abc");
            // Up to the size of the buffer; the rest stays.
            let b = sender.join().unwrap();
            b.send(b"12345").unwrap();
            arrived(&a, 5);
            assert_eq!(a.recv(&mut buffer[..3]), Ok(3));
            assert_eq!(a.recv(&mut buffer), Ok(2));
            assert_eq!(&buffer[..2], b"45");
            // A stream's sender is its peer.
            b.send(b"6").unwrap();
            assert_eq!(a.recv_from(&mut buffer), Ok((1, b.local_addr().unwrap())));
            quiet(&d);
        }
    });
}

// D recv: each byte goes to one of the threads that wait.
#[test]
fn bl_01_two_threads_blocked_on_one_socket_share_what_comes() {
    promise(|| {
        let (a, b) = pair();
        let (tell, told) = mpsc::channel();
        for _ in 0..2 {
            let (a, tell) = (a.clone(), tell.clone());
            thread::spawn(move || tell.send(recv_exactly(&a, 1)));
        }
        thread::sleep(SETTLE);
        b.send(b"1").unwrap();
        assert_eq!(told.recv_timeout(SOON).unwrap(), b"1");
        assert!(told.recv_timeout(SILENCE).is_err(), "one byte served two threads");
        b.send(b"2").unwrap();
        assert_eq!(told.recv_timeout(SOON).unwrap(), b"2");
    });
}

// D recv; W test_shutdown.
#[test]
fn bl_02_the_end_of_the_stream_is_read_again_and_again() {
    promise(|| {
        for family in families() {
            for half in [false, true] {
                let (a, b) = pair_of(family);
                b.send(b"last").unwrap();
                if half {
                    b.shutdown(Shutdown::Send).unwrap()
                } else {
                    b.close().unwrap()
                }
                assert_eq!(recv_exactly(&a, 4), b"last");
                for _ in 0..3 {
                    assert_eq!(a.recv(&mut [0; 8]), Ok(0));
                }
            }
        }
    });
}

// W test_tcp_reset.
#[test]
fn bl_03_a_reset_is_told_by_every_recv() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            reset(&b);
            for _ in 0..3 {
                fails(a.recv(&mut [0; 8]), &[WSAECONNRESET]);
            }
            // Also when the receive was waiting as it came.
            let (a, b) = pair_of(family);
            let waiting = thread::spawn(move || (a.recv(&mut [0; 8]), a.recv(&mut [0; 8])));
            thread::sleep(SETTLE);
            reset(&b);
            let (first, second) = waiting.join().unwrap();
            fails(first, &[WSAECONNRESET]);
            fails(second, &[WSAECONNRESET]);
            // And when it follows the end of the stream: that was not the last word.
            for end_was_read in [false, true] {
                let (a, b) = pair_of(family);
                b.shutdown(Shutdown::Send).unwrap();
                if end_was_read {
                    assert_eq!(a.recv(&mut [0; 8]), Ok(0));
                }
                reset(&b);
                assert!(within(SOON, || a.recv(&mut [0; 8]).is_err()), "the reset is told as a clean end");
                for _ in 0..2 {
                    fails(a.recv(&mut [0; 8]), &[WSAECONNRESET]);
                }
            }
        }
    });
}

// W test_tcp_reset: other calls that see the error do not swallow it.
#[test]
fn bl_03_a_reset_stays_told_after_other_calls_have_seen_it() {
    promise(|| {
        type Look = fn(&Socket);
        let looks: [Look; 4] = [
            |s| _ = s.send(b"x"),
            |s| _ = s.socket_error(),
            |s| _ = s.recv_with(&mut [0; 4], Flags::PEEK),
            readable,
        ];
        for look in looks {
            let (a, b) = pair();
            reset(&b);
            readable(&a);
            look(&a);
            look(&a);
            for _ in 0..2 {
                fails(a.recv(&mut [0; 8]), &[WSAECONNRESET, WSAECONNABORTED]);
            }
        }
    });
}

// W test_tcp_reset: unread data may still be read (Linux) or be dropped (Windows); a clean end never shows.
#[test]
fn bl_03_a_reset_behind_unread_data_is_never_a_clean_end() {
    promise(|| {
        let (a, b) = pair();
        b.send(b"data").unwrap();
        arrived(&a, 4);
        reset(&b);
        let mut buffer = [0; 8];
        let mut got = Vec::new();
        let error = loop {
            match a.recv(&mut buffer) {
                Ok(0) => panic!("a reset was told as a clean end"),
                Ok(n) => got.extend_from_slice(&buffer[..n]),
                Err(error) => break error,
            }
        };
        is_one_of(error, &[WSAECONNRESET]);
        assert!(b"data".starts_with(&got), "{got:?}");
        fails(a.recv(&mut buffer), &[WSAECONNRESET]);
    });
}

// W test_send.
#[test]
fn bl_04_a_blocking_send_returns_only_when_the_whole_buffer_was_accepted() {
    promise(|| {
        const LEN: usize = 8 << 20;
        for family in families() {
            let (a, b) = pair_of(family);
            a.set_send_buffer(65536).unwrap();
            b.set_recv_buffer(65536).unwrap();
            let start = Instant::now();
            let reader = thread::spawn(move || {
                thread::sleep(Duration::from_millis(200));
                let mut got = recv_exactly(&b, LEN / 2);
                thread::sleep(Duration::from_millis(50));
                got.extend(recv_to_the_end(&b));
                got
            });
            assert_eq!(a.send(&pattern(LEN, 7)), Ok(LEN));
            assert!(start.elapsed() >= Duration::from_millis(200), "accepted before anybody read");
            assert_eq!(a.send(b"tail"), Ok(4));
            a.close().unwrap();
            let got = reader.join().unwrap();
            same_bytes(&got[..LEN], &pattern(LEN, 7));
            assert_eq!(&got[LEN..], b"tail");
        }
    });
}

// D accept.
#[test]
fn bl_05_accept_hands_out_connections_in_their_order() {
    promise(|| {
        for family in families() {
            let (listener, address) = listener(family);
            let clients: Vec<Socket> = (0..10).map(|_| stream(family)).collect();
            for client in &clients {
                client.connect(address).unwrap();
            }
            for client in &clients {
                let (server, from) = listener.accept().unwrap();
                assert_eq!(from, client.local_addr().unwrap());
                assert_eq!(server.peer_addr(), Ok(from));
                assert_eq!(server.local_addr(), Ok(address));
            }
        }
    });
}

// D accept: it waits as recv does.
#[test]
fn bl_05_a_blocking_accept_waits_for_a_connection() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let start = Instant::now();
        let client = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            let client = stream(Family::V4);
            client.connect(address).unwrap();
            client
        });
        let (_server, from) = listener.accept().unwrap();
        assert!(start.elapsed() >= Duration::from_millis(100));
        assert_eq!(client.join().unwrap().local_addr(), Ok(from));
    });
}

// W test_connect, test_errors.
#[test]
fn bl_06_a_refused_socket_can_be_connected_elsewhere() {
    promise(|| {
        for family in families() {
            let (_held, nobody) = refusing(family);
            let (listener, address) = listener(family);
            let socket = stream(family);
            let linger = Some(Duration::from_secs(3));
            socket.set_nodelay(true).unwrap();
            socket.set_keepalive(true).unwrap();
            socket.set_linger(linger).unwrap();
            socket.set_recv_timeout(Some(Duration::from_millis(50))).unwrap();
            for _ in 0..2 {
                fails(socket.connect(nobody), &[WSAECONNREFUSED]);
                assert_eq!(socket.socket_error(), Ok(WSAECONNREFUSED));
            }
            socket.connect(address).unwrap();
            assert_eq!(socket.socket_error(), Ok(0));
            let (server, _) = listener.accept().unwrap();
            socket.send(b"hello").unwrap();
            assert_eq!(recv_exactly(&server, 5), b"hello");
            // What it was set to it still is.
            assert_eq!(
                (socket.nodelay(), socket.keepalive(), socket.linger()),
                (Ok(true), Ok(true), Ok(linger))
            );
            fails(socket.recv(&mut [0; 4]), &[WSAETIMEDOUT]);
        }
    });
}

// D bind, connect: a connect that fails does not take the name away, nor gives it to others. Under Wine it does.
#[test]
fn bl_06_a_refused_socket_keeps_its_name() {
    known_on_wine("BL-06", || {
        for family in families() {
            for blocking in [true, false] {
                let (_held, nobody) = refusing(family);
                let (listener, address) = listener(family);
                let socket = stream(family);
                socket.bind(any(family)).unwrap();
                let name = socket.local_addr().unwrap();
                socket.set_nonblocking(!blocking).unwrap();
                for _ in 0..2 {
                    fails(socket.connect(nobody), &[WSAECONNREFUSED, WSAEWOULDBLOCK]);
                    assert!(within(SOON, || socket.socket_error() == Ok(WSAECONNREFUSED)));
                    fails(socket.bind(any(family)), &[WSAEINVAL]);
                    fails(stream(family).bind(name), &[WSAEADDRINUSE]);
                }
                socket.set_nonblocking(false).unwrap();
                socket.connect(address).unwrap();
                assert_eq!(socket.local_addr(), Ok(name));
                assert_eq!(listener.accept().unwrap().1, name);
            }
        }
    });
}

// D recv.
#[test]
fn bl_10_peek_copies_and_takes_nothing() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            b.set_nonblocking(true).unwrap();
            fails(b.recv_with(&mut [0; 4], Flags::PEEK), &[WSAEWOULDBLOCK]);
            a.send(b"abcd").unwrap();
            arrived(&b, 4);
            let mut buffer = [0; 4];
            for _ in 0..2 {
                assert_eq!(b.recv_with(&mut buffer[..2], Flags::PEEK), Ok(2));
                assert_eq!(&buffer[..2], b"ab");
            }
            assert_eq!(b.bytes_available(), Ok(4));
            assert_eq!(b.recv(&mut buffer), Ok(4));
            assert_eq!(&buffer, b"abcd");
            fails(b.recv(&mut buffer), &[WSAEWOULDBLOCK]);
            // At the end it gives the end.
            a.close().unwrap();
            readable(&b);
            assert_eq!(b.recv_with(&mut buffer, Flags::PEEK), Ok(0));
            assert_eq!(b.recv(&mut buffer), Ok(0));
        }
    });
}

// W test_completion_port; D recv.
#[test]
fn bl_12_recv_needs_a_connection() {
    promise(|| {
        for family in families() {
            let fresh = stream(family);
            fails(fresh.recv(&mut [0; 4]), &[WSAENOTCONN]);
            fails(fresh.recv_with(&mut [0; 4], Flags::PEEK), &[WSAENOTCONN]);
            fails(fresh.recv_from(&mut [0; 4]), &[WSAENOTCONN]);
            fails(fresh.recv(&mut []), &[WSAENOTCONN]);
        }
    });
}

// D recv: a name or a backlog is not a connection.
#[test]
fn bl_12_recv_on_a_bound_or_listening_socket_needs_one_too() {
    promise(|| {
        for family in families() {
            let bound = stream(family);
            bound.bind(any(family)).unwrap();
            fails(bound.recv(&mut [0; 4]), &[WSAENOTCONN]);
            let (listener, _) = listener(family);
            fails(listener.recv(&mut [0; 4]), &[WSAENOTCONN]);
        }
    });
}

// W test_completion_port; D send.
#[test]
fn bl_12_send_needs_a_connection() {
    promise(|| {
        for family in families() {
            let fresh = stream(family);
            fails(fresh.send(b"x"), &[WSAENOTCONN]);
            fails(fresh.send(b""), &[WSAENOTCONN]);
            fails(fresh.send_to(b"x", any(family)), &[WSAENOTCONN]);
            fresh.bind(any(family)).unwrap();
            fails(fresh.send(b"x"), &[WSAENOTCONN]);
            let (_held, nobody) = refusing(family);
            fails(fresh.connect(nobody), &[WSAECONNREFUSED]);
            fails(fresh.send(b"x"), &[WSAENOTCONN]);
            // It was not broken by that.
            let (listener, address) = listener(family);
            fresh.connect(address).unwrap();
            let (server, _) = listener.accept().unwrap();
            fresh.send(b"x").unwrap();
            assert_eq!(recv_exactly(&server, 1), b"x");
        }
    });
}

// W test_WSARecv: MSG_WAITALL on a blocking receive.
#[test]
fn bf_07_a_blocking_recv_that_is_to_fill_its_buffer_does() {
    known_on_wine("D1", || {
        let (a, b) = pair();
        let sender = thread::spawn(move || {
            a.send(b"ab").unwrap();
            thread::sleep(SETTLE);
            a.send(b"cd").unwrap();
            a.send(b"ef").unwrap();
            a.shutdown(Shutdown::Send).unwrap();
            a
        });
        let mut buffer = [0; 4];
        assert_eq!(b.recv_with(&mut buffer, Flags::WAIT_ALL), Ok(4));
        assert_eq!(&buffer, b"abcd");
        // At the end it gives what there was.
        assert_eq!(b.recv_with(&mut buffer, Flags::WAIT_ALL), Ok(2));
        assert_eq!(&buffer[..2], b"ef");
        drop(sender.join());
    });
}

// P8: an empty send is accepted and is nothing.
#[test]
fn bf_08_a_send_of_no_bytes_succeeds_and_the_peer_sees_nothing() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            for _ in 0..3 {
                assert_eq!(a.send(b""), Ok(0));
            }
            quiet(&b);
            a.send(b"x").unwrap();
            assert_eq!(recv_exactly(&b, 1), b"x");
        }
    });
}
