//! Time-outs as the system counts them.

use std::time::Duration;
use windows_sys::Win32::System::Threading::INFINITE;

/// Whole milliseconds, rounded up: a wait never ends early. The largest number stands for never.
pub(crate) fn milliseconds(timeout: Option<Duration>) -> u32 {
    timeout.map_or(INFINITE, |time| {
        u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE).min(INFINITE - 1)
    })
}
