//! The load: a client of its own, none of the seven models and none of their code, so that no fault of ours measures itself.
//!
//! `N` connections, each with up to `depth` requests under way. Every byte of every answer is compared with what it must be.

use super::report::{Generator, Latency};
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What the server is put under.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
    /// Bytes of a request: drawn evenly from this range.
    pub(crate) size_min: usize,
    pub(crate) size_max: usize,
    /// Requests under way on a connection, at most.
    pub(crate) depth: usize,
    /// Requests a second over all connections; nothing for a closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) threads: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// No byte of an awaited answer for so long is a fault.
    pub(crate) patience: Duration,
    /// The processors of the generator's threads, if they are kept apart from the server's.
    pub(crate) processors: Option<Vec<usize>>,
}

/// The kinds of load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// All connections exchange requests and answers.
    Echo,
    /// `active` connections do, the others are silent.
    Idle { active: usize },
    /// Connect, one exchange, close; `connections` at a time. A request's time is that of the three together.
    Churn,
    /// `active` connections exchange and are measured; the others send as much as is taken and read `bytes_per_s` each.
    SlowReader { active: usize, bytes_per_s: usize },
    /// A share of the requests costs the handler so much processor time (service `burn`).
    Skew { share: f64, cost: Duration },
}

/// Is told when a run reaches its moments, on the thread that called [`run`].
pub(crate) trait Moments {
    /// All connections are open and silent.
    fn connected(&mut self);
    /// The warm-up is over: from now on it is measured.
    fn began(&mut self);
    /// The measured time is over; the connections are still open.
    fn ended(&mut self);
}

/// What a run measured.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) latency: Latency,
    pub(crate) corrected: Option<Latency>,
    pub(crate) costly: Option<Latency>,
    pub(crate) generator: Generator,
}

/// Why a run has no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// What the server did wrong: one sentence that names the connection, the byte and what was expected.
    #[error("{0}")]
    Fault(String),
    /// The generator itself could not: too few descriptors, ports or memory; says what to do.
    #[error("{0}")]
    Generator(String),
    /// `stop` was set.
    #[error("stopped")]
    Stopped,
}

/// Runs the load against `target`. Blocks for the warm-up and the duration; ends soon after `stop` is set.
pub(crate) fn run(
    target: SocketAddr,
    load: &Load,
    stop: &AtomicBool,
    moments: &mut dyn Moments,
) -> Result<Measured, LoadError> {
    let _ = (target, load, stop, moments);
    Err(LoadError::Generator("not there yet".into()))
}
