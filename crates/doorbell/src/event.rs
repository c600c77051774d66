//! What a server tells its program while it runs, for a log. Nothing here needs an answer.

use doorbell_winsock::Error;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Something worth a line in a log; [`Display`](fmt::Display) writes the line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// Accepting failed for want of something and is tried again later; told once until it works again.
    AcceptPaused {
        /// The listener's address.
        listener: SocketAddr,
        /// Why.
        error: Error,
    },
    /// Accepting works again.
    AcceptResumed {
        /// The listener's address.
        listener: SocketAddr,
    },
    /// As many connections as allowed are open: the next clients wait in the backlog. Told once until there is room.
    LimitReached {
        /// The limit.
        connections_max: usize,
    },
    /// A conversation panicked; its connection was closed, the others go on. What the panic said, the panic hook of the
    /// program has seen.
    Panicked {
        /// Whose conversation.
        peer: SocketAddr,
    },
    /// The server was told to stop: it no longer accepts, and answers what it has received.
    Draining {
        /// Connections that are open now.
        connections: usize,
        /// How long they have.
        grace: Duration,
    },
    /// The grace is over, or a second stop came: these connections were cut off.
    CutOff {
        /// How many.
        connections: usize,
    },
}

impl fmt::Display for ServerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerEvent::AcceptPaused { listener, error } => {
                write!(f, "accepting on {listener} pauses: {error}")?;
                error.remedy().map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
            }
            ServerEvent::AcceptResumed { listener } => write!(f, "accepting on {listener} goes on"),
            ServerEvent::LimitReached { connections_max } => {
                write!(f, "{connections_max} connections are open, as many as allowed: others wait")
            }
            ServerEvent::Panicked { peer } => {
                write!(f, "the conversation with {peer} panicked and was closed")
            }
            ServerEvent::Draining { connections, grace } => {
                write!(f, "stopping: {connections} connections have {grace:?} to end")
            }
            ServerEvent::CutOff { connections } => write!(f, "{connections} connections were cut off"),
        }
    }
}
