//! What a server does with the bytes of a connection: bytes in, bytes out; no sockets, no threads, no clock.
//!
//! A [`Service`] opens a [`Conversation`] for each connection. The conversation is told things, one [`Input`] at a
//! time, and answers on a [`Reply`]. It never blocks and never waits, so one implementation runs under every I/O
//! model of the `doorbell` crate, and in memory under [`Rehearsal`], which needs no network at all.
//!
//! A whole service, which sends each line back in capitals, and its rehearsal:
//!
//! ```
//! use doorbell_service::{Conversation, Input, Peer, Rehearsal, Reply, Service};
//! use std::time::Instant;
//!
//! struct Shout;
//!
//! impl Service for Shout {
//!     type Message = ();
//!     type Conversation = Shouting;
//!     fn open(&self, _peer: &Peer) -> Shouting {
//!         Shouting
//!     }
//! }
//!
//! struct Shouting;
//!
//! impl Conversation<()> for Shouting {
//!     fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
//!         if let Input::Received(bytes) = input {
//!             reply.send(&bytes.to_ascii_uppercase());
//!         }
//!     }
//! }
//!
//! let mut rehearsal = Rehearsal::new(&Shout, Instant::now());
//! rehearsal.receive(b"is anybody there?");
//! assert_eq!(rehearsal.take_sent(), b"IS ANYBODY THERE?");
//! rehearsal.finish();
//! assert!(rehearsal.is_closed());
//! ```
//!
//! # How a connection ends
//!
//! - The conversation says [`close`](Reply::close): what it sent is still delivered. [`abort`](Reply::abort) does not
//!   wait for that.
//! - The peer finishes ([`Input::PeerFinished`]): the conversation may go on sending. When nothing is left that it could
//!   be told (no [`Input::Drained`] is due, no timer is set, there is no second leg and no [`Handle`]), it could never
//!   say anything again, so the connection is finished and closed for it. Half-open connections last only while
//!   somebody has a use for them.
//! - The connection fails ([`Input::Failed`]), or the conversation panics: that connection ends, never the server.
//!
//! # Memory
//!
//! What a conversation sent and the system has not taken yet is *unsent*. At the high-water mark (256 KiB unless the
//! server says otherwise) the input that causes it is not received any more, until half of it is gone: see [`Reply`].
//!
//! # For servers
//!
//! An [`Exchange`] is everything between a conversation and whatever moves its bytes. The real server uses the same
//! one under each model as the rehearsal does, so a rehearsal is the truth.

#![forbid(unsafe_code)]

mod burn;
mod chargen;
mod conversation;
mod discard;
mod echo;
mod exchange;
mod handle;
mod input;
mod rehearsal;
mod reply;
mod service;

pub use burn::{BURN_HEAD_BYTES, Burn, Burning, burn, burn_head};
pub use chargen::{Chargen, Generating};
pub use conversation::Conversation;
pub use discard::{Discard, Discarding};
pub use echo::{Echo, Echoing};
pub use exchange::{AnyService, Event, Exchange, Leg, Limits, Outcome, Wants};
pub use handle::{Handle, Reach};
pub use input::{Failure, Input, Second};
pub use rehearsal::{Rehearsal, RehearsedLeg, for_every_split};
pub use reply::{Reply, SecondReply};
pub use service::{Peer, Service};
