//! The second leg, proved by a small service: a proxy that carries bytes both ways and adds nothing.

use doorbell_service::{Conversation, Input, Limits, Peer, Rehearsal, Reply, Second, Service};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Connects to the first backend that can be reached.
struct Proxy {
    backends: Vec<SocketAddr>,
}

struct Proxying {
    untried: std::vec::IntoIter<SocketAddr>,
    /// What the peer said before a backend was there; it must not be lost with one that cannot be reached.
    said: Vec<u8>,
    connected: bool,
}

impl Service for Proxy {
    type Message = ();
    type Conversation = Proxying;

    fn open(&self, _peer: &Peer) -> Proxying {
        Proxying { untried: self.backends.clone().into_iter(), said: Vec::new(), connected: false }
    }
}

impl Conversation<()> for Proxying {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
        match input {
            Input::Opened => self.try_next(reply),
            Input::Received(bytes) if self.connected => reply.second().send(bytes),
            Input::Received(bytes) => self.said.extend_from_slice(bytes),
            Input::PeerFinished => reply.second().finish(),
            Input::Second(Second::Connected(_)) => {
                self.connected = true;
                reply.second().send(&self.said);
            }
            Input::Second(Second::Received(bytes)) => reply.send(bytes),
            Input::Second(Second::PeerFinished) => reply.finish(),
            Input::Second(Second::Failed(_)) if self.connected => reply.abort(),
            Input::Second(Second::Failed(_)) => self.try_next(reply),
            _ => {}
        }
    }
}

impl Proxying {
    fn try_next(&mut self, reply: &mut Reply<'_, ()>) {
        match self.untried.next() {
            Some(backend) => assert!(reply.connect(backend)),
            None => {
                reply.send(b"nobody at home\n");
                reply.close();
            }
        }
    }
}

fn backend(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn rehearse(backends: &[u16]) -> Rehearsal<Proxy> {
    let service = Proxy { backends: backends.iter().copied().map(backend).collect() };
    Rehearsal::with_limits(&service, Limits { high_water: 1000, linger: Duration::ZERO }, Instant::now())
}

fn connected() -> Rehearsal<Proxy> {
    let mut rehearsal = rehearse(&[1]);
    rehearsal.second().accept();
    rehearsal
}

#[test]
fn bytes_go_through_in_both_directions() {
    let mut rehearsal = connected();
    rehearsal.receive_in_pieces(b"question", [1, 3]);
    assert_eq!(rehearsal.second().take_sent(), b"question");
    rehearsal.second().receive_in_pieces(b"answer", [2]);
    assert_eq!(rehearsal.take_sent(), b"answer");
}

#[test]
fn what_was_said_early_waits_for_a_backend_and_survives_a_refusal() {
    let mut rehearsal = rehearse(&[1, 2]);
    rehearsal.receive(b"hello?");
    assert_eq!(rehearsal.asked_to_connect(), Some(backend(1)));
    rehearsal.second().refuse(ErrorKind::ConnectionRefused);
    assert_eq!(rehearsal.asked_to_connect(), Some(backend(2)));
    rehearsal.second().accept();
    assert_eq!(rehearsal.asked_to_connect(), None);
    assert_eq!(rehearsal.second().take_sent(), b"hello?");
}

#[test]
fn nobody_at_home_is_said_before_the_connection_closes() {
    let mut rehearsal = rehearse(&[1]);
    rehearsal.second().refuse(ErrorKind::ConnectionRefused);
    assert_eq!(rehearsal.take_sent(), b"nobody at home\n");
    assert!(rehearsal.is_closed() && !rehearsal.is_reset() && rehearsal.is_over());
}

#[test]
fn each_direction_finishes_by_itself() {
    let mut rehearsal = connected();
    rehearsal.receive(b"the whole question");
    rehearsal.finish();
    assert!(rehearsal.second().is_finished());
    assert!(!rehearsal.is_finished() && !rehearsal.is_closed());
    rehearsal.second().receive(b"the whole answer");
    rehearsal.second().finish();
    assert_eq!(rehearsal.take_sent(), b"the whole answer");
    assert!(rehearsal.is_closed() && rehearsal.second().is_closed() && rehearsal.is_over());
    assert!(!rehearsal.is_reset() && !rehearsal.second().is_reset());
}

#[test]
fn the_backend_may_finish_first() {
    let mut rehearsal = connected();
    rehearsal.second().receive(b"greeting");
    rehearsal.second().finish();
    assert!(rehearsal.is_finished() && !rehearsal.is_closed());
    rehearsal.receive(b"one more thing");
    assert_eq!(rehearsal.second().take_sent(), b"one more thing");
    rehearsal.finish();
    assert!(rehearsal.is_over());
}

#[test]
fn what_is_unsent_to_the_backend_is_delivered_after_both_have_finished() {
    let mut rehearsal = connected();
    rehearsal.second().read(0);
    rehearsal.receive(b"slowly, please");
    rehearsal.finish();
    rehearsal.second().finish();
    assert!(rehearsal.is_closed() && !rehearsal.is_over());
    rehearsal.second().read(14);
    assert_eq!(rehearsal.second().take_sent(), b"slowly, please");
    assert!(rehearsal.second().is_closed() && !rehearsal.second().is_reset() && rehearsal.is_over());
}

#[test]
fn a_slow_backend_pauses_the_peer_and_a_slow_peer_the_backend() {
    let mut rehearsal = connected();
    rehearsal.second().read(0);
    rehearsal.receive(&[1; 5000]);
    assert_eq!(rehearsal.second().unsent(), 1000);
    assert!(rehearsal.is_paused());
    assert!(!rehearsal.second().is_paused(), "the other direction goes on");
    rehearsal.second().receive(b"meanwhile");
    assert_eq!(rehearsal.take_sent(), b"meanwhile");

    rehearsal.read(0);
    rehearsal.second().receive(&[2; 5000]);
    assert_eq!(rehearsal.unsent(), 1000);
    assert!(rehearsal.second().is_paused());

    rehearsal.second().read_all();
    assert_eq!(rehearsal.second().take_sent(), [1; 5000]);
    assert!(!rehearsal.is_paused(), "a peer that reads slowly is still heard");
    rehearsal.read_all();
    assert_eq!(rehearsal.take_sent(), [2; 5000]);
}

#[test]
fn a_failure_of_one_leg_resets_the_other() {
    let mut rehearsal = connected();
    rehearsal.fail(ErrorKind::ConnectionReset);
    assert!(rehearsal.second().is_reset() && rehearsal.is_over());

    let mut rehearsal = connected();
    rehearsal.second().fail(ErrorKind::ConnectionReset);
    assert!(rehearsal.is_reset() && rehearsal.is_over());
}

#[test]
fn a_peer_that_leaves_while_the_backend_is_being_called_ends_both() {
    let mut rehearsal = rehearse(&[1]);
    rehearsal.fail(ErrorKind::ConnectionReset);
    assert_eq!(rehearsal.asked_to_connect(), None, "the call is given up");
    assert!(rehearsal.is_over());
}
