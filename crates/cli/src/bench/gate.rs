//! Thresholds: `--fail-if 'p99>5ms'`, and `--max-regress 5%` against a `--baseline`.
//!
//! What cannot be answered is crossed: a gate that is silent because a figure is missing would be open.

use super::baseline;
use super::metric::{Metric, Quantity};
use super::output::figures::{figure, grouped};
use super::report::{Cell, Report};

/// A condition that must not hold, as `p99>5ms`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    text: String,
    metric: Metric,
    relation: Relation,
    value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Relation {
    fn holds(self, one: f64, other: f64) -> bool {
        match self {
            Relation::Above => one > other,
            Relation::AtLeast => one >= other,
            Relation::Below => one < other,
            Relation::AtMost => one <= other,
        }
    }
}

/// Reads one: METRIC, `<` or `>` (or with `=`), a value with its unit.
pub(crate) fn condition(text: &str) -> Result<Condition, String> {
    let place = text.find(['<', '>']).ok_or("expected METRIC<VALUE or METRIC>VALUE, as p99>5ms")?;
    let (name, rest) = (text[..place].trim(), &text[place..]);
    let (relation, value) = match rest.as_bytes() {
        [b'>', b'=', ..] => (Relation::AtLeast, &rest[2..]),
        [b'<', b'=', ..] => (Relation::AtMost, &rest[2..]),
        [b'>', ..] => (Relation::Above, &rest[1..]),
        _ => (Relation::Below, &rest[1..]),
    };
    let metric = metric(name)?;
    Ok(Condition { text: text.trim().to_owned(), metric, relation, value: value_of(metric, value.trim())? })
}

fn metric(name: &str) -> Result<Metric, String> {
    let lower = name.to_lowercase();
    let named = |metric: &Metric| metric.name() == lower || metric.short_names().contains(&lower.as_str());
    Metric::ALL.into_iter().find(named).ok_or_else(|| {
        let names: Vec<&str> = Metric::ALL
            .iter()
            .map(|metric| metric.short_names().first().copied().unwrap_or(metric.name()))
            .collect();
        format!("'{name}' is no metric; there are {}", names.join(", "))
    })
}

/// Times without a unit are microseconds, as in JSON.
fn value_of(metric: Metric, text: &str) -> Result<f64, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim());
    let units: &[(&str, f64)] = match metric.quantity() {
        Quantity::Time => &[("us", 1.0), ("µs", 1.0), ("μs", 1.0), ("", 1.0), ("ms", 1e3), ("s", 1e6)],
        Quantity::Rate | Quantity::Count => &[("", 1.0), ("k", 1e3), ("K", 1e3), ("M", 1e6)],
        Quantity::Bytes => &[
            ("", 1.0),
            ("B", 1.0),
            ("k", 1024.0),
            ("K", 1024.0),
            ("KiB", 1024.0),
            ("M", 1_048_576.0),
            ("MiB", 1_048_576.0),
            ("G", 1_073_741_824.0),
            ("GiB", 1_073_741_824.0),
        ],
    };
    let number: f64 =
        number.parse().map_err(|_| format!("'{text}' is no number with a unit, as 5ms, 100k or 64"))?;
    let size = units.iter().find(|(name, _)| *name == unit).map(|(_, size)| size).ok_or_else(|| {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
        format!("'{unit}' is no unit of {}; there are {}", metric.name(), names.join(", "))
    })?;
    Ok(number * size)
}

/// The lines that crossed a threshold; empty if none did.
pub(crate) fn crossed(
    report: &Report,
    conditions: &[Condition],
    baseline: Option<&Report>,
    regress_max: Option<f64>,
) -> Vec<String> {
    let mut lines: Vec<String> = conditions.iter().flat_map(|condition| condition.crossed(report)).collect();
    if let (Some(baseline), Some(most)) = (baseline, regress_max) {
        lines.extend(baseline::regressed(report, baseline, most));
    }
    lines
}

impl Condition {
    fn crossed(&self, report: &Report) -> Vec<String> {
        let unknown = |cell: &&Cell| !cell.summary.contains_key(&self.metric);
        if report.cells.iter().filter(unknown).count() == report.cells.len() {
            return vec![format!(
                "{}: no run has {}, so it cannot be answered",
                self.text,
                self.metric.name()
            )];
        }
        report.cells.iter().filter_map(|cell| self.crossed_by(cell)).collect()
    }

    fn crossed_by(&self, cell: &Cell) -> Option<String> {
        let place = place(cell);
        match cell.summary.get(&self.metric) {
            None => Some(format!("{}: {place} has no {}", self.text, self.metric.name())),
            Some(found) => self
                .relation
                .holds(found.median, self.value)
                .then(|| format!("{}: {place} has {}", self.text, figure(self.metric, found.median))),
        }
    }
}

/// `select at 1,000 connections`.
pub(crate) fn place(cell: &Cell) -> String {
    let connections = grouped(cell.connections as u64);
    format!("{} at {connections} connection{}", cell.subject, if cell.connections == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn read(text: &str) -> (Metric, Relation, f64) {
        let Condition { metric, relation, value, .. } = condition(text).unwrap();
        (metric, relation, value)
    }

    #[test]
    fn conditions_are_read_as_people_write_them() {
        assert_eq!(read("p99>5ms"), (Metric::P99Us, Relation::Above, 5_000.0));
        assert_eq!(read("p99.9_us >= 300"), (Metric::P999Us, Relation::AtLeast, 300.0));
        assert_eq!(read("p99.9>1.5s"), (Metric::P999Us, Relation::Above, 1_500_000.0));
        assert_eq!(read("max <= 7 µs"), (Metric::MaxUs, Relation::AtMost, 7.0));
        assert_eq!(read("requests_per_s<100k"), (Metric::RequestsPerS, Relation::Below, 100_000.0));
        assert_eq!(read("Rate<1.5M"), (Metric::RequestsPerS, Relation::Below, 1_500_000.0));
        assert_eq!(read("cpu>12us"), (Metric::CpuUs, Relation::Above, 12.0));
        assert_eq!(read("syscalls>2"), (Metric::SystemCalls, Relation::Above, 2.0));
        assert_eq!(read("memory>64MiB"), (Metric::MemoryBytes, Relation::Above, 67_108_864.0));
    }

    #[test]
    fn a_wrong_condition_is_told_what_there_is() {
        let error = |text| condition(text).unwrap_err();
        assert!(error("p98>5ms").contains("p99.9, max, raw_p99, cpu"), "{}", error("p98>5ms"));
        assert!(error("p99>5m").contains("us, µs") && error("rate<5ms").contains("k, K, M"));
        assert!(error("p99=5ms").contains("p99>5ms") && error("p99>").contains("no number"));
        for wrong in ["", ">", "p99>ms", "p99>1.2.3", "p99>-1", "p99>5%", "p99>>5", "p99>NaN"] {
            assert!(condition(wrong).is_err(), "{wrong}");
        }
    }

    fn crossing(report: &Report, text: &str) -> Vec<String> {
        crossed(report, &[condition(text).unwrap()], None, None)
    }

    #[test]
    fn each_cell_that_crosses_is_a_line() {
        let mut report = fixture::report(&["select", "completion-port"], &[1, 1000], 3);
        report.cells[1].summary.get_mut(&Metric::P99Us).unwrap().median = 6_200.0;
        report.cells[0].summary.get_mut(&Metric::P99Us).unwrap().median = 5_000.0;
        report.cells[2].summary.get_mut(&Metric::P99Us).unwrap().median = 4_999.0;
        report.cells[3].summary.get_mut(&Metric::P99Us).unwrap().median = 1.0;
        assert_eq!(crossing(&report, "p99>5ms"), ["p99>5ms: select at 1,000 connections has 6.20 ms"]);
        assert_eq!(crossing(&report, "p99>=5ms").len(), 2);
        assert_eq!(crossing(&report, "p99<5ms").len(), 2);
        assert_eq!(crossing(&report, "p99<=5ms").len(), 3);
        assert!(crossing(&report, "p99>7ms").is_empty());
    }

    #[test]
    fn what_cannot_be_answered_is_crossed() {
        let target = fixture::target();
        assert_eq!(crossing(&target, "cpu>1s"), ["cpu>1s: no run has cpu_us, so it cannot be answered"]);
        let mut report = fixture::report(&["a", "b"], &[1], 3);
        report.cells[1].summary.remove(&Metric::CpuUs);
        assert_eq!(crossing(&report, "cpu>1s"), ["cpu>1s: b at 1 connection has no cpu_us"]);
    }
}
