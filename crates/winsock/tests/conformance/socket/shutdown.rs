//! SD: graceful shutdown and half close, with plain calls.

use crate::harness::{
    LONG, SETTLE, SILENCE, SOON, any, arrived, connecting, fails, families, is_one_of, listener, narrow,
    pair, pair_of, pattern, promise, quiet, recv_exactly, recv_to_the_end, refusing, reset, same_bytes,
    stream, within,
};
use doorbell_winsock::error::{
    WSAECONNABORTED, WSAECONNREFUSED, WSAECONNRESET, WSAEISCONN, WSAENOTCONN, WSAESHUTDOWN,
};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, Shutdown, Socket};
use std::sync::mpsc;
use std::thread;

// W test_shutdown; D shutdown.
#[test]
fn sd_01_after_sd_send_receiving_goes_on() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            a.send(b"request").unwrap();
            a.shutdown(Shutdown::Send).unwrap();
            for _ in 0..2 {
                fails(a.send(b"more"), &[WSAESHUTDOWN]);
            }
            assert_eq!(recv_to_the_end(&b), b"request");
            assert_eq!(b.recv(&mut [0; 4]), Ok(0));
            b.send(b"reply").unwrap();
            assert_eq!(recv_exactly(&a, 5), b"reply");
            b.send(b"and more").unwrap();
            b.shutdown(Shutdown::Send).unwrap();
            assert_eq!(recv_to_the_end(&a), b"and more");
        }
    });
}

// D Graceful Shutdown.
#[test]
fn sd_02_a_long_response_after_the_half_close_arrives_whole() {
    promise(|| {
        const LEN: usize = 4 << 20;
        for family in families() {
            let (a, b) = pair_of(family);
            a.send(b"?").unwrap();
            a.shutdown(Shutdown::Send).unwrap();
            let server = thread::spawn(move || {
                assert_eq!(recv_to_the_end(&b), b"?");
                for part in pattern(LEN, 1).chunks(300_000) {
                    assert_eq!(b.send(part), Ok(part.len()));
                }
                b.close().unwrap();
            });
            same_bytes(&recv_to_the_end(&a), &pattern(LEN, 1));
            server.join().unwrap();
        }
    });
}

// W test_shutdown; D shutdown.
#[test]
fn sd_03_after_sd_receive_every_receive_fails_even_with_bytes_queued() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            b.send(b"queued").unwrap();
            arrived(&a, 6);
            a.shutdown(Shutdown::Receive).unwrap();
            for _ in 0..2 {
                fails(a.recv(&mut [0; 8]), &[WSAESHUTDOWN]);
                fails(a.recv(&mut []), &[WSAESHUTDOWN]);
                fails(a.recv_with(&mut [0; 8], Flags::PEEK), &[WSAESHUTDOWN]);
                fails(a.recv_with(&mut [0; 8], Flags::OUT_OF_BAND), &[WSAESHUTDOWN]);
                fails(a.recv_from(&mut [0; 8]), &[WSAESHUTDOWN]);
                // Nor with more of them.
                b.send(b"more").unwrap();
            }
            // Sending is another matter.
            a.send(b"still").unwrap();
            assert_eq!(recv_exactly(&b, 5), b"still");
            // Nor does the peer's end turn it into an end.
            b.close().unwrap();
            fails(a.recv(&mut [0; 8]), &[WSAESHUTDOWN]);
        }
    });
}

// W test_shutdown: SD_RECEIVE under a receive that waits.
#[test]
fn sd_04_a_recv_that_is_blocked_already_can_still_take_data() {
    promise(|| {
        let took_data = |family: Family| {
            let (a, b) = pair_of(family);
            let waiting = {
                let b = b.clone();
                thread::spawn(move || b.recv(&mut [0; 8]))
            };
            thread::sleep(SETTLE);
            b.shutdown(Shutdown::Receive).unwrap();
            thread::sleep(SILENCE);
            a.send(b"data").unwrap();
            let outcome = waiting.join().unwrap();
            fails(b.recv(&mut [0; 8]), &[WSAESHUTDOWN]);
            outcome == Ok(4)
        };
        for family in families() {
            // A thread that came too late to wait is refused; so is one that waited, if the promise is broken.
            assert!((0..5).any(|_| took_data(family)), "SD_RECEIVE ends a recv that waits");
        }
    });
}

// D shutdown: SD_SEND under a send that waits for room.
#[test]
fn sd_06_a_send_that_is_blocked_already_is_delivered_before_the_end() {
    promise(|| {
        for family in families() {
            let (a, b) = narrow(family);
            let sending = {
                let (a, bytes) = (a.clone(), pattern(LONG, 3));
                thread::spawn(move || a.send(&bytes))
            };
            arrived(&b, 1);
            thread::sleep(SETTLE);
            assert!(!sending.is_finished(), "nobody read, and yet it was accepted");
            for _ in 0..2 {
                a.shutdown(Shutdown::Send).unwrap();
                fails(a.send(b"late"), &[WSAESHUTDOWN]);
            }
            b.send(b"and the other way").unwrap();
            same_bytes(&recv_to_the_end(&b), &pattern(LONG, 3));
            assert_eq!(sending.join().unwrap(), Ok(LONG));
            assert_eq!(recv_exactly(&a, 17), b"and the other way");
        }
    });
}

// W test_close_events.
#[test]
fn sd_05_the_peer_sees_nothing_of_sd_receive() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            a.shutdown(Shutdown::Receive).unwrap();
            quiet(&b);
            let waiting = {
                let b = b.clone();
                thread::spawn(move || b.recv(&mut [0; 8]))
            };
            thread::sleep(SILENCE);
            assert!(!waiting.is_finished(), "the peer's recv ended");
            a.send(b"x").unwrap();
            assert_eq!(waiting.join().unwrap(), Ok(1));
            // It may go on sending to somebody who does not listen.
            assert_eq!(b.send(b"unheard"), Ok(7));
        }
    });
}

// W test_shutdown.
#[test]
fn sd_07_sd_both_is_both_and_repeating_succeeds() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            a.shutdown(Shutdown::Both).unwrap();
            fails(a.send(b"x"), &[WSAESHUTDOWN]);
            fails(a.recv(&mut [0; 8]), &[WSAESHUTDOWN]);
            assert_eq!(b.recv(&mut [0; 8]), Ok(0));
            for how in [Shutdown::Both, Shutdown::Send, Shutdown::Receive] {
                a.shutdown(how).unwrap();
            }
            let (c, d) = pair_of(family);
            for how in [Shutdown::Send, Shutdown::Send, Shutdown::Receive, Shutdown::Receive] {
                c.shutdown(how).unwrap();
            }
            assert_eq!(d.recv(&mut [0; 8]), Ok(0));
        }
    });
}

// W test_shutdown: one after the other is the same as both.
#[test]
fn sd_07_one_direction_after_the_other() {
    promise(|| {
        let (a, b) = pair();
        a.shutdown(Shutdown::Receive).unwrap();
        a.send(b"x").unwrap();
        a.shutdown(Shutdown::Send).unwrap();
        fails(a.send(b"y"), &[WSAESHUTDOWN]);
        fails(a.recv(&mut [0; 8]), &[WSAESHUTDOWN]);
        assert_eq!(recv_to_the_end(&b), b"x");
    });
}

// W test_shutdown.
#[test]
fn sd_08_shutdown_needs_a_connection() {
    promise(|| {
        for family in families() {
            let bound = stream(family);
            bound.bind(any(family)).unwrap();
            let (listener, address) = listener(family);
            let (under_way, _full, _keep) = connecting();
            let (_held, nobody) = refusing(family);
            let refused = stream(family);
            fails(refused.connect(nobody), &[WSAECONNREFUSED]);
            for how in [Shutdown::Send, Shutdown::Receive, Shutdown::Both] {
                fails(stream(family).shutdown(how), &[WSAENOTCONN]);
                fails(bound.shutdown(how), &[WSAENOTCONN]);
                fails(listener.shutdown(how), &[WSAENOTCONN]);
                fails(under_way.shutdown(how), &[WSAENOTCONN]);
                fails(refused.shutdown(how), &[WSAENOTCONN]);
            }
            // The listener was not harmed, and the others still connect both ways.
            for socket in [&bound, &refused] {
                socket.connect(address).unwrap();
                let (server, _) = listener.accept().unwrap();
                socket.send(b"x").unwrap();
                assert_eq!(recv_exactly(&server, 1), b"x");
                server.send(b"y").unwrap();
                assert_eq!(recv_exactly(socket, 1), b"y");
            }
        }
    });
}

// W test_shutdown.
#[test]
fn sd_10_shutdown_releases_neither_socket_nor_addresses() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let (a_name, b_name) = (a.local_addr().unwrap(), b.local_addr().unwrap());
            a.shutdown(Shutdown::Both).unwrap();
            b.shutdown(Shutdown::Both).unwrap();
            thread::sleep(SETTLE);
            assert_eq!((a.local_addr(), a.peer_addr()), (Ok(a_name), Ok(b_name)));
            assert_eq!((b.local_addr(), b.peer_addr()), (Ok(b_name), Ok(a_name)));
            // Nor does what the peer does later.
            reset(&b);
            thread::sleep(SETTLE);
            assert_eq!((a.local_addr(), a.peer_addr()), (Ok(a_name), Ok(b_name)));
            fails(a.connect(b_name), &[WSAEISCONN]);
        }
    });
}

// W test_shutdown: the code may be either.
#[test]
fn sd_12_sending_to_a_peer_that_is_gone_fails_in_the_end() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            b.close().unwrap();
            let mut failed = None;
            let ended = within(SOON, || {
                failed = a.send(b"x").err();
                failed.is_some()
            });
            assert!(ended, "every send succeeds although the peer is gone");
            is_one_of(failed.unwrap(), &[WSAECONNABORTED, WSAECONNRESET]);
            fails(a.send(b"x"), &[WSAECONNABORTED, WSAECONNRESET]);
            for _ in 0..2 {
                fails(a.recv(&mut [0; 8]), &[WSAECONNABORTED, WSAECONNRESET]);
            }
            // A receive finds out as well what a send has met.
            let (c, d) = pair_of(family);
            d.close().unwrap();
            assert_eq!(c.recv(&mut [0; 8]), Ok(0));
            c.send(b"x").unwrap();
            let mut failed = None;
            let ended = within(SOON, || {
                failed = c.recv(&mut [0; 8]).err();
                failed.is_some()
            });
            assert!(ended, "every receive is told a clean end although the send was lost");
            is_one_of(failed.unwrap(), &[WSAECONNABORTED, WSAECONNRESET]);
        }
    });
}

// D Graceful Shutdown: the table, with plain calls and two threads.
#[test]
fn sd_11_the_full_sequence_loses_nothing_with_blocking_calls() {
    promise(|| {
        const LEN: usize = 1 << 20;
        let (client, server) = pair();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let request = recv_to_the_end(&server);
            server.send(&pattern(LEN, 5)).unwrap();
            server.shutdown(Shutdown::Send).unwrap();
            server.close().unwrap();
            tell.send(request)
        });
        client.send(&pattern(LEN, 4)).unwrap();
        client.shutdown(Shutdown::Send).unwrap();
        same_bytes(&recv_to_the_end(&client), &pattern(LEN, 5));
        client.close().unwrap();
        same_bytes(&told.recv_timeout(SOON).unwrap(), &pattern(LEN, 4));
    });
}

// D shutdown: the directions are the connection's, so a duplicate knows them; other connections do not.
#[test]
fn sd_01_another_connection_knows_nothing_of_a_half_close() {
    promise(|| {
        let (listener, address) = listener(Family::V4);
        let connect = || -> (Socket, Socket) {
            let client = stream(Family::V4);
            client.connect(address).unwrap();
            (client, listener.accept().unwrap().0)
        };
        let ((a, b), (c, d)) = (connect(), connect());
        a.shutdown(Shutdown::Send).unwrap();
        assert_eq!(b.recv(&mut [0; 4]), Ok(0));
        quiet(&d);
        c.send(b"x").unwrap();
        assert_eq!(recv_exactly(&d, 1), b"x");
        // A new socket that may have got the old one's descriptor starts afresh.
        drop((a, b));
        for _ in 0..20 {
            let (e, f) = connect();
            e.send(b"y").unwrap();
            assert_eq!(recv_exactly(&f, 1), b"y");
            e.shutdown(Shutdown::Both).unwrap();
        }
    });
}
