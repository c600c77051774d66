//! The systems. Every column has the same rows with the same names, and this is the only place that asks which
//! system it is. What a column must offer is written down as a file that compiles: `stub`.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{
    async_select, event_select, host, overlapped, port, routine, select, socket, startup,
};

#[cfg(target_os = "windows")]
mod windows;
#[cfg(target_os = "windows")]
pub(crate) use windows::{
    async_select, event_select, host, overlapped, port, routine, select, socket, startup,
};

// The contract compiles on every system, so that it cannot fall behind.
#[cfg_attr(any(target_os = "linux", target_os = "windows"), allow(dead_code))]
mod stub;
#[cfg(not(any(target_os = "linux", target_os = "windows")))]
pub(crate) use stub::{async_select, event_select, host, overlapped, port, routine, select, socket, startup};
