//! The conversation: follows a script, and checks that it is told only what it may be told.

use crate::support;
use doorbell_service::{Conversation, Handle, Input, Peer, Reply, Second, Service};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What the conversation does when it is told something.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
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

pub(crate) fn deed() -> impl Strategy<Value = Deed> {
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

/// What the conversation knows of one leg.
#[derive(Default)]
pub(crate) struct Side {
    /// All that it sent and that counts, in order.
    pub(crate) said: Vec<u8>,
    pub(crate) finished: bool,
    pub(crate) peer_finished: bool,
    /// It was full, so it must be told when it is drained.
    pub(crate) drain_due: bool,
}

#[derive(Default)]
pub(crate) struct Story {
    pub(crate) script: VecDeque<Vec<Deed>>,
    pub(crate) first: Side,
    pub(crate) second: Side,
    /// The second leg exists, from `connect` until it failed or is closed.
    pub(crate) second_exists: bool,
    pub(crate) second_connected: bool,
    pub(crate) over: bool,
    pub(crate) opened: bool,
    pub(crate) stopping: bool,
    pub(crate) panicked: bool,
    pub(crate) woke_due: Option<Instant>,
    pub(crate) handle: Option<Handle<u32>>,
    pub(crate) posted: u32,
    pub(crate) told_posted: u32,
}

#[derive(Clone, Default)]
pub(crate) struct Scripted(Arc<Mutex<Story>>);

pub(crate) struct Playing(Scripted);

impl Scripted {
    pub(crate) fn story(&self) -> MutexGuard<'_, Story> {
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

    pub(crate) fn finish(&mut self) {
        self.finished = true;
        self.drain_due = false;
    }
}
