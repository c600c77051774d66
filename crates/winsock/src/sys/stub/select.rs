//! `select`: the three sets read, write, except; those that are ready stay in.

use super::error::{REFUSED, Result};
use crate::socket::Socket;
use std::time::Duration;

pub(crate) fn select(_sets: [&mut Vec<Socket>; 3], _timeout: Option<Duration>) -> Result<usize> {
    Err(REFUSED)
}
