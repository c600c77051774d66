#![doc = include_str!("blocking.md")]

use super::Built;
use doorbell_winsock::Error;
use doorbell_winsock::error::WSAEOPNOTSUPP;

pub(crate) const BUILT: Built = Built {
    page: include_str!("blocking.md"),
    engine: false,
    launch: |_, _, _| Err(Error::new("launch", WSAEOPNOTSUPP)),
};
