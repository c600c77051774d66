//! Chargen (RFC 864): sends lines of characters for ever.
//!
//! The pattern of the RFC: the 95 printing characters in a ring; each line is 72 of them, carriage return and line
//! feed, and begins one character further than the line before. So it repeats after 95 lines.

use crate::conversation::Conversation;
use crate::input::Input;
use crate::reply::Reply;
use crate::service::{Peer, Service};
use std::sync::OnceLock;
use std::time::Instant;

const PRINTING: std::ops::RangeInclusive<u8> = b' '..=b'~';
const LINES: usize = 95;
const CHARACTERS_A_LINE: usize = 72;
const PATTERN_BYTES: usize = LINES * (CHARACTERS_A_LINE + 2);

/// Chargen (RFC 864): sends lines of 72 rotating characters for ever and ignores what it receives, until the peer
/// finishes. What the peer does not read holds at most the high-water mark.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chargen;

/// A conversation of [`Chargen`].
#[derive(Debug)]
pub struct Generating {
    /// Where in the pattern the next byte stands: the room may end in the middle of a line.
    position: usize,
}

impl Service for Chargen {
    type Message = ();
    type Conversation = Generating;

    fn open(&self, _peer: &Peer) -> Generating {
        Generating { position: 0 }
    }
}

impl Conversation<()> for Generating {
    fn handle(&mut self, input: Input<'_, ()>, reply: &mut Reply<'_, ()>, _now: Instant) {
        match input {
            Input::Opened => {
                reply.receive_always();
                self.fill(reply);
            }
            Input::Drained => self.fill(reply),
            Input::PeerFinished => reply.close(),
            _ => {}
        }
    }
}

impl Generating {
    fn fill(&mut self, reply: &mut Reply<'_, ()>) {
        let pattern = pattern();
        while !reply.is_full() {
            let rest = &pattern[self.position..];
            let next = &rest[..rest.len().min(reply.room())];
            reply.send(next);
            self.position = (self.position + next.len()) % PATTERN_BYTES;
        }
    }
}

/// All 95 lines, made once.
fn pattern() -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let mut pattern = Vec::with_capacity(PATTERN_BYTES);
        for line in 0..LINES {
            pattern.extend(PRINTING.cycle().skip(line).take(CHARACTERS_A_LINE));
            pattern.extend(b"\r\n");
        }
        pattern
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_that_of_the_rfc() {
        let lines: Vec<&[u8]> = pattern().chunks(CHARACTERS_A_LINE + 2).collect();
        assert_eq!(lines.len(), LINES);
        assert_eq!(
            lines[0],
            b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n"
        );
        assert_eq!(
            lines[1],
            b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh\r\n"
        );
        assert_eq!(
            lines[24],
            b"89:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~ \r\n"
        );
        assert!(lines[94].starts_with(b"~ !\"#"));
    }
}
