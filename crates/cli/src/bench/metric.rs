//! The figures that are summed up, compared, drawn and gated: one list for all of that.

use super::report::Run;
use serde::{Deserialize, Serialize};

/// A figure of a run. The order is that of every table.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    RequestsPerS,
    P50Us,
    P90Us,
    P99Us,
    #[serde(rename = "p99.9_us")]
    P999Us,
    MaxUs,
    /// Open loop: p99 from the moment of sending, beside the corrected `P99Us`.
    RawP99Us,
    CpuUs,
    CpuUserUs,
    CpuSystemUs,
    SystemCalls,
    SwitchesVoluntary,
    SwitchesInvoluntary,
    Threads,
    MemoryBytes,
    BytesPerConnection,
}

impl Metric {
    pub(crate) const ALL: [Metric; 16] = [
        Metric::RequestsPerS,
        Metric::P50Us,
        Metric::P90Us,
        Metric::P99Us,
        Metric::P999Us,
        Metric::MaxUs,
        Metric::RawP99Us,
        Metric::CpuUs,
        Metric::CpuUserUs,
        Metric::CpuSystemUs,
        Metric::SystemCalls,
        Metric::SwitchesVoluntary,
        Metric::SwitchesInvoluntary,
        Metric::Threads,
        Metric::MemoryBytes,
        Metric::BytesPerConnection,
    ];

    /// Whether more is better.
    pub(crate) fn more_is_better(self) -> bool {
        self == Metric::RequestsPerS
    }

    /// Its value in a run, if the run has it. Latencies are the corrected ones where there are such.
    pub(crate) fn of(self, run: &Run, connections: usize) -> Option<f64> {
        let latency = run.corrected.as_ref().unwrap_or(&run.latency);
        let server = run.server.as_ref();
        let a_request = |total: f64| (run.requests > 0).then(|| total / run.requests as f64);
        match self {
            Metric::RequestsPerS => (run.seconds > 0.0).then(|| run.requests as f64 / run.seconds),
            Metric::P50Us => latency.at(50.0),
            Metric::P90Us => latency.at(90.0),
            Metric::P99Us => latency.at(99.0),
            Metric::P999Us => latency.at(99.9),
            Metric::MaxUs => latency.at(100.0),
            Metric::RawP99Us => run.corrected.as_ref().and(run.latency.at(99.0)),
            Metric::CpuUs => a_request(server?.cpu_user_us + server?.cpu_system_us),
            Metric::CpuUserUs => a_request(server?.cpu_user_us),
            Metric::CpuSystemUs => a_request(server?.cpu_system_us),
            Metric::SystemCalls => a_request(server?.system_calls? as f64),
            Metric::SwitchesVoluntary => a_request(server?.switches_voluntary? as f64 * 1000.0),
            Metric::SwitchesInvoluntary => a_request(server?.switches_involuntary? as f64 * 1000.0),
            Metric::Threads => Some(server?.threads? as f64),
            Metric::MemoryBytes => Some(server?.memory_after_bytes? as f64),
            Metric::BytesPerConnection => {
                let grown = server?.memory_connected_bytes?.saturating_sub(server?.memory_before_bytes?);
                (connections > 0).then(|| grown as f64 / connections as f64)
            }
        }
    }
}
