//! Nobody is hindered by a peer that takes nothing, asks too much or takes long to answer; and nobody makes the server
//! hold more bytes than it may.

use crate::harness::{Client, SOON, Served, all_done, pattern, same_bytes, scenarios, within};
use doorbell::Model;
use doorbell_service::{Chargen, Conversation, Echo, Input, Peer, Reply, Service};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

scenarios![
    a_peer_that_never_reads_while_16_mib_are_offered,
    chargen_to_a_peer_that_never_reads,
    a_busy_peer_beside_a_quiet_one,
    a_busy_peer_beside_a_quiet_one_on_one_thread,
    a_handler_that_takes_200_ms_beside_others,
];

const HIGH_WATER: usize = 256 << 10;
const OFFERED: usize = 16 << 20;
/// Where the system itself takes this much for a peer that never reads, it never pushes back.
const OFFERED_MAX: usize = 96 << 20;

fn a_peer_that_never_reads_while_16_mib_are_offered(model: Model) {
    let server = Served::new(model, Echo);
    let mut others = server.connect_many(4);
    let mut lazy = server.connect();
    let offer = Offer::begin(lazy.again());
    let held_max = offer.wait_until_it_stalls(&server);
    assert!(held_max <= HIGH_WATER, "{held_max} bytes were held");
    are_answered_within_a_second(&mut others);

    // At last it reads: everything is there, in order.
    let reader = thread::spawn(move || {
        let (pattern, mut got) = (Offer::pattern(), 0);
        let mut piece = vec![0; 64 << 10];
        loop {
            match lazy.read(&mut piece).expect("more bytes, or the end") {
                0 => return got,
                count => {
                    let mut rest = &piece[..count];
                    while !rest.is_empty() {
                        let expected = &pattern[got % pattern.len()..];
                        let len = rest.len().min(expected.len());
                        same_bytes(&rest[..len], &expected[..len]);
                        (rest, got) = (&rest[len..], got + len);
                    }
                }
            }
        }
    });
    let offered = offer.end();
    assert!(offered >= OFFERED, "only {offered} bytes were offered");
    assert_eq!(all_done(vec![reader]), [offered]);
    server.end();
}

/// Somebody who offers bytes until that stalls, and at least 16 MiB in the end.
struct Offer {
    offered: Arc<AtomicUsize>,
    stalled: Arc<AtomicBool>,
    writer: thread::JoinHandle<()>,
}

impl Offer {
    fn begin(mut client: Client) -> Offer {
        let (offered, stalled) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, enough) = (offered.clone(), stalled.clone());
        let writer = thread::spawn(move || {
            let pattern = Offer::pattern();
            while !enough.load(Ordering::SeqCst) || count.load(Ordering::SeqCst) < OFFERED {
                let from = count.load(Ordering::SeqCst) % pattern.len();
                let sent =
                    client.write(&pattern[from..pattern.len().min(from + (64 << 10))]).expect("it sends");
                count.fetch_add(sent, Ordering::SeqCst);
            }
            client.finish();
        });
        Offer { offered, stalled, writer }
    }

    /// Returns the most bytes that the server was seen to hold meanwhile. That nothing moves for a while is not enough:
    /// the system, too, has to repeat itself when its own room was short. The server must hold something for the peer.
    fn wait_until_it_stalls(&self, server: &Served) -> usize {
        let begun = Instant::now();
        let (mut last, mut since, mut held, mut held_max) = (0, begun, 0, 0);
        while held == 0 || since.elapsed() < Duration::from_millis(300) {
            let offered = self.offered.load(Ordering::SeqCst);
            if offered != last {
                (last, since) = (offered, Instant::now());
            }
            assert!(offered < OFFERED_MAX, "{offered} bytes were taken from a peer that reads none");
            assert!(
                begun.elapsed() < 4 * SOON,
                "after {offered} bytes it has not come to rest; {held} are held"
            );
            held = server.figures().bytes_held;
            held_max = held_max.max(held);
            thread::sleep(Duration::from_millis(1));
        }
        self.stalled.store(true, Ordering::SeqCst);
        held_max
    }

    /// Returns how many bytes were offered in all.
    fn end(self) -> usize {
        all_done(vec![self.writer]);
        self.offered.load(Ordering::SeqCst)
    }

    /// What is offered, again and again. Its length has no factor in common with any buffer's.
    fn pattern() -> Vec<u8> {
        pattern(1_000_003, 5)
    }
}

#[track_caller]
fn are_answered_within_a_second(clients: &mut [Client]) {
    for round in 0..20 {
        for client in &mut *clients {
            let begun = Instant::now();
            client.echoes(&pattern(100, round));
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(1), "an answer took {took:?}");
        }
    }
}

fn chargen_to_a_peer_that_never_reads(model: Model) {
    let server = Served::new(model, Chargen);
    let lazy = server.connect_many(4);
    server.until("all four hold something", |figures| figures.open == 4 && figures.bytes_held > 0);
    let calm = within(SOON, || {
        let before = server.figures().bytes_held;
        thread::sleep(Duration::from_millis(200));
        assert!(before <= 4 * HIGH_WATER, "{before} bytes are held for four");
        before > 0 && server.figures().bytes_held == before
    });
    assert!(calm, "it comes to rest: {:?}", server.figures());
    // Somebody else gets whole lines at once.
    let mut eager = server.connect();
    eager.hear(100_000);
    drop(eager);
    // And the lazy ones may go: not having read, they reset.
    drop(lazy);
    server.until("all are gone", |figures| figures.open == 0 && figures.bytes_held == 0);
    server.end();
}

fn a_busy_peer_beside_a_quiet_one(model: Model) {
    let server = Served::new(model, Echo);
    beside_a_busy_one(server, 4);
}

fn a_busy_peer_beside_a_quiet_one_on_one_thread(model: Model) {
    let server = Served::with(model, Echo, |builder| builder.threads(1).concurrency(1));
    beside_a_busy_one(server, 1);
}

fn beside_a_busy_one(server: Served, busy: usize) {
    let (going, heard) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let floods = (0..busy).flat_map(|_| {
        let (mut writer, going) = (server.connect(), going.clone());
        let mut reader = writer.again();
        let writing = thread::spawn(move || {
            let piece = pattern(64 << 10, 0);
            let mut sent = 0;
            while going.load(Ordering::Relaxed) {
                writer.say(&piece);
                sent += piece.len();
            }
            writer.finish();
            sent
        });
        let heard = heard.clone();
        let reading = thread::spawn(move || {
            heard.fetch_add(reader.hear(1 << 20).len(), Ordering::SeqCst);
            (1 << 20) + reader.is_over_after()
        });
        [writing, reading]
    });
    let floods: Vec<_> = floods.collect();
    assert!(within(SOON, || heard.load(Ordering::SeqCst) == busy << 20), "it does not flood");
    let mut quiet = server.connect();
    are_answered_within_a_second(std::slice::from_mut(&mut quiet));
    going.store(false, Ordering::Relaxed);
    let counts = all_done(floods);
    assert!(counts.chunks(2).all(|pair| pair[0] == pair[1] && pair[0] > 0), "sent and heard: {counts:?}");
    server.end();
}

/// Answers at once, except for one request, which takes 200 ms, and until the others were answered.
struct Thorough {
    begun: mpsc::Sender<()>,
    others: Arc<Others>,
}

#[derive(Default)]
struct Others {
    answered: Mutex<bool>,
    changed: Condvar,
}

impl Others {
    fn set(&self, answered: bool) {
        *self.answered.lock().expect("the flag") = answered;
        self.changed.notify_all();
    }
}

struct Pondering {
    begun: mpsc::Sender<()>,
    others: Arc<Others>,
}

impl Service for Thorough {
    type Message = ();
    type Conversation = Pondering;

    fn open(&self, _peer: &Peer) -> Pondering {
        Pondering { begun: self.begun.clone(), others: self.others.clone() }
    }
}

impl Conversation<()> for Pondering {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
        let Input::Received(bytes) = input else { return };
        if bytes == b"think" {
            self.begun.send(()).expect("the scenario listens");
            thread::sleep(Duration::from_millis(200));
            let answered = self.others.answered.lock().expect("the flag");
            let _ = self.others.changed.wait_timeout_while(answered, SOON, |answered| !*answered);
        }
        reply.send(bytes);
    }
}

/// The handler does not return before the others have their answers, which is more than any clock could prove.
fn a_handler_that_takes_200_ms_beside_others(model: Model) {
    let (begun, begins) = mpsc::channel();
    let others = Arc::new(Others::default());
    let server = Served::with(model, Thorough { begun, others: others.clone() }, |builder| {
        builder.threads(2).concurrency(2)
    });
    let mut slow = server.connect();
    slow.echoes(b"hello");
    let mut clients = server.connect_many(64);
    clients.iter_mut().for_each(|client| client.echoes(b"hello"));
    // Whose clients wait for a handler, and whose do not: a thread of one's own, or any thread of a port.
    let nobody_waits = matches!(model, Model::Blocking | Model::CompletionPort);
    for round in 0..5 {
        others.set(!nobody_waits);
        slow.say(b"think");
        begins.recv_timeout(SOON).expect("the handler begins");
        let begun = Instant::now();
        for client in &mut clients {
            client.say(&[round; 10]);
        }
        for client in &mut clients {
            same_bytes(&client.hear(10), &[round; 10]);
        }
        let took = begun.elapsed();
        assert!(!nobody_waits || took < Duration::from_secs(3), "the others waited for {took:?}");
        others.set(true);
        same_bytes(&slow.hear(5), b"think");
    }
    server.end();
}
