//! What happened, as a server tells its exchange, and what became of it.

use crate::input::Failure;
use std::net::SocketAddr;

/// Which of the two connections of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leg {
    /// The one that was accepted.
    First,
    /// The one that the conversation asked for.
    Second,
}

/// What happened, as a server tells its exchange.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The connection is there; once, first.
    Opened,
    /// Bytes came in; at most as many as were wanted. Ignored when nobody wants them any more.
    Received(Leg, &'a [u8]),
    /// A receive gave 0 bytes.
    PeerFinished(Leg),
    /// The second leg is connected to this address.
    Connected(SocketAddr),
    /// The connection failed, or could not be made. Its socket is of no use any more: close it.
    Failed(Leg, &'a Failure),
    /// [`Reach::wake`](crate::Reach::wake) was called: all that is in the mailbox is told.
    Posted,
    /// Time has passed. Does something only when the [`deadline`](crate::Exchange::deadline) has come.
    WokeUp,
    /// The server is stopping. Told to the conversation once.
    Stopping,
}

/// What became of the conversation in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Going,
    /// It is told nothing more; there may still be bytes to deliver: see [`Exchange::is_over`](crate::Exchange::is_over).
    Ended,
    /// It panicked in this call. Both legs want to be aborted.
    Panicked,
}
