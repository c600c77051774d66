#![doc = include_str!("completion_port.md")]

use super::Built;
use doorbell_winsock::Error;
use doorbell_winsock::error::WSAEOPNOTSUPP;

pub(crate) const BUILT: Built = Built {
    page: include_str!("completion_port.md"),
    engine: true,
    launch: |_, _, _| Err(Error::new("launch", WSAEOPNOTSUPP)),
};
