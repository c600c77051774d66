//! NE-01 to NE-05, NE-11, UD-07: FD_READ, once until a receive.

use crate::delivery::{both, event, set_soon, stays_unset};
use crate::harness::{
    arrived, datagram, fails, families, is_one_of, next_end, pair, pair_of, pending, port_with, promise,
    readable, received, recv_exactly, recv_pending, reset,
};
use doorbell_winsock::error::{WSA_OPERATION_ABORTED, WSAEINVAL, WSAEMSGSIZE, WSAEWOULDBLOCK};
use doorbell_winsock::overlapped::ToPort;
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Family, NetEvents, Shutdown};
use std::sync::{Arc, Barrier};
use std::thread;

// W test_read_events.
both!(ne_01_a_receive_that_leaves_data_has_it_told_again, |tell| {
    for family in families() {
        let ((a, b), (_c, d)) = (pair_of(family), pair_of(family));
        tell.select(&b, NetEvents::READ);
        tell.select(&d, NetEvents::READ);
        for _ in 0..2 {
            a.send(b"abcd").unwrap();
            tell.tells(&b, NetEvents::READ);
            arrived(&b, 4);
            tell.nothing();
            assert_eq!(b.recv(&mut [0; 2]), Ok(2));
            tell.tells(&b, NetEvents::READ);
            assert_eq!(b.recv(&mut [0; 1]), Ok(1));
            tell.tells(&b, NetEvents::READ);
            // The receive that takes the rest exactly, and knows no better.
            assert_eq!(b.recv(&mut [0; 1]), Ok(1));
            tell.nothing();
        }
        tell.end(&b);
        tell.end(&d);
    }
});

// W test_read_events: a receive that finds nothing changes nothing, what comes then is told.
both!(ne_01_a_receive_that_finds_nothing_loses_nothing, |tell| {
    let (a, b) = pair();
    tell.select(&b, NetEvents::READ);
    for _ in 0..2 {
        fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
        a.send(b"x").unwrap();
        tell.tells(&b, NetEvents::READ);
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
    }
    tell.nothing();
});

// D WSAEventSelect: one thread receives while another sends; no wake-up is lost between a receive and what comes.
both!(ne_01_what_comes_during_a_receive_is_told, |tell| {
    const BYTES: usize = 400;
    let (a, b) = pair();
    tell.select(&b, NetEvents::READ);
    let sender = thread::spawn(move || {
        for _ in 0..BYTES {
            a.send(b"x").unwrap();
        }
        a
    });
    let mut got = 0;
    while got < BYTES {
        tell.tells(&b, NetEvents::READ);
        match b.recv(&mut [0; 3]) {
            Ok(bytes) => got += bytes,
            // A message may be stale (AS-07), and real Windows sets an event once more (NE-04).
            Err(error) => assert_eq!(error.code(), WSAEWOULDBLOCK),
        }
    }
    drop(sender.join().unwrap());
});

// D WSAAsyncSelect.
both!(ne_02_so_has_a_receive_that_only_peeks, |tell| {
    for family in families() {
        let ((a, b), (c, d)) = (pair_of(family), pair_of(family));
        tell.select(&b, NetEvents::READ);
        tell.select(&d, NetEvents::READ);
        // What the neighbour has was told, and stays so.
        c.send(b"x").unwrap();
        tell.tells(&d, NetEvents::READ);
        a.send(b"abc").unwrap();
        tell.tells(&b, NetEvents::READ);
        arrived(&b, 3);
        // Whether it has room for a part, for all, or for more.
        for room in [1, 3, 8, 8] {
            assert_eq!(b.recv_with(&mut vec![0; room], Flags::PEEK), Ok(room.min(3)));
            tell.tells(&b, NetEvents::READ);
        }
        tell.nothing();
        assert_eq!(b.recv(&mut [0; 8]), Ok(3));
        fails(b.recv_with(&mut [0; 8], Flags::PEEK), &[WSAEWOULDBLOCK]);
        tell.nothing();
        tell.end(&b);
        tell.end(&d);
    }
});

// D WSAEventSelect, WSAAsyncSelect: the table of re-enabling functions has receives for FD_READ, and nothing else.
both!(ne_01_no_other_call_has_it_told_again, |tell| {
    let (a, b) = pair();
    tell.select(&b, NetEvents::READ | NetEvents::WRITE | NetEvents::CLOSE);
    tell.tells(&b, NetEvents::WRITE);
    a.send(b"ab").unwrap();
    tell.tells(&b, NetEvents::READ);
    arrived(&b, 2);
    for _ in 0..3 {
        assert_eq!(b.send(b"x"), Ok(1));
        assert_eq!(b.bytes_available(), Ok(2));
        assert_eq!(b.peer_addr(), a.local_addr());
        assert_eq!(b.socket_error(), Ok(0));
        b.set_nodelay(true).unwrap();
        b.set_nonblocking(true).unwrap();
        readable(&b);
    }
    tell.nothing();
    // And a receive that leaves something has that told, not that there is room.
    assert_eq!(b.recv(&mut [0; 1]), Ok(1));
    tell.tells(&b, NetEvents::READ);
    tell.nothing();
    // Nor has a half close either of them told.
    b.shutdown(Shutdown::Send).unwrap();
    tell.nothing();
    assert_eq!(b.recv(&mut [0; 4]), Ok(1));
    assert_eq!(recv_exactly(&a, 3), b"xxx");
    tell.nothing();
});

// D WSAEventSelect: a receive of no bytes is a receive too, and leaves everything behind.
both!(ne_01_so_has_a_receive_of_no_bytes, |tell| {
    let ((a, b), (_c, d)) = (pair(), pair());
    tell.select(&b, NetEvents::READ);
    tell.select(&d, NetEvents::READ);
    a.send(b"x").unwrap();
    tell.tells(&b, NetEvents::READ);
    for _ in 0..3 {
        assert_eq!(b.recv(&mut []), Ok(0));
        tell.tells(&b, NetEvents::READ);
    }
    assert_eq!(b.recv(&mut [0; 4]), Ok(1));
    tell.nothing();
});

// D WSAAsyncSelect against W test_read_events: whether a receive that fails does so is left open.
both!(ne_03_a_receive_that_fails_has_it_told_again_at_most_once, |tell| {
    let (a, b) = pair();
    tell.select(&b, NetEvents::READ);
    a.send(b"abcd").unwrap();
    tell.tells(&b, NetEvents::READ);
    fails(b.recv_with(&mut [0; 1], Flags::OUT_OF_BAND), &[WSAEINVAL, WSAEWOULDBLOCK]);
    tell.at_most(&b, NetEvents::READ);
    arrived(&b, 4);
    assert_eq!(b.recv(&mut [0; 8]), Ok(4));
    tell.nothing();
    a.send(b"x").unwrap();
    tell.tells(&b, NetEvents::READ);
});

// D against W test_read_events (todo there): whether more data sets the event again is left open. AS-04 has the messages.
#[test]
fn ne_04_more_data_is_recorded_at_most_once_more() {
    promise(|| {
        let event = event();
        let (a, b) = pair();
        b.event_select(Some(&event), NetEvents::READ).unwrap();
        for sent in 1..5 {
            a.send(b"x").unwrap();
            arrived(&b, sent);
            if sent == 1 {
                set_soon(&event);
            }
            let taken = b.enum_network_events(Some(&event)).unwrap().events;
            assert!(taken.without(NetEvents::READ).is_empty(), "{taken:?}");
        }
        // What stays unread is no news.
        b.enum_network_events(Some(&event)).unwrap();
        stays_unset(&event);
        assert_eq!(b.recv(&mut [0; 8]), Ok(4));
        stays_unset(&event);
    });
}

// D WSAEventSelect.
both!(ne_05_the_end_is_never_told_as_data, |tell| {
    for family in families() {
        let ((a, b), (c, d), (e, f)) = (pair_of(family), pair_of(family), pair_of(family));
        tell.select(&b, NetEvents::READ | NetEvents::CLOSE);
        for socket in [&d, &f] {
            tell.select(socket, NetEvents::READ);
        }
        c.close().unwrap();
        // Nor is a reset.
        reset(&e);
        readable(&f);
        tell.nothing();
        a.close().unwrap();
        tell.tells(&b, NetEvents::CLOSE);
        for socket in [&b, &d] {
            assert_eq!(socket.recv(&mut [0; 4]), Ok(0));
            assert_eq!(socket.recv(&mut [0; 4]), Ok(0));
        }
        f.recv(&mut [0; 4]).unwrap_err();
        tell.nothing();
        for socket in [&b, &d, &f] {
            tell.end(socket);
        }
    }
});

// D WSAEventSelect: nor is it behind data.
both!(ne_05_nor_is_it_behind_data, |tell| {
    let (a, b) = pair();
    tell.select(&b, NetEvents::READ);
    a.send(b"ab").unwrap();
    a.close().unwrap();
    tell.tells(&b, NetEvents::READ);
    arrived(&b, 2);
    assert_eq!(b.recv(&mut [0; 1]), Ok(1));
    tell.tells(&b, NetEvents::READ);
    assert_eq!(b.recv(&mut [0; 1]), Ok(1));
    tell.nothing();
    assert_eq!(b.recv(&mut [0; 1]), Ok(0));
    tell.nothing();
});

// W test_read_events.
both!(ne_11_what_a_pending_receive_takes_is_not_told, |tell| {
    let (a, b) = pair();
    let port = port_with(&[(&b, 1)]);
    tell.select(&b, NetEvents::READ);
    for _ in 0..2 {
        recv_pending(&b, 4);
        a.send(b"abcd").unwrap();
        assert_eq!(received(next_end(&port)), b"abcd");
        tell.nothing();
    }
    // What it leaves is told.
    recv_pending(&b, 4);
    a.send(b"abcdef").unwrap();
    assert_eq!(received(next_end(&port)), b"abcd");
    tell.tells(&b, NetEvents::READ);
    assert_eq!(b.recv(&mut [0; 8]), Ok(2));
    tell.nothing();
    // What the first of two leaves is the second's.
    recv_pending(&b, 2);
    recv_pending(&b, 4);
    a.send(b"abcdef").unwrap();
    assert_eq!(received(next_end(&port)), b"ab");
    assert_eq!(received(next_end(&port)), b"cdef");
    tell.nothing();
    // A receive that was cancelled takes nothing.
    let cancelled = recv_pending(&b, 4);
    b.cancel(Some(cancelled)).unwrap();
    fails(next_end(&port).result(), &[WSA_OPERATION_ABORTED]);
    tell.nothing();
    a.send(b"x").unwrap();
    tell.tells(&b, NetEvents::READ);
    assert_eq!(b.recv(&mut [0; 8]), Ok(1));
    tell.nothing();
});

// D WSARecv: a receive of no bytes, or one that peeks, ends with the data and leaves it all.
both!(ne_11_what_a_pending_receive_leaves_is_told, |tell| {
    let (a, b) = pair();
    let port = port_with(&[(&b, 1)]);
    tell.select(&b, NetEvents::READ);
    for (room, flags) in [(0, Flags::NONE), (4, Flags::PEEK), (0, Flags::NONE)] {
        pending(b.recv_overlapped(vec![0; room], flags, ToPort));
        tell.nothing();
        a.send(b"abc").unwrap();
        assert_eq!(next_end(&port).result(), Ok(room.min(3)));
        tell.tells(&b, NetEvents::READ);
        arrived(&b, 3);
        assert_eq!(b.recv(&mut [0; 8]), Ok(3));
        tell.nothing();
    }
});

// D CancelIoEx, WSAEventSelect: what arrives while the receive is cancelled is taken or told, and never neither.
both!(ne_11_data_that_meets_a_cancel_is_taken_or_told, |tell| {
    let (a, b) = pair();
    let port = port_with(&[(&b, 1)]);
    tell.select(&b, NetEvents::READ);
    for _ in 0..60 {
        let receive = recv_pending(&b, 4);
        let (both, a) = (Arc::new(Barrier::new(2)), a.clone());
        let sender = {
            let both = both.clone();
            thread::spawn(move || {
                both.wait();
                a.send(b"x").unwrap();
            })
        };
        both.wait();
        // Which of the two comes first is open; then there is nothing to cancel.
        let _ = b.cancel(Some(receive));
        match next_end(&port).result() {
            Ok(bytes) => assert_eq!(bytes, 1),
            Err(error) => {
                is_one_of(error, &[WSA_OPERATION_ABORTED]);
                tell.tells(&b, NetEvents::READ);
                assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            }
        }
        sender.join().unwrap();
    }
    tell.nothing();
});

// P8; D recvfrom.
both!(ud_07_while_a_datagram_is_left_each_receive_has_it_told_again, |tell| {
    for family in families() {
        let ((a, _), (b, to)) = (datagram(family), datagram(family));
        tell.select(&b, NetEvents::READ);
        for _ in 0..2 {
            for text in [&b"one"[..], b"", b"three"] {
                assert_eq!(a.send_to(text, to), Ok(text.len()));
            }
            tell.tells(&b, NetEvents::READ);
            assert_eq!(b.recv_from(&mut [0; 8]).unwrap().0, 3);
            tell.tells(&b, NetEvents::READ);
            // An empty one is one.
            assert_eq!(b.recv_from(&mut [0; 8]).unwrap().0, 0);
            tell.tells(&b, NetEvents::READ);
            assert_eq!(b.recv_from(&mut [0; 8]).unwrap().0, 5);
            tell.nothing();
        }
        tell.end(&b);
    }
});

// D recvfrom: a datagram that was cut off is gone, the next one is told.
both!(ud_07_so_has_one_that_cuts_a_datagram_off, |tell| {
    let ((a, _), (b, to)) = (datagram(Family::V4), datagram(Family::V4));
    tell.select(&b, NetEvents::READ);
    a.send_to(b"0123456789", to).unwrap();
    a.send_to(b"x", to).unwrap();
    tell.tells(&b, NetEvents::READ);
    fails(b.recv_from(&mut [0; 4]), &[WSAEMSGSIZE]);
    tell.tells(&b, NetEvents::READ);
    assert_eq!(b.recv_from(&mut [0; 4]).unwrap().0, 1);
    tell.nothing();
});
