//! The column of a system that has none: every call refuses. It is the contract of a column, and where a new one starts:
//! copy this folder, fill the files.

pub(crate) mod async_select;
pub(crate) mod error;
pub(crate) mod event_select;
pub(crate) mod host;
pub(crate) mod overlapped;
pub(crate) mod port;
pub(crate) mod routine;
pub(crate) mod select;
pub(crate) mod socket;
pub(crate) mod startup;
