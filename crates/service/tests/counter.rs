//! Posted messages, proved by a small service: a counter that other threads tell numbers, and that tells its peer sums.

use doorbell_service::{Conversation, Handle, Input, Peer, Rehearsal, Reply, Service};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

#[derive(Default)]
struct Counter {
    handles: Arc<Mutex<Vec<Handle<u64>>>>,
}

struct Counting {
    handles: Arc<Mutex<Vec<Handle<u64>>>>,
    sum: u64,
}

impl Service for Counter {
    type Message = u64;
    type Conversation = Counting;

    fn open(&self, _peer: &Peer) -> Counting {
        Counting { handles: Arc::clone(&self.handles), sum: 0 }
    }
}

impl Conversation<u64> for Counting {
    fn handle(&mut self, input: Input<'_, u64>, reply: &mut Reply<'_, u64>, _now: Instant) {
        match input {
            Input::Opened => self.handles.lock().unwrap().push(reply.handle()),
            Input::Posted(0) => reply.close(),
            Input::Posted(number) => {
                self.sum += number;
                reply.send(format!("{}\n", self.sum).as_bytes());
            }
            Input::Received(b"stop") => reply.stop_server(),
            _ => {}
        }
    }
}

fn open() -> (Rehearsal<Counter>, Handle<u64>, Counter) {
    let service = Counter::default();
    let rehearsal = Rehearsal::new(&service, Instant::now());
    let handle = service.handles.lock().unwrap()[0].clone();
    (rehearsal, handle, service)
}

#[test]
fn messages_are_told_in_order() {
    let (mut rehearsal, handle, _service) = open();
    rehearsal.post(1).unwrap();
    handle.post(10).unwrap();
    handle.clone().post(100).unwrap();
    rehearsal.turn();
    assert_eq!(rehearsal.take_sent(), b"1\n11\n111\n");
}

#[test]
fn messages_from_many_threads_all_arrive() {
    let (mut rehearsal, handle, _service) = open();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || (0..1000).for_each(|_| handle.post(1).unwrap()))
        })
        .collect();
    while threads.iter().any(|thread| !thread.is_finished()) {
        rehearsal.turn();
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    rehearsal.turn();
    assert!(rehearsal.take_sent().ends_with(b"\n3999\n4000\n"));
}

#[test]
fn a_message_comes_back_when_the_conversation_is_over() {
    let (mut rehearsal, handle, _service) = open();
    handle.post(0).unwrap();
    handle.post(5).unwrap();
    rehearsal.turn();
    assert!(rehearsal.is_closed());
    assert_eq!(rehearsal.take_sent(), b"", "what was posted behind the end is dropped");
    assert_eq!(handle.post(7), Err(7));
    assert_eq!(rehearsal.post(8), Err(8));
}

#[test]
fn a_message_comes_back_when_the_server_dropped_the_connection() {
    let (rehearsal, handle, _service) = open();
    drop(rehearsal);
    assert_eq!(handle.post(7), Err(7));
}

#[test]
fn a_handle_keeps_a_half_open_connection_until_the_last_clone_is_dropped() {
    let (mut rehearsal, handle, service) = open();
    rehearsal.finish();
    assert!(!rehearsal.is_finished());
    handle.post(3).unwrap();
    rehearsal.turn();
    assert_eq!(rehearsal.take_sent(), b"3\n");

    service.handles.lock().unwrap().clear();
    rehearsal.turn();
    assert!(!rehearsal.is_closed());
    handle.post(4).unwrap();
    drop(handle);
    rehearsal.turn();
    assert_eq!(rehearsal.take_sent(), b"7\n", "what was posted before the drop is told");
    assert!(rehearsal.is_closed());
}

#[test]
fn a_handle_and_a_conversation_can_stop_the_server() {
    let (rehearsal, handle, _service) = open();
    assert!(!rehearsal.is_server_stopped());
    handle.stop_server();
    assert!(rehearsal.is_server_stopped());

    let (mut rehearsal, _handle, _service) = open();
    rehearsal.receive(b"stop");
    assert!(rehearsal.is_server_stopped());
}
