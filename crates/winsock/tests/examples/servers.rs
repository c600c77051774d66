//! The seven servers echo, whatever their clients are like.

use crate::program::{Program, connect};
use doorbell_winsock::startup;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

/// More than the buffers of both sides hold together.
const MUCH: usize = 24 << 20;

/// Nothing moved for so long: it has come to a stop.
const SILENCE: Duration = Duration::from_millis(200);

#[test]
fn blocking() {
    echoes("blocking");
}

#[test]
fn select() {
    echoes("select");
}

#[test]
fn async_select() {
    echoes("async_select");
}

#[test]
fn event_select() {
    echoes("event_select");
}

#[test]
fn overlapped_event() {
    echoes("overlapped_event");
}

#[test]
fn overlapped_routine() {
    echoes("overlapped_routine");
}

#[test]
fn completion_port() {
    echoes("completion_port");
}

#[test]
fn foreign_poll() {
    echoes("foreign_poll");
}

/// Under Wine a failure is told and tried once more, since Wine loses bytes of non-blocking sends now and then (D18 in
/// DIFFERENCES.md): what fails each time is a failure.
fn echoes(name: &str) {
    let on_wine = startup::report().iter().any(|(key, _)| key == "wine");
    match catch_unwind(|| echoes_once(name)) {
        Err(_) if on_wine => {
            println!("{name}: failed under Wine, and is tried once more");
            echoes_once(name);
        }
        Err(how) => resume_unwind(how),
        Ok(()) => {}
    }
}

fn echoes_once(name: &str) {
    let server = Program::start(name);
    let address = server.address();
    let mut silent = connect(address);
    several_at_once(address);
    half_close(address);
    reset(address);
    a_slow_one_stops_nobody_and_gets_everything(address);
    // More one after the other than a wait takes events: places are given back.
    for _ in 0..70 {
        ask(&mut connect(address), b"ding");
    }
    ask(&mut silent, b"after all that");
}

fn several_at_once(address: SocketAddr) {
    let mut clients: Vec<_> = (0..20u8).map(|_| connect(address)).collect();
    for half in ["ding ", "dong"] {
        for (number, client) in clients.iter_mut().enumerate() {
            client.write_all(format!("{half}{number:02} ").as_bytes()).unwrap();
        }
    }
    for (number, client) in clients.iter_mut().enumerate().rev() {
        let expected = format!("ding {number:02} dong{number:02} ");
        assert_eq!(String::from_utf8(read(client, expected.len())).unwrap(), expected);
    }
}

fn half_close(address: SocketAddr) {
    let mut client = connect(address);
    client.write_all(pattern(40_000)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("it ends gracefully");
    assert!(answer == pattern(40_000), "{} of 40000 bytes, or others", answer.len());
    // And one that finishes without a word.
    let mut client = connect(address);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0; 16]).expect("it ends gracefully"), 0);
}

/// Who closes with something unread sends a reset.
fn reset(address: SocketAddr) {
    for _ in 0..5 {
        let mut client = connect(address);
        client.write_all(pattern(10_000)).unwrap();
        assert_ne!(client.peek(&mut [0; 16]).expect("the echo comes"), 0);
    }
}

fn a_slow_one_stops_nobody_and_gets_everything(address: SocketAddr) {
    let mut slow = connect(address);
    let mut writer = slow.try_clone().unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let progress = written.clone();
    let writing = thread::spawn(move || {
        for piece in pattern(MUCH).chunks(64 * 1024) {
            writer.write_all(piece).unwrap();
            progress.fetch_add(piece.len(), Ordering::SeqCst);
        }
    });
    // It does not listen until the server does not either: nothing is sent without end to who does not take it.
    let (mut before, mut since) = (0, Instant::now());
    while before == 0 || since.elapsed() < SILENCE {
        let now = written.load(Ordering::SeqCst);
        if now != before {
            (before, since) = (now, Instant::now());
        }
        ask(&mut connect(address), b"meanwhile");
    }
    assert!(before < MUCH, "the server took everything");
    let answer = read(&mut slow, MUCH);
    assert!(answer == pattern(MUCH), "other bytes came back");
    writing.join().unwrap();
    // Finished only now: where a send says more than is true, an end would cut it short (D18).
    slow.shutdown(Shutdown::Write).unwrap();
    assert_eq!(slow.read(&mut [0; 16]).expect("it ends gracefully"), 0);
}

/// Bytes in which a missing or a doubled piece shows.
fn pattern(length: usize) -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..MUCH as u32 / 4).flat_map(u32::to_le_bytes).collect());
    &BYTES[..length]
}

#[track_caller]
fn ask(client: &mut TcpStream, text: &[u8]) {
    client.write_all(text).unwrap();
    assert_eq!(read(client, text.len()), text);
}

#[track_caller]
fn read(client: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).expect("everything comes back");
    bytes
}
