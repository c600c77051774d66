//! What a leg wants done.

/// What a leg wants done. Nothing, for a second leg that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// How many bytes may be received now. 0: leave them where they are.
    pub receive: usize,
    /// There are bytes to send, and no buffer is under way.
    pub send: bool,
    /// All is sent: shut the sending direction, then call [`Exchange::finished`](crate::Exchange::finished).
    pub finish_now: bool,
    /// All is done: close the socket, then call [`Exchange::closed`](crate::Exchange::closed).
    pub close: bool,
    /// Close the socket with a reset, then call [`Exchange::closed`](crate::Exchange::closed).
    pub abort: bool,
}

impl Wants {
    pub(crate) fn is_end(&self) -> bool {
        self.close || self.abort
    }
}
