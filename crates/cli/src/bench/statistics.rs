//! Medians with bootstrap intervals, and ratios of runs made side by side.
//!
//! An interval is what the median might have been with other luck: it is drawn again from the runs themselves, many times.
//! So it takes no shape of the noise for granted, and it is never wider than from the least run to the greatest: three runs
//! hold the true median in three cases of four only, five in about 94 of 100.

use super::metric::Metric;
use super::report::{Cell, Comparison, Interval, Run};
use std::collections::BTreeMap;

/// With fewer rounds than this nothing is decided.
pub(crate) const ROUNDS_TO_DECIDE: usize = 3;

/// A ratio so near to 1 is what is left of rounding, and nobody is ahead by it.
const ROUNDING: f64 = 1e-4;

/// How often the median is drawn: the ends of the interval then move by less than a run.
const DRAWS: usize = 2_000;

/// The median of each metric that the runs have, with its interval.
pub(crate) fn summary(runs: &[Run], connections: usize) -> BTreeMap<Metric, Interval> {
    let of = |metric: Metric| runs.iter().filter_map(|run| metric.of(run, connections)).collect::<Vec<_>>();
    Metric::ALL.into_iter().filter_map(|metric| Some((metric, interval(&of(metric))?))).collect()
}

/// Each pair of subjects under each number of connections, for the metrics that rank: requests/s, p99, CPU a request.
pub(crate) fn comparisons(cells: &[Cell]) -> Vec<Comparison> {
    let mut found = Vec::new();
    for (place, cell) in cells.iter().enumerate() {
        for against in cells[place + 1..].iter().filter(|other| other.connections == cell.connections) {
            found.extend(Metric::RANKING.into_iter().filter_map(|metric| comparison(metric, cell, against)));
        }
    }
    found
}

/// In logarithms, so that A against B is exactly the reverse of B against A.
fn comparison(metric: Metric, cell: &Cell, against: &Cell) -> Option<Comparison> {
    let logarithms = |cell: &Cell| -> BTreeMap<usize, f64> {
        let positive = |run: &Run| metric.of(run, cell.connections).filter(|value| *value > 0.0);
        cell.runs.iter().filter_map(|run| Some((run.round, positive(run)?.ln()))).collect()
    };
    let (ours, theirs) = (logarithms(cell), logarithms(against));
    let differences: Vec<f64> =
        ours.iter().filter_map(|(round, ours)| Some(ours - theirs.get(round)?)).collect();
    let Interval { median, low, high } = interval(&differences)?;
    Some(Comparison {
        metric,
        connections: cell.connections,
        subject: cell.subject.clone(),
        against: against.subject.clone(),
        ratio: Interval { median: median.exp(), low: low.exp(), high: high.exp() },
        decided: differences.len() >= ROUNDS_TO_DECIDE && (low > ROUNDING || high < -ROUNDING),
    })
}

/// The median and its interval; with one value all three are that value.
pub(crate) fn interval(values: &[f64]) -> Option<Interval> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = median(&sorted)?;
    let mut random = Random(SEED);
    let mut medians = Vec::with_capacity(DRAWS);
    // How often each run was drawn; counted, because to sort each draw would take most of the time.
    let mut drawn = vec![0; sorted.len()];
    for _ in 0..DRAWS {
        drawn.fill(0);
        (0..sorted.len()).for_each(|_| drawn[random.below(sorted.len())] += 1);
        let (below, above) =
            (sorted[run_at(&drawn, (sorted.len() - 1) / 2)], sorted[run_at(&drawn, sorted.len() / 2)]);
        medians.push(f64::midpoint(below, above));
    }
    medians.sort_unstable_by(f64::total_cmp);
    let cut = (tail(sorted.len()) * DRAWS as f64) as usize;
    Some(Interval { median: middle, low: medians[cut], high: medians[DRAWS - 1 - cut] })
}

/// The run at a place of the draw, were it sorted.
fn run_at(drawn: &[usize], place: usize) -> usize {
    let mut seen = 0;
    let run = drawn.iter().position(|times| {
        seen += times;
        seen > place
    });
    run.unwrap_or(drawn.len() - 1)
}

/// The middle of sorted values, or between the two in the middle.
pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    let above = *sorted.get(sorted.len() / 2)?;
    Some(match sorted.len() % 2 {
        1 => above,
        _ => f64::midpoint(sorted[sorted.len() / 2 - 1], above),
    })
}

/// The share of drawn medians left out at each end. 2.5 % for many runs; less for few, whose spread is an underestimate:
/// Hesterberg's expanded percentiles, What Teachers Should Know About the Bootstrap (2015), which this formula meets
/// within a seventh from nine runs. Below nine both leave out none but the rarest.
fn tail(runs: usize) -> f64 {
    0.025 * (-10.0 / runs as f64).exp()
}

/// The same runs give the same interval, today and tomorrow.
const SEED: u64 = 0x646f_6f72_6265_6c6c;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly below `bound`, which is a number of runs: far too small for the remainder to favour any.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
    }

    #[test]
    fn one_run_is_a_point_and_the_same_runs_are_the_same_interval() {
        assert_eq!(interval(&[7.0]), Some(Interval { median: 7.0, low: 7.0, high: 7.0 }));
        assert_eq!(interval(&[]), None);
        let five = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(interval(&five), interval(&[1.0, 2.0, 3.0, 4.0, 5.0]), "their order is no matter");
        assert_eq!(interval(&five), Some(Interval { median: 3.0, low: 1.0, high: 5.0 }));
    }

    #[test]
    fn many_runs_narrow_the_interval() {
        let runs: Vec<f64> = (0..101).map(f64::from).collect();
        let Interval { median, low, high } = interval(&runs).unwrap();
        assert!(
            median == 50.0 && (35.0..45.0).contains(&low) && (55.0..65.0).contains(&high),
            "{low} {high}"
        );
    }

    /// How often the interval of so many draws of a noise with the median 0 holds it.
    fn coverage(runs: usize, noise: fn(&mut Random) -> f64) -> f64 {
        let (mut random, trials) = (Random(7), 250);
        let held = (0..trials).filter(|_| {
            let runs: Vec<f64> = (0..runs).map(|_| noise(&mut random)).collect();
            let Interval { low, high, .. } = interval(&runs).unwrap();
            (low..=high).contains(&0.0)
        });
        held.count() as f64 / f64::from(trials)
    }

    fn even(random: &mut Random) -> f64 {
        ((random.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(random: &mut Random) -> f64 {
        let (radius, angle) = (-2.0 * even(random).ln(), std::f64::consts::TAU * even(random));
        radius.sqrt() * angle.cos()
    }

    /// As times are: bounded below, with a long tail above.
    fn skewed(random: &mut Random) -> f64 {
        normal(random).exp() - 1.0
    }

    #[test]
    fn from_five_runs_on_the_interval_holds_the_true_median_in_about_95_of_100_cases() {
        for runs in [5, 6, 9, 14] {
            for (name, noise) in [("normal", normal as fn(&mut Random) -> f64), ("skewed", skewed)] {
                let share = coverage(runs, noise);
                assert!((0.915..=0.999).contains(&share), "{runs} runs of {name} noise: {share}");
            }
        }
    }

    #[test]
    fn three_runs_hold_it_in_three_cases_of_four_only() {
        let share = coverage(3, normal);
        assert!((0.69..0.81).contains(&share), "{share}");
    }

    #[test]
    fn metrics_that_no_run_has_are_absent() {
        let report = fixture::report(&["select"], &[64], 3);
        let mut runs = report.cells[0].runs.clone();
        assert_eq!(summary(&runs, 64).len(), Metric::ALL.len() - 1, "raw p99 is for an open loop alone");
        runs.iter_mut().for_each(|run| run.server = None);
        let without = summary(&runs, 64);
        assert!(without.contains_key(&Metric::P99Us) && !without.contains_key(&Metric::CpuUs));
        assert_eq!(summary(&[], 64), BTreeMap::new());
    }

    #[test]
    fn runs_are_compared_within_their_round() {
        // Each round is twice as slow as the one before, but within each B takes one tenth more than A.
        let mut report = fixture::report(&["a", "b"], &[64], 5);
        for (cell, factor) in report.cells.iter_mut().zip([1.0, 1.1]) {
            for run in &mut cell.runs {
                run.requests = (1e6 / factor / f64::from(1 << run.round)) as u64;
            }
        }
        let found = comparisons(&report.cells);
        let rate = found.iter().find(|comparison| comparison.metric == Metric::RequestsPerS).unwrap();
        assert!(rate.decided && (rate.ratio.low - 1.1).abs() < 1e-3 && (rate.ratio.high - 1.1).abs() < 1e-3);
        assert_eq!((rate.subject.as_str(), rate.against.as_str()), ("a", "b"));

        // The first run of A is lost: what is left is still compared with its own round.
        report.cells[0].runs.remove(0);
        let rate = comparisons(&report.cells)[0].ratio;
        assert!((rate.median - 1.1).abs() < 1e-3, "{rate:?}");
    }

    #[test]
    fn two_rounds_decide_nothing_and_neither_do_intervals_that_hold_1() {
        let decided = |rounds| {
            let report = fixture::report(&["completion-port", "select"], &[64], rounds);
            comparisons(&report.cells).iter().any(|comparison| comparison.decided)
        };
        assert!(!decided(1) && !decided(2) && decided(3));
        let mut report = fixture::report(&["a", "b"], &[64], 5);
        report.cells[1].runs = report.cells[0].runs.clone();
        report.cells[1].runs.reverse();
        assert!(comparisons(&report.cells).iter().all(|comparison| !comparison.decided));
    }

    #[test]
    fn each_pair_is_compared_once_under_each_number_of_connections() {
        let report = fixture::report(&["a", "b", "c"], &[1, 64], 3);
        assert_eq!(comparisons(&report.cells).len(), 3 * 2 * Metric::RANKING.len());
    }
}
