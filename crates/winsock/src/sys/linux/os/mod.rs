//! Pieces of Linux that know no Winsock.

pub(super) mod poll;
pub(super) mod signal;
