//! Alertable waits, user APCs, and the threads that run them: Windows' own; see `os::apc`.

use super::error::Result;
use super::os::apc;
use super::os::time::milliseconds;
use crate::event_select::Wait;
use crate::routine::Alertable;
use std::sync::Arc;
use std::time::Duration;
use windows_sys::Win32::Foundation::WAIT_IO_COMPLETION;
use windows_sys::Win32::System::Threading::SleepEx;

pub(crate) fn sleep_ex(timeout: Option<Duration>, alertable: Alertable) -> Result<Wait> {
    // SAFETY: plain numbers; what is called meanwhile is ours, or its owner's.
    let outcome = unsafe { SleepEx(milliseconds(timeout), i32::from(alertable == Alertable::Yes)) };
    apc::resume_panic();
    Ok(if outcome == WAIT_IO_COMPLETION { Wait::IoCompletion } else { Wait::TimedOut })
}

#[derive(Clone)]
pub(crate) struct Thread {
    thread: Arc<apc::Thread>,
}

impl Thread {
    pub(crate) fn current() -> Result<Thread> {
        Ok(Thread { thread: apc::Thread::current()? })
    }

    pub(crate) fn queue_apc(&self, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        self.thread.queue(work)
    }
}
