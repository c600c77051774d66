//! The server: does what an exchange wants, or something else that may happen, and checks the promises.

use crate::script::{Deed, Scripted};
use crate::{HIGH_WATER, support};
use doorbell_service::{Event, Exchange, Failure, Leg, Limits, Outcome};
use proptest::prelude::*;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// What the server does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Receive(Leg, usize),
    PeerFinishes(Leg),
    /// A plain send, which takes at most so many bytes.
    SendSome(Leg, usize),
    /// An operation that owns its buffer starts.
    StartSend(Leg),
    /// It ends, perhaps in two parts.
    EndSend(Leg, usize),
    Serve(Leg),
    CallSecond,
    Connected,
    Fail(Leg),
    Post,
    DropHandle,
    TimePasses(u64),
    Stop,
    TakeSpare(Leg),
    /// And waits for the peer's own end so many milliseconds.
    CloseByServer(u64),
    AbortByServer,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (leg(), 1..200usize).prop_map(|(leg, count)| Step::Receive(leg, count)),
        2 => leg().prop_map(Step::PeerFinishes),
        10 => (leg(), 1..100usize).prop_map(|(leg, count)| Step::SendSome(leg, count)),
        6 => leg().prop_map(Step::StartSend),
        6 => (leg(), 0..50usize).prop_map(|(leg, part)| Step::EndSend(leg, part)),
        8 => leg().prop_map(Step::Serve),
        5 => Just(Step::CallSecond),
        5 => Just(Step::Connected),
        1 => leg().prop_map(Step::Fail),
        4 => Just(Step::Post),
        2 => Just(Step::DropHandle),
        5 => (0..6u64).prop_map(Step::TimePasses),
        1 => Just(Step::Stop),
        2 => leg().prop_map(Step::TakeSpare),
        1 => (0..9u64).prop_map(Step::CloseByServer),
        1 => Just(Step::AbortByServer),
    ]
}

pub(crate) fn leg() -> impl Strategy<Value = Leg> {
    prop_oneof![3 => Just(Leg::First), 2 => Just(Leg::Second)]
}

/// A server and what it sees of one leg.
#[derive(Default)]
pub(crate) struct Socket {
    pub(crate) heard: Vec<u8>,
    pub(crate) under_way: Option<(Vec<u8>, usize)>,
    pub(crate) connected: bool,
    pub(crate) finish_seen: bool,
}

pub(crate) struct Stage {
    pub(crate) exchange: Exchange,
    pub(crate) scripted: Scripted,
    pub(crate) first: Socket,
    pub(crate) second: Socket,
    pub(crate) calling: bool,
    /// The first leg was reset, or failed: its unsent bytes may be lost.
    pub(crate) may_lose: bool,
    pub(crate) now: Instant,
}

impl Stage {
    pub(crate) fn open(script: Vec<Vec<Deed>>) -> Stage {
        let scripted = Scripted::default();
        scripted.story().script = script.into();
        let limits = Limits { high_water: HIGH_WATER, linger: Duration::from_millis(3) };
        let exchange = support::open_numbered(&scripted, 1, limits);
        let first = Socket { connected: true, ..Socket::default() };
        let mut stage = Stage {
            exchange,
            scripted,
            first,
            second: Socket::default(),
            calling: false,
            may_lose: false,
            now: Instant::now(),
        };
        stage.tell(Event::Opened);
        stage.check();
        stage
    }

    fn tell(&mut self, event: Event<'_>) {
        let outcome = self.exchange.input(event, self.now);
        assert_eq!(outcome == Outcome::Panicked, std::mem::take(&mut self.scripted.story().panicked));
    }

    fn socket(&mut self, leg: Leg) -> &mut Socket {
        match leg {
            Leg::First => &mut self.first,
            Leg::Second => &mut self.second,
        }
    }

    pub(crate) fn step(&mut self, step: &Step) {
        match *step {
            Step::Receive(leg, count) => {
                let count = count.min(self.exchange.wants(leg).receive);
                if count > 0 && self.socket(leg).connected {
                    self.tell(Event::Received(leg, &vec![b'x'; count]));
                }
            }
            Step::PeerFinishes(leg) => {
                if self.exchange.wants(leg).receive > 0 && self.socket(leg).connected {
                    self.tell(Event::PeerFinished(leg));
                }
            }
            Step::SendSome(leg, count) => {
                let outgoing = self.exchange.outgoing(leg);
                let taken = outgoing[..count.min(outgoing.len())].to_vec();
                if self.exchange.wants(leg).send && !taken.is_empty() {
                    self.socket(leg).heard.extend_from_slice(&taken);
                    self.sent(leg, taken.len());
                }
            }
            Step::StartSend(leg) => {
                if self.exchange.wants(leg).send {
                    let buffer = self.exchange.take_outgoing(leg);
                    assert!(!buffer.is_empty());
                    assert!(self.exchange.outgoing(leg).is_empty() && !self.exchange.wants(leg).send);
                    self.socket(leg).under_way = Some((buffer, 0));
                }
            }
            Step::EndSend(leg, part) => self.end_send(leg, part),
            Step::Serve(leg) => self.serve(leg),
            Step::CallSecond => {
                if self.exchange.connect_asked().is_some() {
                    assert_eq!(self.exchange.connect_asked(), None, "told once");
                    self.calling = true;
                    self.second = Socket::default();
                }
            }
            Step::Connected => {
                if std::mem::take(&mut self.calling) {
                    self.second.connected = true;
                    self.tell(Event::Connected(support::SOMEWHERE));
                }
            }
            Step::Fail(leg) => {
                let there = self.socket(leg).connected || (leg == Leg::Second && self.calling);
                if there {
                    self.drop_socket(leg);
                    self.may_lose |= leg == Leg::First;
                    self.tell(Event::Failed(leg, &Failure::new(ErrorKind::ConnectionReset, "reset")));
                }
            }
            Step::Post => self.post(),
            Step::DropHandle => {
                let handle = self.scripted.story().handle.take();
                if handle.is_some() {
                    drop(handle);
                    self.tell(Event::Posted);
                }
            }
            Step::TimePasses(millis) => {
                self.now += Duration::from_millis(millis);
                self.tell(Event::WokeUp);
            }
            Step::Stop => self.tell(Event::Stopping),
            Step::TakeSpare(leg) => {
                if let Some(spare) = self.exchange.take_spare(leg) {
                    assert!(spare.is_empty() && spare.capacity() > 0);
                }
            }
            Step::CloseByServer(linger) => {
                self.exchange.close(Duration::from_millis(linger));
                self.ended_by_server();
            }
            Step::AbortByServer => {
                self.exchange.abort();
                self.may_lose = true;
                self.ended_by_server();
            }
        }
    }

    fn ended_by_server(&self) {
        let mut story = self.scripted.story();
        story.over = true;
        story.first.finish();
        story.second.finish();
    }

    fn post(&mut self) {
        let story = self.scripted.story();
        let Some(handle) = story.handle.clone() else { return };
        let posted = handle.post(story.posted + 1);
        drop(story);
        drop(handle);
        let mut story = self.scripted.story();
        let ended = story.over || (story.first.finished && story.first.peer_finished);
        match posted {
            Ok(()) => story.posted += 1,
            Err(message) => assert!(ended, "{message} came back too early"),
        }
        drop(story);
        self.tell(Event::Posted);
    }

    fn sent(&mut self, leg: Leg, count: usize) {
        let outcome = self.exchange.sent(leg, count, self.now);
        assert_eq!(outcome == Outcome::Panicked, std::mem::take(&mut self.scripted.story().panicked));
    }

    /// The operation says how much it sent, in two parts as some systems do, and gives its buffer back.
    fn end_send(&mut self, leg: Leg, part: usize) {
        let Some((buffer, done)) = self.socket(leg).under_way.take() else { return };
        let count = if part == 0 { buffer.len() - done } else { part.min(buffer.len() - done) };
        self.socket(leg).heard.extend_from_slice(&buffer[done..done + count]);
        let done = done + count;
        if done < buffer.len() {
            self.socket(leg).under_way = Some((buffer, done));
        } else {
            self.exchange.give_back(leg, buffer);
        }
        self.sent(leg, count);
    }

    fn serve(&mut self, leg: Leg) {
        let wants = self.exchange.wants(leg);
        if wants.finish_now {
            assert!(!std::mem::replace(&mut self.socket(leg).finish_seen, true), "finished twice");
            self.exchange.finished(leg, self.now);
        } else if wants.close || wants.abort {
            self.may_lose |= leg == Leg::First && wants.abort;
            self.drop_socket(leg);
            let outcome = self.exchange.closed(leg, self.now);
            assert_eq!(outcome == Outcome::Panicked, std::mem::take(&mut self.scripted.story().panicked));
        }
    }

    fn drop_socket(&mut self, leg: Leg) {
        if leg == Leg::Second {
            self.calling = false;
            self.second = Socket::default();
        } else {
            self.first.connected = false;
            self.first.under_way = None;
        }
    }

    /// The promises that hold at every moment.
    pub(crate) fn check(&mut self) {
        let story = self.scripted.story();
        let unsent = self.exchange.unsent(Leg::First);
        assert!(story.first.said.starts_with(&self.first.heard), "bytes out are the bytes sent, in order");
        if !story.over && !self.may_lose {
            let said = story.first.said.len();
            assert_eq!(self.first.heard.len() + unsent, said, "none is lost or doubled");
            assert!(unsent > 0 || !story.first.drain_due, "empty, and not told that it is drained");
        }
        for leg in [Leg::First, Leg::Second] {
            let wants = self.exchange.wants(leg);
            assert!(!(wants.close && wants.abort) && !(wants.finish_now && (wants.send || wants.close)));
            assert!(!(wants.close || wants.finish_now) || self.exchange.unsent(leg) == 0);
            assert!(wants.receive <= HIGH_WATER.max(16 * 1024));
        }
        if self.exchange.is_over() {
            assert_eq!(self.exchange.wants(Leg::First).receive + self.exchange.wants(Leg::Second).receive, 0);
            assert_eq!(self.exchange.deadline(), None);
            drop(story);
            self.scripted.story().over = true;
        }
    }

    /// The server does all that is wanted, and at last closes. Then nothing may be left.
    pub(crate) fn play_to_the_end(&mut self) {
        for round in 0..200 {
            for leg in [Leg::First, Leg::Second] {
                self.end_send(leg, 0);
                for step in [Step::SendSome(leg, 1000), Step::Serve(leg)] {
                    self.step(&step);
                    self.check();
                }
            }
            if self.exchange.is_over() {
                return;
            }
            match round {
                100 => self.step(&Step::CloseByServer(0)),
                150 => self.step(&Step::AbortByServer),
                _ if round % 10 == 9 => self.step(&Step::TimePasses(5)),
                _ if round % 2 == 0 => self.step(&Step::CallSecond),
                _ => self.step(&Step::Connected),
            }
            self.check();
        }
        panic!("never over: {:?}", self.exchange);
    }
}
