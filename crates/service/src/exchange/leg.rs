//! One connection of an exchange: what is unsent on it, and which of its two directions still go on.

use super::Wants;
use super::outbox::Outbox;
use std::time::{Duration, Instant};

/// How much is received at a time only to be thrown away.
const DISCARD_BYTES: usize = 16 * 1024;

#[derive(Default)]
pub(crate) struct Leg {
    pub(crate) outbox: Outbox,
    /// The conversation does not want to receive.
    pub(crate) paused: bool,
    /// What is received causes no bytes on this leg.
    pub(crate) always_receives: bool,
    /// The outbox was full, and more than half of that is still there: whatever fills it is not received.
    pub(crate) held: bool,
    /// The outbox was full, so the conversation is told when it is empty.
    drain_due: bool,
    pub(crate) peer_finished: bool,
    finish: Finish,
    closing: Closing,
    /// Until when the peer's own end is waited for, should this side close; counted from its finish.
    linger_until: Option<Instant>,
    aborted: bool,
    /// There is no socket any more.
    pub(crate) gone: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Finish {
    #[default]
    No,
    Asked,
    Done,
}

/// To close a socket on bytes that were not read resets the connection, and the peer may lose what it was sent last. So
/// a conversation's close finishes first, then reads on for a moment until the peer has finished too.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Closing {
    #[default]
    No,
    Lingering,
    AtOnce,
}

impl Leg {
    #[inline]
    pub(crate) fn send(&mut self, bytes: &[u8], high_water: usize) {
        if self.is_finishing() || self.gone {
            return;
        }
        self.outbox.push(bytes);
        if self.outbox.unsent() >= high_water {
            self.held = true;
            self.drain_due = true;
        }
    }

    /// `count` bytes are with the system. True when the conversation is to be told that it is drained.
    #[inline]
    pub(crate) fn sent(&mut self, count: usize, high_water: usize) -> bool {
        self.outbox.consume(count);
        if self.held && self.outbox.unsent() <= high_water / 2 {
            self.held = false;
        }
        self.outbox.unsent() == 0 && std::mem::take(&mut self.drain_due)
    }

    pub(crate) fn drain_due(&self) -> bool {
        self.drain_due
    }

    /// No more is sent after what is there.
    pub(crate) fn finish(&mut self) {
        if self.finish == Finish::No {
            self.finish = Finish::Asked;
            self.drain_due = false;
        }
    }

    pub(crate) fn is_finishing(&self) -> bool {
        self.finish != Finish::No
    }

    pub(crate) fn close(&mut self, linger: Duration) {
        self.finish();
        if linger.is_zero() {
            self.closing = Closing::AtOnce;
        } else if self.closing == Closing::No {
            self.closing = Closing::Lingering;
        }
    }

    pub(crate) fn abort(&mut self) {
        self.close(Duration::ZERO);
        self.aborted = true;
        self.outbox.drop_all();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing != Closing::No
    }

    /// The server has shut the sending direction.
    pub(crate) fn finished(&mut self, linger_until: Instant) {
        self.finish = Finish::Done;
        self.linger_until = Some(linger_until);
    }

    pub(crate) fn linger_until(&self) -> Option<Instant> {
        if self.lingers() && !self.gone { self.linger_until } else { None }
    }

    pub(crate) fn stop_lingering(&mut self) {
        self.closing = Closing::AtOnce;
    }

    fn lingers(&self) -> bool {
        self.closing == Closing::Lingering && !self.peer_finished
    }

    /// There is no socket any more, so there is nothing to wait for.
    pub(crate) fn lost(&mut self) {
        self.close(Duration::ZERO);
        self.outbox.drop_all();
        self.gone = true;
    }

    /// `room`: how much more may be received, going by the outboxes that it would fill.
    pub(crate) fn wants(&self, room: usize) -> Wants {
        if self.gone {
            return Wants::default();
        }
        if self.aborted {
            return Wants { abort: true, ..Wants::default() };
        }
        let flushed = self.outbox.unsent() == 0;
        let waits_for_peer = self.lingers();
        let receive = match self.closing {
            _ if self.peer_finished => 0,
            Closing::No if !self.paused => room,
            Closing::Lingering if self.finish == Finish::Done => DISCARD_BYTES,
            _ => 0,
        };
        Wants {
            receive,
            send: !self.outbox.outgoing().is_empty(),
            // A socket that is closed right away finishes by that.
            finish_now: flushed && self.finish == Finish::Asked && (!self.is_closing() || waits_for_peer),
            close: flushed && self.is_closing() && !waits_for_peer,
            abort: false,
        }
    }

    /// What a leg wants that is not connected yet: at most not to be connected any more.
    pub(crate) fn wants_unconnected(&self) -> Wants {
        let close = self.is_closing() && !self.aborted && self.outbox.unsent() == 0;
        Wants { close, abort: self.aborted, ..Wants::default() }
    }
}
