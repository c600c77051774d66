//! Clients in groups: more than one wait can name, and beside a thread that is busy.

use crate::harness::{Client, SOON, Served, all_done, pattern, scenarios, within};
use doorbell::Model;
use doorbell_service::{Conversation, Echo, Input, Peer, Reply, Service};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Instant;

scenarios![
    the_63rd_64th_65th_and_200th_client,
    a_quiet_client_is_heard_among_noisy_ones,
    a_busy_handler_keeps_at_most_its_own_group_waiting,
];

/// A wait names at most 64 things, one of which is not a client.
const GROUP: usize = 63;

fn the_63rd_64th_65th_and_200th_client(model: Model) {
    for count in [GROUP, GROUP + 1, GROUP + 2, 200] {
        let server = Served::new(model, Echo);
        let mut clients = server.connect_many(count);
        all_echo(&mut clients);
        // Half of them leave, from every group, and others come in their places.
        let mut number = 0;
        clients.retain(|_| {
            number += 1;
            number % 2 == 0
        });
        let stayed = clients.len();
        server.until("half have left", |figures| figures.open == stayed);
        all_echo(&mut clients);
        clients.extend(server.connect_many(count - stayed));
        all_echo(&mut clients);
        drop(clients);
        server.until("all have left", |figures| figures.open == 0);
        let figures = server.end();
        assert_eq!((figures.accepted as usize, figures.failed), (2 * count - stayed, 0));
    }
}

/// Each says something of its own before any of them listens.
#[track_caller]
fn all_echo(clients: &mut [Client]) {
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(&pattern(300, number));
    }
    // The last who spoke listens first.
    for (number, client) in clients.iter_mut().enumerate().rev() {
        assert_eq!(client.hear(300), pattern(300, number), "client {number}");
    }
}

fn a_quiet_client_is_heard_among_noisy_ones(model: Model) {
    let server = Served::new(model, Echo);
    // The first to come have the lowest places in a wait, which names the lowest that is ready.
    let noisy = server.connect_many(4);
    let mut quiet = server.connect_many(2 * GROUP);
    let quiet_again = Arc::new(AtomicBool::new(false));
    let noise = noisy.into_iter().map(|mut client| {
        let enough = quiet_again.clone();
        thread::spawn(move || {
            // There is always something to receive from it: what is sent is ahead of what is heard.
            client.say(&pattern(1000, 0));
            for round in 1.. {
                client.say(&pattern(1000, round));
                assert_eq!(client.hear(1000), pattern(1000, round - 1));
                if enough.load(Ordering::SeqCst) {
                    return round;
                }
            }
            unreachable!("a range without an end")
        })
    });
    let noise: Vec<_> = noise.collect();
    for round in 0..3 {
        quiet.iter_mut().for_each(|client| client.echoes(&pattern(10, round)));
    }
    quiet_again.store(true, Ordering::SeqCst);
    assert!(all_done(noise).into_iter().all(|rounds| rounds > 0));
    server.end();
}

/// Echoes, but a question keeps its thread until the scenario answers it.
struct Oracle {
    asked: mpsc::Sender<()>,
    answer: Arc<Mutex<mpsc::Receiver<()>>>,
    echoed: Arc<AtomicUsize>,
}

struct Asked {
    asked: mpsc::Sender<()>,
    answer: Arc<Mutex<mpsc::Receiver<()>>>,
    echoed: Arc<AtomicUsize>,
}

impl Service for Oracle {
    type Message = ();
    type Conversation = Asked;

    fn open(&self, _peer: &Peer) -> Asked {
        Asked { asked: self.asked.clone(), answer: self.answer.clone(), echoed: self.echoed.clone() }
    }
}

impl Conversation<()> for Asked {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
        let Input::Received(bytes) = input else { return };
        if bytes == b"?" {
            self.asked.send(()).expect("the scenario listens");
            // A scenario that has failed answers nobody any more.
            let _ = self.answer.lock().expect("one question at a time").recv();
        } else {
            self.echoed.fetch_add(1, Ordering::SeqCst);
        }
        reply.send(bytes);
    }
}

/// How many clients of so many are served while the handler of another one is busy. `THREADS` threads wait for them.
fn served_meanwhile(model: Model, others: usize) -> usize {
    match model {
        // A thread for each, or any thread for any.
        Model::Blocking | Model::CompletionPort => others,
        // Shared out among the threads, about evenly.
        Model::Select | Model::AsyncSelect => others / 2,
        // In turn, but who is awake when many come at once has its next accept under way before the others.
        Model::OverlappedRoutine => others / 4,
        // A thread for each group.
        Model::EventSelect | Model::OverlappedEvent => others - (GROUP - 1),
    }
}

const THREADS: usize = 4;

fn a_busy_handler_keeps_at_most_its_own_group_waiting(model: Model) {
    let (asked, is_asked) = mpsc::channel();
    let (answers, answer) = mpsc::channel();
    let echoed = Arc::new(AtomicUsize::new(0));
    let oracle = Oracle { asked, answer: Arc::new(Mutex::new(answer)), echoed: echoed.clone() };
    let server = Served::with(model, oracle, |builder| builder.threads(THREADS).concurrency(THREADS as u32));
    let mut clients = server.connect_many(2 * GROUP + 2);
    clients.iter_mut().for_each(|client| client.echoes(b"hello"));
    // In the middle, so that it has neighbours on both sides.
    let mut busy = clients.remove(GROUP / 2);

    let before = echoed.load(Ordering::SeqCst);
    busy.say(b"?");
    is_asked.recv_timeout(SOON).expect("the handler begins");
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(&pattern(100, number));
    }
    let expected = served_meanwhile(model, clients.len());
    let served = || echoed.load(Ordering::SeqCst) - before;
    assert!(within(SOON, || served() >= expected), "{} of {expected} were served", served());

    // Now its neighbours, and itself.
    answers.send(()).expect("the handler waits");
    assert_eq!(busy.hear(1), b"?");
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.hear(100), pattern(100, number), "client {number}");
    }
    busy.echoes(b"itself");
    drop((busy, clients));
    server.end();
}
