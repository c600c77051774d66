//! Winsock's codes come as they are.

use windows_sys::Win32::Foundation::{GetLastError, NTSTATUS, RtlNtStatusToDosError};
use windows_sys::Win32::Networking::WinSock::WSAGetLastError;

/// A result whose error is a Winsock or system code; the public row adds the name of the call.
pub(crate) type Result<T> = std::result::Result<T, i32>;

/// Why the last Winsock call of this thread failed.
pub(super) fn last_error() -> i32 {
    // SAFETY: reads a number that belongs to the calling thread.
    unsafe { WSAGetLastError() }
}

/// Why the last system call of this thread failed.
pub(super) fn last_system_error() -> i32 {
    // SAFETY: reads a number that belongs to the calling thread.
    (unsafe { GetLastError() }) as i32
}

/// The outcome of a Winsock call that answers 0 for success.
pub(super) fn check(result: i32) -> Result<()> {
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// The outcome of a Winsock call that answers a count, or a negative number.
pub(super) fn count(result: i32) -> Result<usize> {
    usize::try_from(result).map_err(|_| last_error())
}

/// The outcome of a system call that answers a truth value.
pub(super) fn check_system(result: i32) -> Result<()> {
    if result != 0 { Ok(()) } else { Err(last_system_error()) }
}

/// The system's code (64, 995, 1225) of a finished operation's status; 0 for success.
pub(super) fn code_of_status(status: NTSTATUS) -> i32 {
    if status == 0 {
        return 0;
    }
    // SAFETY: looks a number up in a table.
    (unsafe { RtlNtStatusToDosError(status) }) as i32
}
