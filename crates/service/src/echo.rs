//! Echo (RFC 862): sends back whatever it receives.

use crate::conversation::Conversation;
use crate::input::Input;
use crate::reply::Reply;
use crate::service::{Peer, Service};
use std::time::Instant;

/// Echo (RFC 862): sends back whatever it receives, until the peer finishes and has everything back.
///
/// Never has more unsent than the high-water mark.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

/// A conversation of [`Echo`].
#[derive(Debug)]
pub struct Echoing;

impl Service for Echo {
    type Message = ();
    type Conversation = Echoing;

    fn open(&self, _peer: &Peer) -> Echoing {
        Echoing
    }
}

impl Conversation<()> for Echoing {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
        match input {
            Input::Received(bytes) => reply.send(bytes),
            Input::PeerFinished => reply.finish(),
            _ => {}
        }
    }
}
