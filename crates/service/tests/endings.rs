//! How a conversation ends: finish, close, lingering, abort, failure, panic, and a stop of the server.

mod support;

use doorbell_service::{
    Conversation, Event, Exchange, Failure, Input, Leg, Limits, Outcome, Peer, Rehearsal,
};
use doorbell_service::{Reply, Service};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Does what each byte that it receives says, and writes down what it was told.
#[derive(Clone, Default)]
struct Obeys {
    told: Arc<Mutex<Vec<String>>>,
    dropped: Arc<AtomicUsize>,
}

struct Obeying(Obeys);

impl Service for Obeys {
    type Message = ();
    type Conversation = Obeying;

    fn open(&self, _peer: &Peer) -> Obeying {
        Obeying(self.clone())
    }
}

impl Drop for Obeying {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Conversation<()> for Obeying {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, now: Instant) {
        self.0.told.lock().unwrap().push(format!("{input:?}"));
        let Input::Received(orders) = input else { return };
        for order in orders {
            match order {
                b's' => reply.send(b"word"),
                b'f' => reply.finish(),
                b'c' => reply.close(),
                b'a' => reply.abort(),
                b'p' => reply.pause(),
                b't' => reply.wake_at(now + Duration::from_secs(1)),
                b'u' => reply.cancel_wake(),
                b'!' => panic!("as ordered"),
                _ => {}
            }
        }
    }
}

impl Obeys {
    fn last_told(&self) -> String {
        self.told.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

fn rehearse() -> (Rehearsal<Obeys>, Obeys) {
    let service = Obeys::default();
    (Rehearsal::new(&service, Instant::now()), service)
}

#[test]
fn a_conversation_that_has_nothing_to_wait_for_is_finished_with_its_peer() {
    let (mut rehearsal, service) = rehearse();
    rehearsal.finish();
    assert_eq!(service.last_told(), "PeerFinished");
    assert!(rehearsal.is_closed() && !rehearsal.is_reset());
    assert_eq!(service.dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_timer_keeps_it_open_until_it_has_come() {
    let (mut rehearsal, service) = rehearse();
    rehearsal.receive(b"t");
    rehearsal.finish();
    assert!(!rehearsal.is_finished());
    rehearsal.advance(Duration::from_millis(999));
    assert!(!rehearsal.is_finished());
    rehearsal.advance(Duration::from_millis(1));
    assert_eq!(service.last_told(), "WokeUp");
    assert!(rehearsal.is_closed());
}

#[test]
fn a_cancelled_timer_does_not_come() {
    let (mut rehearsal, service) = rehearse();
    rehearsal.receive(b"tu");
    assert_eq!(rehearsal.deadline(), None);
    rehearsal.advance(Duration::from_secs(5));
    assert_eq!(service.told.lock().unwrap().len(), 2);
}

#[test]
fn after_finish_it_sends_no_more_but_hears_the_peer_out() {
    let (mut rehearsal, service) = rehearse();
    rehearsal.receive(b"sfs");
    assert!(rehearsal.is_finished() && !rehearsal.is_closed());
    rehearsal.receive(b"s");
    assert_eq!(service.last_told(), "Received([115])");
    assert_eq!(rehearsal.take_sent(), b"word");
    rehearsal.finish();
    assert!(rehearsal.is_closed() && !rehearsal.is_reset());
}

#[test]
fn after_close_what_was_sent_is_delivered_and_nothing_more_is_told() {
    let (mut rehearsal, service) = rehearse();
    rehearsal.read(0);
    rehearsal.receive(b"scs");
    let told = service.told.lock().unwrap().len();
    assert_eq!(service.dropped.load(Ordering::SeqCst), 1, "it is dropped before its bytes are delivered");
    assert!(!rehearsal.is_closed());
    rehearsal.receive(b"s");
    rehearsal.read_all();
    assert_eq!(rehearsal.take_sent(), b"word");
    assert!(rehearsal.is_closed() && rehearsal.is_over());
    assert_eq!(service.told.lock().unwrap().len(), told);
}

#[test]
fn abort_delivers_nothing() {
    let (mut rehearsal, _service) = rehearse();
    rehearsal.read(0);
    rehearsal.receive(b"sa");
    assert!(rehearsal.is_reset() && rehearsal.is_over());
    rehearsal.read_all();
    assert_eq!(rehearsal.take_sent(), b"");
}

#[test]
fn a_failure_is_the_last_thing_told() {
    let (mut rehearsal, service) = rehearse();
    rehearsal.receive(b"t");
    rehearsal.fail(ErrorKind::ConnectionReset);
    assert!(service.last_told().starts_with("Failed("), "{}", service.last_told());
    assert!(rehearsal.is_over());
    rehearsal.advance(Duration::from_secs(2));
    assert!(service.last_told().starts_with("Failed("));
}

#[test]
fn a_paused_conversation_hears_neither_bytes_nor_the_finish() {
    let (mut rehearsal, service) = rehearse();
    rehearsal.receive_in_pieces(b"ps", [1]);
    rehearsal.finish();
    assert!(rehearsal.is_paused());
    assert_eq!(service.last_told(), "Received([112])");
}

#[test]
fn stopping_is_told_once_and_may_be_ignored() {
    let (mut rehearsal, service) = rehearse();
    rehearsal.stop();
    rehearsal.stop();
    assert_eq!(*service.told.lock().unwrap(), ["Opened", "Stopping"]);
    rehearsal.receive(b"s");
    assert_eq!(rehearsal.take_sent(), b"word");
}

#[test]
fn a_panic_resets_this_connection_and_nothing_is_called_again() {
    let (mut rehearsal, service) = rehearse();
    rehearsal.receive(b"ts!s");
    assert!(rehearsal.is_panicked() && rehearsal.is_reset() && rehearsal.is_over());
    let told = service.told.lock().unwrap().len();
    rehearsal.receive(b"s");
    rehearsal.fail(ErrorKind::ConnectionReset);
    rehearsal.advance(Duration::from_secs(9));
    rehearsal.stop();
    assert_eq!(service.told.lock().unwrap().len(), told);
    assert_eq!(service.dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_panic_while_opening_or_while_being_dropped_is_caught_too() {
    struct Bad;
    struct Worse;
    impl Service for Bad {
        type Message = ();
        type Conversation = Worse;
        fn open(&self, peer: &Peer) -> Worse {
            assert_ne!(peer.number, 13, "bad luck");
            Worse
        }
    }
    impl Conversation<()> for Worse {
        fn handle(&mut self, _: Input<'_, ()>, reply: &mut Reply<'_, ()>, _: Instant) {
            reply.close();
        }
    }
    impl Drop for Worse {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }

    let mut exchange = support::open_numbered(&Bad, 13, Limits::default());
    assert!(exchange.wants(Leg::First).abort && exchange.is_over());
    assert_eq!(exchange.input(Event::Opened, Instant::now()), Outcome::Ended);

    let mut exchange = support::open_numbered(&Bad, 14, Limits::default());
    assert_eq!(exchange.input(Event::Opened, Instant::now()), Outcome::Ended);
    assert!(!exchange.wants(Leg::First).abort);
}

/// An exchange that has sent its last word and closed, with a second to linger.
fn lingering(now: Instant) -> Exchange {
    let mut exchange = support::open_numbered(&Obeys::default(), 1, Limits::default());
    exchange.input(Event::Opened, now);
    exchange.input(Event::Received(Leg::First, b"sc"), now);
    assert_eq!(exchange.outgoing(Leg::First), b"word");
    assert!(!exchange.wants(Leg::First).finish_now, "not before all is sent");
    exchange.sent(Leg::First, 4, now);
    assert!(exchange.wants(Leg::First).finish_now && !exchange.wants(Leg::First).close);
    exchange.finished(Leg::First, now);
    let wants = exchange.wants(Leg::First);
    assert!(wants.receive > 0 && !wants.finish_now && !wants.close && !exchange.is_over());
    exchange
}

#[test]
fn a_closed_connection_is_read_on_until_the_peer_finishes() {
    let now = Instant::now();
    let mut exchange = lingering(now);
    exchange.input(Event::Received(Leg::First, b"s"), now);
    assert_eq!(exchange.unsent(Leg::First), 0);
    exchange.input(Event::PeerFinished(Leg::First), now);
    assert!(exchange.wants(Leg::First).close && exchange.is_over());
    assert_eq!(exchange.deadline(), None);
}

#[test]
fn a_closed_connection_is_not_read_on_for_ever() {
    let now = Instant::now();
    let mut exchange = lingering(now);
    let deadline = exchange.deadline().expect("a limit");
    assert_eq!(deadline, now + Limits::default().linger);
    exchange.input(Event::WokeUp, now);
    assert!(!exchange.is_over());
    exchange.input(Event::WokeUp, deadline);
    assert!(exchange.wants(Leg::First).close && exchange.is_over());
}

#[test]
fn a_close_long_after_the_finish_does_not_linger_again() {
    let now = Instant::now();
    let mut exchange = support::open_numbered(&Obeys::default(), 1, Limits::default());
    exchange.input(Event::Received(Leg::First, b"f"), now);
    exchange.finished(Leg::First, now);
    assert_eq!(exchange.deadline(), None, "a finish alone waits as long as the peer likes");
    let later = now + Duration::from_secs(60);
    exchange.input(Event::Received(Leg::First, b"c"), later);
    assert!(exchange.deadline().is_some_and(|deadline| deadline <= later));
    exchange.input(Event::WokeUp, later);
    assert!(exchange.is_over());
}

#[test]
fn a_closed_connection_that_fails_or_is_aborted_is_over() {
    let now = Instant::now();
    let mut exchange = lingering(now);
    exchange.input(Event::Failed(Leg::First, &Failure::new(ErrorKind::ConnectionReset, "reset")), now);
    assert!(exchange.is_over() && !exchange.wants(Leg::First).abort);

    let mut exchange = lingering(now);
    exchange.abort();
    assert!(exchange.is_over() && exchange.wants(Leg::First).abort);

    let mut exchange = lingering(now);
    exchange.close(Duration::ZERO);
    assert!(exchange.is_over() && exchange.wants(Leg::First).close);
}

#[test]
fn a_close_after_the_peer_has_finished_needs_no_finish_of_its_own() {
    let now = Instant::now();
    let mut exchange = support::open_numbered(&Obeys::default(), 1, Limits::default());
    exchange.input(Event::Opened, now);
    exchange.input(Event::PeerFinished(Leg::First), now);
    let wants = exchange.wants(Leg::First);
    assert!(wants.close && !wants.finish_now && exchange.is_over());
}

#[test]
fn the_server_may_close_and_delivers_what_is_unsent() {
    let now = Instant::now();
    let mut exchange = support::open_numbered(&Obeys::default(), 1, Limits::default());
    exchange.input(Event::Received(Leg::First, b"s"), now);
    exchange.close(Duration::ZERO);
    assert_eq!(exchange.wants(Leg::First).receive, 0);
    assert!(!exchange.is_over());
    exchange.sent(Leg::First, 4, now);
    assert!(exchange.wants(Leg::First).close && exchange.is_over());
}

#[test]
fn the_server_may_wait_for_the_peer_when_it_closes() {
    let now = Instant::now();
    let mut exchange = support::open_numbered(&Obeys::default(), 1, Limits::default());
    exchange.close(Duration::from_secs(7));
    assert!(exchange.wants(Leg::First).finish_now && !exchange.wants(Leg::First).close);
    exchange.finished(Leg::First, now);
    assert_eq!(exchange.deadline(), Some(now + Duration::from_secs(7)));
    exchange.close(Duration::ZERO);
    assert!(exchange.wants(Leg::First).close && exchange.is_over());
}

#[test]
fn an_idle_connection_costs_little() {
    assert!(size_of::<Exchange>() <= 320, "{} bytes", size_of::<Exchange>());
}
