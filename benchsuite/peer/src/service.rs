//! What a request costs: nothing (`echo`), or the rounds that its head asks for (`burn`).
//!
//! A request of `burn` is eight bytes of head, then a body: the head is the length of the body in bytes and the rounds to
//! compute, both 32 bits, big end first. The answer is the request, after the rounds.

use std::hint::black_box;

const HEAD_BYTES: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Service {
    Echo,
    Burn,
}

/// Where a connection's requests begin and end.
#[derive(Debug)]
pub struct Conversation {
    service: Service,
    /// The head as far as it has come.
    head: [u8; HEAD_BYTES],
    head_len: usize,
    /// Bytes of the body that are still to come.
    body_left: usize,
}

impl Conversation {
    pub fn new(service: Service) -> Conversation {
        Conversation { service, head: [0; HEAD_BYTES], head_len: 0, body_left: 0 }
    }

    /// How many rounds are to be computed before these bytes, which were received next, are sent back.
    #[inline]
    pub fn rounds(&mut self, received: &[u8]) -> u64 {
        match self.service {
            Service::Echo => 0,
            Service::Burn => self.asked_for(received),
        }
    }

    fn asked_for(&mut self, mut bytes: &[u8]) -> u64 {
        let mut rounds = 0;
        while !bytes.is_empty() {
            let body = self.body_left.min(bytes.len());
            self.body_left -= body;
            bytes = &bytes[body..];
            let head = (HEAD_BYTES - self.head_len).min(bytes.len());
            self.head[self.head_len..][..head].copy_from_slice(&bytes[..head]);
            self.head_len += head;
            bytes = &bytes[head..];
            if self.head_len == HEAD_BYTES {
                let [a, b, c, d, e, f, g, h] = self.head;
                self.head_len = 0;
                self.body_left = u32::from_be_bytes([a, b, c, d]) as usize;
                rounds += u64::from(u32::from_be_bytes([e, f, g, h]));
            }
        }
        rounds
    }
}

/// A round is one step of xorshift64, a chain that no compiler shortens.
#[inline]
pub fn burn(rounds: u64) {
    if rounds == 0 {
        return;
    }
    let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..rounds {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_found_wherever_the_bytes_are_cut() {
        let mut stream = Vec::new();
        for (body, rounds) in [(3_u32, 5_u32), (0, 7), (20, 0), (1, 1000)] {
            stream.extend(body.to_be_bytes());
            stream.extend(rounds.to_be_bytes());
            // Bytes that a wrong reader would take for a head.
            stream.resize(stream.len() + body as usize, 0xff);
        }
        for piece in 1..=stream.len() {
            let mut conversation = Conversation::new(Service::Burn);
            let sum: u64 = stream.chunks(piece).map(|bytes| conversation.rounds(bytes)).sum();
            assert_eq!(sum, 1012, "in pieces of {piece}");
        }
        assert_eq!(Conversation::new(Service::Echo).rounds(&stream), 0);
    }
}
