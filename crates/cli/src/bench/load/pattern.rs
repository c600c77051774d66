//! The bytes that are sent: one pseudo-random sequence that repeats, which each connection enters at a place of its own.
//!
//! So what an answer must be is known without keeping it, and it is compared at the speed of `memcmp`. No byte is equal
//! to its neighbour: one that comes twice, or is missing, shows at that very place.

/// A prime, so that no size in use (a power of two, a round number) makes one request equal to the one before it.
const PERIOD: usize = 65_521;

/// The most that is had in one piece.
pub(super) const PIECE_MAX: usize = 64 << 10;

/// The sequence, held in memory once.
pub(super) struct Pattern {
    /// A period, and as much of the next as lets a piece begin anywhere.
    bytes: Box<[u8]>,
}

/// Where in the pattern a connection is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place(usize);

impl Pattern {
    pub(super) fn new() -> Pattern {
        let mut random = Random::new(0);
        let mut bytes: Vec<u8> = Vec::with_capacity(PERIOD + PIECE_MAX);
        while bytes.len() < PERIOD {
            let byte = random.next() as u8;
            let last = bytes.len() == PERIOD - 1;
            if bytes.last() != Some(&byte) && !(last && bytes.first() == Some(&byte)) {
                bytes.push(byte);
            }
        }
        while bytes.len() < PERIOD + PIECE_MAX {
            bytes.push(bytes[bytes.len() - PERIOD]);
        }
        Pattern { bytes: bytes.into() }
    }

    /// What follows at a place: `len` bytes, but at most [`PIECE_MAX`].
    pub(super) fn piece(&self, place: Place, len: usize) -> &[u8] {
        &self.bytes[place.0..place.0 + len.min(PIECE_MAX)]
    }

    /// How far behind `place` these bytes are to be found, forwards.
    pub(super) fn distance(&self, place: Place, bytes: &[u8]) -> Option<usize> {
        (0..PERIOD).find(|ahead| self.piece(place.after(*ahead), bytes.len()) == bytes)
    }
}

impl Place {
    /// Where a connection begins: no two of the first 65,521 at the same place, and neighbours far apart.
    pub(super) fn of(connection: usize) -> Place {
        Place((connection % PERIOD) * 25_013 % PERIOD)
    }

    pub(super) fn after(self, bytes: usize) -> Place {
        Place((self.0 + bytes) % PERIOD)
    }

    /// How far it is round from this place to itself.
    pub(super) fn round() -> usize {
        PERIOD
    }
}

/// xorshift64*: small, fast, and the same on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03)
    }

    /// 32 evenly drawn bits.
    pub(super) fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_is_equal_to_its_neighbour() {
        let pattern = Pattern::new();
        assert!(pattern.bytes.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn pieces_join_wherever_they_are_cut() {
        let pattern = Pattern::new();
        let place = Place::of(7);
        let whole = pattern.piece(place, PIECE_MAX);
        for cut in [0, 1, 100, PERIOD - 1, PERIOD, PIECE_MAX - 1] {
            let rest = pattern.piece(place.after(cut), PIECE_MAX - cut);
            assert_eq!([pattern.piece(place, cut), rest].concat(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn connections_and_successive_requests_differ() {
        let pattern = Pattern::new();
        let mut first: Vec<&[u8]> = (0..10_000).map(|number| pattern.piece(Place::of(number), 16)).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 10_000);
        for size in [1, 64, 1000, 65_536, 1 << 20, 16 << 20] {
            let place = Place::of(3);
            assert_ne!(pattern.piece(place, size), pattern.piece(place.after(size), size), "{size}");
        }
    }
}
