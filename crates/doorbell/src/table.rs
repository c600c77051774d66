//! A table of connections that any thread may be told about.
//!
//! A connection is run by one thread at a time. Whoever is told something about it takes it *out* of its row, runs it
//! without any lock, and puts it back; whoever is told something meanwhile leaves a notice in the row, which the first
//! one finds before it goes. So nobody ever waits for a connection.
//!
//! Rows are used again, but a key names its connection alone: it carries the row's generation, and what comes for an
//! earlier one is dropped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// A connection's key at its port: generation, row, and eight bits that are the peer's own, by which it knows its sockets
/// apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(usize);

const TAG_BITS: u32 = 8;
const ROW_BITS: u32 = usize::BITS / 2;
const GENERATIONS: usize = 1 << (usize::BITS - ROW_BITS - TAG_BITS);

impl Key {
    pub(crate) const fn from_number(number: usize) -> Key {
        Key(number)
    }

    pub(crate) const fn number(self) -> usize {
        self.0
    }

    pub(crate) const fn tag(self) -> u8 {
        self.0 as u8
    }

    pub(crate) const fn with_tag(self, tag: u8) -> Key {
        Key(self.0 & !0xff | tag as usize)
    }

    const fn row(self) -> usize {
        (self.0 >> TAG_BITS) & ((1 << ROW_BITS) - 1)
    }

    const fn generation(self) -> usize {
        self.0 >> (TAG_BITS + ROW_BITS)
    }

    const fn new(row: usize, generation: usize) -> Key {
        Key((generation << ROW_BITS | row) << TAG_BITS)
    }
}

/// Rows come in blocks, each twice as long as all before, which never move: so a row is found without a lock.
const FIRST_BLOCK: usize = 64;
const BLOCKS: usize = (ROW_BITS - FIRST_BLOCK.ilog2()) as usize;

pub(crate) struct Table<T, N> {
    blocks: [OnceLock<Block<T, N>>; BLOCKS],
    free: Mutex<Free>,
    taken: AtomicUsize,
}

type Block<T, N> = Box<[Mutex<Row<T, N>>]>;

#[derive(Default)]
struct Free {
    rows: Vec<usize>,
    /// The first row that was never taken.
    next: usize,
}

struct Row<T, N> {
    generation: usize,
    taken: bool,
    /// Not there while somebody runs it.
    connection: Option<Box<T>>,
    notices: VecDeque<N>,
}

impl<T, N> Table<T, N> {
    pub(crate) fn new() -> Table<T, N> {
        let blocks = std::array::from_fn(|_| OnceLock::new());
        Table { blocks, free: Mutex::default(), taken: AtomicUsize::new(0) }
    }

    /// Takes a row. The caller runs what is to come into it, and ends with [`put_back`](Table::put_back) or
    /// [`remove`](Table::remove).
    pub(crate) fn reserve(&self) -> Key {
        let index = {
            let mut free = lock(&self.free);
            free.rows.pop().unwrap_or_else(|| {
                free.next += 1;
                free.next - 1
            })
        };
        self.taken.fetch_add(1, Ordering::SeqCst);
        let mut row = lock(self.row(index));
        row.taken = true;
        Key::new(index, row.generation)
    }

    /// Somebody is told something about a connection. `Some`: run it with this notice. `None`: whoever runs it now will
    /// find the notice, or it is gone.
    pub(crate) fn take_out(&self, key: Key, notice: N) -> Option<(Box<T>, N)> {
        let mut row = lock(self.known_row(key)?);
        if !row.taken || row.generation != key.generation() {
            return None;
        }
        match row.connection.take() {
            Some(connection) => Some((connection, notice)),
            None => {
                row.notices.push_back(notice);
                None
            }
        }
    }

    /// The connection was run. `Some`: run it again, with what came meanwhile.
    pub(crate) fn put_back(&self, key: Key, connection: Box<T>) -> Option<(Box<T>, N)> {
        let mut row = lock(self.row(key.row()));
        match row.notices.pop_front() {
            Some(notice) => Some((connection, notice)),
            None => {
                row.connection = Some(connection);
                None
            }
        }
    }

    /// The connection that the caller runs is over.
    pub(crate) fn remove(&self, key: Key) {
        let notices = {
            let mut row = lock(self.row(key.row()));
            row.taken = false;
            row.generation = (row.generation + 1) % GENERATIONS;
            std::mem::take(&mut row.notices)
        };
        drop(notices);
        lock(&self.free).rows.push(key.row());
        self.taken.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.taken.load(Ordering::SeqCst) == 0
    }

    /// The keys of all who are in it now.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let next = lock(&self.free).next;
        let key = |index| {
            let row = lock(self.row(index));
            row.taken.then(|| Key::new(index, row.generation))
        };
        (0..next).filter_map(key).collect()
    }

    /// A row that was taken at some time, or none for a key that never was.
    fn known_row(&self, key: Key) -> Option<&Mutex<Row<T, N>>> {
        let (block, offset) = place(key.row());
        self.blocks.get(block)?.get()?.get(offset)
    }

    fn row(&self, index: usize) -> &Mutex<Row<T, N>> {
        let (block, offset) = place(index);
        let new_row =
            || Mutex::new(Row { generation: 0, taken: false, connection: None, notices: VecDeque::new() });
        let new_block = || std::iter::repeat_with(new_row).take(FIRST_BLOCK << block).collect();
        &self.blocks[block].get_or_init(new_block)[offset]
    }
}

/// In which block a row stands, and where there.
const fn place(row: usize) -> (usize, usize) {
    let block = (row / FIRST_BLOCK + 1).ilog2() as usize;
    (block, row - FIRST_BLOCK * ((1 << block) - 1))
}

/// Nothing of a service's runs under these locks, so a poisoned one is whole.
fn lock<G>(mutex: &Mutex<G>) -> MutexGuard<'_, G> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_each_other_without_a_gap() {
        let mut expected = (0, 0);
        for row in 0..10_000 {
            assert_eq!(place(row), expected);
            expected.1 += 1;
            if expected.1 == FIRST_BLOCK << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
    }

    #[test]
    fn a_stale_key_reaches_nobody() {
        let table = Table::<&str, u8>::new();
        let old = table.reserve();
        assert!(table.put_back(old, Box::new("old")).is_none());
        let (_, notice) = table.take_out(old, 1).unwrap();
        assert_eq!(notice, 1);
        table.remove(old);
        let new = table.reserve();
        assert!(table.put_back(new, Box::new("new")).is_none());
        assert_eq!(old.row(), new.row());
        assert!(table.take_out(old, 2).is_none());
        assert_eq!(*table.take_out(new.with_tag(3), 3).unwrap().0, "new");
    }

    #[test]
    fn what_comes_while_a_connection_runs_is_found_by_who_runs_it_in_order() {
        let table = Table::<&str, u8>::new();
        let key = table.reserve();
        assert!(table.take_out(key, 1).is_none());
        assert!(table.take_out(key, 2).is_none());
        let (connection, notice) = table.put_back(key, Box::new("one")).unwrap();
        assert_eq!(notice, 1);
        let (connection, notice) = table.put_back(key, connection).unwrap();
        assert_eq!(notice, 2);
        assert!(table.put_back(key, connection).is_none());
        assert_eq!(table.keys(), [key]);
    }

    #[test]
    fn a_connection_is_run_by_one_thread_at_a_time_and_no_notice_is_lost() {
        let table = Table::<u32, u32>::new();
        let key = table.reserve();
        assert!(table.put_back(key, Box::new(0)).is_none());
        let tell = || {
            for _ in 0..10_000 {
                let mut turn = table.take_out(key, 1);
                while let Some((mut sum, notice)) = turn {
                    *sum += notice;
                    turn = table.put_back(key, sum);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(tell);
            }
        });
        assert_eq!(*table.take_out(key, 0).unwrap().0, 40_000);
    }
}
