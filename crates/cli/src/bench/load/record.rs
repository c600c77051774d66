//! What a thread saw within the measured time.

use super::dialogue::Request;
use crate::bench::report::{Latency, PERCENTILES};
use hdrhistogram::Histogram;
use std::time::Duration;

/// Above this all is the same: nobody waits longer.
const LATENCY_MAX: Duration = Duration::from_secs(3600);

/// Sums and histograms, in nanoseconds with three digits.
pub(super) struct Record {
    latency: Histogram<u64>,
    /// Of an open loop.
    corrected: Option<Histogram<u64>>,
    /// Of a load with skew.
    costly: Option<Histogram<u64>>,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) late: u64,
    pub(super) unsent: u64,
    /// Spent in the wait for events.
    pub(super) idle_ns: u64,
}

impl Record {
    pub(super) fn new(open_loop: bool, skew: bool) -> Record {
        let histogram = || {
            Histogram::new_with_bounds(1, LATENCY_MAX.as_nanos() as u64, 3).expect("the bounds are constant")
        };
        Record {
            latency: histogram(),
            corrected: open_loop.then(histogram),
            costly: skew.then(histogram),
            bytes_sent: 0,
            bytes_received: 0,
            late: 0,
            unsent: 0,
            idle_ns: 0,
        }
    }

    /// A request was complete at `now_ns`.
    pub(super) fn answered(&mut self, request: &Request, now_ns: u64) {
        let raw = now_ns.saturating_sub(request.sent_ns);
        let corrected = now_ns.saturating_sub(request.due_ns);
        match &mut self.costly {
            // In an open loop this one is corrected; in a closed one both are the same.
            Some(costly) if request.rounds.is_some_and(|rounds| rounds > 0) => {
                costly.saturating_record(corrected)
            }
            _ => {
                self.latency.saturating_record(raw);
                if let Some(histogram) = &mut self.corrected {
                    histogram.saturating_record(corrected);
                }
            }
        }
    }

    /// Takes another thread's in. All but `idle_ns`, which is each thread's own.
    pub(super) fn add(&mut self, other: &Record) {
        let both = [
            (Some(&mut self.latency), Some(&other.latency)),
            (self.corrected.as_mut(), other.corrected.as_ref()),
            (self.costly.as_mut(), other.costly.as_ref()),
        ];
        for (own, other) in both {
            if let (Some(own), Some(other)) = (own, other) {
                own.add(other).expect("all have the same bounds");
            }
        }
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.late += other.late;
        self.unsent += other.unsent;
    }

    pub(super) fn requests(&self) -> u64 {
        self.latency.len() + self.costly.as_ref().map_or(0, Histogram::len)
    }

    pub(super) fn latency(&self) -> Latency {
        curve(&self.latency)
    }

    pub(super) fn corrected(&self) -> Option<Latency> {
        self.corrected.as_ref().map(curve)
    }

    pub(super) fn costly(&self) -> Option<Latency> {
        self.costly.as_ref().map(curve)
    }
}

/// In microseconds. Of nothing there is no curve.
fn curve(histogram: &Histogram<u64>) -> Latency {
    let us = |ns: u64| ns as f64 / 1e3;
    let at = |percentile: f64| match percentile {
        0.0 => histogram.min(),
        _ => histogram.value_at_percentile(percentile),
    };
    let points = PERCENTILES.iter().filter(|_| !histogram.is_empty());
    Latency {
        count: histogram.len(),
        mean_us: histogram.mean() / 1e3,
        curve: points.map(|percentile| (*percentile, us(at(*percentile)))).collect(),
    }
}
