//! Which plots a page has, and what they are drawn of.

use super::super::columns::{Column, columns, connections, row};
use super::super::figures::{Unit, counted, figure, grouped, number, short};
use super::figures::{Figure, Plot};
use crate::bench::chart::bars::{Bar, Bars};
use crate::bench::chart::lines::{Line, Lines, Point};
use crate::bench::metric::{Metric, Quantity};
use crate::bench::report::{Cell, Latency, PERCENTILES, Report, Run};
use crate::bench::statistics::interval;

const WIDE: f64 = 920.0;
const NARROW: f64 = 380.0;
const HALF: f64 = 432.0;

/// What is measured, for one number of connections.
pub(super) fn cells(report: &Report, connections: usize) -> Vec<Figure> {
    let cells = row(report, connections);
    let context = Context { report, cells: &cells };
    let mut figures = vec![rate(&context)];
    figures.extend(latency(&context));
    let costs: [(&[Metric], &[&'static str], &str, &str); 4] = [
        (&[Metric::CpuUserUs, Metric::CpuSystemUs], &["user", "system"], "Processor time", "a request"),
        (
            &[Metric::SwitchesVoluntary, Metric::SwitchesInvoluntary],
            &["voluntary", "involuntary"],
            "Context switches",
            "per 1,000 requests",
        ),
        (&[Metric::BytesPerConnection], &[], "Memory a connection", "resident, all open and silent"),
        (&[Metric::SystemCalls], &[], "System calls", "a request"),
    ];
    figures.extend(
        costs.into_iter().filter_map(|(metrics, parts, title, of)| cost(&context, metrics, parts, title, of)),
    );
    figures
}

/// What they are over the number of connections.
pub(super) fn scaling(report: &Report) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (metric, title) in [
        (Metric::RequestsPerS, "Requests a second"),
        (Metric::P99Us, "99th percentile of latency"),
        (Metric::CpuUs, "Processor time a request"),
    ] {
        figures.extend(over_connections(report, metric, title));
    }
    figures
}

struct Context<'a> {
    report: &'a Report,
    cells: &'a [&'a Cell],
}

impl Context<'_> {
    fn names(&self) -> Vec<String> {
        self.cells.iter().map(|cell| cell.subject.clone()).collect()
    }

    fn columns(&self, metrics: &[Metric]) -> Vec<Column> {
        columns(self.cells, metrics)
    }

    fn label(&self, what: &str) -> String {
        let values = self.cells.first().map_or(0, |cell| cell.connections);
        format!("{what} of {}, {}", counted(self.cells.len(), "server"), counted(values, "connection"))
    }
}

/// A subject's number among all, which is its mark wherever it appears.
fn number_of(report: &Report, subject: &str) -> usize {
    report.subjects.iter().position(|other| other.name == subject).unwrap_or(0)
}

fn rate(context: &Context<'_>) -> Figure {
    let metric = Metric::RequestsPerS;
    let bar = |cell: &&Cell| {
        let found = cell.summary.get(&metric).copied().unwrap_or_default();
        Bar {
            subject: number_of(context.report, &cell.subject),
            name: cell.subject.clone(),
            values: vec![found.median],
            interval: (found.low < found.high).then_some((found.low, found.high)),
            runs: cell.runs.iter().filter_map(|run| metric.of(run, cell.connections)).collect(),
            text: figure(metric, found.median),
        }
    };
    let bars = Bars {
        label: context.label("Requests a second"),
        parts: Vec::new(),
        bars: context.cells.iter().map(bar).collect(),
        tick: short,
    };
    let note = match context.report.load.rate {
        Some(rate) => {
            format!("Asked for: {}. Median, its 95 % interval, and each run as a tick.", short(rate))
        }
        None => "Median, its 95 % interval, and each run as a tick. More is better.".to_owned(),
    };
    let mut columns = context.columns(&[metric]);
    columns.extend(ends(context.cells, metric));
    Figure {
        title: "Requests a second".to_owned(),
        note,
        plot: both(|width| bars.draw(width)),
        names: context.names(),
        columns,
    }
}

/// The ends of the interval and the number of runs.
fn ends(cells: &[&Cell], metric: Metric) -> Vec<Column> {
    let column = |head, of: &dyn Fn(&Cell) -> Option<String>| Column {
        head,
        unit: String::new(),
        cells: cells.iter().map(|cell| of(cell).unwrap_or_default()).collect(),
    };
    let end = |cell: &Cell, of: fn(&crate::bench::report::Interval) -> f64| {
        Some(number(metric, of(cell.summary.get(&metric)?)))
    };
    vec![
        column("from", &|cell| end(cell, |found| found.low)),
        column("to", &|cell| end(cell, |found| found.high)),
        column("runs", &|cell| Some(grouped(cell.runs.len() as u64))),
    ]
}

fn latency(context: &Context<'_>) -> Option<Figure> {
    let lines: Vec<Line> = context
        .cells
        .iter()
        .map(|cell| Line {
            subject: number_of(context.report, &cell.subject),
            name: cell.subject.clone(),
            points: curve(cell),
        })
        .filter(|line| !line.points.is_empty())
        .collect();
    if lines.is_empty() {
        return None;
    }
    let furthest =
        lines.iter().flat_map(|line| line.points.iter().map(|point| point.across)).fold(0.0, f64::max);
    let named = [
        (50.0, "50 %"),
        (90.0, "90 %"),
        (99.0, "99 %"),
        (99.9, "99.9 %"),
        (99.99, "99.99 %"),
        (99.999, "99.999 %"),
    ];
    let named = named.into_iter().map(|(share, name)| (nines(share), name.to_owned()));
    let mut across = vec![(0.0, "min".to_owned())];
    across.extend(named.filter(|(place, _)| *place <= furthest));
    let lines = Lines {
        label: context.label("Percentiles of latency"),
        lines,
        across,
        across_logarithmic: false,
        up_logarithmic: true,
        tick: time,
    };
    let from = match context.report.load.rate {
        Some(_) => "From the moment at which a request was due.",
        None => "From the call that sent a request to the last byte of its answer.",
    };
    let metrics =
        [Metric::P50Us, Metric::P90Us, Metric::P99Us, Metric::P999Us, Metric::MaxUs, Metric::RawP99Us];
    Some(Figure {
        title: "Latency by percentile".to_owned(),
        note: format!("{from} Both axes are logarithmic; lower is better."),
        plot: both(|width| lines.draw(width)),
        names: context.names(),
        columns: context.columns(&metrics),
    })
}

/// How many nines a percentile has: 0 for the least, 2 for 99 %.
fn nines(percentile: f64) -> f64 {
    -(1.0 - percentile / 100.0).log10()
}

/// The median of each percentile over the runs, as far as there are requests enough to tell it from the maximum.
fn curve(cell: &Cell) -> Vec<Point> {
    let of = |run: &Run| -> Latency { run.corrected.clone().unwrap_or_else(|| run.latency.clone()) };
    let runs: Vec<Latency> = cell.runs.iter().map(of).collect();
    let fewest = runs.iter().map(|latency| latency.count).min().unwrap_or(0) as f64;
    let told = |share: &f64| *share < 100.0 && (1.0 - share / 100.0) * fewest >= 1.0;
    let point = |share: f64| {
        let values: Vec<f64> = runs.iter().filter_map(|latency| latency.at(share)).collect();
        let marked = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999].contains(&share);
        let up = interval(&values)?.median;
        (up > 0.0).then(|| Point { across: nines(share), up, interval: None, marked })
    };
    PERCENTILES.into_iter().filter(told).filter_map(point).collect()
}

fn cost(
    context: &Context<'_>,
    metrics: &[Metric],
    parts: &[&'static str],
    title: &str,
    of: &str,
) -> Option<Figure> {
    let known = |cell: &&&Cell| metrics.iter().any(|metric| cell.summary.contains_key(metric));
    let cells: Vec<&Cell> = context.cells.iter().filter(known).copied().collect();
    let median = |cell: &Cell, metric: &Metric| cell.summary.get(metric).map_or(0.0, |found| found.median);
    let sum = |cell: &Cell| metrics.iter().map(|metric| median(cell, metric)).sum::<f64>();
    let first = *metrics.first().filter(|_| !cells.is_empty())?;
    let unit = Unit::of(first.quantity(), cells.iter().map(|cell| sum(cell)).fold(0.0, f64::max));
    // The interval of the whole: of the parts together there is one for the processor time.
    let whole = match first {
        Metric::CpuUserUs => Some(Metric::CpuUs),
        Metric::SwitchesVoluntary => None,
        metric => Some(metric),
    };
    let bar = |cell: &&Cell| {
        let whole = whole.and_then(|whole| cell.summary.get(&whole)).filter(|found| found.low < found.high);
        Bar {
            subject: number_of(context.report, &cell.subject),
            name: cell.subject.clone(),
            values: metrics.iter().map(|metric| median(cell, metric) / unit.size).collect(),
            interval: whole.map(|found| (found.low / unit.size, found.high / unit.size)),
            runs: Vec::new(),
            text: figure(first, sum(cell)),
        }
    };
    let bars = Bars {
        label: context.label(title),
        parts: parts.to_vec(),
        bars: cells.iter().map(bar).collect(),
        tick: short,
    };
    let mut shown = metrics.to_vec();
    match first {
        Metric::CpuUserUs => shown.insert(0, Metric::CpuUs),
        Metric::BytesPerConnection => shown.extend([Metric::MemoryBytes, Metric::Threads]),
        _ => {}
    }
    let unit = if unit.name.is_empty() { String::new() } else { format!("{} ", unit.name) };
    Some(Figure {
        title: title.to_owned(),
        note: format!("{unit}{of}; less is better."),
        plot: Plot::Half(bars.draw(HALF)),
        names: context.names(),
        columns: context.columns(&shown),
    })
}

fn over_connections(report: &Report, metric: Metric, title: &str) -> Option<Figure> {
    let numbers = connections(report);
    let cells = |subject: &str| -> Vec<&Cell> {
        report.cells.iter().filter(|cell| cell.subject == subject).collect()
    };
    let point = |cell: &&Cell| {
        let found = cell.summary.get(&metric)?;
        let interval = (found.low < found.high).then_some((found.low, found.high));
        Some(Point { across: cell.connections as f64, up: found.median, interval, marked: true })
    };
    let lines: Vec<Line> = report
        .subjects
        .iter()
        .enumerate()
        .map(|(subject, of)| Line {
            subject,
            name: of.name.clone(),
            points: cells(&of.name).iter().filter_map(point).collect(),
        })
        .filter(|line| !line.points.is_empty())
        .collect();
    if lines.is_empty() {
        return None;
    }
    let unit = Unit::of_all(
        metric.quantity(),
        lines.iter().flat_map(|line| line.points.iter().map(|point| point.up)),
    );
    let column = |connections: &usize| {
        let text = |name: &String| {
            let cell =
                report.cells.iter().find(|cell| cell.subject == *name && cell.connections == *connections);
            let found = cell.and_then(|cell| cell.summary.get(&metric));
            found.map(|found| number(metric, found.median / unit.size)).unwrap_or_default()
        };
        Column {
            head: "",
            unit: grouped(*connections as u64),
            cells: lines.iter().map(|line| text(&line.name)).collect(),
        }
    };
    let columns: Vec<Column> = numbers.iter().map(column).collect();
    let names = lines.iter().map(|line| line.name.clone()).collect();
    let rate = metric.quantity() == Quantity::Rate;
    let plot = Lines {
        label: format!("{title} over the number of connections"),
        lines,
        across: numbers.iter().map(|number| (*number as f64, grouped(*number as u64))).collect(),
        across_logarithmic: true,
        up_logarithmic: metric == Metric::P99Us,
        tick: if rate { short } else { time },
    };
    let unit = if unit.name.is_empty() { String::new() } else { format!(" The table is in {}.", unit.name) };
    let better = if metric.more_is_better() { "More" } else { "Less" };
    Some(Figure {
        title: title.to_owned(),
        note: format!("Over connections, which are in logarithms. {better} is better.{unit}"),
        plot: if rate { both(|width| plot.draw(width)) } else { Plot::Half(plot.draw(HALF)) },
        names,
        columns,
    })
}

fn both(draw: impl Fn(f64) -> String) -> Plot {
    Plot::Wide { wide: draw(WIDE), narrow: draw(NARROW) }
}

/// `500 µs`, `2 ms`.
fn time(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let unit = Unit::of(Quantity::Time, value);
    format!("{} {}", short(value / unit.size), unit.name)
}
