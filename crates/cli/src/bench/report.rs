//! What a bench found: the numbers, in the shape in which `--json` writes them and `--baseline` reads them again.
//!
//! Times are microseconds, sizes are bytes, rates are per second. What could not be read here is absent, never zero.

use super::metric::Metric;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of this shape. A number up when a field changes its meaning or goes; a new field changes nothing.
pub(crate) const SCHEMA: &str = "doorbell-bench/1";

/// Everything that one bench found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Report {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// The version of the command.
    pub(crate) doorbell: String,
    /// When it began: RFC 3339, UTC.
    pub(crate) started: String,
    /// The command line, as given.
    pub(crate) command: Vec<String>,
    /// Whether it was stopped before its last run.
    pub(crate) interrupted: bool,
    pub(crate) machine: Machine,
    pub(crate) load: Load,
    /// What was measured, in the order given.
    pub(crate) subjects: Vec<Subject>,
    /// A subject under a number of connections: subjects in their order, the numbers within.
    pub(crate) cells: Vec<Cell>,
    /// Each pair of subjects, under each number of connections.
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) warnings: Vec<Warning>,
}

/// Where it was measured.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Machine {
    /// The system and its version, as `Linux 6.18.0`.
    pub(crate) system: String,
    pub(crate) cpu: Option<String>,
    /// How many processors this process may run on.
    pub(crate) processors: usize,
    /// The frequency governor.
    pub(crate) governor: Option<String>,
    /// What the kernel does against speculation, as `spectre_v2: Mitigation: …`.
    pub(crate) mitigations: Vec<String>,
    pub(crate) memory_bytes: Option<u64>,
    /// What stands below the models, with what its kernel offers: `io_uring (defer_taskrun, …)`.
    pub(crate) backend: String,
    pub(crate) descriptor_limit: Option<u64>,
    /// What limits a container, as `container processors (cpu.max): 2.00`. Empty outside one.
    pub(crate) container: Vec<String>,
    /// Whether it is a virtual machine, and whose.
    pub(crate) hypervisor: Option<String>,
    /// The load of the last minute when the bench began.
    pub(crate) load_average: Option<f64>,
    /// Why the system calls of a server cannot be counted here.
    pub(crate) system_calls_refused: Option<String>,
}

/// What every subject was put under.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Load {
    /// `echo`, `idle`, `churn`, `slow-reader`, `skew`.
    pub(crate) kind: String,
    pub(crate) connections: Vec<usize>,
    pub(crate) size_min: usize,
    pub(crate) size_max: usize,
    /// Requests under way on a connection.
    pub(crate) depth: usize,
    /// Requests a second in all, for an open loop.
    pub(crate) rate: Option<f64>,
    /// How many connections are active, where the others idle or read slowly.
    pub(crate) active: Option<usize>,
    /// The share of requests that cost the handler `skew_cost_us`.
    pub(crate) skew_share: Option<f64>,
    pub(crate) skew_cost_us: Option<f64>,
    pub(crate) duration_s: f64,
    pub(crate) warm_up_s: f64,
    pub(crate) runs: usize,
    pub(crate) generator_threads: usize,
    /// The processors of the servers, and of the generator, if they were kept apart.
    pub(crate) server_processors: Option<Vec<usize>>,
    pub(crate) generator_processors: Option<Vec<usize>>,
}

/// A server that was measured.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Subject {
    /// Its name in every table, as `completion-port` or `select (epoll)`.
    pub(crate) name: String,
    pub(crate) model: Option<String>,
    pub(crate) backend: Option<String>,
    /// The threads that it was told or said to have.
    pub(crate) threads: Option<usize>,
    /// How it was started; nothing for a `--target`.
    pub(crate) command: Option<Vec<String>>,
}

/// A subject under a number of connections.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Cell {
    pub(crate) subject: String,
    pub(crate) connections: usize,
    /// In the order in which they were made.
    pub(crate) runs: Vec<Run>,
    /// The median over the runs and its bootstrap interval; a metric that no run has is absent.
    pub(crate) summary: BTreeMap<Metric, Interval>,
}

/// One run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Run {
    /// Its number in the order of the whole bench, from 0.
    pub(crate) order: usize,
    /// Its round, from 0: subjects are compared within a round.
    pub(crate) round: usize,
    /// How long it was measured.
    pub(crate) seconds: f64,
    /// Answered within that time.
    pub(crate) requests: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// From the call that sent a request to the last byte of its answer.
    pub(crate) latency: Latency,
    /// Open loop: from the moment at which the request was due.
    pub(crate) corrected: Option<Latency>,
    /// Skew: of the costly requests, which `latency` and `corrected` leave out.
    pub(crate) costly: Option<Latency>,
    /// What the server's process took; nothing for a `--target`, whose process is not known.
    pub(crate) server: Option<Server>,
    pub(crate) generator: Generator,
}

/// How long answers took.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// How many were measured.
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    /// (percentile, microseconds) at each of [`PERCENTILES`].
    pub(crate) curve: Vec<(f64, f64)>,
}

/// Where a curve has its points; 100 is the maximum.
pub(crate) const PERCENTILES: [f64; 14] =
    [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.999, 100.0];

impl Latency {
    /// At one of [`PERCENTILES`].
    pub(crate) fn at(&self, percentile: f64) -> Option<f64> {
        self.curve.iter().find(|point| point.0 == percentile).map(|point| point.1)
    }
}

/// What a server's process took for a run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Server {
    /// Of all its threads, the kernel's workers for it included.
    pub(crate) cpu_user_us: f64,
    pub(crate) cpu_system_us: f64,
    pub(crate) switches_voluntary: Option<u64>,
    pub(crate) switches_involuntary: Option<u64>,
    /// To count them slows the server down: done under a short load of their own, after the measured one.
    pub(crate) system_calls: Option<SystemCalls>,
    /// At the end of the run.
    pub(crate) threads: Option<usize>,
    /// Resident: before the first connection, when all were open and silent, at the end of the run.
    pub(crate) memory_before_bytes: Option<u64>,
    pub(crate) memory_connected_bytes: Option<u64>,
    pub(crate) memory_after_bytes: Option<u64>,
}

/// How often a server called the system for so many requests.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct SystemCalls {
    pub(crate) calls: u64,
    pub(crate) requests: u64,
}

/// What the generator took for a run: whether it was itself the bottleneck.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Generator {
    pub(crate) cpu_us: f64,
    /// The share of the time in which its busiest thread was busy, 0 to 1. A thread of an open loop polls and is always
    /// busy: there `late` tells.
    pub(crate) busy: Option<f64>,
    /// Open loop: requests that were sent more than a millisecond after they were due although their connection was free.
    pub(crate) late: u64,
    /// Open loop: requests due within the run that could not be sent in it.
    pub(crate) unsent: u64,
}

/// A median and the interval in which it is with 95 % confidence.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Interval {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// How one subject stands to another: the ratio within the same round, which a slow minute of the machine leaves alone.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Comparison {
    pub(crate) metric: Metric,
    pub(crate) connections: usize,
    pub(crate) subject: String,
    pub(crate) against: String,
    pub(crate) ratio: Interval,
    /// Whether the interval leaves out 1. If not, neither is said to be ahead.
    pub(crate) decided: bool,
}

/// What was seen that weakens the figures, why that matters, and what to try.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Warning {
    pub(crate) seen: String,
    pub(crate) why: String,
    pub(crate) remedy: String,
}
