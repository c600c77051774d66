//! An io_uring that any thread may submit to and reap, each side under a lock of its own.
//!
//! COOP_TASKRUN: a completion that has become possible is carried out by the thread that submitted the entry, when that
//! enters the kernel next, sleeps, or at the next tick of the clock. No SINGLE_ISSUER and no DEFER_TASKRUN: those would
//! hide completions from every thread but one.

use io_uring::types::{self, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// The number of requests to cancel, whose own end says nothing.
pub(crate) const CANCEL: u64 = u64::MAX - 1;

/// Entries that can wait for submission; a full queue is submitted at once.
const SUBMISSIONS: u32 = 256;
/// Completions that can wait; the kernel keeps what does not fit (NODROP).
const COMPLETIONS: u32 = 4096;

pub(crate) struct Ring {
    ring: IoUring,
    submitting: Mutex<()>,
    reaping: Mutex<()>,
}

/// The end of an entry: the number it was pushed with, the result (negative: an errno), and the flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) token: u64,
    pub(crate) result: i32,
    /// More data is waiting behind what a receive took.
    pub(crate) more_data: bool,
}

impl Ring {
    pub(crate) fn new() -> io::Result<Ring> {
        let build = |flags: bool| {
            let mut builder = IoUring::builder();
            builder.setup_cqsize(COMPLETIONS).setup_clamp().dontfork();
            if flags {
                builder.setup_coop_taskrun();
            }
            builder.build(SUBMISSIONS)
        };
        // COOP_TASKRUN is of Linux 5.19; without it a completion interrupts its submitter instead.
        let ring = build(true).or_else(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => build(false),
            _ => Err(error),
        })?;
        let _ = messenger();
        Ok(Ring { ring, submitting: Mutex::new(()), reaping: Mutex::new(()) })
    }

    /// Puts an entry into the queue. The kernel sees it at the next [`submit`](Self::submit) or [`wait`](Self::wait).
    ///
    /// # Safety
    /// The memory that the entry names stays valid until its completion was reaped.
    pub(crate) unsafe fn push(&self, entry: &squeue::Entry) {
        let _submitting = lock(&self.submitting);
        loop {
            // SAFETY: the lock makes this the only view of the submission queue.
            let mut queue = unsafe { self.ring.submission_shared() };
            // SAFETY: the caller keeps the memory that the entry names.
            if unsafe { queue.push(entry) }.is_ok() {
                return;
            }
            drop(queue);
            let _ = self.ring.submit();
        }
    }

    /// Hands to the kernel what was pushed. Does not block.
    pub(crate) fn submit(&self) {
        let waiting = {
            let _submitting = lock(&self.submitting);
            // SAFETY: the lock makes this the only view of the submission queue.
            let queue = unsafe { self.ring.submission_shared() };
            // What did not fit into the completion queue is brought by entering the kernel alone.
            !queue.is_empty() || queue.cq_overflow()
        };
        if waiting {
            // EBUSY and EAGAIN leave the entries in the queue for the next call.
            let _ = self.ring.submit();
        }
    }

    /// Puts a completion with this number and nothing else into the ring, without submitting what others pushed.
    pub(crate) fn post(&self, token: u64) {
        // A ring of its own sends the message: an entry in this one would take along what other threads left here, and
        // the kernel would then interrupt the caller for the sake of their operations.
        if let Some(messenger) = messenger() {
            let mut ring = lock(messenger);
            let entry = opcode::MsgRingData::new(types::Fd(self.ring.as_raw_fd()), 0, token, None).build();
            // SAFETY: a message names no memory.
            let pushed = unsafe { ring.submission().push(&entry) }.is_ok();
            let sent = pushed && ring.submit_and_wait(1).is_ok();
            if sent && ring.completion().next().is_some_and(|done| done.result() >= 0) {
                return;
            }
        }
        // Before Linux 5.18 there are no messages.
        // SAFETY: a no-op names no memory.
        unsafe { self.push(&opcode::Nop::new().build().user_data(token)) };
        self.submit();
    }

    /// Asks the entry with this number to end; when this returns it is marked, so that what happens from here on does not
    /// end it well.
    pub(crate) fn cancel(&self, token: u64) {
        let now = Timespec::new();
        let builder = types::CancelBuilder::user_data(token);
        if self.ring.submitter().register_sync_cancel(Some(now), builder).is_ok() {
            return;
        }
        // The kernel has not seen it yet, or is too old for this call (before Linux 6.0).
        let entry = opcode::AsyncCancel::new(token).build().user_data(CANCEL);
        // SAFETY: a request to cancel names no memory.
        unsafe { self.push(&entry) };
        self.submit();
    }

    /// Submits what was pushed, and lets the kernel finish what the calling thread has to do for it. Does not block.
    pub(crate) fn enter(&self) {
        let _ = self.ring.submit();
    }

    /// Submits what was pushed and waits for at most `timeout` (`None` for ever) until something can be reaped.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        match timeout {
            None => {
                let _ = self.ring.submitter().submit_and_wait(1);
            }
            Some(Duration::ZERO) => self.submit(),
            Some(timeout) => {
                let time = Timespec::from(timeout);
                let _ = self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time));
            }
        }
    }

    /// Calls `each` for every completion that is there. False if another thread is at it.
    pub(crate) fn reap(&self, mut each: impl FnMut(Done)) -> bool {
        let Ok(_reaping) = self.reaping.try_lock() else { return false };
        loop {
            let mut done = [Done { token: 0, result: 0, more_data: false }; 64];
            let mut count = 0;
            {
                // SAFETY: the lock makes this the only view of the completion queue.
                let mut queue = unsafe { self.ring.completion_shared() };
                while count < done.len() {
                    let Some(entry) = queue.next() else { break };
                    let more_data = io_uring::cqueue::sock_nonempty(entry.flags());
                    done[count] = Done { token: entry.user_data(), result: entry.result(), more_data };
                    count += 1;
                }
            }
            done[..count].iter().copied().for_each(&mut each);
            if count < done.len() {
                return true;
            }
        }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring keeps its descriptor open for as long as it lives.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }
}

/// The ring that sends messages to the others; made with the first of them.
fn messenger() -> Option<&'static Mutex<IoUring>> {
    static MESSENGER: OnceLock<Option<Mutex<IoUring>>> = OnceLock::new();
    MESSENGER.get_or_init(|| IoUring::new(4).ok().map(Mutex::new)).as_ref()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
