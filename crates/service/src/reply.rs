//! What a conversation answers with.

use crate::exchange::{Core, SecondLeg, Stage};
use crate::handle::Handle;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// What a conversation answers with. Nothing here blocks or fails; what it asks for happens when the handler returns.
///
/// # Back pressure
///
/// Bytes that were sent and that the system has not taken are *unsent*. When they reach the high-water mark (256 KiB
/// unless the server says otherwise), nothing more is received from the peer until half of them are gone; and never is
/// more received than there is room for. So a conversation that sends no more than it receives never has more unsent
/// than the mark. One that sends more, or of its own accord, asks [`room`](Reply::room) and goes on at
/// [`Input::Drained`](crate::Input::Drained). Bytes are never refused.
///
/// With a second leg the input of each leg is bounded by what is unsent on the *other* one, as in a proxy; and by twice
/// the mark on its own.
pub struct Reply<'a, M> {
    core: &'a mut Core,
    message: PhantomData<fn(M)>,
}

impl<'a, M: Send + 'static> Reply<'a, M> {
    pub(crate) fn new(core: &'a mut Core) -> Reply<'a, M> {
        Reply { core, message: PhantomData }
    }

    /// Sends bytes to the peer, in order, behind all that was sent before. Ignored after [`finish`](Reply::finish) and
    /// [`close`](Reply::close).
    pub fn send(&mut self, bytes: &[u8]) {
        self.core.first.send(bytes, self.core.limits.high_water);
    }

    /// Sends nothing more: when all is with the system, the peer is told (half close). The conversation goes on receiving
    /// until the peer has finished as well; then it is over.
    #[doc(alias = "shutdown")]
    pub fn finish(&mut self) {
        self.core.first.finish();
    }

    /// Ends the conversation, on both legs: what was sent is still delivered, then the connection is closed. The
    /// conversation is told nothing more, and what the peer still sends is not read.
    #[doc(alias = "closesocket")]
    pub fn close(&mut self) {
        self.core.close(self.core.limits.linger);
    }

    /// Ends the conversation at once, on both legs, with a reset: unsent bytes are lost. It is told nothing more.
    pub fn abort(&mut self) {
        self.core.abort();
    }

    /// Receives nothing more from the peer until [`resume`](Reply::resume); a receive that is under way may still be
    /// told. While paused, it is not noticed that the peer finishes either.
    pub fn pause(&mut self) {
        self.core.first.paused = true;
    }

    /// Receives again.
    pub fn resume(&mut self) {
        self.core.first.paused = false;
    }

    /// From now on receives also when the high-water mark is reached (up to twice that): for a conversation that does not
    /// answer what it receives, but sends of its own accord, and would otherwise never see that the peer finishes.
    pub fn receive_always(&mut self) {
        self.core.first.always_receives = true;
    }

    /// Asks for [`Input::WokeUp`](crate::Input::WokeUp) at an instant, or soon when it has passed. There is one timer: a
    /// later call replaces the earlier one. Never early; how late is up to the model, at best within a millisecond.
    pub fn wake_at(&mut self, instant: Instant) {
        self.core.wake = Some(instant);
    }

    /// Unsets the timer.
    pub fn cancel_wake(&mut self) {
        self.core.wake = None;
    }

    /// Asks for a second leg: a connection to `address`. [`Input::Second`](crate::Input::Second) tells how it went. Bytes
    /// can be sent to it at once; they wait until it is there.
    ///
    /// False, and nothing is asked for, while there is a second leg already: until it has
    /// [failed](crate::Second::Failed) or is [closed](crate::Second::Closed).
    pub fn connect(&mut self, address: SocketAddr) -> bool {
        if self.core.second.is_some() || self.core.first.is_closing() {
            return false;
        }
        let leg = Default::default();
        self.core.second = Some(Box::new(SecondLeg { leg, address, stage: Stage::Asked }));
        true
    }

    /// The second leg; while there is none, what is asked of it is ignored.
    pub fn second(&mut self) -> SecondReply<'_> {
        SecondReply { core: self.core }
    }

    /// Bytes that were sent and that the system has not taken yet.
    pub fn unsent(&self) -> usize {
        self.core.first.outbox.unsent()
    }

    /// Whether the unsent bytes have reached the high-water mark; if so, [`Input::Drained`](crate::Input::Drained) will
    /// come.
    pub fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// How many more bytes fit below the high-water mark. When this is 0, [`Input::Drained`](crate::Input::Drained) will
    /// come.
    pub fn room(&self) -> usize {
        self.core.limits.high_water.saturating_sub(self.unsent())
    }

    /// What other threads can reach this conversation by. The connection pays for being reachable from the first call on.
    pub fn handle(&mut self) -> Handle<M> {
        Handle::new(Arc::clone(self.core.mailbox()))
    }

    /// Asks the whole server to stop: it accepts nobody more and drains.
    pub fn stop_server(&mut self) {
        self.core.stop_server();
    }
}

impl<M> fmt::Debug for Reply<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("unsent", &self.core.first.outbox.unsent()).finish_non_exhaustive()
    }
}

/// What a conversation asks of its second leg. See [`Reply`] for what each word means.
pub struct SecondReply<'a> {
    core: &'a mut Core,
}

impl SecondReply<'_> {
    /// Whether there is one: asked for, and neither failed nor closed yet.
    pub fn exists(&self) -> bool {
        self.core.second.is_some()
    }

    /// Sends bytes to its far end; they wait while it is not connected yet.
    pub fn send(&mut self, bytes: &[u8]) {
        let high_water = self.core.limits.high_water;
        if let Some(second) = &mut self.core.second {
            second.leg.send(bytes, high_water);
        }
    }

    /// Sends nothing more to it. It is over when the far end has finished as well.
    pub fn finish(&mut self) {
        if let Some(second) = &mut self.core.second {
            second.leg.finish();
        }
    }

    /// Ends it when what was sent is delivered. Of it, only [`Second::Closed`](crate::Second::Closed) is told any more.
    pub fn close(&mut self) {
        let linger = self.core.limits.linger;
        if let Some(second) = &mut self.core.second {
            second.leg.close(linger);
        }
    }

    /// Ends it at once with a reset. Of it, only [`Second::Closed`](crate::Second::Closed) is told any more.
    pub fn abort(&mut self) {
        if let Some(second) = &mut self.core.second {
            second.leg.abort();
        }
    }

    /// Receives nothing more from it until [`resume`](SecondReply::resume).
    pub fn pause(&mut self) {
        if let Some(second) = &mut self.core.second {
            second.leg.paused = true;
        }
    }

    /// Receives from it again.
    pub fn resume(&mut self) {
        if let Some(second) = &mut self.core.second {
            second.leg.paused = false;
        }
    }

    /// Bytes sent to it that the system has not taken yet; 0 while there is none.
    pub fn unsent(&self) -> usize {
        self.core.second.as_ref().map_or(0, |second| second.leg.outbox.unsent())
    }

    /// Whether those have reached the high-water mark; if so, [`Second::Drained`](crate::Second::Drained) will come.
    pub fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// How many more bytes fit below the high-water mark.
    pub fn room(&self) -> usize {
        self.core.limits.high_water.saturating_sub(self.unsent())
    }
}

impl fmt::Debug for SecondReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondReply").field("exists", &self.exists()).field("unsent", &self.unsent()).finish()
    }
}
