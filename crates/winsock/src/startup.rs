//! Starting Winsock, and which backend serves this process.
//!
//! On Linux the backend is chosen once for the process: by [`choose_backend`], else by the environment variable
//! `DOORBELL_BACKEND` (`auto`, `io_uring` or `epoll`), else `auto`. `auto` takes io_uring where the kernel grants
//! it and epoll where it does not; the cause is kept and told by [`fallback`].

use crate::error::{Error, Result};
use crate::sys;
use std::fmt;
use std::str::FromStr;

/// What waits for the sockets of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Linux: an io_uring does the overlapped operations.
    IoUring,
    /// Linux: epoll sets tell when an overlapped operation can go on.
    Epoll,
    /// Windows: Winsock itself.
    Winsock,
}

impl Backend {
    /// The name as the command prints it: `io_uring`, `epoll` or `winsock`.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::IoUring => "io_uring",
            Backend::Epoll => "epoll",
            Backend::Winsock => "winsock",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a program asks for: one backend, or the best that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The best that this system grants.
    #[default]
    Auto,
    /// This one, or an error.
    Only(Backend),
}

impl FromStr for BackendChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<BackendChoice, String> {
        match text {
            "auto" | "" => Ok(BackendChoice::Auto),
            "io_uring" => Ok(BackendChoice::Only(Backend::IoUring)),
            "epoll" => Ok(BackendChoice::Only(Backend::Epoll)),
            "winsock" => Ok(BackendChoice::Only(Backend::Winsock)),
            other => Err(format!("no backend is called '{other}': auto, io_uring, epoll or winsock")),
        }
    }
}

/// Why a backend cannot be used here, and what would change that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The backend that was refused.
    pub backend: Backend,
    /// What the system said.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not available: {}; {}", self.backend, self.cause, self.remedy)
    }
}

impl std::error::Error for Refusal {}

/// Starts Winsock for this process and settles the backend. Any number of calls; any thread; does not block.
///
/// Every call that makes a socket or a port does this itself, so a program needs it only to see an error early.
///
/// # Errors
/// WSASYSNOTREADY (10091) when the backend that `DOORBELL_BACKEND` forces is refused (see [`choose_backend`] for
/// the cause), WSAEINVAL (10022) when the variable names no backend.
#[doc(alias = "WSAStartup")]
pub fn startup() -> Result<()> {
    sys::startup::startup().map_err(|code| Error::new("startup", code))
}

/// Settles the backend by hand, before the first socket is made; it then stands for the life of the process. Any thread;
/// does not block.
///
/// # Errors
/// The [`Refusal`] with cause and remedy when the backend is not to be had here, or another one was settled before.
pub fn choose_backend(choice: BackendChoice) -> std::result::Result<Backend, Refusal> {
    sys::startup::choose_backend(choice)
}

/// The backend of this process; settles it when nothing has yet. Any thread; does not block.
pub fn backend() -> Backend {
    sys::startup::backend()
}

/// Why the process runs on a lesser backend than `auto` would have liked, if it does.
pub fn fallback() -> Option<Refusal> {
    sys::startup::fallback()
}

/// What the system offers, one line each, for a report: `("kernel", "6.18.0")`, `("io_uring", "available …")`.
pub fn report() -> Vec<(String, String)> {
    sys::startup::report()
}
