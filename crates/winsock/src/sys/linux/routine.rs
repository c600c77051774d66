//! Completion routines and alertable waits.

use super::error::{REFUSED, Result};
use std::time::Duration;

pub(crate) fn sleep_ex(_timeout: Option<Duration>) -> Result<()> {
    Err(REFUSED)
}
