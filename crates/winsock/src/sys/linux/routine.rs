//! Alertable waits, user APCs, and the threads that run them.
//!
//! What is to run stands in a queue of its thread, first in, first out (CR-06). Anybody may put something in; the thread
//! alone takes it out, in its alertable waits.

use super::engine::home::{self, Home};
use super::error::Result;
use super::port::free_place;
use crate::error::ERROR_GEN_FAILURE;
use crate::event_select::Wait;
use crate::routine::Alertable;
use std::cell::Cell;
use std::collections::VecDeque;
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

/// Runs what is queued for the calling thread, and what comes up meanwhile (CR-05, CR-09). Whether anything ran. In a
/// routine nothing does: they never nest.
pub(super) fn run_queued(home: &Home) -> bool {
    if !can_run(home) {
        return false;
    }
    RUNNING.set(true);
    let _running = Running;
    let mut ran = false;
    while let Some(apc) = home.apcs.pop() {
        ran = true;
        // It may unwind: then what is behind it is still queued.
        apc();
    }
    ran
}

/// Whether there is something to run, and the thread is not in a routine.
pub(super) fn can_run(home: &Home) -> bool {
    home.apcs.any() && !RUNNING.get()
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(false);
    }
}

type Apc = Box<dyn FnOnce() + Send>;

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

    fn push(&self, apc: Apc) -> Result<()> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(ERROR_GEN_FAILURE);
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
        home::here().map(Thread)
    }

    pub(crate) fn queue_apc(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        self.0.apcs.push(work)?;
        self.0.wake();
        Ok(())
    }
}
