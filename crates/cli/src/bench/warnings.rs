//! What weakens the figures: seen, why it matters, what to try.

use super::output::figures::{counted, grouped, listed};
use super::report::{Cell, Report, Run, Warning};
use super::statistics::{ROUNDS_TO_DECIDE, median};

/// The generator is a bottleneck if its busiest thread was busy for more of the time than this…
const GENERATOR_BUSY: f64 = 0.9;
/// …and the server used less than this of the processors that it had.
const SERVER_BUSY: f64 = 0.9;
/// Runs are noisy if their requests/s are further apart than this share of the median.
const SPREAD: f64 = 0.1;
/// A first run stands out if it is slower than the slowest other one by this share.
const FIRST_RUN: f64 = 0.05;
/// Open loop: the share of requests that may be late or unsent before it is said.
const LATE: f64 = 0.001;
/// The share of the processors that others may use.
const OTHER_LOAD: f64 = 0.25;
/// From so many rounds on an interval holds the true median nearly as often as it says.
const ROUNDS_TO_TRUST: usize = 5;
/// Descriptors of a server beside its connections.
const SPARE_DESCRIPTORS: u64 = 64;
/// What a thread can wait for beside its own event.
const CONNECTIONS_A_THREAD: usize = 63;

/// All that the report itself shows.
pub(crate) fn warnings(report: &Report) -> Vec<Warning> {
    [
        interrupted,
        unanswered,
        too_few_rounds,
        generator_busy,
        generator_late,
        first_run,
        noisy,
        other_load,
        shared_processors,
        quota,
        governor,
        descriptors,
        groups_of_63,
        far_target,
    ]
    .into_iter()
    .filter_map(|look| look(report))
    .collect()
}

fn warning(seen: String, why: &str, remedy: &str) -> Option<Warning> {
    Some(Warning { seen, why: why.to_owned(), remedy: remedy.to_owned() })
}

fn interrupted(report: &Report) -> Option<Warning> {
    let made: usize = report.cells.iter().map(|cell| cell.runs.len()).sum();
    let planned = report.subjects.len() * report.load.connections.len() * report.load.runs;
    let seen =
        format!("The bench ended before its last run: {} of {planned} were made.", grouped(made as u64));
    report.interrupted.then_some(())?;
    warning(
        seen,
        "Subjects have different numbers of runs, and some may be missing.",
        "to let it end; --duration and --runs make it shorter.",
    )
}

fn unanswered(report: &Report) -> Option<Warning> {
    let cells = cells(report, |cell| Some(cell.runs.iter().any(|run| run.requests == 0)))?;
    warning(
        format!("In the measured time of a run no answer was complete: {cells}."),
        "A rate of 0 says that it was too short, not how fast the server is.",
        "a longer --warm-up and --duration, or fewer --conns.",
    )
}

fn too_few_rounds(report: &Report) -> Option<Warning> {
    (report.subjects.len() > 1).then_some(())?;
    let rounds = report.cells.iter().map(|cell| cell.runs.len()).min()?;
    let seen = format!(
        "There {} only.",
        if rounds == 1 { "is 1 round".to_owned() } else { format!("are {rounds} rounds") }
    );
    match rounds {
        ROUNDS_TO_TRUST.. => None,
        ROUNDS_TO_DECIDE.. => warning(
            seen,
            "An interval of so few misses the true median once in eight times or more often.",
            "--runs 5 or more before you act on a rank.",
        ),
        _ => warning(
            seen,
            "A difference cannot be told from noise, so nothing is ranked.",
            "--runs 5 or more.",
        ),
    }
}

fn generator_busy(report: &Report) -> Option<Warning> {
    report.load.rate.is_none().then_some(())?;
    let cells = cells(report, |cell| {
        let busy = mean(cell, |run| run.generator.busy)?;
        Some(busy > GENERATOR_BUSY && server_busy(report, cell)? < SERVER_BUSY)
    })?;
    warning(
        format!("The load generator was busy all the time while the server was not: {cells}."),
        "It was itself the bottleneck: the server may do more than these figures show.",
        "more threads (--generator-threads) and processors for it, or fewer for the server.",
    )
}

/// How much of the processors that its threads could use a server used.
fn server_busy(report: &Report, cell: &Cell) -> Option<f64> {
    let subject = report.subjects.iter().find(|subject| subject.name == cell.subject)?;
    let kept_to = report.load.server_processors.as_ref().map_or(report.machine.processors, Vec::len);
    let had = subject.threads.map_or(kept_to, |threads| kept_to.min(threads)).max(1);
    mean(cell, |run| {
        let server = run.server.as_ref()?;
        Some((server.cpu_user_us + server.cpu_system_us) / (run.seconds * 1e6 * had as f64))
    })
}

fn generator_late(report: &Report) -> Option<Warning> {
    report.load.rate?;
    let cells = cells(report, |cell| {
        let late =
            |run: &Run| (run.generator.late + run.generator.unsent) as f64 > LATE * run.requests as f64;
        Some(cell.runs.iter().any(late))
    })?;
    warning(
        format!("The load generator did not keep the rate: {cells}."),
        "Requests that left late or never are not the load that was asked for.",
        "a lower --rate, a higher --depth or --conns, or more processors for the generator.",
    )
}

fn first_run(report: &Report) -> Option<Warning> {
    let cells = cells(report, |cell| Some(first_stands_out(cell)))?;
    warning(
        format!("The first run was slower than all others: {cells}."),
        "Caches and clocks were cold: it pulls the interval down.",
        "a longer --warm-up.",
    )
}

/// Whether the first of three runs or more is below all others.
fn first_stands_out(cell: &Cell) -> bool {
    match rates(cell).as_slice() {
        [first, others @ ..] if others.len() > 1 => {
            *first < others.iter().copied().fold(f64::MAX, f64::min) * (1.0 - FIRST_RUN)
        }
        _ => false,
    }
}

fn noisy(report: &Report) -> Option<Warning> {
    let cells = cells(report, |cell| {
        let mut rates = rates(cell);
        if first_stands_out(cell) {
            rates.remove(0);
        }
        rates.sort_by(f64::total_cmp);
        Some(rates.last()? - rates.first()? > SPREAD * median(&rates)?)
    })?;
    warning(
        format!("Runs of the same are more than 10 % apart: {cells}."),
        "Differences smaller than that cannot be seen.",
        "a quiet machine, or a longer --duration and more --runs.",
    )
}

fn other_load(report: &Report) -> Option<Warning> {
    let load = report.machine.load_average?;
    (load > OTHER_LOAD * report.machine.processors as f64).then_some(())?;
    warning(
        format!(
            "Others were at work when it began: a load of {load:.2} on {}.",
            counted(report.machine.processors, "processor")
        ),
        "They take time from server and generator, from some runs more than from others.",
        "to end them, or to wait until the load (uptime) is near 0.",
    )
}

fn shared_processors(report: &Report) -> Option<Warning> {
    report.load.server_processors.is_none().then_some(())?;
    report.subjects.iter().any(|subject| subject.command.is_some()).then_some(())?;
    let (seen, remedy) = match report.machine.processors {
        1 => ("Server and generator share the one processor.", "a machine with two processors or more."),
        _ => ("Server and generator are not kept apart: they share all processors.", "--pin auto."),
    };
    warning(
        seen.to_owned(),
        "What one takes the other lacks, and each switch between them is counted.",
        remedy,
    )
}

fn quota(report: &Report) -> Option<Warning> {
    let limits: Vec<&String> =
        report.machine.container.iter().filter(|limit| limit.starts_with("container processors")).collect();
    (!limits.is_empty()).then_some(())?;
    warning(
        format!("The container has a quota of processor time: {}.", listed(&limits)),
        "Who has used it up stands still until the next period: that shows as latency.",
        "no quota, but a container bound to processors (cpuset).",
    )
}

fn governor(report: &Report) -> Option<Warning> {
    let governor = report.machine.governor.as_deref().filter(|governor| *governor != "performance")?;
    warning(
        format!("The frequency governor is {governor}."),
        "The clock follows the load, so that a pause or a light load makes the next request slow.",
        "cpupower frequency-set -g performance",
    )
}

fn descriptors(report: &Report) -> Option<Warning> {
    let limit = report.machine.descriptor_limit?;
    let most = report.load.connections.iter().copied().max()?;
    (limit < most as u64 + SPARE_DESCRIPTORS).then_some(())?;
    warning(
        format!(
            "A process may have {} descriptors, and {} were asked for.",
            grouped(limit),
            counted(most, "connection")
        ),
        "A server that cannot accept leaves clients waiting.",
        "a higher limit (ulimit -n), or fewer --conns.",
    )
}

fn groups_of_63(report: &Report) -> Option<Warning> {
    let cells = cells(report, |cell| {
        let subject = report.subjects.iter().find(|subject| subject.name == cell.subject)?;
        let grouped = matches!(subject.model.as_deref(), Some("event-select" | "overlapped-event"));
        Some(grouped && cell.connections > CONNECTIONS_A_THREAD * subject.threads?)
    })?;
    warning(
        format!("A thread of these waits for 63 connections at most, so more were started: {cells}."),
        "They have more threads than the others, which is in their figures.",
        "fewer --conns or more --threads, if threads are to be equal.",
    )
}

fn far_target(report: &Report) -> Option<Warning> {
    let far = report.subjects.iter().find(|subject| {
        let address = subject.name.parse().ok();
        address.is_some_and(|address: std::net::SocketAddr| !address.ip().is_loopback())
    })?;
    warning(
        format!("{} may be another machine.", far.name),
        "The network between is measured with it.",
        "the generator on the server's machine, if the server alone is meant.",
    )
}

/// Names the cells in which something was seen; nothing if there are none.
fn cells(report: &Report, seen: impl Fn(&Cell) -> Option<bool>) -> Option<String> {
    let mut found: Vec<(&str, Vec<String>)> = Vec::new();
    let mut count = 0;
    for cell in report.cells.iter().filter(|cell| seen(cell) == Some(true)) {
        count += 1;
        let connections = grouped(cell.connections as u64);
        match found.last_mut().filter(|(subject, _)| *subject == cell.subject) {
            Some((_, numbers)) => numbers.push(connections),
            None => found.push((&cell.subject, vec![connections])),
        }
    }
    let names: Vec<String> = match report.load.connections.len() {
        1 => found.iter().map(|(subject, _)| (*subject).to_owned()).collect(),
        _ => found.iter().map(|(subject, numbers)| format!("{subject} at {}", listed(numbers))).collect(),
    };
    match count {
        0 => None,
        all if all == report.cells.len() && all > 1 => Some("everywhere".to_owned()),
        _ => Some(listed(&names)),
    }
}

fn mean(cell: &Cell, of: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = cell.runs.iter().filter_map(of).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn rates(cell: &Cell) -> Vec<f64> {
    cell.runs.iter().map(|run| run.requests as f64 / run.seconds.max(f64::MIN_POSITIVE)).collect()
}

#[cfg(test)]
mod tests;
