//! Winsock's calls, with Winsock's semantics, on every system.
//!
//! On Windows each call passes through to the real one. On Linux the same calls keep the same promises,
//! natively on io_uring or epoll. The crate is thin and synchronous: there is no executor, and the way in
//! which a completion is told is an argument of the call that starts the operation.
//!
//! One file a row, the same name in every column: [`error`], [`startup`](mod@startup), [`socket`], [`select`](mod@select),
//! [`async_select`], [`event_select`], [`overlapped`], [`routine`], [`port`] and [`host`]. What a row promises
//! stands in its public file; a file under `sys` says only how one system keeps it.

pub mod async_select;
pub mod error;
pub mod event_select;
pub mod host;
pub mod overlapped;
pub mod port;
pub mod routine;
pub mod select;
pub mod socket;
pub mod startup;

mod semantics;
mod sys;

pub use async_select::{Message, MessageQueue, Window};
pub use error::{Error, Result};
pub use event_select::{Event, NetEvents, NetworkEvents, Wait, Waitable, wait_all, wait_any};
pub use overlapped::{Completion, Started};
pub use port::{CompletionPort, Packet};
pub use select::{FdSet, select};
pub use socket::{Family, Kind, Shutdown, Socket};
pub use startup::{Backend, startup};
