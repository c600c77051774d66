//! What the Windows kernel remembers, as pure state machines: no system call, no `unsafe`, no clock.

#[allow(dead_code, reason = "a column that passes through has no use for it")]
pub(crate) mod connection;
#[allow(dead_code, reason = "a column that passes through has no use for it")]
pub(crate) mod network_events;
#[allow(dead_code, reason = "a column that passes through has no use for it")]
pub(crate) mod port;
