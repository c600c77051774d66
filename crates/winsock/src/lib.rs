//! Winsock's calls, with Winsock's semantics, on every system.
//!
//! On Windows each call passes through to the real one. On Linux the same calls keep the same promises, natively on
//! io_uring or epoll. The crate is thin and synchronous: there is no executor, and the way in which a completion is told
//! is an argument of the call that starts the operation.
//!
//! # The map
//!
//! What can be waited for, and with which call, is the I/O model:
//!
//! | # | model | a thread waits in | what it is told | begin with |
//! |---|---|---|---|---|
//! | 1 | blocking | the call itself | the outcome | [`Socket`] |
//! | 2 | select | [`select()`] | you may receive, send, accept | [`FdSet`] |
//! | 3 | async-select | [`MessageQueue::get`] | you may, once, by a message | [`Socket::async_select`] |
//! | 4 | event-select | [`wait_any`] | look at the record: you may, once | [`Socket::event_select`] |
//! | 5 | overlapped, events | [`wait_any`] | it is done: ask the [`Op`](overlapped::Op) | [`ToEvent`](overlapped::ToEvent) |
//! | 6 | overlapped, routines | [`sleep_ex`](routine::sleep_ex) | it is done: your closure runs | [`ToRoutine`](overlapped::ToRoutine) |
//! | 7 | completion port | [`CompletionPort::get`] | it is done: a [`Packet`] | [`ToPort`](overlapped::ToPort) |
//!
//! Models 5 to 7 share the calls that start an operation: [`recv_overlapped`](Socket::recv_overlapped),
//! [`send_overlapped`](Socket::send_overlapped), [`accept_ex`](Socket::accept_ex), [`connect_ex`](Socket::connect_ex). Their
//! buffers go in by value, belong to the operation and come back with its end ([`Completion`]).
//!
//! An echo server under each of the seven, on one page, stands in the folder `examples` of this crate; `docs/porting.md` of
//! the [repository](https://github.com/doorbell-rs/doorbell) says which call of Winsock became which.
//!
//! # What holds everywhere
//!
//! - **Errors** are Winsock's numbers on every system: [`Error::code`] is 10054, never an errno. They stand in [`error`], with
//!   what they mean.
//! - **Handles** ([`Socket`], [`Event`], [`CompletionPort`]) are cheap to clone, and clones are one handle. It is
//!   closed by `close`, for all of them, or by the drop of the last.
//! - **Threads:** any thread may make any call, unless it says otherwise: a [`MessageQueue`] stays in its thread, and
//!   a routine runs on the thread that started its operation.
//! - **Times** are `Option<Duration>`: `None` waits for ever, zero does not wait. Windows counts whole milliseconds, rounded up.
//! - **Numbers** like CP-03 name a promise, which a test of that number keeps on every system. What is not kept, or kept
//!   otherwise, stands in `DIFFERENCES.md` of this crate.
//!
//! Winsock is started by whatever is made first ([`startup()`]). On Linux the process takes io_uring if it may, else epoll:
//! [`startup`](mod@startup) says how to choose.
//!
//! # The table
//!
//! One file a row, the same name in every column: [`error`], [`startup`](mod@startup), [`socket`], [`select`](mod@select),
//! [`async_select`], [`event_select`], [`overlapped`], [`routine`], [`port`] and [`host`]. What a row promises stands in its
//! public file; a file under `sys` says only how one system keeps it.

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
