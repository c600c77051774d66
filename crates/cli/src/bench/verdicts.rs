//! Who is ahead, as far as the comparisons decide it: groups within which no difference was seen, best first.

use super::metric::Metric;
use super::output::figures::{counted, listed, significant};
use super::report::{Interval, Report};
use super::statistics::ROUNDS_TO_DECIDE;

/// The order of the subjects by one metric under one number of connections.
#[derive(Debug, PartialEq)]
pub(crate) struct Ranking<'a> {
    pub(crate) metric: Metric,
    /// Best first. Each group is decided against the first of every group before it.
    pub(crate) groups: Vec<Vec<Place<'a>>>,
    /// Too noisy to be put anywhere: no difference was seen to more than one group.
    pub(crate) undecided: Vec<&'a str>,
}

/// A subject in its group.
#[derive(Debug, PartialEq)]
pub(crate) struct Place<'a> {
    pub(crate) subject: &'a str,
    /// How many times worse than the best; nothing within the first group.
    pub(crate) behind: Option<Interval>,
}

/// By each metric that ranks; empty for one subject, or where there are too few rounds.
pub(crate) fn rankings(report: &Report, connections: usize) -> Vec<Ranking<'_>> {
    if rounds(report, connections) < ROUNDS_TO_DECIDE {
        return Vec::new();
    }
    let all = Metric::RANKING.into_iter().map(|metric| ranking(report, connections, metric));
    all.filter(|ranking| ranking.groups.iter().map(Vec::len).sum::<usize>() + ranking.undecided.len() > 1)
        .collect()
}

/// The sentences for one number of connections.
pub(crate) fn verdicts(report: &Report, connections: usize) -> Vec<String> {
    let measured = report.cells.iter().filter(|cell| cell.connections == connections).count();
    match rounds(report, connections) {
        _ if measured < 2 => Vec::new(),
        rounds if rounds < ROUNDS_TO_DECIDE => vec![format!(
            "Nothing is ranked: with {} no difference can be told from noise.",
            counted(rounds, "round")
        )],
        _ => rankings(report, connections).iter().map(Ranking::sentence).collect(),
    }
}

/// How many rounds all subjects have.
fn rounds(report: &Report, connections: usize) -> usize {
    let cells = report.cells.iter().filter(|cell| cell.connections == connections);
    cells.map(|cell| cell.runs.len()).min().unwrap_or(0)
}

fn ranking(report: &Report, connections: usize, metric: Metric) -> Ranking<'_> {
    let cells = report.cells.iter().filter(|cell| cell.connections == connections);
    let mut order: Vec<(f64, &str)> =
        cells.filter_map(|cell| Some((cell.summary.get(&metric)?.median, cell.subject.as_str()))).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    if metric.more_is_better() {
        order.reverse();
    }
    let behind = |subject, of| behind(report, connections, metric, subject, of);
    let mut ranking = Ranking { metric, groups: Vec::new(), undecided: Vec::new() };
    for (_, subject) in order {
        let groups = &mut ranking.groups;
        let place =
            Place { subject, behind: groups.first().and_then(|best| behind(subject, best[0].subject)) };
        let alike: Vec<usize> =
            (0..groups.len()).filter(|group| behind(subject, groups[*group][0].subject).is_none()).collect();
        match (alike.as_slice(), groups.len()) {
            ([], _) => groups.push(vec![place]),
            ([only], all) if only + 1 == all => groups[*only].push(place),
            _ => ranking.undecided.push(subject),
        }
    }
    ranking
}

/// How many times worse a subject is than another, if that is decided.
fn behind(report: &Report, connections: usize, metric: Metric, subject: &str, of: &str) -> Option<Interval> {
    let compared =
        report.comparisons.iter().filter(|found| found.metric == metric && found.connections == connections);
    let ratio = compared.filter(|found| found.decided).find_map(|found| {
        match (found.subject.as_str(), found.against.as_str()) {
            (one, other) if (one, other) == (subject, of) => Some(found.ratio),
            (one, other) if (one, other) == (of, subject) => Some(inverse(found.ratio)),
            _ => None,
        }
    })?;
    let worse = if metric.more_is_better() { inverse(ratio) } else { ratio };
    (worse.low > 1.0).then_some(worse)
}

fn inverse(ratio: Interval) -> Interval {
    Interval { median: 1.0 / ratio.median, low: 1.0 / ratio.high, high: 1.0 / ratio.low }
}

impl Ranking<'_> {
    /// `Most requests/s: a and b (no difference seen). Times below a: c 1.12 to 1.18; d 2.02 to 2.05.`
    pub(crate) fn sentence(&self) -> String {
        if let ([best, worst], []) = (self.groups.as_slice(), self.undecided.as_slice())
            && let ([best], [Place { subject, behind: Some(times) }]) = (best.as_slice(), worst.as_slice())
        {
            return self.of_two(best.subject, subject, &span(times));
        }
        let mut groups = self.groups.iter().map(|group| named(group));
        let mut text = format!("{}: {}.", self.superlative(), groups.next().unwrap_or_default());
        let behind: Vec<String> = groups.collect();
        if !behind.is_empty() {
            let side = if self.metric.more_is_better() { "below" } else { "above" };
            text += &format!(" Times {side} {}: {}.", self.groups[0][0].subject, behind.join("; "));
        }
        if !self.undecided.is_empty() {
            text += &format!(" Not decided: {}.", listed(&self.undecided));
        }
        text
    }

    fn of_two(&self, best: &str, worst: &str, times: &str) -> String {
        match self.metric {
            Metric::RequestsPerS => format!("{best} handles {times} times the requests/s of {worst}."),
            metric => format!("The {} of {worst} is {times} times that of {best}.", metric.label()),
        }
    }

    fn superlative(&self) -> String {
        let most = if self.metric.more_is_better() { "Most" } else { "Least" };
        format!("{most} {}", self.metric.label())
    }
}

/// `c 1.98 to 2.02 and d 2.02 to 2.06 (no difference seen)`.
fn named(group: &[Place<'_>]) -> String {
    let one = |place: &Place<'_>| match &place.behind {
        Some(times) => format!("{} {}", place.subject, span(times)),
        None => place.subject.to_owned(),
    };
    let alike = if group.len() > 1 { " (no difference seen)" } else { "" };
    listed(&group.iter().map(one).collect::<Vec<_>>()) + alike
}

/// `1.12 to 1.18`, with as many digits as it takes to see that it is not 1.
pub(crate) fn span(ratio: &Interval) -> String {
    let text = |value: f64| match significant(value) {
        rounded if rounded == "1.00" => format!("{value:.4}"),
        rounded => rounded,
    };
    match (text(ratio.low), text(ratio.high)) {
        (low, high) if low == high => low,
        (low, high) => format!("{low} to {high}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::super::report::Comparison;
    use super::*;

    /// A report in which the rate of each subject is told, and which pairs are decided.
    fn ranked(rates: &[(&str, f64)], undecided: &[(&str, &str)]) -> Report {
        let names: Vec<&str> = rates.iter().map(|(name, _)| *name).collect();
        let mut report = fixture::report(&names, &[64], 5);
        report.comparisons.clear();
        for (cell, (_, rate)) in report.cells.iter_mut().zip(rates) {
            cell.summary.retain(|metric, _| *metric == Metric::RequestsPerS);
            cell.summary.insert(Metric::RequestsPerS, Interval { median: *rate, low: *rate, high: *rate });
        }
        for (place, (name, rate)) in rates.iter().enumerate() {
            for (other, its) in &rates[place + 1..] {
                let ratio = Interval { median: rate / its, low: rate / its * 0.99, high: rate / its * 1.01 };
                report.comparisons.push(Comparison {
                    metric: Metric::RequestsPerS,
                    connections: 64,
                    subject: (*name).to_owned(),
                    against: (*other).to_owned(),
                    ratio,
                    decided: !undecided.contains(&(name, other)),
                });
            }
        }
        report
    }

    #[test]
    fn of_two_the_better_one_is_named_first_whichever_was_given_first() {
        for rates in [[("a", 100.0), ("b", 80.0)], [("b", 80.0), ("a", 100.0)]] {
            assert_eq!(
                verdicts(&ranked(&rates, &[]), 64),
                ["a handles 1.24 to 1.26 times the requests/s of b."]
            );
        }
        assert_eq!(
            verdicts(&ranked(&[("a", 100.0), ("b", 99.0)], &[("a", "b")]), 64),
            ["Most requests/s: a and b (no difference seen)."]
        );
    }

    #[test]
    fn many_are_put_in_groups() {
        let rates = [("a", 100.0), ("b", 99.0), ("c", 50.0), ("d", 49.0), ("e", 10.0)];
        assert_eq!(
            verdicts(&ranked(&rates, &[("a", "b"), ("c", "d")]), 64),
            [
                "Most requests/s: a and b (no difference seen). Times below a: c 1.98 to 2.02 and d 2.02 to 2.06 \
                 (no difference seen); e 9.90 to 10.1."
            ]
        );
    }

    #[test]
    fn what_differs_from_no_group_is_put_in_none() {
        let rates = [("a", 100.0), ("b", 90.0), ("c", 85.0)];
        assert_eq!(
            verdicts(&ranked(&rates, &[("a", "c"), ("b", "c")]), 64),
            ["Most requests/s: a. Times below a: b 1.10 to 1.12. Not decided: c."]
        );
    }

    #[test]
    fn one_subject_has_no_rank_and_two_rounds_give_none() {
        assert!(verdicts(&fixture::report(&["a"], &[64], 5), 64).is_empty());
        let two = fixture::report(&["a", "b"], &[64], 2);
        assert!(verdicts(&two, 64)[0].starts_with("Nothing is ranked: with 2 rounds"));
        assert!(rankings(&two, 64).is_empty());
    }

    #[test]
    fn a_small_difference_is_not_rounded_away() {
        let times = |low, high| span(&Interval { median: low, low, high });
        assert_eq!(times(1.0012, 1.0034), "1.0012 to 1.0034");
        assert_eq!((times(1.12, 1.12), times(1.12, 1.18)), ("1.12".to_owned(), "1.12 to 1.18".to_owned()));
    }
}
