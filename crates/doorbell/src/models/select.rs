#![doc = include_str!("select.md")]

use super::Built;
use doorbell_winsock::Error;
use doorbell_winsock::error::WSAEOPNOTSUPP;

pub(crate) const BUILT: Built = Built {
    page: include_str!("select.md"),
    engine: false,
    launch: |_, _, _| Err(Error::new("launch", WSAEOPNOTSUPP)),
};
