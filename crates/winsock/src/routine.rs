//! Completion routines: run on the thread that started the operation, in its alertable waits only (model 6).
//!
//! Starting operations with routines is not built yet; [`Alertable`] is here because the waits of other rows take it.

use crate::error::{Error, Result};
use crate::sys;
use std::time::Duration;

/// Whether a wait runs the routines that are queued for its thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alertable {
    /// They stay queued.
    #[default]
    No,
    /// They run, and the wait then ends with WSA_WAIT_IO_COMPLETION (192).
    Yes,
}

/// Sleeps alertably.
///
/// # Errors
/// WSAEOPNOTSUPP (10045): not built yet.
#[doc(alias = "SleepEx")]
pub fn sleep_ex(timeout: Option<Duration>) -> Result<()> {
    sys::routine::sleep_ex(timeout).map_err(|code| Error::new("sleep_ex", code))
}
