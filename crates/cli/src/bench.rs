//! `doorbell bench`: one service, one load, equal buffers; the way of waiting is the one variable.
//!
//! 1. The plan: which servers, under which load, in which order.
//! 2. Each run has a server process of its own, started for it and gone after it.
//! 3. The load is put on it, and its process is read at the load's own moments.
//! 4. All runs together become a report: medians, intervals, comparisons, warnings.
//! 5. The report is written in each shape that was asked for, whole or broken off.
//! 6. Thresholds are looked at last, so that what crossed one is on paper.

pub(crate) mod arguments;
mod baseline;
mod chart;
mod files;
#[cfg(test)]
mod fixture;
pub(crate) mod gate;
mod load;
mod machine;
mod metric;
mod output;
mod plan;
mod progress;
mod report;
mod run;
mod server;
mod statistics;
mod stop;
mod verdicts;
mod warnings;

use crate::failure::Failure;
use crate::output::print_styled;
use doorbell_winsock::host;
use files::Files;
use plan::Plan;
use progress::Progress;
use report::{Cell, Report, SCHEMA};
use std::io::{self, IsTerminal};
use stop::Stop;

/// Descriptors that the generator needs beside its connections.
const SPARE_DESCRIPTORS: u64 = 64;

/// Measures, and says what it found.
pub(crate) fn bench(options: &arguments::Bench) -> Result<(), Failure> {
    let plan = Plan::new(options, &std::env::current_exe()?)?;
    let files = Files::open(options)?;
    enough_descriptors(&plan)?;
    let stop = Stop::on_signals()?;
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        doorbell: env!("CARGO_PKG_VERSION").to_owned(),
        started: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        command: command_line(),
        interrupted: false,
        machine: machine::read(),
        load: plan.said(),
        subjects: plan.variants.iter().map(|variant| variant.subject.clone()).collect(),
        cells: cells(&plan),
        comparisons: Vec::new(),
        warnings: Vec::new(),
    };
    let ended = measure(&plan, &stop, &mut report);
    sum_up(&mut report, ended.is_err());
    if report.cells.is_empty() {
        return ended;
    }
    say(&report, &files)?;
    files.write(&report)?;
    ended?;
    let crossed = gate::crossed(&report, &options.fail_if, files.baseline(), options.max_regress);
    match crossed.is_empty() {
        true => Ok(()),
        false => Err(Failure::Crossed(crossed.join("\ndoorbell: "))),
    }
}

/// Makes the runs, in their order, until the last one or the first failure.
fn measure(plan: &Plan, stop: &Stop, report: &mut Report) -> Result<(), Failure> {
    let steps = plan.steps();
    let progress = Progress::new(steps.len());
    for step in steps {
        progress.begins(step, plan);
        let variant = &plan.variants[step.variant];
        let made = run::run(variant, &plan.load(step), step, stop)?;
        progress.ended(&made.run);
        let subject = &mut report.subjects[step.variant];
        subject.threads = subject.threads.or(made.threads);
        subject.backend = subject.backend.take().or(made.backend);
        let name = &subject.name;
        let cell = report
            .cells
            .iter_mut()
            .find(|cell| cell.subject == *name && cell.connections == step.connections);
        cell.expect("each step has its cell").runs.push(made.run);
    }
    Ok(())
}

/// Subjects in their order, the numbers of connections within.
fn cells(plan: &Plan) -> Vec<Cell> {
    let cell = |name: &String, connections| Cell {
        subject: name.clone(),
        connections,
        runs: Vec::new(),
        summary: Default::default(),
    };
    let names = plan.variants.iter().map(|variant| &variant.subject.name);
    names.flat_map(|name| plan.connections.iter().map(move |&connections| cell(name, connections))).collect()
}

fn sum_up(report: &mut Report, interrupted: bool) {
    report.interrupted = interrupted;
    report.cells.retain(|cell| !cell.runs.is_empty());
    for cell in &mut report.cells {
        cell.summary = statistics::summary(&cell.runs, cell.connections);
    }
    report.comparisons = statistics::comparisons(&report.cells);
    report.warnings = warnings::warnings(report);
}

fn say(report: &Report, files: &Files) -> Result<(), Failure> {
    let columns = terminal_size::terminal_size().map(|(width, _)| width.0);
    let columns = columns.filter(|_| io::stdout().is_terminal());
    print_styled(&output::table(report, columns))?;
    if let Some(baseline) = files.baseline() {
        print_styled(&output::changes(report, baseline))?;
    }
    Ok(())
}

/// The largest number of connections must fit before the first run, not fail in the last one.
fn enough_descriptors(plan: &Plan) -> Result<(), Failure> {
    let most = plan.connections.last().copied().unwrap_or(0) as u64;
    match host::raise_descriptor_limit() {
        Some(limit) if limit.soft < most + SPARE_DESCRIPTORS => Err(Failure::Usage(format!(
            "{most} connections need {} descriptors and a process may have {} here: fewer --conns, or a higher limit (ulimit -n)",
            most + SPARE_DESCRIPTORS,
            limit.soft
        ))),
        _ => Ok(()),
    }
}

fn command_line() -> Vec<String> {
    let given = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("doorbell".to_owned()).chain(given).collect()
}
