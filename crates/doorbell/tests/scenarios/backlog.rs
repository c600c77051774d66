//! What waits: ten thousand messages, while every thread of the server stands in a handler.

use crate::harness::{SOON, Served, scenarios};
use doorbell::Model;
use doorbell_service::{Conversation, Handle, Input, Peer, Reply, Service};
use std::sync::{Arc, RwLock, mpsc};
use std::time::{Duration, Instant};

scenarios![ten_thousand_messages_wait_for_their_turn, ten_thousand_messages_wait_and_the_server_stops];

const CLIENTS: usize = 100;
const EACH: u32 = 100;

/// Says to its peer what is posted to it. When the peer says something, its thread stands at the gate first.
#[derive(Clone)]
struct Gated {
    handles: mpsc::Sender<Handle<u32>>,
    gate: Arc<RwLock<()>>,
    stands: mpsc::Sender<()>,
}

/// What it says to its peer behind the gate.
const PASSED: u32 = u32::MAX;

impl Service for Gated {
    type Message = u32;
    type Conversation = Gated;

    fn open(&self, _peer: &Peer) -> Gated {
        self.clone()
    }
}

impl Conversation<u32> for Gated {
    fn handle(&mut self, input: Input<'_, u32>, reply: &mut Reply<'_, u32>, _now: Instant) {
        match input {
            // Nobody listens any more, here and below, only after the scenario has failed.
            Input::Opened => drop(self.handles.send(reply.handle())),
            Input::Received(_) => {
                let _ = self.stands.send(());
                drop(self.gate.read());
                reply.send(&PASSED.to_be_bytes());
            }
            Input::Posted(number) => reply.send(&number.to_be_bytes()),
            Input::PeerFinished => reply.close(),
            _ => {}
        }
    }
}

fn ten_thousand_messages_wait_for_their_turn(model: Model) {
    ten_thousand_messages_wait(model, false);
}

fn ten_thousand_messages_wait_and_the_server_stops(model: Model) {
    ten_thousand_messages_wait(model, true);
}

fn ten_thousand_messages_wait(model: Model, stop_meanwhile: bool) {
    let (gate, (handles, handle_of), (stands, standing)) =
        (Arc::new(RwLock::new(())), mpsc::channel(), mpsc::channel());
    let service = Gated { handles, gate: gate.clone(), stands };
    // A grace that is no way out.
    let server = Served::with(model, service, |builder| builder.grace(Duration::from_secs(600)));
    let mut clients = server.connect_many(CLIENTS);
    let handles: Vec<_> = (0..CLIENTS).map(|_| handle_of.recv_timeout(SOON).expect("a handle")).collect();

    let closed = gate.write().expect("the gate");
    clients.iter_mut().for_each(|client| client.say(b"?"));
    standing.recv_timeout(SOON).expect("somebody stands at the gate");
    for number in 0..EACH {
        handles.iter().for_each(|handle| handle.post(number).expect("it is not over"));
    }
    if stop_meanwhile {
        server.handle().stop();
    }
    drop(closed);

    for client in &mut clients {
        let heard = client.hear(4 * (EACH as usize + 1));
        let mut heard: Vec<_> =
            heard.chunks(4).map(|four| u32::from_be_bytes(four.try_into().expect("four bytes"))).collect();
        // Each is told in the order of the posts; when the gate opens has no place in that order.
        let passed = heard.iter().position(|&number| number == PASSED).expect("it stood at the gate");
        heard.remove(passed);
        assert!(heard.into_iter().eq(0..EACH), "in the order of the posts");
        if !stop_meanwhile {
            client.finish();
        }
    }
    drop(handles);
    clients.iter_mut().for_each(|client| assert_eq!(client.hear_all(), b""));
    drop(clients);
    let mut server = server;
    if !stop_meanwhile {
        server.handle().stop();
    }
    assert_eq!(server.wait().failed, 0);
}
