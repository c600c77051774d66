//! The figures that are summed up, compared, drawn and gated: one list for all of that.

use super::report::{Run, SystemCalls};
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

/// What a metric counts, and so its unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Quantity {
    /// A second.
    Rate,
    /// Microseconds.
    Time,
    Bytes,
    Count,
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

    /// Those by which subjects are ranked.
    pub(crate) const RANKING: [Metric; 3] = [Metric::RequestsPerS, Metric::P99Us, Metric::CpuUs];

    /// Its name in JSON, CSV and conditions.
    pub(crate) fn name(self) -> &'static str {
        self.row().0
    }

    /// Its name for people, in the singular of a request where it is a share of one.
    pub(crate) fn label(self) -> &'static str {
        self.row().1
    }

    /// The shorter names that a condition may use.
    pub(crate) fn short_names(self) -> &'static [&'static str] {
        self.row().2
    }

    /// What it counts.
    pub(crate) fn quantity(self) -> Quantity {
        self.row().3
    }

    #[rustfmt::skip]
    fn row(self) -> (&'static str, &'static str, &'static [&'static str], Quantity) {
        use Quantity::{Bytes, Count, Rate, Time};
        match self {
            Metric::RequestsPerS => ("requests_per_s", "requests/s", &["rate", "rps", "requests/s"], Rate),
            Metric::P50Us => ("p50_us", "p50", &["p50", "median"], Time),
            Metric::P90Us => ("p90_us", "p90", &["p90"], Time),
            Metric::P99Us => ("p99_us", "p99", &["p99"], Time),
            Metric::P999Us => ("p99.9_us", "p99.9", &["p99.9", "p999", "p999_us"], Time),
            Metric::MaxUs => ("max_us", "max", &["max"], Time),
            Metric::RawP99Us => ("raw_p99_us", "raw p99", &["raw_p99"], Time),
            Metric::CpuUs => ("cpu_us", "CPU a request", &["cpu"], Time),
            Metric::CpuUserUs => ("cpu_user_us", "user CPU a request", &["cpu_user", "user"], Time),
            Metric::CpuSystemUs => ("cpu_system_us", "system CPU a request", &["cpu_system", "system"], Time),
            Metric::SystemCalls => ("system_calls", "system calls a request", &["calls", "syscalls"], Count),
            Metric::SwitchesVoluntary =>
                ("switches_voluntary", "voluntary switches per 1,000 requests", &["voluntary"], Count),
            Metric::SwitchesInvoluntary =>
                ("switches_involuntary", "involuntary switches per 1,000 requests", &["involuntary"], Count),
            Metric::Threads => ("threads", "threads", &[], Count),
            Metric::MemoryBytes => ("memory_bytes", "memory", &["memory", "rss"], Bytes),
            Metric::BytesPerConnection =>
                ("bytes_per_connection", "memory a connection", &["memory_per_connection"], Bytes),
        }
    }

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
            Metric::SystemCalls => {
                let SystemCalls { calls, requests } = server?.system_calls?;
                (requests > 0).then(|| calls as f64 / requests as f64)
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_in_json_and_no_two_are_alike() {
        let mut names = Vec::new();
        for metric in Metric::ALL {
            assert_eq!(serde_json::to_string(&metric).unwrap(), format!("\"{}\"", metric.name()));
            names.push(metric.name());
            names.extend(metric.short_names());
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
