//! A service without its types, so that servers need not be generic.

use super::core::Core;
use super::{Exchange, Limits};
use crate::conversation::Conversation;
use crate::handle::Reach;
use crate::input::{Failure, Input, Second};
use crate::reply::Reply;
use crate::service::{Peer, Service};
use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

/// For servers: any [`Service`], whatever its types. Every service is one.
pub trait AnyService: Send + Sync + 'static {
    /// Opens a conversation and the exchange around it; give it [`Event::Opened`](crate::Event::Opened) next. A panic in
    /// the service gives an exchange that only wants to be aborted. Handles will call `reach`.
    fn open_exchange(&self, peer: &Peer, limits: Limits, reach: Arc<dyn Reach>) -> Exchange;
}

impl<S: Service> AnyService for S {
    fn open_exchange(&self, peer: &Peer, limits: Limits, reach: Arc<dyn Reach>) -> Exchange {
        // What a panic leaves behind in the service is the service's own: it is shared, so it is behind locks that know.
        let conversation = catch_unwind(AssertUnwindSafe(|| self.open(peer))).ok().map(|conversation| {
            Box::new(Typed::<S::Message, S::Conversation> { conversation, message: PhantomData })
                as Box<dyn AnyConversation>
        });
        Exchange::new(conversation, Core::new(peer.number, limits, reach))
    }
}

/// An [`Input`] whose message has no type yet.
pub(crate) enum Told<'a> {
    Opened,
    Received(&'a [u8]),
    PeerFinished,
    Drained,
    WokeUp,
    Posted(Box<dyn Any + Send>),
    Stopping,
    Failed(&'a Failure),
    Second(Second<'a>),
}

pub(crate) trait AnyConversation: Send {
    fn handle(&mut self, told: Told<'_>, core: &mut Core, now: Instant);
}

struct Typed<M, C> {
    conversation: C,
    message: PhantomData<fn(M)>,
}

impl<M: Send + 'static, C: Conversation<M>> AnyConversation for Typed<M, C> {
    fn handle(&mut self, told: Told<'_>, core: &mut Core, now: Instant) {
        let input = match told {
            Told::Opened => Input::Opened,
            Told::Received(bytes) => Input::Received(bytes),
            Told::PeerFinished => Input::PeerFinished,
            Told::Drained => Input::Drained,
            Told::WokeUp => Input::WokeUp,
            Told::Posted(message) => match message.downcast() {
                Ok(message) => Input::Posted(*message),
                // A handle has the type of the reply it came from, which is this one's: there are no others.
                Err(_) => return,
            },
            Told::Stopping => Input::Stopping,
            Told::Failed(failure) => Input::Failed(failure),
            Told::Second(second) => Input::Second(second),
        };
        self.conversation.handle(input, &mut Reply::new(core), now);
    }
}
