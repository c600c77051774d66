//! Messages reach a conversation from any thread, in order, none lost; and come back when it is over.

use crate::harness::{Client, SOON, Served, all_done, scenarios, within};
use doorbell::Model;
use doorbell_service::{Conversation, Handle, Input, Peer, Reply, Service};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Instant;

scenarios![
    a_posted_message_reaches_a_conversation_that_waits,
    ten_thousand_messages_from_four_threads,
    a_message_after_the_end_comes_back,
    a_conversation_posts_to_itself,
    conversations_post_to_each_other,
];

/// Says to its peer what others post to it.
struct Relay {
    handles: mpsc::Sender<Handle<[u8; 4]>>,
}

struct Relaying {
    handles: mpsc::Sender<Handle<[u8; 4]>>,
}

impl Service for Relay {
    type Message = [u8; 4];
    type Conversation = Relaying;

    fn open(&self, _peer: &Peer) -> Relaying {
        Relaying { handles: self.handles.clone() }
    }
}

impl Conversation<[u8; 4]> for Relaying {
    fn handle(&mut self, input: Input<'_, [u8; 4]>, reply: &mut Reply<'_, [u8; 4]>, _now: Instant) {
        match input {
            Input::Opened => {
                // Nobody listens any more only after the scenario has failed.
                let _ = self.handles.send(reply.handle());
            }
            Input::Posted(message) => reply.send(&message),
            // It has no handle of its own to keep, but posts to itself through one for a moment.
            Input::Received(bytes) => {
                let handle = reply.handle();
                bytes.iter().for_each(|&byte| handle.post([byte; 4]).expect("it is not over"));
            }
            Input::PeerFinished => reply.close(),
            _ => {}
        }
    }
}

fn relay(model: Model) -> (Served, mpsc::Receiver<Handle<[u8; 4]>>) {
    let (handles, received) = mpsc::channel();
    (Served::new(model, Relay { handles }), received)
}

fn a_posted_message_reaches_a_conversation_that_waits(model: Model) {
    let (server, handles) = relay(model);
    let mut clients = server.connect_many(8);
    let handles: Vec<_> = (0..8).map(|_| handles.recv_timeout(SOON).expect("a handle")).collect();
    // Each has been silent for a while, so its thread waits.
    clients.iter_mut().for_each(Client::hears_nothing);
    for round in 0..20 {
        for (number, handle) in handles.iter().enumerate() {
            handle.post([round, number as u8, 0, 1]).expect("it is not over");
        }
        let heard: Vec<_> = clients.iter_mut().map(|client| client.hear(4)).collect();
        // Whose handle came first is not known, but each message went to one.
        let mut numbers: Vec<_> = heard.iter().map(|message| message[1]).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..8).collect::<Vec<_>>());
        assert!(heard.iter().all(|message| message[0] == round));
    }
    drop(handles);
    server.end();
}

fn ten_thousand_messages_from_four_threads(model: Model) {
    const EACH: u32 = 2500;
    let (server, handles) = relay(model);
    let mut client = server.connect();
    let handle = handles.recv_timeout(SOON).expect("its handle");
    let posters = (0..4_u32).map(|poster| {
        let handle = handle.clone();
        thread::spawn(move || {
            for number in 0..EACH {
                handle.post((poster << 16 | number).to_be_bytes()).expect("it is not over");
                if number % 500 == 0 {
                    // So that the conversation's thread goes to sleep now and then and must be woken again.
                    thread::sleep(std::time::Duration::from_millis(3));
                }
            }
        })
    });
    let posters: Vec<_> = posters.collect();
    let mut next = [0; 4];
    for _ in 0..4 * EACH {
        let message = u32::from_be_bytes(client.hear(4).try_into().expect("four bytes"));
        let (poster, number) = ((message >> 16) as usize, message & 0xffff);
        assert_eq!(number, next[poster], "the next message of poster {poster}");
        next[poster] += 1;
    }
    assert_eq!(next, [EACH; 4]);
    all_done(posters);
    client.hears_nothing();
    drop(handle);
    server.end();
}

fn a_message_after_the_end_comes_back(model: Model) {
    let (server, handles) = relay(model);
    let mut client = server.connect();
    let handle = handles.recv_timeout(SOON).expect("its handle");
    handle.post([1; 4]).expect("it is not over");
    assert_eq!(client.hear(4), [1; 4]);
    client.finish();
    assert_eq!(client.hear_all(), b"");
    let comes_back = within(SOON, || handle.post([2; 4]) == Err([2; 4]));
    assert!(comes_back, "a message to nobody was taken");
    // A post to the dead harms nobody else.
    let mut other = server.connect();
    let other_handle = handles.recv_timeout(SOON).expect("the other's handle");
    assert_eq!(handle.post([3; 4]), Err([3; 4]));
    other_handle.post([4; 4]).expect("it is not over");
    assert_eq!(other.hear(4), [4; 4]);
    drop(other);
    server.end();
    assert_eq!(other_handle.post([5; 4]), Err([5; 4]), "the server is gone, too");
}

fn a_conversation_posts_to_itself(model: Model) {
    let (server, handles) = relay(model);
    let mut client = server.connect();
    drop(handles.recv_timeout(SOON).expect("its handle"));
    for round in 0..100 {
        client.say(&[round, round + 1]);
        assert_eq!(client.hear(8), [[round; 4], [round + 1; 4]].concat());
    }
    client.finish();
    assert_eq!(client.hear_all(), b"");
    server.end();
}

type Line = Arc<[u8]>;

/// A room where everybody hears every line.
#[derive(Clone, Default)]
struct Chat {
    there: Arc<Mutex<Vec<Handle<Line>>>>,
}

struct Chatting {
    room: Chat,
    number: u64,
    line: Vec<u8>,
}

impl Service for Chat {
    type Message = Line;
    type Conversation = Chatting;

    fn open(&self, peer: &Peer) -> Chatting {
        Chatting { room: self.clone(), number: peer.number, line: Vec::new() }
    }
}

impl Conversation<Line> for Chatting {
    fn handle(&mut self, input: Input<'_, Line>, reply: &mut Reply<'_, Line>, _now: Instant) {
        match input {
            Input::Opened => self.room.there.lock().expect("the room").push(reply.handle()),
            Input::Received(bytes) => {
                for &byte in bytes {
                    self.line.push(byte);
                    if byte == b'\n' {
                        let line: Line = std::mem::take(&mut self.line).into();
                        for handle in self.room.there.lock().expect("the room").iter() {
                            let _ = handle.post(line.clone());
                        }
                    }
                }
            }
            Input::Posted(line) => reply.send(&line),
            Input::PeerFinished => {
                self.room.there.lock().expect("the room").retain(|handle| handle.number() != self.number);
                reply.close();
            }
            _ => {}
        }
    }
}

fn conversations_post_to_each_other(model: Model) {
    const CLIENTS: usize = 8;
    const LINES: usize = 25;
    let chat = Chat::default();
    let server = Served::new(model, chat.clone());
    let clients = server.connect_many(CLIENTS);
    let all_in = within(SOON, || chat.there.lock().expect("the room").len() == CLIENTS);
    assert!(all_in, "not all are in the room: {:?}", server.figures());
    let talks = clients.into_iter().enumerate().map(|(me, mut client)| {
        thread::spawn(move || {
            let mut writer = client.again();
            let writing = thread::spawn(move || {
                (0..LINES).for_each(|line| writer.say(format!("{me} {line}\n").as_bytes()));
            });
            let mut next = [0; CLIENTS];
            for _ in 0..CLIENTS * LINES {
                let line = client.hear_line();
                let (who, number) = line.split_once(' ').expect("who and what");
                let who: usize = who.parse().expect("a client");
                assert_eq!(number, next[who].to_string(), "the next line of {who}, as {me} hears it");
                next[who] += 1;
            }
            all_done(vec![writing]);
            client
        })
    });
    let talks: Vec<_> = talks.collect();
    let mut clients = all_done(talks);
    for client in &mut clients {
        client.finish();
        assert_eq!(client.hear_all(), b"");
    }
    assert!(chat.there.lock().expect("the room").is_empty());
    server.end();
}
