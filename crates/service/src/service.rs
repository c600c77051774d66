//! A service: what opens a conversation for each connection.

use crate::conversation::Conversation;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a server offers: opens a [`Conversation`] for each connection.
///
/// One value serves all connections, from any thread and from several at once. State that conversations share
/// lives here, behind whatever lock it needs.
pub trait Service: Send + Sync + 'static {
    /// What other threads may post to a conversation of this service by its [`Handle`](crate::Handle); `()` for nothing.
    type Message: Send + 'static;

    /// One connection's conversation.
    type Conversation: Conversation<Self::Message>;

    /// Begins the conversation with a peer that has just been accepted. It is told [`Input::Opened`](crate::Input) next.
    ///
    /// Runs on a thread of the server: return soon. A panic here ends that connection alone.
    fn open(&self, peer: &Peer) -> Self::Conversation;
}

impl<S: Service> Service for Arc<S> {
    type Message = S::Message;
    type Conversation = S::Conversation;

    fn open(&self, peer: &Peer) -> S::Conversation {
        S::open(self, peer)
    }
}

/// Who is there: one connection, by number and by its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Names this connection among all that its server ever had.
    pub number: u64,
    /// The end that is ours.
    pub local: SocketAddr,
    /// The end that is the peer's.
    pub remote: SocketAddr,
}
