//! What a thread runs in its alertable waits: routines of operations, and what others queue for it.
//!
//! A routine may not leave its thread, so it stays in the thread's own store, and its operation's block carries only the
//! routine's number. Each block comes back by a call into its thread:
//!
//! - Winsock queues one for the operations that take a routine;
//! - accepts and connects take none: the callback of their event queues one;
//! - a datagram that is cut off at once fails, and whether one is queued for it is written nowhere: a call of our own
//!   follows, and takes the block if nobody has.
//!
//! A thread that ends cancels its operations and runs nothing any more; the blocks come back all the same (CR-20).

use super::super::error::{Result, check_system};
use super::block::{Block, OperationBlock, Told, ended, take_back};
use super::handle::{Handle, lock};
use crate::error::ERROR_GEN_FAILURE;
use crate::overlapped::Completion;
use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{CloseHandle, DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE, PAPCFUNC};
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetCurrentThread, QueueUserAPC, SleepEx};

/// How long a thread that ends waits for the operations that it has cancelled; they end in microseconds. A block that
/// has not come back then is lost, since the system may still write to it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A thread, as others reach it.
pub(crate) struct Thread {
    raw: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ended: bool,
    /// The routines whose calls Winsock queues.
    by_winsock: HashSet<u64>,
    /// The operations whose calls are queued here, in the order of their starts.
    by_event: Vec<Expected>,
}

struct Expected {
    socket: u64,
    block: *mut OperationBlock,
    /// The event's callback has brought it.
    arrived: bool,
}

// SAFETY: the block of an entry is read under the lock alone; it lives as long as the entry.
unsafe impl Send for Expected {}

struct Routine {
    run: Box<dyn FnOnce(Completion)>,
    handle: Arc<Handle>,
    operation: u64,
}

/// What a thread has for itself.
#[derive(Default)]
struct Own {
    thread: OnceCell<Arc<Thread>>,
    routines: RefCell<HashMap<u64, Routine>>,
    next: Cell<u64>,
}

thread_local! {
    static OWN: Own = Own::default();
    static PANIC: RefCell<Option<Box<dyn Any + Send>>> = const { RefCell::new(None) };
}

impl Thread {
    /// The calling thread.
    pub(crate) fn current() -> Result<Arc<Thread>> {
        OWN.try_with(Own::thread).map_err(|_| ERROR_GEN_FAILURE)?
    }

    /// Queues something to run in the thread's next alertable wait.
    pub(crate) fn queue(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        let work = Box::into_raw(Box::new(work));
        // SAFETY: the call gets the box that it expects.
        unsafe { self.queue_call(Some(posted), work.expose_provenance()) }.inspect_err(|_| {
            // SAFETY: it was leaked just now, and nobody took it.
            drop(unsafe { Box::from_raw(work) });
        })
    }

    /// Winsock will queue a call of [`by_winsock`] for the routine of this number.
    pub(crate) fn expect_winsock(&self, routine: u64) {
        lock(&self.state).by_winsock.insert(routine);
    }

    /// The same, unless it does not: a datagram was cut off at once.
    ///
    /// # Safety
    /// The block is leaked, the kernel is done with it, and it belongs to nobody but such a call.
    pub(crate) unsafe fn expect_winsock_or(self: &Arc<Thread>, routine: u64, block: *mut OperationBlock) {
        self.expect_winsock(routine);
        let late = Box::into_raw(Box::new(Late { thread: self.clone(), routine, block }));
        // SAFETY: the call gets the box that it expects. A thread always reaches itself, but if the system has no memory
        // left the block is lost.
        let _ = unsafe { self.queue_call(Some(by_nobody), late.expose_provenance()) };
    }

    /// The callback of its event will bring the block of an operation that takes no routine.
    pub(crate) fn expect_event(&self, handle: &Handle, block: *mut OperationBlock) {
        lock(&self.state).by_event.push(Expected { socket: handle.id, block, arrived: false });
    }

    /// Queues the call for an operation that has ended, and for those that ended after it and came before it: callbacks
    /// of several events run in any order, routines of one socket in that of their starts.
    ///
    /// # Safety
    /// The block is leaked and expected here, the kernel is done with it, and it belongs to the caller.
    pub(crate) unsafe fn arrived(&self, block: *mut OperationBlock) {
        let mut state = lock(&self.state);
        for expected in &mut state.by_event {
            expected.arrived |= expected.block == block;
        }
        if state.ended {
            let all = std::mem::take(&mut state.by_event).into_iter();
            let (arrived, others) = all.partition::<Vec<_>, _>(|expected| expected.arrived);
            state.by_event = others;
            drop(state);
            for expected in arrived {
                // SAFETY: what has arrived is this thread's list's, and was taken out of it.
                drop(unsafe { take_back(expected.block.cast()) });
            }
            return;
        }
        let mut behind = HashSet::new();
        state.by_event.retain(|expected| {
            if expected.arrived && !behind.contains(&expected.socket) {
                // Refused only by a thread that was killed, and then nobody may touch the block any more.
                // SAFETY: the call gets the block that it expects; it is its owner from here on.
                unsafe { self.queue_raw(Some(by_event), expected.block.expose_provenance()) };
                return false;
            }
            // SAFETY: the block lives as long as its entry.
            if unsafe { ended(expected.block) } {
                behind.insert(expected.socket);
            }
            true
        });
    }

    /// # Safety
    /// The call can do with this number.
    unsafe fn queue_call(&self, call: PAPCFUNC, data: usize) -> Result<()> {
        let state = lock(&self.state);
        // SAFETY: the caller's word.
        if !state.ended && unsafe { self.queue_raw(call, data) } { Ok(()) } else { Err(ERROR_GEN_FAILURE) }
    }

    /// # Safety
    /// The call can do with this number.
    unsafe fn queue_raw(&self, call: PAPCFUNC, data: usize) -> bool {
        // SAFETY: the handle is open as long as this value lives; the call is the caller's word.
        unsafe { QueueUserAPC(call, self.raw as HANDLE, data) != 0 }
    }
}

impl Own {
    fn thread(&self) -> Result<Arc<Thread>> {
        if let Some(thread) = self.thread.get() {
            return Ok(thread.clone());
        }
        let mut raw = std::ptr::null_mut();
        // SAFETY: pseudo handles of this process and thread, which are always valid; the place for the handle is ours.
        check_system(unsafe {
            let process = GetCurrentProcess();
            DuplicateHandle(process, GetCurrentThread(), process, &mut raw, 0, 0, DUPLICATE_SAME_ACCESS)
        })?;
        let thread = Arc::new(Thread { raw: raw as usize, state: Mutex::default() });
        Ok(self.thread.get_or_init(|| thread).clone())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let Some(thread) = self.thread.get() else { return };
        lock(&thread.state).ended = true;
        let routines = self.routines.take();
        for routine in routines.values() {
            // Refused when it has ended, or its socket is closed, which cancels too.
            let _ = routine.handle.cancel_operations(Some(routine.operation));
        }
        drop(routines);
        let until = Instant::now() + PATIENCE;
        let mut timeout_ms = 0;
        loop {
            // SAFETY: plain numbers; what is called is ours, and finds that nothing is to be run any more.
            unsafe { SleepEx(timeout_ms, 1) };
            if lock(&thread.state).by_winsock.is_empty() || Instant::now() > until {
                return;
            }
            timeout_ms = 1;
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: nobody can name this value any more, and with it the handle.
        unsafe { CloseHandle(self.raw as HANDLE) };
    }
}

/// Keeps a routine of the calling thread; gives its number.
pub(crate) fn keep(
    handle: &Arc<Handle>,
    operation: u64,
    run: Box<dyn FnOnce(Completion)>,
) -> Result<(Arc<Thread>, u64)> {
    OWN.try_with(|own| {
        let thread = own.thread()?;
        let number = own.next.replace(own.next.get() + 1);
        let routine = Routine { run, handle: handle.clone(), operation };
        own.routines.borrow_mut().insert(number, routine);
        Ok((thread, number))
    })
    .map_err(|_| ERROR_GEN_FAILURE)?
}

/// Takes a routine out of the calling thread's store.
fn take(number: u64) -> Option<Routine> {
    OWN.try_with(|own| own.routines.borrow_mut().remove(&number)).ok().flatten()
}

/// Drops the routine of an operation that was refused.
pub(crate) fn forget(number: u64) {
    drop(take(number));
}

/// Goes on with the panic of a routine that ran in the wait that has just returned.
pub(crate) fn resume_panic() {
    if let Ok(Some(panic)) = PANIC.try_with(RefCell::take) {
        resume_unwind(panic);
    }
}

/// Runs what may panic where no panic may pass: the system's call is underneath.
fn guarded(work: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
        // Of several only the first goes on.
        let _ = PANIC.try_with(|place| _ = place.borrow_mut().get_or_insert(panic));
    }
}

/// The call for an operation that takes a routine.
pub(crate) unsafe extern "system" fn by_winsock(_: u32, _: u32, block: *mut OVERLAPPED, _: u32) {
    // SAFETY: Winsock calls once for each operation, with its block, when the kernel is done with it.
    if let Block::Operation(block) = unsafe { take_back(block) } {
        if let Told::Routine(thread, routine) = &block.told {
            lock(&thread.state).by_winsock.remove(routine);
        }
        guarded(|| run(block));
    }
}

/// The call for an operation whose event has brought it.
unsafe extern "system" fn by_event(block: usize) {
    // SAFETY: it was queued by `arrived`, once, with the block that is ours now.
    if let Block::Operation(block) = unsafe { take_back(std::ptr::with_exposed_provenance_mut(block)) } {
        guarded(|| run(block));
    }
}

struct Late {
    thread: Arc<Thread>,
    routine: u64,
    block: *mut OperationBlock,
}

/// The call that takes the block of an operation if none came from Winsock: that one was queued before.
unsafe extern "system" fn by_nobody(late: usize) {
    // SAFETY: it was queued by `expect_winsock_or`, once, with the box that is ours now.
    let late = unsafe { Box::from_raw(std::ptr::with_exposed_provenance_mut::<Late>(late)) };
    if lock(&late.thread.state).by_winsock.remove(&late.routine) {
        // SAFETY: nobody took the block, and nobody will.
        if let Block::Operation(block) = unsafe { take_back(late.block.cast()) } {
            guarded(|| run(block));
        }
    }
}

/// The call for what another thread queued.
unsafe extern "system" fn posted(work: usize) {
    // SAFETY: it was queued by `queue`, once, with the box that is ours now.
    let work =
        unsafe { Box::from_raw(std::ptr::with_exposed_provenance_mut::<Box<dyn FnOnce() + Send>>(work)) };
    // A thread that is ending runs nothing any more.
    let ending = OWN.try_with(|_| ()).is_err();
    guarded(|| if ending { drop(work) } else { work() });
}

/// Runs the routine of an operation that has ended. Without it, in a thread that is ending, nobody wants to know.
fn run(block: Box<OperationBlock>) {
    let Told::Routine(_, number) = block.told else { return };
    let routine = take(number);
    let completion = block.complete(0);
    if let Some(routine) = routine {
        (routine.run)(completion);
    }
}
