//! `--csv`: a line a run, with a header (RFC 4180). A figure that is not known is empty.

use super::super::metric::Metric;
use super::super::report::{Cell, Report, Run};

pub(super) fn csv(report: &Report) -> String {
    let runs = report.cells.iter().flat_map(|cell| cell.runs.iter().map(move |run| line(cell, run)));
    std::iter::once(header()).chain(runs).collect()
}

/// What a line begins with, and what it ends with; every metric stands between.
const BEFORE: [&str; 8] =
    ["subject", "connections", "round", "order", "seconds", "requests", "bytes_sent", "bytes_received"];
const AFTER: [&str; 4] = ["generator_cpu_us", "generator_busy", "generator_late", "generator_unsent"];

fn header() -> String {
    let names = BEFORE.into_iter().chain(Metric::ALL.map(Metric::name)).chain(AFTER);
    names.collect::<Vec<_>>().join(",") + "\r\n"
}

fn line(cell: &Cell, run: &Run) -> String {
    let known = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let mut fields = vec![
        quoted(&cell.subject),
        cell.connections.to_string(),
        run.round.to_string(),
        run.order.to_string(),
        run.seconds.to_string(),
        run.requests.to_string(),
        run.bytes_sent.to_string(),
        run.bytes_received.to_string(),
    ];
    fields.extend(Metric::ALL.map(|metric| known(metric.of(run, cell.connections))));
    fields.push(run.generator.cpu_us.to_string());
    fields.push(known(run.generator.busy));
    fields.push(run.generator.late.to_string());
    fields.push(run.generator.unsent.to_string());
    fields.join(",") + "\r\n"
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;

    #[test]
    fn a_run_is_a_line() {
        insta::assert_snapshot!(csv(&fixture::report(&["select", "completion-port"], &[1, 64], 2)));
    }

    #[test]
    fn every_line_has_as_many_fields_as_the_header() {
        for report in fixture::each_kind() {
            let text = csv(&report);
            let mut lines = text.split_terminator("\r\n").map(|line| line.split(',').count());
            let (header, runs) = (lines.next().unwrap(), lines.collect::<Vec<_>>());
            assert_eq!(runs.len(), report.cells.iter().map(|cell| cell.runs.len()).sum::<usize>());
            assert!(runs.iter().all(|fields| *fields == header), "{text}");
        }
    }

    #[test]
    fn a_name_with_a_comma_or_a_quote_is_one_field() {
        assert_eq!(quoted("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(quoted("select (epoll)"), "select (epoll)");
    }
}
