//! Bytes come back, all of them, in order, however they are cut.

use crate::harness::{Client, Random, SOON, Served, all_done, pattern, same_bytes, scenarios, within};
use doorbell::Model;
use doorbell_service::{Conversation, Echo, Input, Peer, Reply, Service};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

scenarios![
    every_byte_of_64_connections_comes_back_in_order,
    one_thread_serves_64_connections,
    one_byte_at_a_time,
    nothing_is_answered_with_nothing,
    requests_in_one_piece_are_answered_in_order,
    what_was_sent_before_a_close_is_received,
];

fn every_byte_of_64_connections_comes_back_in_order(model: Model) {
    let server = Served::new(model, Echo);
    let clients = (0..64).map(|number| sends_and_compares(&server, number, 1 << 20)).collect();
    let bytes: usize = all_done(clients).into_iter().sum();
    assert!(bytes > 1 << 20, "64 random sizes below 1 MiB make more than one MiB");
    let figures = server.end();
    assert_eq!((figures.accepted, figures.failed, figures.panicked), (64, 0, 0));
}

fn one_thread_serves_64_connections(model: Model) {
    let server = Served::with(model, Echo, |builder| builder.threads(1));
    all_done((0..64).map(|number| sends_and_compares(&server, number, 64 << 10)).collect());
    server.end();
}

/// A client that sends up to `bytes_max` bytes in random pieces while it reads, and the end after them.
fn sends_and_compares(server: &Served, number: usize, bytes_max: usize) -> thread::JoinHandle<usize> {
    let client = server.connect();
    thread::spawn(move || {
        let mut random = Random::new(number);
        let bytes = pattern(1 + random.below(bytes_max), number * 1_000_003);
        let (mut writer, mut reader) = (client.again(), client);
        let sent = bytes.clone();
        let writing = thread::spawn(move || {
            let mut rest = sent.as_slice();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((1 + random.below(100_000)).min(rest.len()));
                writer.say(piece);
                rest = after;
            }
            writer.finish();
        });
        same_bytes(&reader.hear_all(), &bytes);
        all_done(vec![writing]);
        bytes.len()
    })
}

fn one_byte_at_a_time(model: Model) {
    let server = Served::new(model, Echo);
    let mut client = server.connect();
    for byte in 0..=255 {
        client.echoes(&[byte]);
    }
    // And without waiting for the answers.
    let bytes = pattern(2000, 7);
    let mut writer = client.again();
    let sent = bytes.clone();
    let writing = thread::spawn(move || sent.iter().for_each(|&byte| writer.say(&[byte])));
    same_bytes(&client.hear(bytes.len()), &bytes);
    all_done(vec![writing]);
    server.end();
}

fn nothing_is_answered_with_nothing(model: Model) {
    let server = Served::new(model, Echo);
    let mut silent = server.connect();
    assert_eq!(silent.write(&[]).expect("an empty write"), 0);
    silent.hears_nothing();
    silent.echoes(b"still there");
    silent.finish();
    assert_eq!(silent.hear_all(), b"");

    let mut mute = server.connect();
    mute.finish();
    assert_eq!(mute.hear_all(), b"");
    server.until("both are gone", |figures| figures.open == 0);
    assert_eq!(server.end().failed, 0);
}

/// Answers each line with its number.
struct Numbered;

#[derive(Default)]
struct Numbering {
    line: Vec<u8>,
    lines: u32,
}

impl Service for Numbered {
    type Message = ();
    type Conversation = Numbering;

    fn open(&self, _peer: &Peer) -> Numbering {
        Numbering::default()
    }
}

impl Conversation<()> for Numbering {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
        let Input::Received(bytes) = input else { return };
        for &byte in bytes {
            self.line.push(byte);
            if byte == b'\n' {
                self.lines += 1;
                reply.send(format!("{} ", self.lines).as_bytes());
                reply.send(&std::mem::take(&mut self.line));
            }
        }
    }
}

fn requests_in_one_piece_are_answered_in_order(model: Model) {
    let server = Served::new(model, Numbered);
    let mut client = server.connect();
    let requests: String = (1..=1000).map(|number| format!("request {number}\n")).collect();
    let answers: String = (1..=1000).map(|number| format!("{number} request {number}\n")).collect();
    client.say(requests.as_bytes());
    same_bytes(&client.hear(answers.len()), answers.as_bytes());
    client.finish();
    assert_eq!(client.hear_all(), b"");
    server.end();
}

/// Counts what it receives, over all connections, and answers nothing.
struct Counting(Arc<AtomicU64>);

impl Service for Counting {
    type Message = ();
    type Conversation = Counting;

    fn open(&self, _peer: &Peer) -> Counting {
        Counting(self.0.clone())
    }
}

impl Conversation<()> for Counting {
    fn handle(&mut self, input: Input<'_, ()>, _reply: &mut Reply<'_, ()>, _now: Instant) {
        if let Input::Received(bytes) = input {
            self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
    }
}

fn what_was_sent_before_a_close_is_received(model: Model) {
    const CLIENTS: u64 = 300;
    let count = Arc::new(AtomicU64::new(0));
    let server = Served::new(model, Counting(count.clone()));
    for _ in 0..CLIENTS {
        let mut client = Client::connect(server.address);
        client.say(&[7; 1000]);
    }
    let all = within(SOON, || count.load(Ordering::Relaxed) == CLIENTS * 1000);
    assert!(all, "{} of {} bytes were received", count.load(Ordering::Relaxed), CLIENTS * 1000);
    server.until("all are gone", |figures| figures.open == 0);
    let figures = server.end();
    assert_eq!((figures.accepted, figures.failed), (CLIENTS, 0));
}
