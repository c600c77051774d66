//! One run: a server, the load on it, and both read at the load's moments.

use super::load::{self, Load, LoadError, Measured, Moments};
use super::plan::{From, Step, Variant};
use super::report::{self, Run, Server};
use super::server::Running;
use super::stop::Stop;
use crate::failure::Failure;
use doorbell_winsock::host::SystemCalls;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a server may take until it listens.
const STARTED_WITHIN: Duration = Duration::from_secs(20);

/// The load under which system calls are counted: enough of it for a mean.
const COUNTED_FOR: Duration = Duration::from_millis(200);
const COUNTED_AFTER: Duration = Duration::from_millis(50);

/// A run, and what its server said of itself.
pub(crate) struct Made {
    pub(crate) run: Run,
    pub(crate) threads: Option<usize>,
    pub(crate) backend: Option<String>,
}

/// Makes one run.
///
/// # Errors
/// The server does not start, or does wrong; the generator cannot; or it was stopped.
pub(crate) fn run(variant: &Variant, load: &Load, step: Step, stop: &Stop) -> Result<Made, Failure> {
    let name = &variant.subject.name;
    match &variant.from {
        From::Target(address) => {
            let measured = put(*address, load, stop, &mut Nobody)
                .map_err(|error| failure(name, load, stop, error, ""))?;
            Ok(Made { run: run_of(step, measured, None), threads: None, backend: None })
        }
        From::Process(start) => {
            let running = Running::start(start, STARTED_WITHIN, stop.flag()).map_err(|error| {
                match stop.is_set_soon() {
                    // Ctrl-C reaches the servers of a terminal too.
                    true => interrupted(),
                    false => Failure::Running(format!("{name}: {error}")),
                }
            })?;
            let mut watched =
                Watched { before: running.memory_bytes(), connected: None, took: None, running };
            let measured = put(watched.running.address, load, stop, &mut watched)
                .and_then(|measured| Ok((measured, watched.count(load, stop)?)));
            let (threads, backend) = (said(&watched.running, "threads"), said(&watched.running, "backend"));
            let (took, errors) = watched.finish();
            let (measured, system_calls) =
                measured.map_err(|error| failure(name, load, stop, error, &errors))?;
            let took = took.map(|took| Server { system_calls, ..took });
            let threads = threads.and_then(|threads| threads.parse().ok());
            Ok(Made { run: run_of(step, measured, took), threads, backend })
        }
    }
}

fn put(
    address: SocketAddr,
    load: &Load,
    stop: &Stop,
    moments: &mut dyn Moments,
) -> Result<Measured, LoadError> {
    load::run(address, load, stop.flag(), moments)
}

/// Reads the server's process at the load's moments.
struct Watched {
    running: Running,
    before: Option<u64>,
    connected: Option<u64>,
    took: Option<Server>,
}

impl Moments for Watched {
    fn connected(&mut self) {
        self.connected = self.running.memory_bytes();
    }

    fn began(&mut self) {
        self.running.begin();
    }

    fn ended(&mut self) {
        self.took = self.running.end();
    }
}

impl Watched {
    /// The system calls under a short load of their own: to count them takes time, which is not the server's.
    ///
    /// # Errors
    /// The server does wrong. What else comes in between leaves the run as it was measured.
    fn count(&self, load: &Load, stop: &Stop) -> Result<Option<report::SystemCalls>, LoadError> {
        let Some(calls) = self.running.count_system_calls() else { return Ok(None) };
        let mut counted = Counted { calls, begun: None, ended: None };
        let duration = load.duration.min(COUNTED_FOR);
        let load = Load { duration, warm_up: load.warm_up.min(COUNTED_AFTER), ..load.clone() };
        match put(self.running.address, &load, stop, &mut counted) {
            Ok(Measured { requests, .. }) => {
                Ok(counted.calls().map(|calls| report::SystemCalls { calls, requests }))
            }
            Err(LoadError::Fault(fault)) => Err(LoadError::Fault(fault)),
            Err(_) => Ok(None),
        }
    }

    /// What it took, and what its server wrote to standard error.
    fn finish(self) -> (Option<Server>, String) {
        let (before, connected) = (self.before, self.connected);
        let took = self.took.map(|took| Server {
            memory_before_bytes: before,
            memory_connected_bytes: connected,
            ..took
        });
        (took, self.running.stop())
    }
}

/// Reads the counter of system calls at the load's moments.
struct Counted {
    calls: SystemCalls,
    begun: Option<u64>,
    ended: Option<u64>,
}

impl Moments for Counted {
    fn connected(&mut self) {}

    fn began(&mut self) {
        self.begun = self.calls.count().ok();
    }

    fn ended(&mut self) {
        self.ended = self.calls.count().ok();
    }
}

impl Counted {
    fn calls(&self) -> Option<u64> {
        self.ended?.checked_sub(self.begun?)
    }
}

/// A server whose process is not known.
struct Nobody;

impl Moments for Nobody {
    fn connected(&mut self) {}

    fn began(&mut self) {}

    fn ended(&mut self) {}
}

fn run_of(step: Step, measured: Measured, server: Option<Server>) -> Run {
    Run {
        order: step.order,
        round: step.round,
        seconds: measured.seconds,
        requests: measured.requests,
        bytes_sent: measured.bytes_sent,
        bytes_received: measured.bytes_received,
        latency: measured.latency,
        corrected: measured.corrected,
        costly: measured.costly,
        server,
        generator: measured.generator,
    }
}

fn said(running: &Running, name: &str) -> Option<String> {
    running.said.iter().find(|(said, _)| said == name).map(|(_, value)| value.clone())
}

fn failure(name: &str, load: &Load, stop: &Stop, error: LoadError, errors: &str) -> Failure {
    match error {
        LoadError::Stopped => interrupted(),
        // Ctrl-C reaches the servers of a terminal too, and it may be their end that is seen first.
        LoadError::Fault(_) if stop.is_set_soon() => interrupted(),
        error => {
            let said = errors.trim();
            let said = if said.is_empty() { String::new() } else { format!("; the server says: {said}") };
            Failure::Running(format!("{name}, {} connections: {error}{said}", load.connections))
        }
    }
}

fn interrupted() -> Failure {
    Failure::Interrupted("interrupted: what was measured by then is told".into())
}
