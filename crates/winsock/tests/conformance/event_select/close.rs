//! NE-13 to NE-19, SD-11: FD_CLOSE, once a connection.

use crate::delivery::{Delivery, both, event, set_soon, stays_unset};
use crate::harness::{
    SOON, arrived, families, is_one_of, next_end, pair, pair_of, pattern, port_with, promise, readable,
    received, recv_pending, reset, same_bytes, within,
};
use doorbell_winsock::error::{WSAECONNABORTED, WSAECONNRESET, WSAEWOULDBLOCK};
use doorbell_winsock::{Error, NetEvents, Shutdown, Socket};

const READ_CLOSE: NetEvents = NetEvents::from_bits(1 | 32);

/// Receives what there is at once.
fn take(socket: &Socket, into: &mut Vec<u8>) {
    let mut bytes = vec![0; 65536];
    loop {
        match socket.recv(&mut bytes) {
            Ok(0) => return,
            Ok(count) => into.extend_from_slice(&bytes[..count]),
            Err(error) if error.code() == WSAEWOULDBLOCK => return,
            Err(error) => panic!("{error}"),
        }
    }
}

// W test_close_events.
both!(ne_13_the_end_is_told_once, |tell| {
    for family in families() {
        let ((a, b), (_c, d)) = (pair_of(family), pair_of(family));
        tell.select(&b, READ_CLOSE);
        tell.select(&d, READ_CLOSE);
        tell.nothing();
        a.shutdown(Shutdown::Send).unwrap();
        tell.tells(&b, NetEvents::CLOSE);
        tell.nothing();
        // The other direction goes on, and the full close behind the half one is no news; nor is what is received.
        assert_eq!(b.send(b"x"), Ok(1));
        arrived(&a, 1);
        assert_eq!(b.recv(&mut [0; 4]), Ok(0));
        assert_eq!(a.recv(&mut [0; 4]), Ok(1));
        a.close().unwrap();
        tell.nothing();
        assert_eq!(b.recv(&mut [0; 4]), Ok(0));
        tell.nothing();
        tell.end(&b);
        tell.end(&d);
    }
});

// W test_close_events: nor is what follows news: a reset behind the half close, and a send that fails for it.
both!(
    ne_13_what_follows_the_end_is_not_told,
    |tell| {
        let (a, b) = pair();
        tell.select(&b, READ_CLOSE);
        a.shutdown(Shutdown::Send).unwrap();
        tell.tells(&b, NetEvents::CLOSE);
        assert_eq!(b.send(b"x"), Ok(1));
        arrived(&a, 1);
        reset(&a);
        tell.nothing();
        assert!(within(SOON, || b.send(b"x").is_err()), "the reset never came");
        let _ = b.recv(&mut [0; 4]);
        tell.nothing();
    },
    by_event = "NE-13",
    by_message = "NE-13"
);

// D WSARecv, WSAEventSelect: a pending receive ends with it, and it is told.
both!(ne_13_the_end_is_told_beside_a_pending_receive, |tell| {
    let (a, b) = pair();
    let port = port_with(&[(&b, 1)]);
    tell.select(&b, READ_CLOSE);
    recv_pending(&b, 8);
    a.send(b"x").unwrap();
    assert_eq!(received(next_end(&port)), b"x");
    recv_pending(&b, 8);
    a.close().unwrap();
    assert_eq!(next_end(&port).result(), Ok(0));
    tell.tells(&b, NetEvents::CLOSE);
    tell.nothing();
});

// D WSAEventSelect; W test_close_events.
both!(ne_14_data_before_the_end_is_not_lost, |tell| {
    for piece in [1, 4, 64] {
        let (a, b) = pair();
        tell.select(&b, READ_CLOSE);
        a.send(&pattern(10, 0)).unwrap();
        a.close().unwrap();
        let (mut got, mut ended) = (Vec::new(), false);
        while got.len() < 10 || !ended {
            let told = tell.next(SOON).expect("data or the end");
            assert_eq!((told.socket, told.error), (b.id(), 0));
            if told.event == NetEvents::READ {
                let mut bytes = vec![0; piece];
                let count = b.recv(&mut bytes).unwrap();
                got.extend_from_slice(&bytes[..count]);
            } else {
                assert!(told.event == NetEvents::CLOSE && !ended, "{told:?}");
                ended = true;
            }
        }
        same_bytes(&got, &pattern(10, 0));
        tell.nothing();
        assert_eq!(b.recv(&mut [0; 4]), Ok(0));
        tell.nothing();
        tell.end(&b);
    }
});

// D WSAEventSelect: also when the end alone is selected; what was not selected stands before it all the same.
both!(ne_14_the_end_alone_is_told_once_and_costs_no_data, |tell| {
    for piece in [1, 10] {
        let (a, b) = pair();
        tell.select(&b, NetEvents::CLOSE);
        a.send(&pattern(10, 0)).unwrap();
        a.close().unwrap();
        arrived(&b, 10);
        let before = tell.at_most(&b, NetEvents::CLOSE);
        let mut got = Vec::new();
        while got.len() < 10 {
            let mut bytes = vec![0; piece];
            let count = b.recv(&mut bytes).unwrap();
            got.extend_from_slice(&bytes[..count]);
        }
        same_bytes(&got, &pattern(10, 0));
        if !before {
            tell.tells(&b, NetEvents::CLOSE);
        }
        assert_eq!(b.recv(&mut [0; 4]), Ok(0));
        tell.nothing();
        tell.end(&b);
    }
});

// D WSAEventSelect says 10054, W test_close_events 10053.
both!(ne_15_a_reset_is_told_with_a_code, |tell| {
    for family in families() {
        let ((a, b), (c, d)) = (pair_of(family), pair_of(family));
        tell.select(&b, READ_CLOSE);
        tell.select(&d, READ_CLOSE);
        reset(&a);
        let code = tell.fails(&b, NetEvents::CLOSE);
        is_one_of(Error::new("", code), &[WSAECONNRESET, WSAECONNABORTED]);
        tell.nothing();
        b.recv(&mut [0; 4]).unwrap_err();
        tell.nothing();
        // An end that is none of those carries nothing.
        c.close().unwrap();
        tell.tells(&d, NetEvents::CLOSE);
        tell.end(&b);
        tell.end(&d);
    }
});

// D WSAEventSelect, WSARecv: whoever learns of it first takes it from nobody, neither a receive nor an operation.
both!(ne_15_a_reset_that_a_receive_has_met_is_told_with_a_code, |tell| {
    for operation in [false, true] {
        let (a, b) = pair();
        let port = operation.then(|| port_with(&[(&b, 1)]));
        tell.select(&b, READ_CLOSE);
        if operation {
            recv_pending(&b, 4);
        }
        reset(&a);
        match port {
            Some(port) => next_end(&port).result().unwrap_err(),
            None => {
                readable(&b);
                b.recv(&mut [0; 4]).unwrap_err()
            }
        };
        let code = tell.fails(&b, NetEvents::CLOSE);
        is_one_of(Error::new("", code), &[WSAECONNRESET, WSAECONNABORTED]);
        tell.nothing();
        b.recv(&mut [0; 4]).unwrap_err();
        tell.nothing();
        tell.end(&b);
    }
});

// D WSAEventSelect: behind data that nobody took.
both!(ne_15_a_reset_behind_data_is_told_with_a_code, |tell| {
    let (a, b) = pair();
    tell.select(&b, READ_CLOSE);
    a.send(b"x").unwrap();
    tell.tells(&b, NetEvents::READ);
    reset(&a);
    let code = tell.fails(&b, NetEvents::CLOSE);
    is_one_of(Error::new("", code), &[WSAECONNRESET, WSAECONNABORTED]);
    tell.nothing();
});

// D WSAAsyncSelect; W test_close_events.
both!(ne_16_the_own_half_close_is_not_told, |tell| {
    for family in families() {
        let (a, b) = pair_of(family);
        tell.select(&b, READ_CLOSE);
        b.shutdown(Shutdown::Send).unwrap();
        tell.nothing();
        a.send(b"x").unwrap();
        tell.tells(&b, NetEvents::READ);
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
        tell.nothing();
        a.close().unwrap();
        tell.tells(&b, NetEvents::CLOSE);
        tell.nothing();
        tell.end(&b);
    }
});

// W test_close_events; SD-05.
both!(ne_17_the_peers_end_of_receiving_is_not_told, |tell| {
    for family in families() {
        let (a, b) = pair_of(family);
        tell.select(&b, READ_CLOSE);
        a.shutdown(Shutdown::Receive).unwrap();
        tell.nothing();
        a.send(b"x").unwrap();
        tell.tells(&b, NetEvents::READ);
        tell.end(&b);
    }
});

// W test_close_events: what the peer's end then gives is left open (todo there).
both!(ne_17_the_own_end_of_both_directions_is_not_told, |tell| {
    for family in families() {
        let (a, b) = pair_of(family);
        tell.select(&b, READ_CLOSE);
        b.shutdown(Shutdown::Both).unwrap();
        tell.nothing();
        readable(&a);
        assert_eq!(a.recv(&mut [0; 4]), Ok(0));
        a.close().unwrap();
        tell.at_most(&b, NetEvents::CLOSE);
        tell.end(&b);
    }
});

// D WSAEventSelect; W test_close_events. AS-11 has the messages.
#[test]
fn ne_18_closing_never_sets_the_event_object() {
    promise(|| {
        for family in families() {
            for pause in [false, true] {
                let event = event();
                let ((a, b), (c, d)) = (pair_of(family), pair_of(family));
                for socket in [&b, &d] {
                    socket.event_select(Some(&event), NetEvents::ALL.without(NetEvents::WRITE)).unwrap();
                }
                if pause {
                    stays_unset(&event);
                }
                b.close().unwrap();
                stays_unset(&event);
                // Nor does what the peer does then.
                let _ = a.send(b"x");
                a.close().unwrap();
                stays_unset(&event);
                // Another socket sets it as ever.
                c.send(b"x").unwrap();
                set_soon(&event);
                assert_eq!(d.enum_network_events(Some(&event)).unwrap().events, NetEvents::READ);
            }
        }
    });
}

// W test_close_events.
both!(ne_19_an_end_before_selecting_is_told_at_once, |tell| {
    for family in families() {
        for (half, met) in [(false, false), (true, false), (false, true), (true, true)] {
            let ((a, b), (_c, d)) = (pair_of(family), pair_of(family));
            if half { a.shutdown(Shutdown::Send) } else { a.close() }.unwrap();
            readable(&b);
            // Whether a receive has met it or not.
            assert!(!met || b.recv(&mut [0; 4]) == Ok(0));
            for socket in [&b, &d] {
                tell.select(socket, READ_CLOSE);
            }
            tell.tells(&b, NetEvents::CLOSE);
            tell.nothing();
            tell.end(&b);
            tell.end(&d);
        }
    }
});

// D WSAEventSelect.
both!(
    ne_19_so_is_a_reset,
    |tell| {
        let (a, b) = pair();
        reset(&a);
        readable(&b);
        tell.select(&b, NetEvents::CLOSE);
        let code = tell.fails(&b, NetEvents::CLOSE);
        is_one_of(Error::new("", code), &[WSAECONNRESET, WSAECONNABORTED]);
        tell.nothing();
    },
    by_message = "NE-19"
);

/// One end of the conversation of SD-11.
struct End {
    socket: Socket,
    unsent: Vec<u8>,
    got: Vec<u8>,
    ended: bool,
}

impl End {
    fn new(tell: &mut Delivery, socket: Socket) -> End {
        tell.select(&socket, READ_CLOSE | NetEvents::WRITE);
        End { socket, unsent: Vec::new(), got: Vec::new(), ended: false }
    }

    /// Sends what there is room for, and then finishes.
    fn send(&mut self) {
        while !self.unsent.is_empty() {
            match self.socket.send(&self.unsent) {
                Ok(bytes) => drop(self.unsent.drain(..bytes)),
                Err(error) if error.code() == WSAEWOULDBLOCK => return,
                Err(error) => panic!("{error}"),
            }
        }
        self.socket.shutdown(Shutdown::Send).unwrap();
    }
}

// D Graceful Shutdown, Linger Options, and Socket Closure (the table).
both!(sd_11_the_full_sequence_loses_nothing, |tell| {
    let (question, answer) = (pattern(300_000, 1), pattern(500_000, 2));
    let (a, b) = pair();
    let (mut client, mut server) = (End::new(tell, a), End::new(tell, b));
    client.unsent.clone_from(&question);
    while !(client.ended && client.got.len() == answer.len()) {
        let told = tell.next(SOON).expect("the sequence goes on");
        assert_eq!(told.error, 0);
        let asks = told.socket == client.socket.id();
        let end = if asks { &mut client } else { &mut server };
        if told.event == NetEvents::READ {
            take(&end.socket, &mut end.got);
        } else if told.event == NetEvents::CLOSE {
            assert!(!std::mem::replace(&mut end.ended, true), "the end came twice");
            take(&end.socket, &mut end.got);
        } else if !end.unsent.is_empty() {
            end.send();
        }
        // The server has the whole question, and the end behind it: it answers.
        if !asks && server.ended && server.got.len() == question.len() {
            same_bytes(&server.got, &question);
            server.got.push(0);
            server.unsent.clone_from(&answer);
            server.send();
        }
    }
    same_bytes(&client.got, &answer);
    assert!(server.ended && server.unsent.is_empty());
    tell.nothing();
    tell.end(&client.socket);
    tell.end(&server.socket);
    client.socket.close().unwrap();
    server.socket.close().unwrap();
});
