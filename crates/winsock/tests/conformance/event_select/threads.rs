//! Network events whose sockets are used by several threads.

use crate::delivery::{both, fill, narrow_pair};
use crate::harness::{SETTLE, SILENCE, SOON, arrived, listener, pair, recv_exactly, stream};
use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::socket::SocketId;
use doorbell_winsock::{Family, NetEvents, Shutdown, Socket};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

// D WSAEventSelect: whichever thread receives, what it leaves is told.
both!(ne_01_whichever_thread_receives, |tell| {
    let (a, b) = pair();
    tell.select(&b, NetEvents::READ);
    for _ in 0..5 {
        a.send(b"abc").unwrap();
        tell.tells(&b, NetEvents::READ);
        arrived(&b, 3);
        for left in [2, 1] {
            let socket = b.clone();
            assert_eq!(thread::spawn(move || socket.recv(&mut [0; 1])).join().unwrap(), Ok(1));
            tell.tells(&b, NetEvents::READ);
            arrived(&b, left);
        }
        assert_eq!(b.recv(&mut [0; 4]), Ok(1));
    }
    tell.nothing();
});

// D WSAEventSelect: two threads that receive what they can; the one that is told finds nothing now and then.
both!(ne_01_two_threads_receive, |tell| {
    const BYTES: usize = 2000;
    let (a, b) = pair();
    tell.select(&b, NetEvents::READ);
    let other = b.clone();
    let sender = thread::spawn(move || {
        for _ in 0..BYTES / 10 {
            a.send(&[1; 10]).unwrap();
        }
        a
    });
    // It takes what it finds, and leaves the rest to who is told.
    let taker = thread::spawn(move || {
        let mut got = 0;
        for _ in 0..200 {
            got += other.recv(&mut [0; 3]).unwrap_or(0);
            thread::yield_now();
        }
        got
    });
    let mut got = 0;
    let taken = taker.join().unwrap();
    while got + taken < BYTES {
        tell.tells(&b, NetEvents::READ);
        match b.recv(&mut [0; 64]) {
            Ok(bytes) => got += bytes,
            Err(error) => assert_eq!(error.code(), WSAEWOULDBLOCK),
        }
    }
    assert_eq!(got + taken, BYTES);
    drop(sender.join().unwrap());
});

// D WSAEventSelect: the end comes while two threads receive, behind data: nothing is lost, and it is told once.
both!(ne_13_two_threads_receive_what_comes_before_the_end, |tell| {
    const ROUNDS: usize = 12;
    for round in 0..ROUNDS {
        let (a, b) = pair();
        tell.select(&b, NetEvents::READ | NetEvents::CLOSE);
        let sender = thread::spawn(move || {
            for _ in 0..20 {
                a.send(b"abc").unwrap();
            }
            if round % 2 == 0 { a.shutdown(Shutdown::Send) } else { a.close() }.unwrap();
            a
        });
        let other = b.clone();
        let taker = thread::spawn(move || {
            let mut got = 0;
            for _ in 0..60 {
                got += other.recv(&mut [0; 2]).unwrap_or(0);
                thread::yield_now();
            }
            got
        });
        let (mut got, mut ended) = (0, false);
        while !ended {
            let told = tell.next(SOON).expect("data or the end");
            assert_eq!(told.error, 0);
            // A message may be stale (AS-07), also one of the socket before.
            assert!(told.socket == b.id() || told.event == NetEvents::READ, "a second end");
            ended = told.event == NetEvents::CLOSE;
            got += b.recv(&mut [0; 5]).unwrap_or(0);
        }
        got += taker.join().unwrap();
        while let Ok(bytes @ 1..) = b.recv(&mut [0; 64]) {
            got += bytes;
        }
        assert_eq!(got, 60);
        let _a = sender.join().unwrap();
        while let Some(told) = tell.next(if round + 1 == ROUNDS { SILENCE } else { Duration::ZERO }) {
            assert_eq!(told.event, NetEvents::READ, "a second end");
        }
        tell.end(&b);
    }
});

// D WSAEventSelect: whichever thread finds no room, who selected is told of it.
both!(ne_06_whichever_thread_sends, |tell| {
    let (a, b) = narrow_pair();
    tell.select(&a, NetEvents::WRITE);
    tell.tells(&a, NetEvents::WRITE);
    for _ in 0..3 {
        let socket = a.clone();
        let mut sent = thread::spawn(move || fill(&socket)).join().unwrap();
        // The peer's system may have taken some meanwhile.
        while tell.next(SETTLE).is_some() {
            sent += fill(&a);
        }
        let reader = {
            let b = b.clone();
            thread::spawn(move || recv_exactly(&b, sent))
        };
        tell.tells(&a, NetEvents::WRITE);
        reader.join().unwrap();
    }
    tell.nothing();
});

// D WSAEventSelect: whichever thread accepts.
both!(ne_08_whichever_thread_accepts, |tell| {
    let (listener, address) = listener(Family::V4);
    tell.select(&listener, NetEvents::ACCEPT);
    let clients: Vec<_> = (0..5)
        .map(|_| {
            let client = stream(Family::V4);
            client.connect(address).unwrap();
            client
        })
        .collect();
    for _ in &clients {
        tell.tells(&listener, NetEvents::ACCEPT);
        let socket = listener.clone();
        thread::spawn(move || socket.accept().unwrap()).join().unwrap();
    }
    tell.nothing();
});

// D WSAEventSelect, WSAAsyncSelect: a server of many connections, whose clients wait for each answer.
both!(ne_01_no_wake_up_of_many_connections_is_lost, |tell| {
    const CLIENTS: usize = 16;
    const ROUNDS: usize = 40;
    let (listener, address) = listener(Family::V4);
    tell.select(&listener, NetEvents::ACCEPT | NetEvents::READ | NetEvents::CLOSE);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            thread::spawn(move || {
                let mut peer = TcpStream::connect(address).unwrap();
                peer.set_read_timeout(Some(SOON)).unwrap();
                for round in 0..ROUNDS {
                    let question = vec![(number + round) as u8; 1 + round * 7 % 50];
                    peer.write_all(&question).unwrap();
                    let mut answer = vec![0; question.len()];
                    peer.read_exact(&mut answer).expect("an answer");
                    assert_eq!(answer, question);
                }
            })
        })
        .collect();
    let mut sockets: HashMap<SocketId, Socket> = HashMap::new();
    let mut ended = 0;
    while ended < CLIENTS {
        let told = tell.next(SOON).expect("every client goes on");
        if told.socket == listener.id() {
            match listener.accept() {
                Ok((socket, _)) => {
                    tell.inherited(&socket);
                    sockets.insert(socket.id(), socket);
                }
                Err(error) => assert_eq!(error.code(), WSAEWOULDBLOCK),
            }
            continue;
        }
        let socket = &sockets[&told.socket];
        if told.event == NetEvents::CLOSE {
            ended += 1;
            continue;
        }
        let mut bytes = [0; 16];
        match socket.recv(&mut bytes) {
            Ok(count) => assert_eq!(socket.send(&bytes[..count]), Ok(count)),
            Err(error) => assert_eq!(error.code(), WSAEWOULDBLOCK),
        }
    }
    for client in clients {
        client.join().unwrap();
    }
    tell.nothing();
});
