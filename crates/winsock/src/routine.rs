//! Completion routines: run on the thread that started the operation, in its alertable waits only (model 6).
//!
//! A routine is the channel [`ToRoutine`](crate::overlapped::ToRoutine) of an operation. It never runs inside the call
//! that starts the operation (CR-01), on no other thread (CR-02), and only during an alertable wait (CR-03):
//! [`sleep_ex`], [`wait_any`](crate::event_select::wait_any), [`wait_all`](crate::event_select::wait_all),
//! [`get_many`](crate::CompletionPort::get_many), and a plain call that has to wait (BL-11). User APCs stand in the same queue, first in, first
//! out (CR-06). A thread that ends takes its pending operations with it and runs none of their routines (CR-20). A panic
//! in a routine comes out of the wait that ran it, and the thread can go on from there.
//!
//! ```
//! use doorbell_winsock::overlapped::ToRoutine;
//! use doorbell_winsock::routine::{Alertable, sleep_ex};
//! use doorbell_winsock::socket::Flags;
//! use doorbell_winsock::{Completion, Wait};
//! # use doorbell_winsock::{Family, Kind, Socket};
//! use std::cell::Cell;
//! use std::rc::Rc;
//!
//! # fn main() -> doorbell_winsock::Result<()> {
//! # let listener = Socket::new(Family::V4, Kind::Stream)?;
//! # listener.bind(([127, 0, 0, 1], 0).into())?;
//! # listener.listen(1)?;
//! # let client = Socket::new(Family::V4, Kind::Stream)?;
//! # client.connect(listener.local_addr()?)?;
//! # let (socket, _) = listener.accept()?;
//! let received = Rc::new(Cell::new(0));
//! let told = received.clone();
//! let routine = move |ended: Completion| told.set(ended.result().unwrap_or(0));
//! socket.recv_overlapped(vec![0; 64], Flags::NONE, ToRoutine(routine))?;
//! client.send(b"ding dong")?;
//!
//! // Nothing runs before the thread sleeps alertably.
//! assert_eq!(received.get(), 0);
//! assert_eq!(sleep_ex(None, Alertable::Yes)?, Wait::IoCompletion);
//! assert_eq!(received.get(), 9);
//! # Ok(())
//! # }
//! ```

use crate::error::{Error, Result};
use crate::event_select::Wait;
use crate::sys;
use std::fmt;
use std::time::Duration;

/// Whether a wait runs the routines that are queued for its thread.
#[doc(alias = "fAlertable")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alertable {
    /// They stay queued.
    #[default]
    No,
    /// They run, all that are queued (CR-05), and the wait then ends with WSA_WAIT_IO_COMPLETION (192).
    Yes,
}

/// Sleeps for `timeout`, `None` for ever. Alertably it runs what is queued, also with a time-out of zero (CR-12), and
/// returns [`Wait::IoCompletion`] if anything ran; else [`Wait::TimedOut`]. Blocks, unless the time-out is zero.
///
/// # Errors
/// None is expected; a failure of the system's wait is told as it is.
#[doc(alias = "SleepEx")]
pub fn sleep_ex(timeout: Option<Duration>, alertable: Alertable) -> Result<Wait> {
    sys::routine::sleep_ex(timeout, alertable).map_err(|code| Error::new("sleep_ex", code))
}

/// Reaches a thread from any other: `Send` and `Sync`. Clones reach the same one; it outlives its thread, and then refuses.
#[derive(Clone)]
#[doc(alias = "HANDLE")]
pub struct ThreadHandle {
    sys: sys::routine::Thread,
}

impl ThreadHandle {
    /// That of the calling thread. Does not block.
    ///
    /// # Errors
    /// ERROR_NOT_ENOUGH_MEMORY (8).
    #[doc(alias = "GetCurrentThread")]
    #[doc(alias = "OpenThread")]
    pub fn current() -> Result<ThreadHandle> {
        let sys = sys::routine::Thread::current().map_err(|code| Error::new("current_thread", code))?;
        Ok(ThreadHandle { sys })
    }

    /// Queues something to run in the next alertable wait of that thread, which wakes if it is in one (CR-13). Does not
    /// block. What has not run when the thread ends is dropped.
    ///
    /// # Errors
    /// ERROR_GEN_FAILURE (31) when the thread has ended.
    #[doc(alias = "QueueUserAPC")]
    pub fn queue_apc(&self, work: impl FnOnce() + Send + 'static) -> Result<()> {
        self.sys.queue_apc(Box::new(work)).map_err(|code| Error::new("queue_user_apc", code))
    }
}

impl fmt::Debug for ThreadHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThreadHandle")
    }
}
