//! The tables of a report as columns of text, which each shape then sets in its own way.

use super::super::metric::{Metric, Quantity};
use super::super::report::{Cell, Interval, Report};
use super::figures::{Unit, number, significant};

/// A metric of all subjects under one number of connections.
#[derive(Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) head: &'static str,
    /// What the numbers are: `µs`, `per 1k`; empty if the head says it.
    pub(crate) unit: String,
    /// One for each subject; empty where it has no such figure.
    pub(crate) cells: Vec<String>,
}

/// What clients see; what it takes; what it holds.
pub(crate) const GROUPS: [&[Metric]; 2] = [
    &[
        Metric::RequestsPerS,
        Metric::P50Us,
        Metric::P90Us,
        Metric::P99Us,
        Metric::P999Us,
        Metric::MaxUs,
        Metric::RawP99Us,
    ],
    &[
        Metric::CpuUs,
        Metric::CpuUserUs,
        Metric::CpuSystemUs,
        Metric::SystemCalls,
        Metric::SwitchesVoluntary,
        Metric::SwitchesInvoluntary,
        Metric::Threads,
        Metric::MemoryBytes,
        Metric::BytesPerConnection,
    ],
];

/// The cells of one number of connections, in the order of the subjects.
pub(crate) fn row(report: &Report, connections: usize) -> Vec<&Cell> {
    report.cells.iter().filter(|cell| cell.connections == connections).collect()
}

/// The numbers of connections that were measured, in their order.
pub(crate) fn connections(report: &Report) -> Vec<usize> {
    let measured = |number: &usize| report.cells.iter().any(|cell| cell.connections == *number);
    report.load.connections.iter().copied().filter(measured).collect()
}

/// A column for each of the metrics that a cell has. The rate has a second one, which says how sure it is.
pub(crate) fn columns(cells: &[&Cell], metrics: &[Metric]) -> Vec<Column> {
    let mut columns = Vec::new();
    for metric in metrics {
        let found: Vec<Option<Interval>> =
            cells.iter().map(|cell| cell.summary.get(metric).copied()).collect();
        if found.iter().all(Option::is_none) {
            continue;
        }
        let unit = unit(*metric, cells);
        let text = |found: &Option<Interval>| match found {
            Some(found) => number(*metric, found.median / unit.size),
            None => String::new(),
        };
        columns.push(Column {
            head: head(*metric),
            unit: format!("{}{}", unit.name, per(*metric)),
            cells: found.iter().map(text).collect(),
        });
        if *metric == Metric::RequestsPerS {
            let sure = found.iter().map(|found| found.map(|found| sureness(&found)).unwrap_or_default());
            columns.push(Column { head: "±", unit: String::new(), cells: sure.collect() });
        }
    }
    columns
}

/// Half the interval, as a share of the median.
pub(crate) fn sureness(interval: &Interval) -> String {
    let half = (interval.high - interval.low) / 2.0;
    match half > 0.0 && interval.median > 0.0 {
        true => format!("{} %", tenths(half / interval.median * 100.0)),
        false => String::new(),
    }
}

fn tenths(share: f64) -> String {
    if share < 10.0 { format!("{share:.1}") } else { significant(share) }
}

/// One for all parts of the processor time, so that they can be added by eye.
fn unit(metric: Metric, cells: &[&Cell]) -> Unit {
    let kin: &[Metric] = match metric {
        Metric::CpuUs | Metric::CpuUserUs | Metric::CpuSystemUs => &[Metric::CpuUs],
        _ => std::slice::from_ref(&metric),
    };
    let values = kin.iter().flat_map(|metric| cells.iter().filter_map(|cell| cell.summary.get(metric)));
    Unit::of_all(metric.quantity(), values.map(|found| found.median))
}

fn head(metric: Metric) -> &'static str {
    match metric {
        Metric::CpuUs => "CPU",
        Metric::CpuUserUs => "user",
        Metric::CpuSystemUs => "system",
        Metric::SystemCalls => "calls",
        Metric::SwitchesVoluntary => "vol.",
        Metric::SwitchesInvoluntary => "invol.",
        Metric::BytesPerConnection => "per conn.",
        metric => metric.label(),
    }
}

fn per(metric: Metric) -> &'static str {
    match (metric, metric.quantity()) {
        (Metric::SystemCalls, _) => "a request",
        (Metric::SwitchesVoluntary | Metric::SwitchesInvoluntary, _) => "per 1k",
        (Metric::CpuUs | Metric::CpuUserUs | Metric::CpuSystemUs, Quantity::Time) => "/req.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_sure_a_rate_is_is_said_where_there_is_one() {
        let sure = |low, median, high| sureness(&Interval { median, low, high });
        assert_eq!(sure(90.0, 100.0, 112.0), "11.0 %");
        assert_eq!(sure(7.0, 7.0, 7.0), "");
        assert_eq!((sure(0.0, 0.0, 0.0), sure(0.0, 0.0, 5.0)), (String::new(), String::new()));
    }
}
