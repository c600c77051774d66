//! `select` as one `poll(2)` over all members, one entry a member and set.

mod turn;

use self::turn::Turn;
use super::error::Result;
use super::os::poll::{POLLIN, POLLOUT, POLLPRI, pollfd};
use crate::error::WSAEINVAL;
use crate::socket::Socket;
use std::cell::RefCell;
use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn select(sets: [&mut Vec<Socket>; 3], timeout: Option<Duration>) -> Result<usize> {
    if sets.iter().all(|set| set.is_empty()) {
        return Err(WSAEINVAL);
    }
    // Taken out, since a routine that runs meanwhile may call here too.
    let mut scratch = SCRATCH.replace(Scratch::new());
    let outcome = Members::hold(&sets)
        .and_then(|members| Turn::new(&members, &mut scratch, timeout).and_then(Turn::run))
        .map(|()| keep_ready(sets, &mut scratch));
    SCRATCH.set(scratch);
    outcome
}

/// Leaves the ready members in their sets, each once (SE-14), and counts them.
fn keep_ready(sets: [&mut Vec<Socket>; 3], scratch: &mut Scratch) -> usize {
    let Scratch { entries, ids, .. } = scratch;
    let mut verdicts = entries.iter().map(|entry| entry.revents != 0);
    let mut count = 0;
    for set in sets {
        ids.clear();
        set.retain(|socket| {
            let ready = verdicts.next().unwrap_or(false);
            if ready {
                ids.push(socket.id().0);
            }
            ready
        });
        // Sorting numbers is cheaper than a look-up for each, and a set without doubles is the usual one.
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            let mut seen = HashSet::new();
            set.retain(|socket| seen.insert(socket.id()));
        }
        count += set.len();
    }
    count
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
}

/// Memory that a thread's calls use again.
struct Scratch {
    /// An entry a member; at the end `revents` says 1 for a ready one.
    entries: Vec<pollfd>,
    ids: Vec<u64>,
    /// The members that are parked.
    parked: Vec<usize>,
    /// Made for the first call that parks a member and waits.
    watcher: Option<Arc<OwnedFd>>,
}

impl Scratch {
    const fn new() -> Scratch {
        Scratch { entries: Vec::new(), ids: Vec::new(), parked: Vec::new(), watcher: None }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Read,
    Write,
    Except,
}

impl Set {
    const fn events(self) -> i16 {
        match self {
            Set::Read => POLLIN,
            Set::Write => POLLOUT,
            Set::Except => POLLPRI,
        }
    }
}

/// The members of all sets, each held as a call in progress so that its descriptor stays its own.
struct Members<'a> {
    sockets: [&'a [Socket]; 3],
    held: usize,
}

impl<'a> Members<'a> {
    fn hold(sets: &'a [&mut Vec<Socket>; 3]) -> Result<Members<'a>> {
        let mut members = Members { sockets: [sets[0], sets[1], sets[2]], held: 0 };
        for (_, socket) in members.iter() {
            // A closed one ends the call with the sets as they were (SE-06); the others are let go by `drop`.
            let held = socket.sys.core().and_then(|core| core.hold());
            if let Err(code) = held {
                drop(members);
                return Err(code);
            }
            members.held += 1;
        }
        Ok(members)
    }

    fn iter(&self) -> impl Iterator<Item = (Set, &'a Socket)> + use<'a> {
        let [read, write, except] = self.sockets;
        let read = read.iter().map(|socket| (Set::Read, socket));
        let write = write.iter().map(|socket| (Set::Write, socket));
        read.chain(write).chain(except.iter().map(|socket| (Set::Except, socket)))
    }

    fn at(&self, mut index: usize) -> (Set, &'a Socket) {
        for (set, sockets) in [Set::Read, Set::Write, Set::Except].into_iter().zip(self.sockets) {
            match sockets.get(index) {
                Some(socket) => return (set, socket),
                None => index -= sockets.len(),
            }
        }
        unreachable!("an entry for each member")
    }
}

impl Drop for Members<'_> {
    fn drop(&mut self) {
        for (_, socket) in self.iter().take(self.held) {
            socket.sys.core_even_closed().leave();
        }
    }
}
