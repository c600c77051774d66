//! An exchange: everything between a conversation and whatever moves its bytes.
//!
//! A pure state machine: see [`Exchange`] for the turns of a server that drives one.

mod core;
mod erased;
mod event;
mod leg;
mod limits;
mod outbox;
mod wants;

pub(crate) use self::core::{Core, SecondLeg, Stage};
pub use erased::AnyService;
pub use event::{Event, Leg, Outcome};
pub use limits::Limits;
pub use wants::Wants;

use crate::handle::Mailbox;
use crate::input::{Failure, Second};
use erased::{AnyConversation, Told};
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For servers: one conversation, and all that is between it and its connections.
///
/// A pure state machine. The server tells it what happened ([`Event`]), and then, until there is nothing more to do,
/// asks each leg what it [`wants`](Exchange::wants) and does that:
///
/// ```text
/// input(Opened), then after whatever happens:
///
/// connect_asked()           an address: begin to connect; later input(Connected(…)) or input(Failed(Second, …))
/// wants(leg).send           outgoing(leg), or take_outgoing(leg) and later give_back(leg, …); then sent(leg, n)
/// wants(leg).finish_now     shut the sending direction, then finished(leg)
/// wants(leg).receive        receive at most so many bytes; then input(Received(leg, …)) or input(PeerFinished(leg))
/// wants(leg).close, .abort  close the socket, then closed(leg)
/// deadline()                when it has come, input(WokeUp)
/// is_over()                 close what is open, drop everything
/// ```
///
/// Each call may change what is wanted, so ask again after it. Of a leg that failed or that is closed nothing more may be
/// told: the end of an operation that was still under way there belongs to nobody.
///
/// Used by one thread at a time, not always the same. Nothing blocks; nothing is called back but the conversation, and
/// [`Reach::stop_server`](crate::Reach::stop_server) when that asks for it.
pub struct Exchange {
    core: Core,
    /// None when it is over, so that nothing can be called on it again.
    conversation: Option<Box<dyn AnyConversation>>,
    told_of_stopping: bool,
}

impl Exchange {
    fn new(conversation: Option<Box<dyn AnyConversation>>, mut core: Core) -> Exchange {
        core.limits.high_water = core.limits.high_water.max(1);
        if conversation.is_none() {
            core.abort();
        }
        Exchange { core, conversation, told_of_stopping: false }
    }

    /// Tells what happened; the conversation may answer. An event that has come too late is ignored.
    pub fn input(&mut self, event: Event<'_>, now: Instant) -> Outcome {
        match event {
            Event::Opened => self.tell(Told::Opened, now),
            Event::Received(leg, bytes) => self.received(leg, bytes, now),
            Event::PeerFinished(leg) => self.peer_finished(leg, now),
            Event::Connected(address) => self.connected(address, now),
            Event::Failed(leg, failure) => self.failed(leg, failure, now),
            Event::Posted => self.posted(now),
            Event::WokeUp => self.woke_up(now),
            Event::Stopping if self.told_of_stopping => self.settle(),
            Event::Stopping => {
                self.told_of_stopping = true;
                self.tell(Told::Stopping, now)
            }
        }
    }

    /// What is to be done on this leg.
    pub fn wants(&self, leg: Leg) -> Wants {
        match (leg, &self.core.second) {
            (Leg::First, _) => self.core.first.wants(self.core.room_for_first()),
            (Leg::Second, Some(second)) => second.wants(self.core.room_for_second()),
            (Leg::Second, None) => Wants::default(),
        }
    }

    /// The bytes to send now, in one piece. Empty while a [taken](Exchange::take_outgoing) buffer is under way.
    pub fn outgoing(&self, leg: Leg) -> &[u8] {
        self.leg(leg).map_or(&[], |leg| leg.outbox.outgoing())
    }

    /// The same bytes as a buffer that an operation can own. They count as unsent until [`sent`](Exchange::sent).
    pub fn take_outgoing(&mut self, leg: Leg) -> Vec<u8> {
        self.leg_mut(leg).map_or_else(Vec::new, |leg| leg.outbox.take())
    }

    /// Gives a buffer to use again: a taken one, or a spare one. One of more than 16 KiB is kept only while it is needed.
    pub fn give_back(&mut self, leg: Leg, buffer: Vec<u8>) {
        if let Some(leg) = self.leg_mut(leg) {
            leg.outbox.give_back(buffer);
        }
    }

    /// A buffer that this leg does not need now, if it has one: for a server whose idle connections share theirs.
    pub fn take_spare(&mut self, leg: Leg) -> Option<Vec<u8>> {
        self.leg_mut(leg).and_then(|leg| leg.outbox.take_spare())
    }

    /// The system has taken `count` of the outgoing bytes. The conversation may be told that it is drained.
    #[inline]
    pub fn sent(&mut self, leg: Leg, count: usize, now: Instant) -> Outcome {
        let high_water = self.core.limits.high_water;
        let drained = self.leg_mut(leg).is_some_and(|leg| leg.sent(count, high_water));
        match leg {
            _ if !drained => self.settle(),
            Leg::First => self.tell(Told::Drained, now),
            Leg::Second => self.tell(Told::Second(Second::Drained), now),
        }
    }

    /// The sending direction is shut, as was [wanted](Wants::finish_now).
    pub fn finished(&mut self, leg: Leg, now: Instant) -> Outcome {
        let linger_until = now + self.core.limits.linger;
        if let Some(leg) = self.leg_mut(leg) {
            leg.finished(linger_until);
        }
        self.settle()
    }

    /// The socket is closed, as was [wanted](Wants::close). For the second leg the conversation is told.
    pub fn closed(&mut self, leg: Leg, now: Instant) -> Outcome {
        match leg {
            Leg::First => {
                self.core.first.lost();
                self.settle()
            }
            Leg::Second if self.core.second.take().is_some() => self.tell(Told::Second(Second::Closed), now),
            Leg::Second => self.settle(),
        }
    }

    /// Ends the conversation from the server's side (idle time-out, drain): it is told nothing more, what is unsent is
    /// delivered, then the connections close. The peer's own end is waited for as long as `linger` says; zero: not at all.
    pub fn close(&mut self, linger: Duration) {
        self.core.limits.linger = linger;
        self.core.close(linger);
        self.settle();
    }

    /// Ends the conversation from the server's side at once: both legs want to be aborted.
    pub fn abort(&mut self) {
        self.core.abort();
        self.settle();
    }

    /// When [`Event::WokeUp`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let second = self.core.second.as_ref().and_then(|second| second.leg.linger_until());
        [self.core.wake, self.core.first.linger_until(), second].into_iter().flatten().min()
    }

    /// The address to connect the second leg to; given once for each time that it is asked for.
    pub fn connect_asked(&mut self) -> Option<SocketAddr> {
        let second = self.core.second.as_mut()?;
        if second.stage != Stage::Asked || second.is_done() {
            return None;
        }
        second.stage = Stage::Connecting;
        Some(second.address)
    }

    /// Bytes that were sent and that the system has not taken yet.
    pub fn unsent(&self, leg: Leg) -> usize {
        self.leg(leg).map_or(0, |leg| leg.outbox.unsent())
    }

    /// Nothing is left to do: close what is not closed yet (with a reset where a leg [wants](Wants::abort) that), and
    /// drop the exchange.
    pub fn is_over(&self) -> bool {
        let second_is_done = self.core.second.as_ref().is_none_or(|second| second.is_done());
        self.conversation.is_none() && self.core.first_is_done() && second_is_done
    }

    /// The conversation has asked for its handle, so [`Reach::wake`](crate::Reach::wake) may be called for it.
    pub fn is_reachable(&self) -> bool {
        self.core.mailbox_if_made().is_some()
    }

    /// The mailbox, as the conversation's own handles have it.
    pub(crate) fn mailbox(&mut self) -> Arc<Mailbox> {
        Arc::clone(self.core.mailbox())
    }

    /// There is a second leg, connected or not.
    pub fn has_second(&self) -> bool {
        self.core.second.is_some()
    }

    fn leg(&self, leg: Leg) -> Option<&leg::Leg> {
        match leg {
            Leg::First => Some(&self.core.first),
            Leg::Second => self.core.second.as_ref().map(|second| &second.leg),
        }
    }

    fn leg_mut(&mut self, leg: Leg) -> Option<&mut leg::Leg> {
        match leg {
            Leg::First => Some(&mut self.core.first),
            Leg::Second => self.core.second.as_mut().map(|second| &mut second.leg),
        }
    }

    /// Whether the conversation still listens to this leg.
    fn listens(&self, leg: Leg) -> bool {
        self.leg(leg).is_some_and(|leg| !leg.is_closing() && !leg.peer_finished)
    }

    fn received(&mut self, leg: Leg, bytes: &[u8], now: Instant) -> Outcome {
        match leg {
            _ if bytes.is_empty() || !self.listens(leg) => self.settle(),
            Leg::First => self.tell(Told::Received(bytes), now),
            Leg::Second => self.tell(Told::Second(Second::Received(bytes)), now),
        }
    }

    fn peer_finished(&mut self, leg: Leg, now: Instant) -> Outcome {
        let listens = self.listens(leg);
        if let Some(leg) = self.leg_mut(leg) {
            leg.peer_finished = true;
        }
        match leg {
            _ if !listens => self.settle(),
            Leg::First => self.tell(Told::PeerFinished, now),
            Leg::Second => self.tell(Told::Second(Second::PeerFinished), now),
        }
    }

    fn connected(&mut self, address: SocketAddr, now: Instant) -> Outcome {
        match &mut self.core.second {
            Some(second) if second.stage == Stage::Connecting => second.stage = Stage::Connected,
            _ => return self.settle(),
        }
        if self.listens(Leg::Second) {
            self.tell(Told::Second(Second::Connected(address)), now)
        } else {
            self.settle()
        }
    }

    fn failed(&mut self, leg: Leg, failure: &Failure, now: Instant) -> Outcome {
        if leg == Leg::Second {
            // It is gone before it is told, so that the answer can be to connect again.
            return match self.core.second.take() {
                Some(second) if second.leg.is_closing() => self.tell(Told::Second(Second::Closed), now),
                Some(_) => self.tell(Told::Second(Second::Failed(failure)), now),
                None => self.settle(),
            };
        }
        if self.core.first.gone {
            return self.settle();
        }
        let was_closing = self.core.first.is_closing();
        self.core.first.lost();
        if was_closing {
            return self.settle();
        }
        let outcome = self.call(Told::Failed(failure), now);
        if let Some(second) = &mut self.core.second {
            // Half of a message must not look like a whole one: a reset, unless the conversation knows better.
            if second.leg.is_finishing() {
                second.leg.close(self.core.limits.linger)
            } else {
                second.leg.abort()
            }
        }
        if outcome == Outcome::Panicked { outcome } else { self.settle() }
    }

    fn posted(&mut self, now: Instant) -> Outcome {
        let Some(mailbox) = self.core.mailbox_if_made().cloned() else { return self.settle() };
        for _ in 0..mailbox.open() {
            let Some(message) = mailbox.take() else { break };
            match self.tell(Told::Posted(message), now) {
                Outcome::Going => {}
                ended => return ended,
            }
        }
        self.settle()
    }

    fn woke_up(&mut self, now: Instant) -> Outcome {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        for leg in [Leg::First, Leg::Second] {
            if let Some(leg) = self.leg_mut(leg).filter(|leg| due(leg.linger_until())) {
                leg.stop_lingering();
            }
        }
        if due(self.core.wake) {
            self.core.wake = None;
            return self.tell(Told::WokeUp, now);
        }
        self.settle()
    }

    /// Tells the conversation something, if it is still there, and draws the consequences.
    fn tell(&mut self, told: Told<'_>, now: Instant) -> Outcome {
        match self.call(told, now) {
            Outcome::Panicked => Outcome::Panicked,
            _ => self.settle(),
        }
    }

    fn call(&mut self, told: Told<'_>, now: Instant) -> Outcome {
        let Some(conversation) = &mut self.conversation else { return Outcome::Ended };
        let core = &mut self.core;
        // After a panic the conversation is dropped unseen, and the core aborted, so no broken state is looked at.
        match catch_unwind(AssertUnwindSafe(|| conversation.handle(told, core, now))) {
            Ok(()) => Outcome::Going,
            Err(reason) => {
                drop_quietly(reason);
                self.core.abort();
                self.retire();
                Outcome::Panicked
            }
        }
    }

    /// Draws the consequences of whatever was told, asked or done.
    #[inline]
    fn settle(&mut self) -> Outcome {
        if self.conversation.is_none() {
            return Outcome::Ended;
        }
        if let Some(second) = &mut self.core.second {
            if second.leg.peer_finished && second.leg.is_finishing() {
                second.leg.close(self.core.limits.linger);
            }
        }
        // Nobody will ever make it speak again, so it has finished.
        if self.core.first.peer_finished && !self.core.may_be_told_more() {
            self.core.first.finish();
        }
        if self.core.first.peer_finished && self.core.first.is_finishing() {
            self.core.close(self.core.limits.linger);
        }
        if !self.core.first.is_closing() {
            return Outcome::Going;
        }
        self.core.close(self.core.limits.linger);
        self.retire();
        Outcome::Ended
    }

    /// Nothing is told any more.
    fn retire(&mut self) {
        self.core.wake = None;
        if let Some(mailbox) = self.core.mailbox_if_made() {
            drop_quietly(mailbox.close());
        }
        drop_quietly(self.conversation.take());
    }
}

/// A drop may run the service's code, and a panic there is no more the server's than one in a handler.
fn drop_quietly<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.retire();
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("first", &self.wants(Leg::First))
            .field("second", &self.wants(Leg::Second))
            .field("unsent", &self.unsent(Leg::First))
            .field("is_over", &self.is_over())
            .finish_non_exhaustive()
    }
}
