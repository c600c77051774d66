//! What this column answers to everything.

use crate::error::WSAEOPNOTSUPP;

/// A result whose error is a Winsock code; the public row adds the name of the call.
pub(crate) type Result<T> = std::result::Result<T, i32>;

/// The refusal.
pub(crate) const REFUSED: i32 = WSAEOPNOTSUPP;
