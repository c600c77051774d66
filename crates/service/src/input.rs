//! What a conversation is told.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// One thing that a conversation is told.
///
/// [`Opened`](Input::Opened) comes first and once. Nothing comes after [`Failed`](Input::Failed), after the
/// conversation said [`close`](crate::Reply::close) or [`abort`](crate::Reply::abort), or after it and the peer have
/// both finished.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a, M> {
    /// The connection is there.
    Opened,
    /// Bytes from the peer, at least one; where they are cut says nothing. Bounded by the server's receive buffer and by
    /// the room below the high-water mark.
    Received(&'a [u8]),
    /// The peer sends nothing more; it may still read. Comes once.
    PeerFinished,
    /// All that was sent is with the system now. Comes only after the unsent bytes had reached the high-water mark.
    Drained,
    /// The instant given to [`wake_at`](crate::Reply::wake_at) has come. The timer is unset again.
    WokeUp,
    /// A message from another thread, by a [`Handle`](crate::Handle).
    Posted(M),
    /// The server is stopping. What the peer has sent already is still told, then the connection is closed; it is fine
    /// to ignore this. Comes at most once.
    Stopping,
    /// The connection failed: reset, timed out. Unsent bytes are lost. The last input.
    ///
    /// If there is a second leg it is reset too, unless the answer is to finish or to close it.
    Failed(&'a Failure),
    /// Something about the second leg, which [`connect`](crate::Reply::connect) asked for.
    Second(Second<'a>),
}

/// What is told of the second leg: the connection that the conversation itself asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Second<'a> {
    /// It is there, with this address at its far end.
    Connected(SocketAddr),
    /// Bytes from the far end, at least one.
    Received(&'a [u8]),
    /// The far end sends nothing more.
    PeerFinished,
    /// All that was sent to it is with the system now; comes only after the high-water mark had been reached.
    Drained,
    /// It could not be reached, or failed later. Unsent bytes are lost. It is gone, and the conversation may
    /// [`connect`](crate::Reply::connect) again at once.
    Failed(&'a Failure),
    /// It ended as it should, with all its bytes delivered. It is gone, and the conversation may
    /// [`connect`](crate::Reply::connect) again.
    Closed,
}

/// Why a connection failed: a kind to decide by, and a sentence to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure, in the words of the standard library.
    pub kind: io::ErrorKind,
    /// The whole sentence: `recv: WSAECONNRESET (10054): the peer reset the connection`.
    pub message: String,
}

impl Failure {
    /// A failure of this kind, with its sentence.
    pub fn new(kind: io::ErrorKind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> io::Error {
        io::Error::new(failure.kind, failure.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::new(error.kind(), error.to_string())
    }
}
