//! SD: shutdown with overlapped operations.

use crate::harness::{
    NOTHING, SETTLE, arrived, fails, families, is_one_of, next_end, no_packet, pair, pair_of, pattern,
    pending, port_with, promise, received, recv_pending, recv_to_the_end, refused, reset, same_bytes,
    started,
};
use doorbell_winsock::error::{WSAECONNABORTED, WSAECONNRESET, WSAESHUTDOWN};
use doorbell_winsock::overlapped::ToPort;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Completion, Shutdown};
use std::thread;

// W test_shutdown: SD_RECEIVE with a receive pending.
#[test]
fn sd_04_sd_receive_does_not_end_a_receive_that_is_pending() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&b, 1)]);
            let id = recv_pending(&b, 16);
            b.shutdown(Shutdown::Receive).unwrap();
            no_packet(&port);
            // A new one is refused, the old one takes its data.
            refused(b.recv_overlapped(vec![0; 16], Flags::NONE, ToPort), &[WSAESHUTDOWN]);
            a.send(b"data").unwrap();
            let end = next_end(&port);
            assert_eq!(end.id(), id);
            assert_eq!(received(end), b"data");
            fails(b.recv(&mut [0; 4]), &[WSAESHUTDOWN]);
        }
    });
}

// D shutdown; P8. One thread does it all: the sends must go on while it blocks in its receives.
#[test]
fn sd_06_sends_queued_before_sd_send_are_delivered_before_the_end() {
    promise(|| {
        const LEN: usize = 1 << 20;
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&a, 1)]);
            let ids: Vec<_> =
                (0..4).map(|number| started(a.send_overlapped(pattern(LEN, number), ToPort))).collect();
            a.shutdown(Shutdown::Send).unwrap();
            fails(a.send(b"x"), &[WSAESHUTDOWN]);
            let got = recv_to_the_end(&b);
            let expected: Vec<u8> = (0..4).flat_map(|number| pattern(LEN, number)).collect();
            same_bytes(&got, &expected);
            for id in ids {
                let end = next_end(&port);
                assert_eq!((end.id(), end.result()), (id, Ok(LEN)));
            }
            no_packet(&port);
        }
    });
}

// D shutdown: the other direction of that socket is open meanwhile.
#[test]
fn sd_06_receiving_goes_on_behind_queued_sends() {
    promise(|| {
        const LEN: usize = 8 << 20;
        let (a, b) = pair();
        let port = port_with(&[(&a, 1)]);
        let send = pending(a.send_overlapped(pattern(LEN, 1), ToPort));
        a.shutdown(Shutdown::Send).unwrap();
        let receive = recv_pending(&a, 16);
        b.send(b"hello").unwrap();
        let end = next_end(&port);
        assert_eq!(end.id(), receive);
        assert_eq!(received(end), b"hello");
        same_bytes(&recv_to_the_end(&b), &pattern(LEN, 1));
        let end = next_end(&port);
        assert_eq!((end.id(), end.result()), (send, Ok(LEN)));
        // Repeating it is still no error, and the end has come only once.
        a.shutdown(Shutdown::Send).unwrap();
        assert_eq!(b.recv(&mut [0; 4]), Ok(0));
    });
}

// W test_shutdown; P8.
#[test]
fn sd_09_operations_in_a_shut_direction_are_refused_at_once() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&a, 1)]);
            a.shutdown(Shutdown::Send).unwrap();
            refused(a.send_overlapped(b"x".to_vec(), ToPort), &[WSAESHUTDOWN]);
            refused(a.send_overlapped(NOTHING, ToPort), &[WSAESHUTDOWN]);
            // The other direction works.
            recv_pending(&a, 4);
            b.send(b"y").unwrap();
            assert_eq!(received(next_end(&port)), b"y");
            b.send(b"queued").unwrap();
            arrived(&a, 6);
            a.shutdown(Shutdown::Receive).unwrap();
            refused(a.recv_overlapped(vec![0; 4], Flags::NONE, ToPort), &[WSAESHUTDOWN]);
            refused(a.recv_overlapped(NOTHING, Flags::NONE, ToPort), &[WSAESHUTDOWN]);
            no_packet(&port);
        }
    });
}

// D Graceful Shutdown: the table, under model 7. One thread serves both ends' packets.
#[test]
fn sd_11_the_full_sequence_loses_nothing_at_a_port() {
    promise(|| {
        const LEN: usize = 2 << 20;
        for family in families() {
            let (client, server) = pair_of(family);
            let port = port_with(&[(&client, 1), (&server, 2)]);
            let receive = |socket: &doorbell_winsock::Socket| {
                started(socket.recv_overlapped(vec![0; 65536], Flags::NONE, ToPort))
            };
            started(client.send_overlapped(pattern(LEN, 1), ToPort));
            client.shutdown(Shutdown::Send).unwrap();
            receive(&client);
            receive(&server);
            let (mut request, mut response) = (Vec::new(), Vec::new());
            let mut answered = false;
            let mut ended = 0;
            while ended < 2 {
                let end: Completion = next_end(&port);
                if end.operation() == doorbell_winsock::overlapped::Operation::Send {
                    assert_eq!(end.result(), Ok(LEN));
                    continue;
                }
                let key = end.key();
                let bytes = received(end);
                match (key, bytes.is_empty()) {
                    (2, false) => {
                        request.extend(bytes);
                        receive(&server);
                    }
                    (2, true) => {
                        ended += 1;
                        started(server.send_overlapped(pattern(LEN, 2), ToPort));
                        server.shutdown(Shutdown::Send).unwrap();
                        answered = true;
                    }
                    (_, false) => {
                        assert!(answered);
                        response.extend(bytes);
                        receive(&client);
                    }
                    (_, true) => ended += 1,
                }
            }
            same_bytes(&request, &pattern(LEN, 1));
            same_bytes(&response, &pattern(LEN, 2));
            client.close().unwrap();
            server.close().unwrap();
        }
    });
}

// W test_tcp_reset: a reset behind the end, told to operations.
#[test]
fn bl_03_a_reset_behind_the_end_ends_a_receive_with_an_error() {
    promise(|| {
        for family in families() {
            let (a, b) = pair_of(family);
            let port = port_with(&[(&a, 1)]);
            recv_pending(&a, 8);
            b.shutdown(Shutdown::Send).unwrap();
            assert_eq!(next_end(&port).result(), Ok(0));
            reset(&b);
            thread::sleep(SETTLE);
            for _ in 0..2 {
                match a.recv_overlapped(vec![0; 8], Flags::NONE, ToPort) {
                    Err(refused) => is_one_of(refused.error, &[WSAECONNABORTED, WSAECONNRESET]),
                    Ok(_) => fails(next_end(&port).result(), &[WSAECONNABORTED, WSAECONNRESET]),
                };
            }
        }
    });
}

// W test_shutdown: the peer resets while a half close waits behind a long send; the send ends, with an error.
#[test]
fn sd_06_a_reset_ends_the_sends_that_a_shutdown_waits_for() {
    promise(|| {
        let (a, b) = pair();
        let port = port_with(&[(&a, 1)]);
        let id = pending(a.send_overlapped(vec![1; 32 << 20], ToPort));
        a.shutdown(Shutdown::Send).unwrap();
        thread::sleep(SETTLE);
        reset(&b);
        let end = next_end(&port);
        assert_eq!(end.id(), id);
        fails(end.result(), &[WSAECONNRESET, WSAECONNABORTED]);
        no_packet(&port);
    });
}
