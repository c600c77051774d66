//! `select`: Winsock's own, over arrays of any length. Its `fd_set` is a count and an array, and 64 is only the array
//! that the header declares.

use super::error::{Result, last_error};
use super::os::apc::resume_panic;
use crate::error::{WSAEINVAL, WSAENOTSOCK};
use crate::socket::Socket;
use std::collections::HashSet;
use std::time::Duration;
use windows_sys::Win32::Networking::WinSock as ws;

pub(crate) fn select(sets: [&mut Vec<Socket>; 3], timeout: Option<Duration>) -> Result<usize> {
    if sets.iter().all(|set| set.is_empty()) {
        return Err(WSAEINVAL);
    }
    let mut lists = [List::of(sets[0])?, List::of(sets[1])?, List::of(sets[2])?];
    let [read, write, except] = lists.each_mut().map(List::as_fd_set);
    let time = timeout.map(timeval);
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: each pointer is null or names a list of ours that says its own length; they live across the call.
    let outcome = unsafe { ws::select(0, read, write, except, time) };
    // Read before anything else can change it.
    let code = if outcome < 0 { last_error() } else { 0 };
    resume_panic();
    if outcome < 0 {
        return closed_meanwhile(sets, code);
    }
    for (set, list) in sets.into_iter().zip(&lists) {
        list.keep_in(set);
    }
    Ok(lists.iter().map(|list| list.members().len()).sum())
}

/// Why the call failed, unless because a member was closed during it: one to be read counts as readable (SE-16), whatever
/// the system called it.
fn closed_meanwhile(sets: [&mut Vec<Socket>; 3], code: i32) -> Result<usize> {
    let closed = |socket: &Socket| socket.sys.handle().is_closed();
    let [read, write, except] = sets;
    if read.iter().any(closed) {
        let mut seen = HashSet::new();
        read.retain(|socket| closed(socket) && seen.insert(socket.id()));
        write.clear();
        except.clear();
        return Ok(read.len());
    }
    if write.iter().chain(except.iter()).any(closed) { Err(WSAENOTSOCK) } else { Err(code) }
}

/// What the system takes for an `fd_set`: a word that holds the count, then the sockets.
struct List(Vec<usize>);

const _: () = assert!(std::mem::offset_of!(ws::FD_SET, fd_array) == size_of::<usize>());

impl List {
    fn of(set: &[Socket]) -> Result<List> {
        let mut words = Vec::with_capacity(set.len() + 1);
        words.push(set.len());
        for socket in set {
            if socket.sys.handle().is_closed() {
                return Err(WSAENOTSOCK);
            }
            words.push(socket.sys.handle().raw_for_select());
        }
        Ok(List(words))
    }

    /// An empty list is the same as none.
    fn as_fd_set(&mut self) -> *mut ws::FD_SET {
        if self.0.len() == 1 { std::ptr::null_mut() } else { self.0.as_mut_ptr().cast() }
    }

    fn members(&self) -> &[usize] {
        // The count is the lower half of the first word; the upper half is padding.
        &self.0[1..=self.0[0] as u32 as usize]
    }

    /// Leaves those in the set that are in the list, each once (SE-14).
    fn keep_in(&self, set: &mut Vec<Socket>) {
        let mut ready: HashSet<usize> = self.members().iter().copied().collect();
        set.retain(|socket| ready.remove(&socket.sys.handle().raw_for_select()));
    }
}

/// Microseconds, rounded up: a wait never ends early.
fn timeval(timeout: Duration) -> ws::TIMEVAL {
    let microseconds = timeout.as_nanos().div_ceil(1000).min(i32::MAX as u128 * 1_000_000);
    ws::TIMEVAL { tv_sec: (microseconds / 1_000_000) as i32, tv_usec: (microseconds % 1_000_000) as i32 }
}
