//! The bytes that were sent but that the system has not taken yet: one piece of memory, used again and again.
//!
//! A readiness model sends from [`outgoing`](Outbox::outgoing) and says how much was taken; a completion model
//! takes the whole buffer for its operation and gives it back afterwards, while new bytes gather in the other one.

/// What an empty outbox may keep for the next message: the size of a big message, times many idle connections.
const KEPT_BYTES: usize = 16 * 1024;

#[derive(Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// How many at the front of `bytes` are sent already.
    gone: usize,
    /// How many bytes of a taken buffer are not sent yet.
    in_flight: usize,
    /// The other buffer, empty.
    spare: Vec<u8>,
}

impl Outbox {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.bytes.capacity() == 0 {
            self.bytes = std::mem::take(&mut self.spare);
        }
        // Rather move the few that are left than grow: each byte is moved at most once for each byte that is gone.
        if self.gone * 2 >= self.bytes.len() && self.bytes.len() + bytes.len() > self.bytes.capacity() {
            self.move_to_front();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// All that can be sent now, in one piece.
    pub(crate) fn outgoing(&self) -> &[u8] {
        if self.in_flight > 0 { &[] } else { &self.bytes[self.gone..] }
    }

    /// All that can be sent now, as a buffer that an operation can own. Empty while another one is under way.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        if self.in_flight > 0 {
            return Vec::new();
        }
        self.move_to_front();
        self.in_flight = self.bytes.len();
        std::mem::take(&mut self.bytes)
    }

    /// `count` bytes are sent, from the taken buffer if there is one.
    pub(crate) fn consume(&mut self, count: usize) {
        if self.in_flight > 0 {
            self.in_flight -= count.min(self.in_flight);
        } else {
            self.gone = (self.gone + count).min(self.bytes.len());
        }
        if self.gone == self.bytes.len() {
            self.gone = 0;
            self.bytes.clear();
        }
        self.trim();
    }

    /// A buffer to use again.
    pub(crate) fn give_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if self.bytes.capacity() == 0 {
            self.bytes = buffer;
        } else if buffer.capacity() > self.spare.capacity() {
            self.spare = buffer;
        }
        self.trim();
    }

    /// A buffer that is not needed now, if there is one; so that a thread's connections can share a few.
    pub(crate) fn take_spare(&mut self) -> Option<Vec<u8>> {
        if self.spare.capacity() > 0 {
            Some(std::mem::take(&mut self.spare))
        } else if self.bytes.is_empty() && self.bytes.capacity() > 0 {
            Some(std::mem::take(&mut self.bytes))
        } else {
            None
        }
    }

    pub(crate) fn unsent(&self) -> usize {
        self.in_flight + self.bytes.len() - self.gone
    }

    /// What is not sent yet never will be.
    pub(crate) fn drop_all(&mut self) {
        *self = Outbox::default();
    }

    /// Once idle, keeps no big buffer.
    fn trim(&mut self) {
        if self.unsent() == 0 {
            for buffer in [&mut self.bytes, &mut self.spare] {
                if buffer.capacity() > KEPT_BYTES {
                    *buffer = Vec::new();
                }
            }
        }
    }

    fn move_to_front(&mut self) {
        if self.gone > 0 {
            self.bytes.drain(..self.gone);
            self.gone = 0;
        }
    }
}

#[cfg(test)]
mod tests;
