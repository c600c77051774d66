//! NE-06, NE-07, UD-08: FD_WRITE, when a connection becomes usable and when room came back.

use crate::delivery::{Delivery, both, fill, narrow_pair};
use crate::harness::{SILENCE, arrived, datagram, families, pair, pair_of, recv_exactly};
use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::{FdSet, Kind, NetEvents, Socket, select};
use std::thread;
use std::time::Duration;

/// Fills a socket until nothing moves any more: the bytes that it took. The room that comes back while the peer's
/// system still takes some is told, and used. That may come late: a system asks a peer that is full again after 200 ms,
/// and under Wine the rest of a send goes out by and by (D18).
#[track_caller]
fn full(tell: &mut Delivery, socket: &Socket) -> usize {
    let mut sent = 0;
    loop {
        sent += fill(socket);
        match tell.next(SILENCE * 4) {
            None => return sent,
            Some(told) => assert_eq!((told.socket, told.event), (socket.id(), NetEvents::WRITE)),
        }
    }
}

// W test_write_events.
both!(ne_06_room_is_told_once, |tell| {
    for family in families() {
        let ((a, b), (c, _d)) = (pair_of(family), pair_of(family));
        tell.select(&a, NetEvents::WRITE);
        tell.tells(&a, NetEvents::WRITE);
        tell.select(&c, NetEvents::WRITE);
        tell.tells(&c, NetEvents::WRITE);
        // Sends that find room do not change that.
        for _ in 0..3 {
            a.send(b"x").unwrap();
        }
        tell.nothing();
        recv_exactly(&b, 3);
        tell.nothing();
        tell.end(&a);
        tell.end(&c);
    }
});

// W test_write_events.
both!(ne_06_room_is_told_again_after_a_send_found_none, |tell| {
    let (a, b) = narrow_pair();
    let (c, _d) = pair();
    tell.select(&a, NetEvents::WRITE);
    tell.tells(&a, NetEvents::WRITE);
    tell.select(&c, NetEvents::WRITE);
    tell.tells(&c, NetEvents::WRITE);
    for _ in 0..3 {
        let sent = full(tell, &a);
        recv_exactly(&b, sent);
        tell.tells(&a, NetEvents::WRITE);
        tell.nothing();
    }
});

// W test_write_events: the room that comes back unasked is nobody's news.
both!(ne_06_room_that_no_send_asked_for_is_not_told, |tell| {
    let (a, b) = narrow_pair();
    a.set_nonblocking(true).unwrap();
    let sent = fill(&a);
    recv_exactly(&b, sent);
    tell.select(&a, NetEvents::WRITE);
    tell.tells(&a, NetEvents::WRITE);
    a.send(&[1; 100]).unwrap();
    recv_exactly(&b, 100);
    tell.nothing();
});

// W test_write_events.
both!(ne_07_while_it_stays_full_nothing_is_told, |tell| {
    let (a, b) = narrow_pair();
    tell.select(&a, NetEvents::WRITE);
    tell.tells(&a, NetEvents::WRITE);
    let sent = full(tell, &a);
    for _ in 0..3 {
        assert_eq!(fill(&a), 0);
        tell.nothing();
    }
    // What comes the other way is no room, and neither it nor its receive asks for any.
    b.send(b"x").unwrap();
    tell.nothing();
    arrived(&a, 1);
    assert_eq!(a.recv(&mut [0; 4]), Ok(1));
    tell.nothing();
    // Who selects again is told of it when it is there (ES-06, AS-06).
    tell.end(&a);
    tell.select(&a, NetEvents::WRITE);
    tell.nothing();
    recv_exactly(&b, sent);
    tell.tells(&a, NetEvents::WRITE);
});

// D WSAEventSelect: room that comes back during the send that finds none is told.
both!(ne_06_no_room_is_lost_while_the_peer_reads, |tell| {
    const BYTES: usize = 2 << 20;
    let (a, b) = narrow_pair();
    tell.select(&a, NetEvents::WRITE);
    let reader = thread::spawn(move || recv_exactly(&b, BYTES));
    let piece = vec![3; 8192];
    let mut sent = 0;
    while sent < BYTES {
        tell.tells(&a, NetEvents::WRITE);
        loop {
            match a.send(&piece[..piece.len().min(BYTES - sent)]) {
                Ok(bytes) => sent += bytes,
                Err(error) => {
                    assert_eq!(error.code(), WSAEWOULDBLOCK);
                    break;
                }
            }
            if sent == BYTES {
                break;
            }
        }
    }
    assert_eq!(reader.join().unwrap().len(), BYTES);
});

// W test_select, test_WSAEnumNetworkEvents.
both!(ud_08_a_datagram_socket_has_room_once, |tell| {
    for family in families() {
        let unbound = Socket::new(family, Kind::Datagram).unwrap();
        let (bound, to) = datagram(family);
        for socket in [&unbound, &bound] {
            let mut write = FdSet::from_iter([socket]);
            assert_eq!(select(None, Some(&mut write), None, Some(Duration::ZERO)), Ok(1));
            tell.select(socket, NetEvents::ALL.without(NetEvents::READ));
            tell.tells(socket, NetEvents::WRITE);
            // Neither a send nor being bound by it has it told again.
            for _ in 0..3 {
                assert_eq!(socket.send_to(b"x", to), Ok(1));
            }
            tell.nothing();
        }
        tell.end(&unbound);
        tell.end(&bound);
    }
});
