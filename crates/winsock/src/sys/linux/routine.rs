//! Alertable waits, user APCs, and the threads that run them.
//!
//! What is to run stands in a queue of its thread, first in, first out (CR-06). Anybody may put something in; the thread
//! alone takes it out, in its alertable waits.

mod kept;
mod queue;

pub(in crate::sys::linux) use self::kept::{keep, release, reserve, result};
pub(crate) use self::queue::Apcs;

use self::kept::ROUTINES;
use self::queue::Apc;
use super::engine::home::{self, Home};
use super::error::{Result, wsa};
use super::os::poll::{look, poll, pollfd, wait_for};
use super::port::{free_place, take_place};
use crate::error::ERROR_GEN_FAILURE;
use crate::event_select::Wait;
use crate::routine::Alertable;
use std::cell::Cell;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) fn sleep_ex(timeout: Option<Duration>, alertable: Alertable) -> Result<Wait> {
    let home = home::here()?;
    let runs = || alertable == Alertable::Yes && run_queued(&home);
    if timeout == Some(Duration::ZERO) {
        home.look();
        return Ok(if runs() { Wait::IoCompletion } else { Wait::TimedOut });
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut place = None;
    loop {
        if alertable == Alertable::Yes && can_run(&home) {
            // The wait is over, so it runs again, and what it runs counts as its work.
            place = None;
        }
        if runs() {
            return Ok(Wait::IoCompletion);
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(Wait::TimedOut);
        }
        // A thread of a port that waits here frees its place (CP-21).
        place.get_or_insert_with(|| free_place(|| true));
        home.wait(left);
    }
}

/// Whether the calling thread ever had something to do with routines: only then its blocking calls wait alertably (BL-11).
pub(super) fn is_used() -> bool {
    USED.get()
}

/// Waits for answers to these entries, as `poll` does, and runs meanwhile what is queued for the calling thread (BL-11).
pub(super) fn poll_alertably(entries: &mut Vec<pollfd>, deadline: Option<Instant>) -> Result<usize> {
    // Without a home, when the thread ends, there is nothing to run.
    let home = match home::here() {
        Ok(home) if is_used() => home,
        _ => return poll(entries, deadline).map_err(wsa),
    };
    loop {
        // What can be had at once comes first.
        let answers = match can_run(&home) {
            true => look(entries).map_err(wsa)?,
            false => {
                // Whoever called freed the place before, unless a routine has taken one since.
                let _place = free_place(|| true);
                home.wait_beside(entries, deadline)?
            }
        };
        if answers > 0 {
            return Ok(answers);
        }
        run_queued(&home);
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Ok(0);
        }
    }
}

/// The same for one descriptor: its answer, 0 when the deadline came first.
pub(super) fn wait_alertably(fd: BorrowedFd<'_>, events: i16, deadline: Option<Instant>) -> Result<i16> {
    if !is_used() {
        return wait_for(fd, events, deadline).map_err(wsa);
    }
    let mut entries = vec![pollfd { fd: fd.as_raw_fd(), events, revents: 0 }];
    poll_alertably(&mut entries, deadline)?;
    Ok(entries[0].revents)
}

/// A short sleep of a blocking call.
pub(super) fn pause(time: Duration) {
    // Without a home, when the thread ends, it is a sleep like any other.
    if !is_used() || sleep_ex(Some(time), Alertable::Yes).is_err() {
        std::thread::sleep(time);
    }
}

/// Runs what is queued for the calling thread, and what comes up meanwhile (CR-05, CR-09). Whether anything ran. In a
/// routine nothing does: they never nest.
pub(super) fn run_queued(home: &Home) -> bool {
    if !can_run(home) {
        return false;
    }
    RUNNING.set(true);
    let _running = Running;
    // A thread of a port that waits here runs while it runs this (CP-21).
    let _place = take_place();
    let mut rounds = 0;
    while let Some(apc) = home.apcs.pop() {
        // It may unwind: then what is behind it is still queued.
        match apc {
            Apc::Work(work) => work(),
            Apc::Routine(number, completion) => {
                // In a thread that is ending they may be gone already, before its home is (CR-20).
                let kept = ROUTINES.try_with(|routines| routines.borrow_mut().take(number));
                if let Ok(Some(kept)) = kept {
                    (kept.routine)(completion);
                }
            }
        }
        // What a routine started may have ended at once, and belongs to this wait (CR-09). In rounds, as a busy thread
        // would never get out otherwise.
        if rounds < ROUNDS_MAX && !home.apcs.any() {
            rounds += 1;
            home.look();
        }
    }
    true
}

/// Whether there is something to run, and the thread is not in a routine.
pub(super) fn can_run(home: &Home) -> bool {
    home.apcs.any() && !RUNNING.get()
}

/// One wait looks for more to run so many times: enough for a chain of operations, and soon over.
const ROUNDS_MAX: u32 = 8;

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static USED: Cell<bool> = const { Cell::new(false) };
}

struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(false);
    }
}

#[derive(Clone)]
pub(crate) struct Thread(Arc<Home>);

impl Thread {
    pub(crate) fn current() -> Result<Thread> {
        USED.set(true);
        home::here().map(Thread)
    }

    pub(crate) fn queue_apc(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        if self.0.apcs.push(Apc::Work(work)).is_some() {
            return Err(ERROR_GEN_FAILURE);
        }
        self.0.wake();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
