//! Time: timers that conversations set, and the idle time-out.

use crate::harness::{SOON, Served, all_done, pattern, scenarios};
use doorbell::Model;
use doorbell_service::{Chargen, Conversation, Echo, Input, Peer, Reply, Service};
use doorbell_winsock::routine::{Alertable, sleep_ex};
use std::thread;
use std::time::{Duration, Instant};

scenarios![
    timers_ring_and_never_early,
    the_last_timer_set_is_the_one,
    a_timer_that_is_cancelled_is_silent,
    a_timer_rings_while_data_flows,
    a_handler_may_wait_alertably_itself,
    who_is_idle_is_closed_and_who_is_not_stays,
    who_reads_nothing_is_idle,
];

/// Obeys lines: `wake N` asks to be woken in N ms, `cancel` not to be. Says `woken` when it was. Echoes other lines.
struct Alarm;

#[derive(Default)]
struct Alarming {
    line: Vec<u8>,
}

impl Service for Alarm {
    type Message = ();
    type Conversation = Alarming;

    fn open(&self, _peer: &Peer) -> Alarming {
        Alarming::default()
    }
}

impl Conversation<()> for Alarming {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, now: Instant) {
        match input {
            Input::WokeUp => reply.send(b"woken\n"),
            Input::Received(bytes) => {
                for &byte in bytes {
                    self.line.push(byte);
                    if byte == b'\n' {
                        obey(&std::mem::take(&mut self.line), reply, now);
                    }
                }
            }
            _ => {}
        }
    }
}

fn obey(line: &[u8], reply: &mut Reply<'_, ()>, now: Instant) {
    let text = String::from_utf8_lossy(line);
    match text.trim_end().split_once(' ') {
        Some(("wake", ms)) => reply.wake_at(now + Duration::from_millis(ms.parse().expect("milliseconds"))),
        _ if text == "cancel\n" => reply.cancel_wake(),
        _ => reply.send(line),
    }
}

/// `now` may be a moment older than the request that was sent.
const A_MOMENT: Duration = Duration::from_millis(20);

fn timers_ring_and_never_early(model: Model) {
    let server = Served::new(model, Alarm);
    let clients = [150, 50, 100, 1, 0, 250].map(|ms| {
        let mut client = server.connect();
        thread::spawn(move || {
            // One after the other on the same connection, too.
            for _ in 0..3 {
                let begun = Instant::now();
                client.say(format!("wake {ms}\n").as_bytes());
                assert_eq!(client.hear_line(), "woken");
                let took = begun.elapsed();
                assert!(took + A_MOMENT >= Duration::from_millis(ms), "after {took:?} instead of {ms} ms");
                assert!(took < Duration::from_millis(ms) + SOON, "only after {took:?} instead of {ms} ms");
            }
            client.hears_nothing();
        })
    });
    all_done(clients.into());
    server.end();
}

fn the_last_timer_set_is_the_one(model: Model) {
    let server = Served::new(model, Alarm);
    // Earlier than it was.
    let mut client = server.connect();
    client.say(b"wake 60000\n");
    client.hears_nothing();
    client.say(b"wake 50\n");
    assert_eq!(client.hear_line(), "woken");
    client.hears_nothing();
    // Later than it was.
    let begun = Instant::now();
    client.say(b"wake 50\nwake 400\n");
    assert_eq!(client.hear_line(), "woken");
    assert!(begun.elapsed() + A_MOMENT >= Duration::from_millis(400), "the earlier one rang");
    client.hears_nothing();
    server.end();
}

fn a_timer_that_is_cancelled_is_silent(model: Model) {
    let server = Served::new(model, Alarm);
    let mut client = server.connect();
    client.say(b"wake 100\ncancel\n");
    client.hears_nothing();
    client.say(b"wake 100\n");
    client.say(b"cancel\nhello\n");
    let line = client.hear_line();
    if line == "woken" {
        // The machine was so busy that the second line came 100 ms after the first.
        assert_eq!(client.hear_line(), "hello");
    } else {
        assert_eq!(line, "hello");
    }
    client.hears_nothing();
    client.say(b"wake 10\n");
    assert_eq!(client.hear_line(), "woken");
    server.end();
}

fn a_timer_rings_while_data_flows(model: Model) {
    let server = Served::new(model, Alarm);
    let mut client = server.connect();
    let mut line = vec![b'x'; 1000];
    line.push(b'\n');
    client.say(b"wake 200\n");
    let begun = Instant::now();
    let mut woken = false;
    while !woken {
        assert!(begun.elapsed() < SOON, "it never rang");
        client.say(&line);
        // The answer, and perhaps the bell before it.
        let mut heard = client.hear_line();
        if heard == "woken" {
            woken = true;
            heard = client.hear_line();
        }
        assert_eq!(heard.as_bytes(), &line[..1000]);
    }
    assert!(begun.elapsed() + A_MOMENT >= Duration::from_millis(200), "it rang early");
    server.end();
}

/// Echoes, and a moment later sleeps in its handler: what is queued for its thread runs meanwhile, also what a model queues.
struct Dozing;

impl Service for Dozing {
    type Message = ();
    type Conversation = Dozing;

    fn open(&self, _peer: &Peer) -> Dozing {
        Dozing
    }
}

impl Conversation<()> for Dozing {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, now: Instant) {
        match input {
            Input::Received(bytes) => {
                reply.send(bytes);
                reply.wake_at(now + Duration::from_millis(1));
            }
            Input::WokeUp => {
                // Once for everything that is there, and once for what comes meanwhile.
                for _ in 0..2 {
                    sleep_ex(Some(Duration::from_millis(5)), Alertable::Yes).expect("it sleeps");
                }
                reply.send(b"slept\n");
            }
            _ => {}
        }
    }
}

fn a_handler_may_wait_alertably_itself(model: Model) {
    let server = Served::with(model, Dozing, |builder| builder.threads(1).concurrency(1));
    let clients = (0..4).map(|number| {
        let mut client = server.connect();
        thread::spawn(move || {
            for round in 0..10 {
                client.echoes(&pattern(100, number + round));
                assert_eq!(client.hear_line(), "slept");
            }
        })
    });
    all_done(clients.collect::<Vec<_>>());
    server.end();
}

fn who_is_idle_is_closed_and_who_is_not_stays(model: Model) {
    const IDLE: Duration = Duration::from_millis(1000);
    let server = Served::with(model, Echo, |builder| builder.idle_timeout(Some(IDLE)));
    let idle = (0..4).map(|number| {
        let mut client = server.connect();
        thread::spawn(move || {
            // One never says anything, the others do at first.
            let mut begun = Instant::now();
            if number > 0 {
                begun = Instant::now();
                client.echoes(b"hello");
            }
            assert_eq!(client.is_over_after(), 0);
            let took = begun.elapsed();
            assert!(took + A_MOMENT >= IDLE, "it was closed after {took:?}");
            assert!(took < IDLE + SOON, "it was closed only after {took:?}");
        })
    });
    let idle: Vec<_> = idle.collect();
    let mut active = server.connect();
    let begun = Instant::now();
    while begun.elapsed() < 2 * IDLE + IDLE / 2 {
        active.echoes(&pattern(10, 1));
        thread::sleep(IDLE / 20);
    }
    all_done(idle);
    server.until("the active one alone is left", |figures| figures.open == 1);
    active.echoes(b"still there");
    server.end();
}

fn who_reads_nothing_is_idle(model: Model) {
    const IDLE: Duration = Duration::from_millis(500);
    let server = Served::with(model, Chargen, |builder| builder.idle_timeout(Some(IDLE)));
    let lazy = server.connect_many(3);
    server.until("they are in", |figures| figures.accepted == 3);
    server.until("they are closed, although there is much to send", |figures| figures.open == 0);
    assert_eq!(server.figures().bytes_held, 0);
    drop(lazy);
    server.end();
}
