//! Numbers for sockets that the kernel may keep: place and generation, so that a late event for a closed socket finds
//! nothing instead of the one that has its place now (CL-05).

use super::super::socket::Core;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Places are made in blocks as they are needed: 4 Mi sockets at most, far above any descriptor limit.
const BLOCK: usize = 4096;
const BLOCKS: usize = 1024;

const DIRECTION_BITS: u32 = 2;
const PLACE_BITS: u32 = 32;

static BLOCK_TABLE: [OnceLock<Box<[Place]>>; BLOCKS] = [const { OnceLock::new() }; BLOCKS];
static FREE: Mutex<Free> = Mutex::new(Free { places: Vec::new(), used: 0 });

struct Free {
    places: Vec<u32>,
    used: usize,
}

type Place = Mutex<Entry>;

#[derive(Default)]
struct Entry {
    generation: u32,
    core: Option<Arc<Core>>,
}

/// Names a registered socket to the kernel. The two lowest bits are free for a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

impl Token {
    fn new(place: u32, generation: u32) -> Token {
        // The highest generation is never reached before the place number would have wrapped to that of a bell.
        let generation = u64::from(generation & 0x3fff_fffe);
        Token(generation << (PLACE_BITS + DIRECTION_BITS) | u64::from(place) << DIRECTION_BITS)
    }

    /// The number for the kernel.
    pub(crate) const fn number(self, direction: u64) -> u64 {
        self.0 | direction
    }

    /// The token and the direction of a number that came back.
    pub(crate) const fn parse(number: u64) -> (Token, u64) {
        let mask = (1 << DIRECTION_BITS) - 1;
        (Token(number & !mask), number & mask)
    }

    fn place(self) -> u32 {
        (self.0 >> DIRECTION_BITS) as u32
    }
}

/// Gives the socket a number; the registry keeps it alive until [`remove`].
pub(crate) fn insert(core: &Arc<Core>) -> Option<Token> {
    let place = {
        let mut free = lock(&FREE);
        match free.places.pop() {
            Some(place) => place,
            None if free.used < BLOCK * BLOCKS => {
                free.used += 1;
                (free.used - 1) as u32
            }
            None => return None,
        }
    };
    let mut entry = lock(entry_of(place)?);
    // Steps of two keep the lowest bit clear, see `Token::new`.
    entry.generation = entry.generation.wrapping_add(2);
    entry.core = Some(core.clone());
    Some(Token::new(place, entry.generation))
}

/// The socket of this number, if it is still registered.
pub(crate) fn find(token: Token) -> Option<Arc<Core>> {
    let place = token.place();
    let entry = lock(entry_of(place)?);
    if Token::new(place, entry.generation) == token { entry.core.clone() } else { None }
}

/// Takes the number back.
pub(crate) fn remove(token: Token) {
    let place = token.place();
    let Some(slot) = entry_of(place) else { return };
    let core = {
        let mut entry = lock(slot);
        if Token::new(place, entry.generation) != token {
            return;
        }
        entry.core.take()
    };
    if core.is_some() {
        lock(&FREE).places.push(place);
    }
}

fn entry_of(place: u32) -> Option<&'static Place> {
    let (block, at) = (place as usize / BLOCK, place as usize % BLOCK);
    let block = BLOCK_TABLE.get(block)?;
    block.get_or_init(|| (0..BLOCK).map(|_| Place::default()).collect()).get(at)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
