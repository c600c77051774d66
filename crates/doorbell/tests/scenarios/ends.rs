//! How connections end: half closed, reset, by a panic; and that nobody else minds.

use crate::apart::Apart;
use crate::harness::{SOON, Served, all_done, pattern, reset, rude_client, same_bytes, scenarios, within};
use doorbell::{Model, ServerEvent};
use doorbell_service::{Conversation, Echo, Input, Peer, Reply, Service};
use std::net::TcpStream;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

scenarios![
    half_close_with_data_in_flight,
    a_reset_in_the_middle,
    resets_leave_no_descriptor,
    resets_before_the_accept_leave_no_descriptor,
    connect_and_close_2000_times_leaves_no_descriptor,
    a_panic_ends_its_conversation_alone,
];

fn half_close_with_data_in_flight(model: Model) {
    let server = Served::new(model, Echo);
    let clients = (0..8).map(|number| {
        let mut client = server.connect();
        thread::spawn(move || {
            let bytes = pattern(512 << 10, number);
            let (mut writer, sent) = (client.again(), bytes.clone());
            let writing = thread::spawn(move || {
                writer.say(&sent);
                writer.finish();
            });
            // Only now does it begin to read, so the end stands behind much that was not answered yet.
            thread::sleep(Duration::from_millis(50));
            same_bytes(&client.hear_all(), &bytes);
            all_done(vec![writing]);
        })
    });
    all_done(clients.collect());
    server.until("all are gone", |figures| figures.open == 0);
    assert_eq!(server.end().failed, 0);
}

fn a_reset_in_the_middle(model: Model) {
    let server = Served::new(model, Echo);
    let going = Arc::new(AtomicBool::new(true));
    let others = (0..8).map(|number| {
        let (mut client, going) = (server.connect(), going.clone());
        thread::spawn(move || {
            let bytes = pattern(3000, number);
            let mut rounds = 0;
            while going.load(Ordering::Relaxed) || rounds == 0 {
                client.echoes(&bytes);
                rounds += 1;
            }
        })
    });
    let others: Vec<_> = others.collect();
    server.until("the others are in", |figures| figures.open == 8);
    for round in 0..20 {
        let rude = rude_client(server.address);
        rude.send(&pattern(10_000, round)).expect("the rude client sends");
        rude.recv(&mut [0; 100]).expect("and hears a little");
        reset(&rude);
    }
    server.until("the rude ones are gone", |figures| figures.open == 8 && figures.failed == 20);
    going.store(false, Ordering::Relaxed);
    all_done(others);
    assert_eq!(server.end().accepted, 28);
}

fn resets_leave_no_descriptor(model: Model) {
    leave_no_descriptor(model, 200, |server| {
        let rude = rude_client(server.address);
        rude.send(&[1; 1000]).expect("the rude client sends");
        rude.recv(&mut [0; 10]).expect("and hears a little, so it was let in");
        reset(&rude);
    });
}

/// Whether one who was gone before anybody looked counts as accepted is the system's business.
fn resets_before_the_accept_leave_no_descriptor(model: Model) {
    let server = Apart::new(model);
    let visit = || reset(&rude_client(server.address));
    // What the process makes once and keeps is made by the first few.
    (0..20).for_each(|_| visit());
    server.connect().echoes(b"it serves");
    assert!(within(SOON, || server.figures().open == 0), "somebody is still there: {:?}", server.figures());
    let before = server.figures().descriptors;
    (0..300).for_each(|_| visit());
    server.connect().echoes(b"it still serves");
    let gone = within(SOON, || server.figures().open == 0 && server.figures().descriptors <= before);
    assert!(gone, "at first there were {before} descriptors, now {:?}", server.figures());
    server.end();
}

fn connect_and_close_2000_times_leaves_no_descriptor(model: Model) {
    leave_no_descriptor(model, 2000, |server| {
        TcpStream::connect_timeout(&server.address, SOON).expect("the client connects");
    });
}

fn leave_no_descriptor(model: Model, times: u64, visit: impl Fn(&Apart)) {
    let server = Apart::new(model);
    // What the process makes once and keeps is made by the first few.
    (0..20).for_each(|_| visit(&server));
    let settled = || within(SOON, || server.figures().open == 0 && server.figures().accepted >= 20);
    assert!(settled(), "the first few are still there: {:?}", server.figures());
    let before = server.figures().descriptors;
    (0..times).for_each(|_| visit(&server));
    // The last of them may stand behind all the others.
    let gone = within(4 * SOON, || {
        let figures = server.figures();
        figures.open == 0 && figures.accepted == times + 20 && figures.descriptors <= before
    });
    assert!(gone, "at first there were {before} descriptors, now {:?}", server.figures());
    server.connect().echoes(b"and it serves");
    server.end();
}

/// Echoes, and panics when it is told to.
struct Nervous;

impl Service for Nervous {
    type Message = ();
    type Conversation = Nervous;

    fn open(&self, _peer: &Peer) -> Nervous {
        Nervous
    }
}

impl Conversation<()> for Nervous {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
        match input {
            // Like a panic in all but the report on standard error, which nobody wants here.
            Input::Received(b"boo") => resume_unwind(Box::new("it is afraid")),
            Input::Received(bytes) => reply.send(bytes),
            _ => {}
        }
    }
}

fn a_panic_ends_its_conversation_alone(model: Model) {
    let told = Arc::new(AtomicUsize::new(0));
    let listener = told.clone();
    let server = Served::with(model, Nervous, |builder| {
        builder.on_event(move |event| {
            if let ServerEvent::Panicked { .. } = event {
                listener.fetch_add(1, Ordering::SeqCst);
            }
        })
    });
    let mut others = server.connect_many(4);
    others.iter_mut().for_each(|client| client.echoes(b"before"));
    // More often than there are threads, so that none can have been lost to it.
    for _ in 0..20 {
        let mut frightened = server.connect();
        frightened.echoes(b"calm");
        frightened.say(b"boo");
        assert_eq!(frightened.is_over_after(), 0);
    }
    others.iter_mut().for_each(|client| client.echoes(b"after"));
    server.until("all are counted", |figures| figures.panicked == 20 && figures.open == 4);
    assert!(within(SOON, || told.load(Ordering::SeqCst) == 20), "each is told");
    server.end();
}
