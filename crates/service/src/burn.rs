//! Burn: sends each request back after taking the processor time that it asks for.
//!
//! For measurements of what a costly request does to the others. A request is eight bytes of head, then a body: the head
//! is the length of the body in bytes and the rounds to compute, both 32 bits, big end first. The answer is the request.
//! The cost is a number of rounds and not a time, so that it is processor time whoever else wants the processor, and so
//! that a server in another language can do the same.

use crate::conversation::Conversation;
use crate::input::Input;
use crate::reply::Reply;
use crate::service::{Peer, Service};
use std::hint::black_box;
use std::time::Instant;

/// Bytes of a request before its body.
pub const BURN_HEAD_BYTES: usize = 8;

/// Sends each request back after computing the rounds that its head asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Burn;

/// A conversation of [`Burn`].
#[derive(Debug, Default)]
pub struct Burning {
    /// The head as far as it has come.
    head: [u8; BURN_HEAD_BYTES],
    head_len: usize,
    /// Bytes of the body that are still to come.
    body_left: usize,
}

/// The head of a request with a body of `body_bytes` that costs `rounds`.
pub fn burn_head(body_bytes: u32, rounds: u32) -> [u8; BURN_HEAD_BYTES] {
    let mut head = [0; BURN_HEAD_BYTES];
    head[..4].copy_from_slice(&body_bytes.to_be_bytes());
    head[4..].copy_from_slice(&rounds.to_be_bytes());
    head
}

/// What a round is: one step of xorshift64, a chain that no compiler shortens.
pub fn burn(rounds: u32) {
    let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..rounds {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}

impl Service for Burn {
    type Message = ();
    type Conversation = Burning;

    fn open(&self, _peer: &Peer) -> Burning {
        Burning::default()
    }
}

impl Conversation<()> for Burning {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
        match input {
            Input::Received(bytes) => {
                self.take(bytes, burn);
                reply.send(bytes);
            }
            Input::PeerFinished => reply.finish(),
            _ => {}
        }
    }
}

impl Burning {
    /// Calls `compute` for each head that is complete with these bytes.
    fn take(&mut self, mut bytes: &[u8], mut compute: impl FnMut(u32)) {
        while !bytes.is_empty() {
            let body = self.body_left.min(bytes.len());
            self.body_left -= body;
            bytes = &bytes[body..];
            let head = (BURN_HEAD_BYTES - self.head_len).min(bytes.len());
            self.head[self.head_len..][..head].copy_from_slice(&bytes[..head]);
            self.head_len += head;
            bytes = &bytes[head..];
            if self.head_len == BURN_HEAD_BYTES {
                let [a, b, c, d, e, f, g, h] = self.head;
                self.head_len = 0;
                self.body_left = u32::from_be_bytes([a, b, c, d]) as usize;
                compute(u32::from_be_bytes([e, f, g, h]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rounds of each request, however the bytes are cut.
    fn rounds_of(input: &[u8]) -> Vec<u32> {
        let taken = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let (mut burning, mut rounds) = (Burning::default(), Vec::new());
            pieces.for_each(|piece| burning.take(piece, |count| rounds.push(count)));
            rounds
        };
        let whole = taken(&mut std::iter::once(input));
        for cut in 0..=input.len() {
            let (first, second) = input.split_at(cut);
            assert_eq!(taken(&mut [first, second].into_iter()), whole, "cut at {cut}");
        }
        for size in 1..=BURN_HEAD_BYTES + 1 {
            assert_eq!(taken(&mut input.chunks(size)), whole, "in pieces of {size}");
        }
        whole
    }

    /// A body that would be a head of its own if it were taken for one.
    fn request(body_bytes: u32, rounds: u32) -> Vec<u8> {
        [&burn_head(body_bytes, rounds)[..], &vec![0x7f; body_bytes as usize]].concat()
    }

    #[test]
    fn each_head_is_found_behind_the_body_before_it() {
        let input =
            [request(11, 300), request(0, 70_000), request(0, 0), request(8, 1), request(1, u32::MAX)];
        assert_eq!(rounds_of(&input.concat()), [300, 70_000, 0, 1, u32::MAX]);
    }

    #[test]
    fn a_head_that_is_not_whole_costs_nothing_yet() {
        assert_eq!(rounds_of(&[]), [0; 0]);
        assert_eq!(rounds_of(&request(0, 5)[..BURN_HEAD_BYTES - 1]), [0; 0]);
        assert_eq!(rounds_of(&[request(3, 5), vec![0; BURN_HEAD_BYTES - 1]].concat()), [5]);
    }

    #[test]
    fn a_body_that_is_not_whole_holds_nothing_up() {
        assert_eq!(rounds_of(&request(1_000, 5)[..BURN_HEAD_BYTES + 1]), [5]);
        assert_eq!(rounds_of(&burn_head(u32::MAX, 7)), [7]);
    }
}
