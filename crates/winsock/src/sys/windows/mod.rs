//! The column of Windows: every call passes through to Winsock itself. What Winsock leaves to its caller is in `os`: who
//! may use a handle that is being closed, and who owns the memory that the kernel writes to.

pub(crate) mod async_select;
pub(crate) mod error;
pub(crate) mod event_select;
pub(crate) mod host;
mod os;
pub(crate) mod overlapped;
pub(crate) mod port;
pub(crate) mod routine;
pub(crate) mod select;
pub(crate) mod socket;
pub(crate) mod startup;
