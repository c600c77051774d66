//! `poll(2)` with a deadline that signals do not move.

use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::{Duration, Instant};

pub(crate) use libc::{POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP, pollfd};

/// Waits until one entry has an answer; an entry with a negative descriptor is passed over. `None` waits for ever.
/// Returns how many have one, 0 when the deadline has come.
pub(crate) fn poll(entries: &mut [pollfd], deadline: Option<Instant>) -> Result<usize, Errno> {
    loop {
        let left = deadline.map(|deadline| timespec(deadline.saturating_duration_since(Instant::now())));
        match poll_once(entries, left) {
            Err(Errno::INTR) => {}
            Err(Errno::INVAL) => return poll_merged(entries, deadline),
            outcome => return outcome,
        }
    }
}

/// `poll` takes no more entries than the process may have descriptors. Entries with the same descriptor become one,
/// and then there are not more.
fn poll_merged(entries: &mut [pollfd], deadline: Option<Instant>) -> Result<usize, Errno> {
    let mut places: HashMap<i32, usize> = HashMap::new();
    let mut merged: Vec<pollfd> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.fd >= 0) {
        let place = *places.entry(entry.fd).or_insert(merged.len());
        if place == merged.len() {
            merged.push(*entry);
        } else {
            merged[place].events |= entry.events;
        }
    }
    if merged.len() >= entries.len() {
        return Err(Errno::INVAL);
    }
    poll(&mut merged, deadline)?;
    let mut answers = 0;
    for entry in entries {
        let answer = places.get(&entry.fd).map_or(0, |&place| merged[place].revents);
        entry.revents = answer & (entry.events | POLLERR | POLLHUP);
        answers += usize::from(entry.revents != 0);
    }
    Ok(answers)
}

/// Looks without waiting.
pub(crate) fn look(entries: &mut [pollfd]) -> Result<usize, Errno> {
    poll(entries, Some(Instant::now()))
}

/// The answer for one descriptor; 0 when the deadline came first.
pub(crate) fn wait_for(fd: BorrowedFd<'_>, events: i16, deadline: Option<Instant>) -> Result<i16, Errno> {
    let mut entry = [pollfd { fd: fd.as_raw_fd(), events, revents: 0 }];
    poll(&mut entry, deadline)?;
    Ok(entry[0].revents)
}

/// The answer for one descriptor as of now.
pub(crate) fn look_at(fd: BorrowedFd<'_>, events: i16) -> i16 {
    let mut entry = [pollfd { fd: fd.as_raw_fd(), events, revents: 0 }];
    // Without an answer nothing is ready; a call that needs one gets the system's reason itself.
    let _ = look(&mut entry);
    entry[0].revents
}

fn poll_once(entries: &mut [pollfd], left: Option<libc::timespec>) -> Result<usize, Errno> {
    let left = left.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the entries are ours for the length of the call, and the system writes nothing but their `revents`;
    // `left` is null or points to a local value. A number that is no descriptor gets an answer (POLLNVAL), no harm.
    let ready =
        unsafe { libc::ppoll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, left, ptr::null()) };
    usize::try_from(ready)
        .map_err(|_| Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn merged_entries_answer_each_for_itself() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&writer, b"x").unwrap();
        let entry = |fd: BorrowedFd<'_>, events| pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
        let off = pollfd { fd: -1, events: POLLIN, revents: 0 };
        let (reader, writer) = (reader.as_fd(), writer.as_fd());
        let mut entries = [
            entry(reader, POLLIN),
            off,
            entry(writer, POLLOUT),
            entry(reader, POLLPRI),
            entry(reader, POLLIN),
        ];
        assert_eq!(poll_merged(&mut entries, None), Ok(3));
        assert_eq!(entries.map(|entry| entry.revents), [POLLIN, 0, POLLOUT, 0, POLLIN]);
        // When there is nothing to merge the system's refusal stands.
        assert_eq!(poll_merged(&mut entries[2..4], None), Err(Errno::INVAL));
    }

    #[test]
    fn a_deadline_is_kept() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let start = Instant::now();
        assert_eq!(wait_for(reader.as_fd(), POLLIN, Some(start + Duration::from_millis(30))), Ok(0));
        assert!(start.elapsed() >= Duration::from_millis(30));
    }
}
