//! What is allowed to one connection.

use std::time::Duration;

/// What is allowed to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Unsent bytes at which the input that causes them is not received any more; at least 1. 256 KiB by default: enough
    /// to keep a fast connection busy, and a thousand peers that never read cost no more than 256 MiB.
    pub high_water: usize,
    /// For how long a connection that the conversation closed is read on, so that the peer can take the last bytes before
    /// unread ones cause a reset. One second by default; zero closes at once.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { high_water: 256 * 1024, linger: Duration::from_secs(1) }
    }
}
