//! Reports that tests make up: plausible figures, the same each time.

use super::report::{
    Cell, Generator, Latency, Load, Machine, PERCENTILES, Report, Run, SCHEMA, Server, Subject, SystemCalls,
};
use super::{statistics, warnings};

/// The seven models.
pub(crate) const MODELS: [&str; 7] = [
    "blocking",
    "select",
    "async-select",
    "event-select",
    "overlapped-event",
    "overlapped-routine",
    "completion-port",
];

/// A closed loop on a quiet machine.
pub(crate) fn report(subjects: &[&str], connections: &[usize], runs: usize) -> Report {
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        doorbell: "0.1.0".to_owned(),
        started: "2026-01-31T12:00:00Z".to_owned(),
        command: ["doorbell", "bench", "--models", "all"].map(String::from).to_vec(),
        interrupted: false,
        machine: machine(),
        load: load(connections, runs),
        subjects: subjects.iter().map(|name| subject(name)).collect(),
        cells: Vec::new(),
        comparisons: Vec::new(),
        warnings: Vec::new(),
    };
    for (place, name) in subjects.iter().enumerate() {
        for (column, connections) in connections.iter().enumerate() {
            let order = |round: usize| (column * runs + round) * subjects.len() + place;
            let runs = (0..runs).map(|round| run(place, name, *connections, round, order(round)));
            report.cells.push(Cell {
                subject: (*name).to_owned(),
                connections: *connections,
                runs: runs.collect(),
                summary: Default::default(),
            });
        }
    }
    summed_up(report)
}

/// The same at a fixed rate, with the latency from the moment at which a request was due.
pub(crate) fn open_loop(subjects: &[&str], connections: &[usize], runs: usize) -> Report {
    let mut report = report(subjects, connections, runs);
    report.load.rate = Some(50_000.0);
    for run in report.cells.iter_mut().flat_map(|cell| &mut cell.runs) {
        let corrected = run.latency.curve.iter().map(|(share, time)| (*share, time * (1.0 + share / 100.0)));
        run.corrected = Some(Latency { curve: corrected.collect(), ..run.latency.clone() });
        run.requests = 150_000;
    }
    summed_up(report)
}

/// A server whose process is not known: nothing but what its clients see.
pub(crate) fn target() -> Report {
    let mut report = report(&["10.0.0.7:9000"], &[64], 3);
    report.subjects[0] = Subject { name: "10.0.0.7:9000".to_owned(), ..Subject::default() };
    report.cells[0].runs.iter_mut().for_each(|run| run.server = None);
    report.load.server_processors = None;
    summed_up(report)
}

/// Stopped in the second round: the last subject lacks a run, and under the second number there is none yet.
pub(crate) fn interrupted() -> Report {
    let mut report = report(&["select", "completion-port"], &[64, 1000], 2);
    report.interrupted = true;
    report.cells[2].runs.pop();
    report.cells.retain(|cell| cell.connections == 64);
    summed_up(report)
}

/// One of each, for what must hold for all.
pub(crate) fn each_kind() -> Vec<Report> {
    vec![
        report(&MODELS, &[1, 64, 1000], 5),
        report(&["select"], &[64], 1),
        open_loop(&["select", "completion-port"], &[64], 5),
        target(),
        interrupted(),
    ]
}

/// With everything that is made of the runs.
pub(crate) fn summed_up(mut report: Report) -> Report {
    for cell in &mut report.cells {
        cell.summary = statistics::summary(&cell.runs, cell.connections);
    }
    report.comparisons = statistics::comparisons(&report.cells);
    report.warnings = warnings::warnings(&report);
    report
}

fn machine() -> Machine {
    Machine {
        system: "Linux 6.12.0".to_owned(),
        cpu: Some("Example Processor 3000".to_owned()),
        processors: 8,
        governor: Some("performance".to_owned()),
        mitigations: vec!["spectre_v2: Mitigation: Retpolines".to_owned()],
        memory_bytes: Some(16 << 30),
        backend: "io_uring (defer_taskrun, multishot)".to_owned(),
        descriptor_limit: Some(65_536),
        container: Vec::new(),
        hypervisor: None,
        load_average: Some(0.1),
        system_calls_refused: None,
    }
}

fn load(connections: &[usize], runs: usize) -> Load {
    Load {
        kind: "echo".to_owned(),
        connections: connections.to_vec(),
        size_min: 64,
        size_max: 64,
        depth: 1,
        rate: None,
        active: None,
        skew_share: None,
        skew_cost_us: None,
        duration_s: 3.0,
        warm_up_s: 0.5,
        runs,
        generator_threads: 4,
        server_processors: Some((0..4).collect()),
        generator_processors: Some((4..8).collect()),
    }
}

fn subject(name: &str) -> Subject {
    let command = ["doorbell", "serve", "echo", "--model", name].map(String::from).to_vec();
    Subject {
        name: name.to_owned(),
        model: MODELS.contains(&name).then(|| name.to_owned()),
        backend: Some("io_uring".to_owned()),
        threads: Some(4),
        command: Some(command),
    }
}

/// How many times slower than the fastest; names that are not known follow the seven.
fn slowness(place: usize, name: &str) -> f64 {
    match name {
        "blocking" => 1.9,
        "select" => 1.45,
        "async-select" => 1.7,
        "event-select" => 1.4,
        "overlapped-event" => 1.2,
        "overlapped-routine" | "completion-port" => 1.0,
        _ => 1.0 + place as f64 * 0.07,
    }
}

fn run(place: usize, name: &str, connections: usize, round: usize, order: usize) -> Run {
    // Up to 3 % from run to run, differently for each.
    let noise = 1.0 + ((place * 31 + connections * 17 + round * 47) % 13) as f64 / 400.0;
    let slowness = slowness(place, name) * noise;
    let crowd = 1.0 + connections as f64 / if name == "select" { 400.0 } else { 4_000.0 };
    let rate = 160_000.0 / slowness / crowd * (connections as f64 / (connections as f64 + 6.0));
    let (seconds, requests) = (3.0, (3.0 * rate) as u64);
    let median = connections as f64 / rate * 1e6;
    Run {
        order,
        round,
        seconds,
        requests,
        bytes_sent: requests * 64,
        bytes_received: requests * 64,
        latency: latency(requests, median, slowness),
        corrected: None,
        costly: None,
        server: Some(server(slowness * crowd, connections, requests)),
        generator: Generator { cpu_us: requests as f64 * 4.0, busy: Some(0.6), late: 0, unsent: 0 },
    }
}

fn latency(count: u64, median: f64, slowness: f64) -> Latency {
    let at = |share: f64| match share {
        100.0 => 40.0 * slowness,
        _ => {
            0.6 + 0.4 * (share / 50.0).min(1.0)
                + 0.5 * slowness * (1.0 / (1.0 - share / 100.0)).log10().powi(2)
        }
    };
    let curve = PERCENTILES.into_iter().map(|share| (share, median * at(share)));
    Latency { count, mean_us: median * 1.1, curve: curve.collect() }
}

fn server(slowness: f64, connections: usize, requests: u64) -> Server {
    let (all, memory) = (requests as f64, 3_000_000);
    Server {
        cpu_user_us: all * 4.4 * slowness,
        cpu_system_us: all * 17.0 * slowness,
        switches_voluntary: Some((all * 0.12 * slowness.powi(3)) as u64),
        switches_involuntary: Some((all * 0.003 * slowness) as u64),
        system_calls: Some(SystemCalls { calls: (all * 1.3 * slowness) as u64, requests }),
        threads: Some(5),
        memory_before_bytes: Some(memory),
        memory_connected_bytes: Some(memory + (connections as f64 * 9_000.0 * slowness) as u64),
        memory_after_bytes: Some(memory + (connections as f64 * 11_000.0 * slowness) as u64),
    }
}
