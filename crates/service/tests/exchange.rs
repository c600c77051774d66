//! Whatever happens, in whatever order: what an exchange promises holds.
//!
//! A conversation follows a random script, a server does random things that an exchange may see, and after each of them
//! the promises are checked. At the end the server does its duty until nothing is wanted, and all must be over.

mod support;

use doorbell_service::{Conversation, Echo, Event, Exchange, Failure, Handle, Input, Leg, Limits};
use doorbell_service::{Outcome, Peer, Reply, Second, Service};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const HIGH_WATER: usize = 64;

/// What the conversation does when it is told something.
#[derive(Clone, Debug)]
enum Deed {
    Send(usize),
    SecondSend(usize),
    Fill,
    Finish,
    SecondFinish,
    Close,
    SecondClose,
    SecondAbort,
    Abort,
    Pause,
    Resume,
    SecondPause,
    SecondResume,
    ReceiveAlways,
    WakeIn(u64),
    CancelWake,
    Connect,
    TakeHandle,
    Panic,
}

/// What the server does.
#[derive(Clone, Debug)]
enum Step {
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
    CloseByServer,
    AbortByServer,
}

/// What the conversation knows of one leg.
#[derive(Default)]
struct Side {
    /// All that it sent and that counts, in order.
    said: Vec<u8>,
    finished: bool,
    peer_finished: bool,
    /// It was full, so it must be told when it is drained.
    drain_due: bool,
}

#[derive(Default)]
struct Story {
    script: VecDeque<Vec<Deed>>,
    first: Side,
    second: Side,
    /// The second leg exists, from `connect` until it failed or is closed.
    second_exists: bool,
    second_connected: bool,
    over: bool,
    opened: bool,
    stopping: bool,
    panicked: bool,
    woke_due: Option<Instant>,
    handle: Option<Handle<u32>>,
    posted: u32,
    told_posted: u32,
}

#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Story>>);

struct Playing(Scripted);

impl Scripted {
    fn story(&self) -> MutexGuard<'_, Story> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Service for Scripted {
    type Message = u32;
    type Conversation = Playing;

    fn open(&self, _peer: &Peer) -> Playing {
        Playing(self.clone())
    }
}

impl Conversation<u32> for Playing {
    fn handle(&mut self, input: Input<'_, u32>, reply: &mut Reply<'_, u32>, now: Instant) {
        let mut story = self.0.story();
        story.check_told(&input, reply, now);
        let failed = matches!(input, Input::Failed(_));
        for deed in story.script.pop_front().unwrap_or_default() {
            story.act(&deed, reply, now);
        }
        story.over |= failed;
        if story.panicked {
            drop(story);
            // Without a hook's message: there are many of these.
            std::panic::resume_unwind(Box::new("as scripted"));
        }
    }
}

impl Story {
    /// What the conversation may be told, and when.
    fn check_told(&mut self, input: &Input<'_, u32>, reply: &mut Reply<'_, u32>, now: Instant) {
        assert!(!self.over, "told {input:?} after the end");
        assert_eq!(self.opened, !matches!(input, Input::Opened), "opened first, and once");
        if let Input::Second(_) = input {
            assert!(self.second_exists, "told {input:?} of a second leg that is not there");
        }
        match input {
            Input::Opened => self.opened = true,
            Input::Received(bytes) => assert!(!bytes.is_empty() && !self.first.peer_finished),
            Input::PeerFinished => assert!(!std::mem::replace(&mut self.first.peer_finished, true)),
            Input::Drained => {
                assert!(std::mem::take(&mut self.first.drain_due), "drained, but it was not full");
                assert_eq!(reply.unsent(), 0);
            }
            Input::WokeUp => assert!(self.woke_due.take().is_some_and(|due| due <= now)),
            Input::Posted(number) => {
                self.told_posted += 1;
                assert_eq!(*number, self.told_posted, "messages in order");
            }
            Input::Stopping => assert!(!std::mem::replace(&mut self.stopping, true)),
            Input::Second(Second::Connected(_)) => self.second_connected = true,
            Input::Second(Second::Received(bytes)) => {
                assert!(self.second_connected && !bytes.is_empty() && !self.second.peer_finished);
            }
            Input::Second(Second::PeerFinished) => {
                assert!(!std::mem::replace(&mut self.second.peer_finished, true));
            }
            Input::Second(Second::Drained) => {
                assert!(std::mem::take(&mut self.second.drain_due));
                assert_eq!(reply.second().unsent(), 0);
            }
            Input::Second(Second::Failed(_) | Second::Closed) => {
                assert!(!reply.second().exists());
                self.second_exists = false;
                self.second_connected = false;
                self.second = Side::default();
            }
            _ => {}
        }
    }

    fn act(&mut self, deed: &Deed, reply: &mut Reply<'_, u32>, now: Instant) {
        match *deed {
            Deed::Send(count) => self.first.say(count, |bytes| reply.send(bytes)),
            Deed::Fill => {
                let room = reply.room();
                self.first.say(room, |bytes| reply.send(bytes));
            }
            Deed::SecondSend(count) => {
                if self.second_exists {
                    self.second.say(count, |bytes| reply.second().send(bytes));
                } else {
                    reply.second().send(b"ignored");
                }
            }
            Deed::Finish => {
                reply.finish();
                self.first.finish();
            }
            Deed::SecondFinish => {
                reply.second().finish();
                self.second.finish();
            }
            Deed::SecondClose => {
                reply.second().close();
                self.second.finish();
            }
            Deed::SecondAbort => {
                reply.second().abort();
                self.second.finish();
            }
            Deed::Close | Deed::Abort => {
                if let Deed::Close = deed {
                    reply.close()
                } else {
                    reply.abort()
                }
                self.over = true;
                self.first.finish();
                self.second.finish();
            }
            Deed::Pause => reply.pause(),
            Deed::Resume => reply.resume(),
            Deed::SecondPause => reply.second().pause(),
            Deed::SecondResume => reply.second().resume(),
            Deed::ReceiveAlways => reply.receive_always(),
            Deed::WakeIn(millis) => {
                let at = now + Duration::from_millis(millis);
                reply.wake_at(at);
                self.woke_due = Some(at);
            }
            Deed::CancelWake => {
                reply.cancel_wake();
                self.woke_due = None;
            }
            Deed::Connect => {
                let could = reply.connect(support::SOMEWHERE);
                assert!(!could || !self.second_exists);
                if could {
                    self.second_exists = true;
                    self.second = Side::default();
                }
            }
            Deed::TakeHandle => self.handle = Some(reply.handle()),
            Deed::Panic => {
                self.over = true;
                self.panicked = true;
            }
        }
        self.first.drain_due |= reply.is_full() && !self.first.finished;
        self.second.drain_due |= reply.second().is_full() && !self.second.finished;
    }
}

impl Side {
    /// Says bytes that tell where they stand, so that a lost or doubled one shows.
    fn say(&mut self, count: usize, send: impl FnOnce(&[u8])) {
        let start = self.said.len();
        let bytes: Vec<u8> = (start..start + count).map(|place| (place % 251) as u8).collect();
        send(&bytes);
        if !self.finished {
            self.said.extend(bytes);
        }
    }

    fn finish(&mut self) {
        self.finished = true;
        self.drain_due = false;
    }
}

/// A server and what it sees of one leg.
#[derive(Default)]
struct Socket {
    heard: Vec<u8>,
    under_way: Option<(Vec<u8>, usize)>,
    connected: bool,
    finish_seen: bool,
}

struct Stage {
    exchange: Exchange,
    scripted: Scripted,
    first: Socket,
    second: Socket,
    calling: bool,
    /// The first leg was reset, or failed: its unsent bytes may be lost.
    may_lose: bool,
    now: Instant,
}

impl Stage {
    fn open(script: Vec<Vec<Deed>>) -> Stage {
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

    fn step(&mut self, step: &Step) {
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
            Step::CloseByServer | Step::AbortByServer => {
                if let Step::CloseByServer = step {
                    self.exchange.close()
                } else {
                    self.exchange.abort()
                }
                self.may_lose |= matches!(step, Step::AbortByServer);
                let mut story = self.scripted.story();
                story.over = true;
                story.first.finish();
                story.second.finish();
            }
        }
    }

    fn post(&mut self) {
        let story = self.scripted.story();
        let Some(handle) = story.handle.clone() else { return };
        let posted = handle.post(story.posted + 1);
        drop(story);
        drop(handle);
        let ended = self.scripted.story().over;
        match posted {
            Ok(()) => self.scripted.story().posted += 1,
            Err(message) => assert!(ended || self.exchange.is_over(), "{message} came back too early"),
        }
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
    fn check(&mut self) {
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
    fn play_to_the_end(&mut self) {
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
                100 => self.step(&Step::CloseByServer),
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

fn leg() -> impl Strategy<Value = Leg> {
    prop_oneof![3 => Just(Leg::First), 2 => Just(Leg::Second)]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        12 => (1..90usize).prop_map(Deed::Send),
        8 => (1..90usize).prop_map(Deed::SecondSend),
        6 => Just(Deed::Fill),
        2 => Just(Deed::Finish),
        2 => Just(Deed::SecondFinish),
        1 => Just(Deed::Close),
        1 => Just(Deed::SecondClose),
        1 => Just(Deed::SecondAbort),
        1 => Just(Deed::Abort),
        2 => Just(Deed::Pause),
        3 => Just(Deed::Resume),
        2 => Just(Deed::SecondPause),
        3 => Just(Deed::SecondResume),
        1 => Just(Deed::ReceiveAlways),
        4 => (0..9u64).prop_map(Deed::WakeIn),
        1 => Just(Deed::CancelWake),
        5 => Just(Deed::Connect),
        3 => Just(Deed::TakeHandle),
        1 => Just(Deed::Panic),
    ]
}

fn step() -> impl Strategy<Value = Step> {
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
        1 => Just(Step::CloseByServer),
        1 => Just(Step::AbortByServer),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_whatever_happens(
        script in vec(vec(deed(), 0..3), 0..40),
        steps in vec(step(), 0..120),
    ) {
        let mut stage = Stage::open(script);
        for step in &steps {
            if stage.exchange.is_over() {
                break;
            }
            stage.step(step);
            stage.check();
        }
        stage.play_to_the_end();
        let story = stage.scripted.story();
        if !stage.may_lose {
            prop_assert_eq!(&stage.first.heard, &story.first.said, "all that was said is delivered");
        }
    }

    #[test]
    fn an_echo_never_holds_more_than_the_high_water_mark(
        sizes in vec((1..5000usize, 0..3000usize), 1..60),
        high_water in 1..4000usize,
    ) {
        let now = Instant::now();
        let limits = Limits { high_water, linger: Duration::ZERO };
        let mut exchange = support::open_numbered(&Echo, 1, limits);
        exchange.input(Event::Opened, now);
        let (mut received, mut heard) = (Vec::new(), Vec::new());
        for (offered, read) in sizes {
            // Both are decided before either happens, as by a server with a receive and a send under way.
            let count = offered.min(exchange.wants(Leg::First).receive);
            let bytes: Vec<u8> = (received.len()..received.len() + count).map(|place| (place % 251) as u8).collect();
            exchange.input(Event::Received(Leg::First, &bytes), now);
            received.extend(bytes);
            prop_assert!(exchange.unsent(Leg::First) <= high_water);
            let read = read.min(exchange.outgoing(Leg::First).len());
            heard.extend_from_slice(&exchange.outgoing(Leg::First)[..read]);
            exchange.sent(Leg::First, read, now);
            let unsent = exchange.unsent(Leg::First);
            prop_assert!(unsent > high_water / 2 || exchange.wants(Leg::First).receive > 0, "resumes at half");
        }
        heard.extend_from_slice(exchange.outgoing(Leg::First));
        prop_assert_eq!(heard, received);
    }
}
