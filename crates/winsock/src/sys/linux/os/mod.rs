//! Pieces of Linux that know no Winsock.

pub(super) mod epoll;
pub(super) mod io_uring;
pub(super) mod perf;
pub(super) mod poll;
pub(super) mod signal;
