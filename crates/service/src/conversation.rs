//! A conversation: what is said on one connection.

use crate::input::Input;
use crate::reply::Reply;
use std::time::Instant;

/// What is said on one connection; `M` is what other threads may post to it.
///
/// It is run by one thread at a time, but not always by the same one.
pub trait Conversation<M>: Send + 'static {
    /// Is told one thing, and answers on `reply`. `now` is the time; there is no need for another clock.
    ///
    /// Runs on a thread of the server. It may compute, but should not block: under most models others wait for that
    /// thread. A panic is caught: it ends this connection with a reset, and nothing is called on the conversation again.
    fn handle(&mut self, input: Input<'_, M>, reply: &mut Reply<'_, M>, now: Instant);
}
