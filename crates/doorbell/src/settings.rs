//! What can be set on a server, with the defaults.

use crate::error::StartError;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `None`: the model's own number.
    pub(crate) threads: Option<usize>,
    pub(crate) concurrency: u32,
    pub(crate) connections_max: usize,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) write_high_water: usize,
    pub(crate) grace: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            threads: None,
            concurrency: 0,
            connections_max: usize::MAX,
            idle_timeout: None,
            // Four times what a socket buffers by default: enough to keep a fast peer busy, little enough for 10,000.
            write_high_water: 256 * 1024,
            grace: Duration::from_secs(10),
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let wrong = match self {
            Settings { threads: Some(0), .. } => "0 threads serve nobody",
            Settings { connections_max: 0, .. } => "a limit of 0 connections serves nobody",
            Settings { write_high_water: 0, .. } => "a high water of 0 bytes lets nobody send",
            Settings { idle_timeout: Some(Duration::ZERO), .. } => {
                "an idle time-out of zero closes every connection"
            }
            _ => return Ok(()),
        };
        Err(StartError::Config(wrong.to_owned()))
    }
}
