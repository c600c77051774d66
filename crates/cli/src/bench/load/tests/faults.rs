//! Servers with one fault each: it is caught, named, and the sentence says where.

use super::servers::{Came, Server, Then, after_one_answer, send};
use super::{Kind, Load, LoadError, load, measure};
use std::net::{Shutdown, TcpStream};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Where the fault is: in the answer to request 15, with bytes of it before and behind.
const POSITION: usize = 1000;

/// The last byte of that answer.
const LAST: usize = 1023;

/// Of a server that is to be found silent: longer than one that is right takes on a busy machine.
const SHORT: Duration = Duration::from_secs(1);

/// The sentence about a server, under one connection with requests of 64 bytes.
fn fault(answer: impl Fn(Came<'_>) -> Then + Send + Sync + 'static) -> String {
    fault_under(&one(), answer)
}

fn one() -> Load {
    // The run ends with the fault.
    Load { connections: 1, duration: Duration::from_secs(60), ..load() }
}

fn fault_under(load: &Load, answer: impl Fn(Came<'_>) -> Then + Send + Sync + 'static) -> String {
    let server = Server::start(answer);
    sentence(measure(server.address, load).map(|_| ()))
}

fn sentence(result: Result<(), LoadError>) -> String {
    match result {
        Err(LoadError::Fault(sentence)) => sentence,
        other => panic!("expected a fault, got {other:?}"),
    }
}

#[track_caller]
fn says(sentence: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| sentence.contains(part)), "{sentence}\ndoes not say all of {parts:?}");
}

#[test]
fn a_changed_byte() {
    let fault = fault(|came| {
        let mut bytes = came.bytes.to_vec();
        if let Some(index) = came.index_of(POSITION) {
            bytes[index] ^= 0x20;
        }
        send(came.peer, &bytes);
        Then::Continue
    });
    says(
        &fault,
        &[
            "connection 0, byte 1000 of its answers (byte 40 of the answer to request 15): expected 0x",
            ", came 0x",
            "this byte was changed",
        ],
    );
}

#[test]
fn a_dropped_byte() {
    let drop_at = |position| {
        move |came: Came<'_>| {
            let mut bytes = came.bytes.to_vec();
            if let Some(index) = came.index_of(position) {
                bytes.remove(index);
            }
            send(came.peer, &bytes);
            Then::Continue
        }
    };
    says(
        &fault(drop_at(POSITION)),
        &["connection 0, byte 1000 of its answers", "1 byte before it were missing"],
    );
    let fault = fault_under(&Load { patience: SHORT, ..one() }, drop_at(LAST));
    says(&fault, &["connection 0, byte 1023 of its answers", "expected 1 byte more", "nothing came for 1s"]);
}

#[test]
fn a_byte_that_comes_twice() {
    let double_at = |position| {
        move |came: Came<'_>| {
            let mut bytes = came.bytes.to_vec();
            if let Some(index) = came.index_of(position) {
                bytes.insert(index, bytes[index]);
            }
            send(came.peer, &bytes);
            Then::Continue
        }
    };
    says(
        &fault(double_at(POSITION)),
        &["connection 0, byte 1001 of its answers", "1 byte before it had come twice"],
    );
    says(
        &fault(double_at(LAST)),
        &["connection 0, byte 1024 of its answers", "expected nothing", "came 1 byte more"],
    );
}

#[test]
fn the_end_before_the_answer_is_whole() {
    let fault = fault(|mut came| match came.index_of(POSITION) {
        Some(index) => {
            send(came.peer, &came.bytes[..index]);
            Then::Close
        }
        None => came.echo(),
    });
    says(&fault, &["connection 0, byte 1000 of its answers", "expected 24 bytes more", "the server closed"]);
}

#[test]
fn a_reset() {
    // It closes with bytes unread, which the system answers with a reset.
    let load = Load { size_min: 32 << 10, size_max: 32 << 10, ..one() };
    let fault = fault_under(&load, |came| {
        came.peer.peek(&mut [0]).unwrap();
        Then::Close
    });
    says(
        &fault,
        &["connection 0, byte 0 of its answers", "expected 32768 bytes more", "the connection broke"],
    );
}

#[test]
fn no_answer_at_all() {
    let load = Load { patience: SHORT, duration: Duration::from_millis(50), ..one() };
    let fault = fault_under(&load, |_| Then::Continue);
    let silence = ["expected 64 bytes more", "nothing came for 1s"];
    says(&fault, &["connection 0, byte 0 of its answers", silence[0], silence[1]]);
    // Only the opening is answered. The run is over before the patience is: what is under way then is waited for.
    let fault = fault_under(&load, |mut came| match came.position {
        0 => came.echo(),
        _ => Then::Continue,
    });
    says(&fault, &["connection 0, byte 64 of its answers", silence[0], silence[1]]);
}

#[test]
fn no_end_after_the_clients() {
    // A second handle of the socket keeps it open.
    let kept = OnceLock::new();
    let load = Load { patience: SHORT, duration: Duration::from_millis(50), ..one() };
    let fault = fault_under(&load, move |mut came| {
        kept.get_or_init(|| came.peer.try_clone().unwrap());
        came.echo()
    });
    says(&fault, &["connection 0", "expected the end of the stream", "nothing came for 1s"]);
}

#[test]
fn nobody_who_listens() {
    // A port that is in use, but not by a listener.
    let server = Server::echo();
    let client = TcpStream::connect(server.address).unwrap();
    let load = Load { patience: SHORT, ..load() };
    for kind in [Kind::Echo, Kind::Churn] {
        let fault =
            sentence(measure(client.local_addr().unwrap(), &Load { kind, ..load.clone() }).map(|_| ()));
        says(&fault, &["connection ", "expected it to open, but it did not within 1s", "refused"]);
    }
}

#[test]
fn a_silent_connection_that_is_closed_or_spoken_to() {
    let load = Load { kind: Kind::Idle { active: 1 }, ..one() };
    let load = Load { connections: 3, ..load };
    let (address, server) = after_one_answer(3, |peer| peer.shutdown(Shutdown::Both).unwrap());
    let fault = sentence(measure(address, &load).map(|_| ()));
    says(&fault, &["connection 2, byte 64", "expected the connection to stay open", "the server closed"]);
    server.join().unwrap();
    let (address, server) = after_one_answer(3, |peer| send(peer, b"x"));
    let fault = sentence(measure(address, &load).map(|_| ()));
    says(&fault, &["connection 2, byte 64", "expected nothing", "came 1 byte more, the first 0x78"]);
    server.join().unwrap();
}

#[test]
fn a_fault_among_many_in_several_threads() {
    let requests = AtomicUsize::new(0);
    let load = Load { connections: 9, threads: 3, depth: 4, ..one() };
    let fault = fault_under(&load, move |mut came| {
        match requests.fetch_add(1, Ordering::Relaxed) {
            500 => send(came.peer, &[came.bytes, came.bytes].concat()),
            _ => return came.echo(),
        }
        Then::Continue
    });
    says(&fault, &["connection ", "of its answers", "expected "]);
}
