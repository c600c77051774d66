//! Alertable waits, user APCs, and the threads that run them.
//!
//! What is to run stands in a queue of its thread, first in, first out (CR-06). Anybody may put something in; the thread
//! alone takes it out, in its alertable waits.

use super::engine::home::{self, Home};
use super::error::{Result, wsa};
use super::os::poll::{look, poll, pollfd, wait_for};
use super::overlapped::result_of;
use super::port::free_place;
use super::socket::Core;
use crate::error::{ERROR_GEN_FAILURE, ERROR_NOT_FOUND, WSA_IO_INCOMPLETE};
use crate::event_select::Wait;
use crate::overlapped::{Completion, OpId};
use crate::routine::Alertable;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    if !is_used() {
        return poll(entries, deadline).map_err(wsa);
    }
    let home = home::here()?;
    loop {
        // What can be had at once comes first.
        let answers = match can_run(&home) {
            true => look(entries).map_err(wsa)?,
            false => home.wait_beside(entries, deadline)?,
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
    let mut rounds = 0;
    while let Some(apc) = home.apcs.pop() {
        // It may unwind: then what is behind it is still queued.
        match apc {
            Apc::Work(work) => work(),
            Apc::Routine(number, completion) => {
                let kept = ROUTINES.with_borrow_mut(|routines| routines.take(number));
                if let Some(kept) = kept {
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

/// Room for the routine of an operation that is to be started by the calling thread; its number.
pub(super) fn reserve() -> Result<usize> {
    USED.set(true);
    let reserved = ROUTINES.try_with(|routines| {
        let routines = &mut *routines.borrow_mut();
        routines.free.pop().unwrap_or_else(|| {
            routines.places.push(None);
            routines.places.len() - 1
        })
    });
    // The thread is ending: what it started is being dropped.
    reserved.map_err(|_| ERROR_GEN_FAILURE)
}

/// The start was refused.
pub(super) fn release(number: usize) {
    ROUTINES.with_borrow_mut(|routines| routines.free.push(number));
}

/// The operation was started: its routine stays here, in its thread, until it runs.
pub(super) fn keep(number: usize, core: Arc<Core>, id: OpId, routine: Box<dyn FnOnce(Completion)>) {
    ROUTINES.with_borrow_mut(|routines| routines.places[number] = Some(Kept { core, id, routine }));
}

/// What became of an operation whose routine has not run yet (CR-19).
pub(super) fn result(core: &Arc<Core>, id: OpId) -> Result<usize> {
    let of = |kept: &Option<Kept>| kept.as_ref().is_some_and(|k| k.id == id && Arc::ptr_eq(&k.core, core));
    let number = ROUTINES.try_with(|routines| routines.borrow().places.iter().position(of));
    let number = number.ok().flatten().ok_or(ERROR_NOT_FOUND)?;
    let home = home::here()?;
    home.apcs.result_of(number).unwrap_or_else(|| {
        // The thread that asks is the one that has to look.
        home.look();
        home.apcs.result_of(number).unwrap_or(Err(WSA_IO_INCOMPLETE))
    })
}

thread_local! {
    static ROUTINES: RefCell<Routines> = const { RefCell::new(Routines { places: Vec::new(), free: Vec::new() }) };
}

/// Routines of operations that this thread started. They need not be able to leave it, so only their numbers do.
struct Routines {
    places: Vec<Option<Kept>>,
    free: Vec<usize>,
}

struct Kept {
    core: Arc<Core>,
    id: OpId,
    routine: Box<dyn FnOnce(Completion)>,
}

impl Routines {
    fn take(&mut self, number: usize) -> Option<Kept> {
        let kept = self.places.get_mut(number)?.take();
        self.free.push(number);
        kept
    }
}

enum Apc {
    Work(Box<dyn FnOnce() + Send>),
    Routine(usize, Completion),
}

/// What a thread is to run in its alertable waits.
#[derive(Default)]
pub(crate) struct Apcs {
    any: AtomicBool,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    apcs: VecDeque<Apc>,
    /// The thread has ended.
    closed: bool,
}

impl Apcs {
    /// Whether something is queued.
    pub(super) fn any(&self) -> bool {
        self.any.load(SeqCst)
    }

    /// The routine of this number is to run with this. It comes back if the thread has ended, which runs nothing (CR-20).
    pub(super) fn push_routine(&self, number: usize, completion: Completion) -> Option<Completion> {
        match self.push(Apc::Routine(number, completion)) {
            Err(Apc::Routine(_, completion)) => Some(completion),
            Ok(()) | Err(Apc::Work(_)) => None,
        }
    }

    /// What the end of the operation says that waits here under this number.
    fn result_of(&self, number: usize) -> Option<Result<usize>> {
        self.lock().apcs.iter().find_map(|apc| match apc {
            Apc::Routine(other, completion) if *other == number => Some(result_of(completion)),
            _ => None,
        })
    }

    fn push(&self, apc: Apc) -> std::result::Result<(), Apc> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(apc);
        }
        queue.apcs.push_back(apc);
        self.any.store(true, SeqCst);
        Ok(())
    }

    fn pop(&self) -> Option<Apc> {
        let mut queue = self.lock();
        let apc = queue.apcs.pop_front();
        self.any.store(!queue.apcs.is_empty(), SeqCst);
        apc
    }

    /// The thread ends: what is queued is dropped unrun, and nothing more is taken (CR-20).
    pub(super) fn close(&self) {
        let apcs = {
            let mut queue = self.lock();
            queue.closed = true;
            self.any.store(false, SeqCst);
            std::mem::take(&mut queue.apcs)
        };
        // Behind the lock: a drop may do anything.
        drop(apcs);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.0.apcs.push(Apc::Work(work)).map_err(|_| ERROR_GEN_FAILURE)?;
        self.0.wake();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
