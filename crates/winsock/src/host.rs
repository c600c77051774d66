//! What a server needs of its host and Winsock does not have: limits, console signals, process figures.

use crate::sys;
use std::time::Duration;

/// How many descriptors (sockets, files) this process may have open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    /// What holds now.
    pub soft: u64,
    /// What the process may raise it to by itself.
    pub hard: u64,
}

/// The limit of descriptors; `None` where the system has no such limit.
pub fn descriptor_limit() -> Option<DescriptorLimit> {
    sys::host::descriptor_limit()
}

/// Raises the soft limit of descriptors to the hard one and returns what holds then; `None` where there is no limit.
pub fn raise_descriptor_limit() -> Option<DescriptorLimit> {
    sys::host::raise_descriptor_limit()
}

/// How many descriptors (on Windows: handles) this process has open now.
pub fn descriptors_open() -> usize {
    sys::host::descriptors_open()
}

/// How many processors this process may run on.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Processor time and memory of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessFigures {
    /// Time spent in the program.
    pub user: Duration,
    /// Time spent in the system on its behalf.
    pub system: Duration,
    /// Memory in use now, in bytes.
    pub resident_bytes: u64,
    /// Threads now.
    pub threads: usize,
}

/// The figures of this process as of now.
pub fn process_figures() -> ProcessFigures {
    sys::host::process_figures()
}

/// Somebody asks the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM; on Windows Ctrl-Break or the console being closed.
    Terminate,
}

/// From now on Ctrl-C and its like no longer end the process but are told by [`Signals::wait`].
///
/// A server gives it to a thread that waits there and then does what ends the server's own wait: sets an event, posts a
/// message or a packet, closes a socket.
#[doc(alias = "SetConsoleCtrlHandler")]
#[derive(Debug)]
pub struct Signals {
    sys: sys::host::Signals,
}

impl Signals {
    /// Takes the signals over. One per process.
    ///
    /// # Errors
    /// When they are taken over already, or the system refuses.
    pub fn install() -> std::io::Result<Signals> {
        sys::host::Signals::install().map(|sys| Signals { sys })
    }

    /// Blocks until the next signal comes. Not alertable.
    pub fn wait(&self) -> Signal {
        self.sys.wait()
    }
}
