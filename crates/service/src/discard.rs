//! Discard (RFC 863): throws away whatever it receives.

use crate::conversation::Conversation;
use crate::input::Input;
use crate::reply::Reply;
use crate::service::{Peer, Service};
use std::time::Instant;

/// Discard (RFC 863): throws away whatever it receives and sends nothing, until the peer finishes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

/// A conversation of [`Discard`].
#[derive(Debug)]
pub struct Discarding;

impl Service for Discard {
    type Message = ();
    type Conversation = Discarding;

    fn open(&self, _peer: &Peer) -> Discarding {
        Discarding
    }
}

impl Conversation<()> for Discarding {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
        if let Input::PeerFinished = input {
            reply.close();
        }
    }
}
