//! Linux: the calls natively, on the kernel's sockets; overlapped operations on epoll or io_uring.

pub(crate) mod async_select;
mod engine;
pub(crate) mod error;
pub(crate) mod event_select;
pub(crate) mod host;
mod network_events;
mod os;
pub(crate) mod overlapped;
pub(crate) mod port;
pub(crate) mod routine;
pub(crate) mod select;
pub(crate) mod socket;
pub(crate) mod startup;
mod sync;
