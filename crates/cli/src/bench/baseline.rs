//! What has changed since an earlier bench: cells are matched by subject and connections.

use super::gate::place;
use super::metric::Metric;
use super::output::figures::{figure, significant};
use super::report::{Cell, Interval, Load, Report};

/// A figure, then and now.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    pub(crate) cell: &'a Cell,
    pub(crate) metric: Metric,
    pub(crate) old: Interval,
    pub(crate) new: Interval,
}

impl Change<'_> {
    /// New by old, at its ends as far apart as the two intervals allow: they were not measured side by side.
    pub(crate) fn ratio(&self) -> Interval {
        let (old, new) = (self.old, self.new);
        Interval { median: new.median / old.median, low: new.low / old.high, high: new.high / old.low }
    }

    /// Whether the intervals leave no value in common.
    pub(crate) fn decided(&self) -> bool {
        self.new.low > self.old.high || self.new.high < self.old.low
    }

    /// By which share it is worse; below zero if it is better.
    fn worse(&self) -> f64 {
        match self.metric.more_is_better() {
            true => 1.0 - self.new.median / self.old.median,
            false => self.new.median / self.old.median - 1.0,
        }
    }
}

/// The metrics that rank, for each cell that both have.
pub(crate) fn changes<'a>(report: &'a Report, baseline: &Report) -> Vec<Change<'a>> {
    let mut found = Vec::new();
    for cell in &report.cells {
        let Some(earlier) = same(baseline, cell) else { continue };
        found.extend(Metric::RANKING.into_iter().filter_map(|metric| {
            let (old, new) = (*earlier.summary.get(&metric)?, *cell.summary.get(&metric)?);
            (old.median > 0.0).then_some(Change { cell, metric, old, new })
        }));
    }
    found
}

/// What forbids to compare the two at all: they were not put under the same load.
pub(crate) fn other_load(report: &Report, baseline: &Report) -> Option<String> {
    let parts = said(&report.load).into_iter().zip(said(&baseline.load));
    let other: Vec<String> =
        parts.filter(|(new, old)| new != old).map(|(new, old)| format!("{new}, then {old}")).collect();
    (!other.is_empty()).then(|| format!("the baseline had another load: now {}", other.join("; ")))
}

fn said(load: &Load) -> [String; 7] {
    let known = |value: Option<f64>| value.map_or("none".to_owned(), |value| value.to_string());
    [
        load.kind.clone(),
        format!("size {}-{}", load.size_min, load.size_max),
        format!("depth {}", load.depth),
        format!("rate {}", known(load.rate)),
        format!("active {}", known(load.active.map(|active| active as f64))),
        format!("share of costly requests {}", known(load.skew_share)),
        format!("cost {} µs", known(load.skew_cost_us)),
    ]
}

/// Where the machine is not the one of the baseline: the figures may differ for that alone.
pub(crate) fn other_machine(report: &Report, baseline: &Report) -> Vec<String> {
    let (new, old) = (&report.machine, &baseline.machine);
    let cpu = |cpu: &Option<String>| cpu.clone().unwrap_or_else(|| "unknown".to_owned());
    let parts = [
        ("system", new.system.clone(), old.system.clone()),
        ("processor", cpu(&new.cpu), cpu(&old.cpu)),
        ("processors", new.processors.to_string(), old.processors.to_string()),
        ("backend", new.backend.clone(), old.backend.clone()),
    ];
    let other = parts.into_iter().filter(|(_, new, old)| new != old);
    other.map(|(what, new, old)| format!("{what}: {old} then, {new} now")).collect()
}

/// The lines for `--max-regress`: worse by more than the share, beyond both intervals, or not to be compared.
pub(crate) fn regressed(report: &Report, baseline: &Report, most: f64) -> Vec<String> {
    if let Some(other) = other_load(report, baseline) {
        return vec![other];
    }
    let gone = baseline.cells.iter().filter(|cell| same(report, cell).is_none());
    let mut lines: Vec<String> =
        gone.map(|cell| format!("{} is in the baseline and was not measured", place(cell))).collect();
    for (cell, earlier) in report.cells.iter().filter_map(|cell| Some((cell, same(baseline, cell)?))) {
        let lost =
            |metric: &Metric| earlier.summary.contains_key(metric) && !cell.summary.contains_key(metric);
        let lost = Metric::RANKING.into_iter().filter(lost);
        lines.extend(lost.map(|metric| format!("{} has no {} any more", place(cell), metric.name())));
    }
    let changes = changes(report, baseline);
    if changes.is_empty() && lines.is_empty() {
        return vec!["the baseline has no subject of this bench: nothing could be compared".to_owned()];
    }
    let worse = changes.iter().filter(|change| change.decided() && change.worse() > most);
    lines.extend(worse.map(|change| {
        format!(
            "{}: the {} is {} % worse than the baseline's: {}, then {}",
            place(change.cell),
            change.metric.label(),
            significant(change.worse() * 100.0),
            figure(change.metric, change.new.median),
            figure(change.metric, change.old.median)
        )
    }));
    lines
}

fn same<'a>(report: &'a Report, cell: &Cell) -> Option<&'a Cell> {
    report.cells.iter().find(|other| other.subject == cell.subject && other.connections == cell.connections)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn then_and_now(change: impl Fn(&mut Report)) -> (Report, Report) {
        let old = fixture::report(&["select", "completion-port"], &[64, 1000], 5);
        let mut new = old.clone();
        change(&mut new);
        (old, new)
    }

    fn scaled(report: &mut Report, cell: usize, metric: Metric, factor: f64) {
        let found = report.cells[cell].summary.get_mut(&metric).unwrap();
        *found =
            Interval { median: found.median * factor, low: found.low * factor, high: found.high * factor };
    }

    #[test]
    fn the_same_has_not_regressed() {
        let (old, new) = then_and_now(|_| ());
        assert_eq!(regressed(&new, &old, 0.0), Vec::<String>::new());
        assert_eq!(changes(&new, &old).len(), 4 * Metric::RANKING.len());
    }

    #[test]
    fn worse_by_more_than_the_share_is_a_line_and_better_is_none() {
        for (metric, worse, better) in
            [(Metric::RequestsPerS, 0.8, 1.3), (Metric::P99Us, 1.3, 0.8), (Metric::CpuUs, 1.3, 0.8)]
        {
            let (old, new) = then_and_now(|report| scaled(report, 3, metric, worse));
            let lines = regressed(&new, &old, 0.05);
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(
                lines[0]
                    .starts_with(&format!("completion-port at 1,000 connections: the {} is", metric.label()))
            );
            assert!(regressed(&new, &old, 0.5).is_empty());
            let (old, new) = then_and_now(|report| scaled(report, 3, metric, better));
            assert!(regressed(&new, &old, 0.05).is_empty());
        }
    }

    #[test]
    fn within_the_noise_nothing_has_regressed() {
        let (old, new) = then_and_now(|report| {
            let found = report.cells[0].summary.get_mut(&Metric::P99Us).unwrap();
            *found = Interval { median: found.median * 1.5, low: found.low, high: found.high * 2.0 };
        });
        assert!(regressed(&new, &old, 0.05).is_empty());
    }

    #[test]
    fn what_is_missing_or_not_to_be_compared_is_a_line() {
        let lines = |change: &dyn Fn(&mut Report)| {
            let (old, new) = then_and_now(change);
            regressed(&new, &old, 0.05)
        };
        assert_eq!(
            lines(&|report| report.cells.truncate(3)),
            ["completion-port at 1,000 connections is in the baseline and was not measured"]
        );
        assert_eq!(
            lines(&|report| report.cells[0].summary.retain(|metric, _| *metric != Metric::CpuUs)),
            ["select at 64 connections has no cpu_us any more"]
        );
        assert_eq!(
            lines(&|report| report.load.depth = 8),
            ["the baseline had another load: now depth 8, then depth 1"]
        );
        let (mut old, new) = then_and_now(|_| ());
        old.cells.clear();
        assert_eq!(regressed(&new, &old, 0.05).len(), 1, "nothing to compare is not silent");
    }

    #[test]
    fn another_machine_is_named() {
        let (old, new) = then_and_now(|report| report.machine.processors = 2);
        assert_eq!(other_machine(&new, &old), ["processors: 8 then, 2 now"]);
        assert!(other_machine(&old, &old).is_empty());
    }
}
