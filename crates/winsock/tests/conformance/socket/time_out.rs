//! BL-09: time-outs of blocking calls.

use crate::harness::{
    LONG, SILENCE, SOON, arrived, datagram, fails, families, is_one_of, listener, narrow, next_end, pair,
    pending, port_with, promise, readable, received, recv_exactly, recv_pending, stream,
};
use doorbell_winsock::error::{WSAETIMEDOUT, WSAEWOULDBLOCK};
use doorbell_winsock::overlapped::ToPort;
use doorbell_winsock::socket::Flags;
use std::thread;
use std::time::{Duration, Instant};

// W test_timeout.
#[test]
fn bl_09_a_receive_time_out_ends_recv_and_loses_nothing() {
    promise(|| {
        let (a, b) = pair();
        assert_eq!(a.recv_timeout(), Ok(None));
        a.set_recv_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(a.recv_timeout(), Ok(Some(Duration::from_millis(100))));
        for _ in 0..2 {
            let start = Instant::now();
            fails(a.recv(&mut [0; 8]), &[WSAETIMEDOUT]);
            // A clock's tick may be missing: the catalogue allows 80.
            assert!(start.elapsed() >= Duration::from_millis(80), "after {:?}", start.elapsed());
        }
        b.send(b"late").unwrap();
        assert_eq!(recv_exactly(&a, 4), b"late");
        // Without it recv waits for as long as it takes.
        a.set_recv_timeout(None).unwrap();
        let start = Instant::now();
        let sender = thread::spawn(move || {
            thread::sleep(Duration::from_millis(250));
            b.send(b"x").unwrap();
            b
        });
        assert_eq!(a.recv(&mut [0; 8]), Ok(1));
        assert!(start.elapsed() >= Duration::from_millis(250));
        drop(sender.join());
    });
}

// W test_timeout; D SO_RCVTIMEO: which calls know it, and which do not.
#[test]
fn bl_09_a_receive_time_out_is_for_blocking_receives_alone() {
    promise(|| {
        let limit = Some(Duration::from_millis(50));
        for family in families() {
            let ((a, _), (b, b_name)) = (datagram(family), datagram(family));
            b.set_recv_timeout(limit).unwrap();
            fails(b.recv_from(&mut [0; 8]), &[WSAETIMEDOUT]);
            fails(b.recv_with(&mut [0; 8], Flags::PEEK), &[WSAETIMEDOUT]);
            b.set_nonblocking(true).unwrap();
            fails(b.recv(&mut [0; 8]), &[WSAEWOULDBLOCK]);
            a.send_to(b"late", b_name).unwrap();
            readable(&b);
            assert_eq!(b.recv(&mut [0; 8]), Ok(4));
            // An accept waits for as long as it takes.
            let (listener, address) = listener(family);
            listener.set_recv_timeout(limit).unwrap();
            let accepting = thread::spawn(move || listener.accept().map(drop));
            thread::sleep(SILENCE);
            assert!(!accepting.is_finished(), "the listener's time-out ended an accept");
            stream(family).connect(address).unwrap();
            accepting.join().unwrap().unwrap();
        }
    });
}

// W test_timeout; D WSARecv: also when it waits behind an operation, which goes on.
#[test]
fn bl_09_a_time_out_ends_a_call_behind_an_operation() {
    promise(|| {
        for family in families() {
            let (a, b) = narrow(family);
            let port = port_with(&[(&a, 1), (&b, 2)]);
            let limit = Some(Duration::from_millis(50));
            b.set_recv_timeout(limit).unwrap();
            a.set_send_timeout(limit).unwrap();
            recv_pending(&b, 8);
            fails(b.recv(&mut [0; 8]), &[WSAETIMEDOUT]);
            a.send(b"x").unwrap();
            assert_eq!(received(next_end(&port)), b"x");
            let send = pending(a.send_overlapped(vec![1; LONG], ToPort));
            fails(a.send(&[2; LONG]), &[WSAETIMEDOUT]);
            a.cancel(Some(send)).unwrap();
            assert_eq!(next_end(&port).id(), send);
        }
    });
}

// D recv: a receive that is to fill its buffer and runs out of time gives what there was, or leaves it.
#[test]
fn bl_09_a_part_of_a_buffer_is_not_lost_with_the_time() {
    promise(|| {
        let (a, b) = pair();
        b.set_recv_timeout(Some(Duration::from_millis(50))).unwrap();
        a.send(b"abc").unwrap();
        arrived(&b, 3);
        let mut buffer = [0; 8];
        let start = Instant::now();
        let got = match b.recv_with(&mut buffer, Flags::WAIT_ALL) {
            Ok(bytes) => bytes,
            Err(error) => {
                is_one_of(error, &[WSAETIMEDOUT]);
                b.recv(&mut buffer).unwrap()
            }
        };
        assert!(start.elapsed() < SOON);
        assert_eq!(&buffer[..got], b"abc");
        a.send(b"de").unwrap();
        assert_eq!(b.recv(&mut buffer), Ok(2));
    });
}

// W test_timeout.
#[test]
fn bl_09_a_send_time_out_ends_send() {
    promise(|| {
        let (a, b) = pair();
        a.set_send_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(a.send_timeout(), Ok(Some(Duration::from_millis(100))));
        let block = vec![1; 1 << 20];
        let error = (0..64).find_map(|_| a.send(&block).err()).expect("64 MiB were accepted and nobody read");
        is_one_of(error, &[WSAETIMEDOUT]);
        drop(b);
    });
}
