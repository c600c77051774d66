//! A server under measurement: a process of its own, which ends with this one whatever happens.

use super::report::Server as Figures;
use std::net::SocketAddr;
use std::time::Duration;

/// How to start it.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// The processors that it is kept to.
    pub(crate) processors: Option<Vec<usize>>,
}

/// A process that has said where it listens.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// The rest of its first line, `model=… threads=… backend=…`, as pairs.
    pub(crate) said: Vec<(String, String)>,
}

impl Running {
    /// Starts it and waits for its line `listening on ADDR:PORT …`.
    ///
    /// # Errors
    /// It cannot be started, ends before the line, or does not write it in time: with what it wrote to standard error.
    pub(crate) fn start(start: &Start, patience: Duration) -> Result<Running, String> {
        let _ = (start, patience);
        Err("not there yet".into())
    }

    /// Resident bytes now, if this system tells.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        None
    }

    /// Begins to count for a run.
    pub(crate) fn begin(&mut self) {}

    /// What it took since [`begin`](Running::begin).
    pub(crate) fn end(&mut self) -> Figures {
        Figures::default()
    }

    /// Ends the process, waits for it, and returns what it wrote to standard error.
    pub(crate) fn stop(self) -> String {
        String::new()
    }
}
