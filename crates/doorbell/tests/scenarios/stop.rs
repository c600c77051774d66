//! The end: what was received is answered, nobody new comes in, and it is over in time.

use crate::harness::{Client, SILENCE, SOON, Served, all_done, pattern, same_bytes, scenarios, within};
use doorbell::{Model, Server, ServerEvent, StartError};
use doorbell_service::{Chargen, Conversation, Echo, Input, Peer, Reply, Service};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

scenarios![
    stop_while_idle_is_quick,
    stop_without_clients_is_quick,
    stop_while_busy_answers_what_was_received,
    stop_waits_for_a_handler_and_lets_nobody_in,
    stop_with_a_peer_that_never_reads_ends_with_the_grace,
    stop_now_waits_for_nobody,
    a_second_stop_is_stop_now,
    a_service_can_stop_its_server,
    a_restart_on_the_same_port_at_once,
];

/// Longer than any scenario waits, so that what ends in time does not end because of it.
const LONG_GRACE: Duration = Duration::from_secs(600);

fn stop_while_idle_is_quick(model: Model) {
    let server = Served::with(model, Echo, |builder| builder.grace(LONG_GRACE));
    let mut clients = server.connect_many(32);
    // Half of them have never said anything.
    clients.iter_mut().step_by(2).for_each(|client| client.echoes(b"hello"));
    server.until("all are in", |figures| figures.open == 32);
    let begun = Instant::now();
    let address = server.address;
    let figures = server.end();
    assert!(begun.elapsed() < SOON, "the end took {:?}", begun.elapsed());
    assert_eq!((figures.accepted, figures.failed), (32, 0));
    // A graceful end for all.
    clients.iter_mut().for_each(|client| assert_eq!(client.hear_all(), b""));
    assert!(TcpStream::connect_timeout(&address, SOON).is_err(), "nobody listens any more");
}

fn stop_without_clients_is_quick(model: Model) {
    for _ in 0..10 {
        let server = Served::with(model, Echo, |builder| builder.grace(LONG_GRACE));
        let begun = Instant::now();
        server.end();
        assert!(begun.elapsed() < SOON, "the end took {:?}", begun.elapsed());
    }
}

fn stop_while_busy_answers_what_was_received(model: Model) {
    let server = Served::with(model, Echo, |builder| builder.grace(LONG_GRACE));
    let mut clients = server.connect_many(16);
    clients.iter_mut().for_each(|client| client.echoes(b"hello"));
    // What a write returned from is with the server's system, on loopback.
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(&pattern(30_000, number));
    }
    let ended = thread::spawn(move || server.end());
    for (number, client) in clients.iter_mut().enumerate() {
        same_bytes(&client.hear_all(), &pattern(30_000, number));
    }
    drop(clients);
    assert_eq!(all_done(vec![ended])[0].failed, 0);
}

/// Takes a while for each request, and says when it begins.
struct Slow {
    begun: mpsc::Sender<()>,
}

struct Thinking {
    begun: mpsc::Sender<()>,
}

impl Service for Slow {
    type Message = ();
    type Conversation = Thinking;

    fn open(&self, _peer: &Peer) -> Thinking {
        Thinking { begun: self.begun.clone() }
    }
}

impl Conversation<()> for Thinking {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
        match input {
            Input::Received(b"stop") => reply.stop_server(),
            Input::Received(bytes) => {
                self.begun.send(()).expect("the scenario listens");
                thread::sleep(Duration::from_millis(500));
                reply.send(bytes);
            }
            _ => {}
        }
    }
}

fn stop_waits_for_a_handler_and_lets_nobody_in(model: Model) {
    let (begun, begins) = mpsc::channel();
    let server = Served::with(model, Slow { begun }, |builder| builder.grace(LONG_GRACE));
    let mut client = server.connect();
    client.say(b"a question");
    begins.recv_timeout(SOON).expect("the handler begins");
    let (address, handle) = (server.address, server.handle());
    handle.stop();
    // Connects that were under way may still succeed, and end without an answer.
    let closed = within(SOON, || TcpStream::connect_timeout(&address, SOON).is_err());
    assert!(closed, "the door is still open");
    same_bytes(&client.hear_all(), b"a question");
    drop(client);
    let mut server = server;
    assert_eq!(server.wait().failed, 0);
}

fn stop_with_a_peer_that_never_reads_ends_with_the_grace(model: Model) {
    const GRACE: Duration = Duration::from_millis(700);
    let cut_off = Arc::new(AtomicUsize::new(0));
    let listener = cut_off.clone();
    let server = Served::with(model, Chargen, |builder| {
        builder.grace(GRACE).on_event(move |event| {
            if let ServerEvent::CutOff { connections } = event {
                listener.fetch_add(*connections, Ordering::SeqCst);
            }
        })
    });
    let lazy = server.connect_many(2);
    server.until("they are in", |figures| figures.open == 2);
    // Until the system takes no more for them.
    let full = within(SOON, || {
        let before = server.figures().bytes_held;
        thread::sleep(SILENCE);
        before > 0 && server.figures().bytes_held == before
    });
    assert!(full, "it never came to rest: {:?}", server.figures());
    let begun = Instant::now();
    server.end();
    let took = begun.elapsed();
    assert!(took >= GRACE, "it ended after {took:?}, within the grace");
    assert!(took < GRACE + SOON, "it ended only after {took:?}");
    assert_eq!(cut_off.load(Ordering::SeqCst), 2, "those who were cut off are told");
    drop(lazy);
}

fn stop_now_waits_for_nobody(model: Model) {
    stop_in_the_middle(model, |server| server.handle().stop_now());
}

fn a_second_stop_is_stop_now(model: Model) {
    stop_in_the_middle(model, |server| {
        server.handle().stop();
        server.handle().stop();
    });
}

fn stop_in_the_middle(model: Model, stop: impl FnOnce(&Served)) {
    let mut server = Served::with(model, Chargen, |builder| builder.grace(LONG_GRACE));
    let mut lazy = server.connect_many(4);
    lazy.iter_mut().for_each(|client| drop(client.hear(1000)));
    let begun = Instant::now();
    stop(&server);
    server.wait();
    assert!(begun.elapsed() < SOON, "the end took {:?}", begun.elapsed());
    for client in &mut lazy {
        client.is_over_after();
    }
}

fn a_service_can_stop_its_server(model: Model) {
    let (begun, _begins) = mpsc::channel();
    let mut server = Served::with(model, Slow { begun }, |builder| builder.grace(LONG_GRACE));
    let mut others = server.connect_many(3);
    let mut client = server.connect();
    server.until("all are in", |figures| figures.open == 4);
    client.say(b"stop");
    server.wait();
    others.iter_mut().for_each(|other| assert_eq!(other.hear_all(), b""));
    assert_eq!(client.hear_all(), b"");
}

fn a_restart_on_the_same_port_at_once(model: Model) {
    // Between two runs anybody may be given the port; that it happens each time means something else.
    let in_use = |error: &StartError| matches!(error, StartError::Bind { .. });
    for attempt in 1.. {
        let first = Served::new(model, Echo);
        let address = first.address;
        let mut clients = first.connect_many(8);
        clients.iter_mut().for_each(|client| client.echoes(b"first"));
        // The server closes first, so the old connections stay in TIME_WAIT on its side.
        first.end();
        clients.iter_mut().for_each(|client| assert_eq!(client.hear_all(), b""));
        drop(clients);
        match Server::builder(Echo).model(model).listen(address).start() {
            Err(error) if in_use(&error) && attempt < 5 => {}
            Err(error) => panic!("the second start, attempt {attempt}: {error}"),
            Ok(running) => {
                let second = Served::of(running);
                assert_eq!(second.address, address);
                Client::connect(address).echoes(b"second");
                second.end();
                return;
            }
        }
    }
}
