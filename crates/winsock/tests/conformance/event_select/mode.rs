//! MO-01 to MO-03: a selection makes its socket non-blocking.

use crate::delivery::both;
use crate::harness::{
    any, arrived, connected, datagram, fails, families, listener, pair, pair_of, recv_exactly, stream,
};
use doorbell_winsock::error::{WSAEINVAL, WSAEWOULDBLOCK};
use doorbell_winsock::{Family, NetEvents};
use std::thread;
use std::time::{Duration, Instant};

// D WSAEventSelect, WSAAsyncSelect.
both!(mo_01_whatever_the_mask_the_socket_does_not_block, |tell| {
    for mask in NetEvents::ALL.iter() {
        let (_a, b) = pair();
        tell.select(&b, mask);
        fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
        tell.end(&b);
    }
    let (_a, b) = pair();
    tell.end(&b);
    fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
});

// D WSAEventSelect, WSAAsyncSelect: neither do accept, connect and recvfrom.
both!(mo_01_no_call_of_it_blocks, |tell| {
    for family in families() {
        let (listener, address) = listener(family);
        tell.select(&listener, NetEvents::CLOSE);
        fails(listener.accept(), &[WSAEWOULDBLOCK]);
        let socket = stream(family);
        socket.bind(any(family)).unwrap();
        tell.select(&socket, NetEvents::CLOSE);
        fails(socket.connect(address), &[WSAEWOULDBLOCK]);
        connected(&socket);
        let (datagram, _) = datagram(family);
        tell.select(&datagram, NetEvents::CLOSE);
        fails(datagram.recv_from(&mut [0; 4]), &[WSAEWOULDBLOCK]);
        // Its peer, which nobody selected, is as it was.
        let (a, b) = pair_of(family);
        tell.select(&b, NetEvents::READ);
        let sender = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            b.send(b"x").unwrap();
            b
        });
        assert_eq!(recv_exactly(&a, 1), b"x");
        tell.end(&sender.join().unwrap());
    }
});

// W test_fionbio; D.
both!(mo_02_the_mode_cannot_be_taken_back_while_it_is_selected, |tell| {
    let (_a, b) = pair();
    for mask in [NetEvents::READ, NetEvents::CLOSE, NetEvents::ALL] {
        tell.select(&b, mask);
        fails(b.set_nonblocking(false), &[WSAEINVAL]);
        b.set_nonblocking(true).unwrap();
        fails(b.set_nonblocking(false), &[WSAEINVAL]);
        fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
    }
    tell.end(&b);
});

// D; P8.
both!(mo_03_an_ended_selection_leaves_it_so_until_it_is_taken_back, |tell| {
    for family in families() {
        let (a, b) = pair_of(family);
        for _ in 0..2 {
            tell.select(&b, NetEvents::READ);
            tell.end(&b);
            fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
            b.set_nonblocking(false).unwrap();
            let start = Instant::now();
            let sender = {
                let a = a.clone();
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(100));
                    a.send(b"x").unwrap();
                })
            };
            assert_eq!(b.recv(&mut [0; 4]), Ok(1));
            assert!(start.elapsed() >= Duration::from_millis(90), "{:?}", start.elapsed());
            sender.join().unwrap();
        }
        tell.nothing();
    }
});

// D WSAEventSelect: selected again it is told of what it missed, and does not block again.
both!(mo_03_and_it_may_be_selected_again, |tell| {
    let (a, b) = pair_of(Family::V4);
    tell.select(&b, NetEvents::READ);
    tell.end(&b);
    b.set_nonblocking(false).unwrap();
    a.send(b"x").unwrap();
    arrived(&b, 1);
    tell.nothing();
    tell.select(&b, NetEvents::READ);
    tell.tells(&b, NetEvents::READ);
    assert_eq!(b.recv(&mut [0; 4]), Ok(1));
    fails(b.recv(&mut [0; 4]), &[WSAEWOULDBLOCK]);
});
