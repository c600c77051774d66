//! The load: a client of its own, none of the seven models and none of their code, so that no fault of ours measures itself.
//!
//! `N` connections, each with up to `depth` requests under way. Every byte of every answer is compared with what it must be.

mod connection;
mod desk;
mod dialogue;
mod draw;
mod fault;
mod orders;
mod pattern;
mod record;
mod schedule;
mod worker;

#[cfg(test)]
mod tests;

use super::report::{Generator, Latency};
use doorbell_winsock::host;
use orders::Orders;
use pattern::Pattern;
use record::Record;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;
use worker::{Part, Worker};

/// What the server is put under.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
    /// Bytes of a request: drawn evenly from this range.
    pub(crate) size_min: usize,
    pub(crate) size_max: usize,
    /// Requests under way on a connection, at most.
    pub(crate) depth: usize,
    /// Requests a second over all connections; nothing for a closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) threads: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    /// No byte of an awaited answer for so long is a fault.
    pub(crate) patience: Duration,
    /// The processors of the generator's threads, if they are kept apart from the server's.
    pub(crate) processors: Option<Vec<usize>>,
}

/// The kinds of load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// All connections exchange requests and answers.
    Echo,
    /// `active` connections do, the others are silent.
    Idle { active: usize },
    /// Connect, one exchange, close; `connections` at a time. A request's time is that of the three together.
    Churn,
    /// `active` connections exchange and are measured; the others send as much as is taken and read `bytes_per_s` each.
    SlowReader { active: usize, bytes_per_s: usize },
    /// A share of the requests costs the handler so much processor time (service `burn`).
    Skew { share: f64, cost: Duration },
}

/// Is told when a run reaches its moments, on the thread that called [`run`].
pub(crate) trait Moments {
    /// All connections are open and silent; with churn they never are.
    fn connected(&mut self);
    /// The warm-up is over: from now on it is measured.
    fn began(&mut self);
    /// The measured time is over; the connections are still open.
    fn ended(&mut self);
}

/// What a run measured.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) latency: Latency,
    pub(crate) corrected: Option<Latency>,
    pub(crate) costly: Option<Latency>,
    pub(crate) generator: Generator,
}

/// Why a run has no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// What the server did wrong: one sentence that names the connection, the byte and what was expected.
    #[error("{0}")]
    Fault(String),
    /// The generator itself could not: too few descriptors, ports or memory; says what to do.
    #[error("{0}")]
    Generator(String),
    /// `stop` was set.
    #[error("stopped")]
    Stopped,
}

/// How long the conducting thread sleeps at most before it looks around.
const GLANCE: Duration = Duration::from_millis(20);

/// Runs the load against `target`. Blocks for the warm-up and the duration; ends soon after `stop` is set.
pub(crate) fn run(
    target: SocketAddr,
    load: &Load,
    stop: &AtomicBool,
    moments: &mut dyn Moments,
) -> Result<Measured, LoadError> {
    let threads = load.threads.clamp(1, load.connections);
    let (orders, pattern) = (Orders::new(), Pattern::new());
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for thread in 0..threads {
            let part = Part { thread, threads };
            let (orders, pattern) = (&orders, &pattern);
            let work = move || Worker::new(target, load, orders, pattern, part)?.work();
            match thread::Builder::new().name(format!("load {thread}")).spawn_scoped(scope, work) {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    orders.quit();
                    return Err(LoadError::Generator(format!(
                        "the load generator cannot start a thread: take fewer (--generator-threads): {error}"
                    )));
                }
            }
        }
        let conducted = conduct(load, &orders, stop, moments, &workers);
        if conducted.is_err() {
            orders.quit();
        }
        let (mut records, mut failed) = (Vec::new(), None);
        for worker in workers {
            match worker.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                Ok(record) => records.push(record),
                Err(LoadError::Stopped) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(measured(&conducted?, &records, load)),
        }
    })
}

/// What only the conducting thread saw.
struct Window {
    seconds: f64,
    cpu: Duration,
}

/// Leads the threads through a run.
fn conduct(
    load: &Load,
    orders: &Orders,
    stop: &AtomicBool,
    moments: &mut dyn Moments,
    workers: &[ScopedJoinHandle<'_, Result<Record, LoadError>>],
) -> Result<Window, LoadError> {
    // A thread that ends before the others has failed; `run` has its error.
    let on = || match stop.load(Ordering::Relaxed) || workers.iter().any(ScopedJoinHandle::is_finished) {
        true => Err(LoadError::Stopped),
        false => Ok(()),
    };
    let rest_until = |end_ns: u64| loop {
        on()?;
        match end_ns.saturating_sub(orders.now_ns()) {
            0 => return Ok(()),
            left => thread::sleep(GLANCE.min(Duration::from_nanos(left))),
        }
    };
    while orders.ready() < workers.len() {
        on()?;
        thread::sleep(Duration::from_millis(1));
    }
    if load.kind != Kind::Churn {
        moments.connected();
    }
    orders.start();
    rest_until(orders.now_ns() + load.warm_up.as_nanos() as u64)?;
    let began_ns = orders.begin();
    moments.began();
    let before = cpu();
    rest_until(began_ns + load.duration.as_nanos() as u64)?;
    let ended_ns = orders.end();
    let after = cpu();
    moments.ended();
    orders.close();
    while !workers.iter().all(ScopedJoinHandle::is_finished) {
        if stop.load(Ordering::Relaxed) {
            return Err(LoadError::Stopped);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(Window { seconds: (ended_ns - began_ns) as f64 / 1e9, cpu: after.saturating_sub(before) })
}

/// Processor time of this process, in which the generator is the only one that is busy.
fn cpu() -> Duration {
    let figures = host::process_figures();
    figures.user + figures.system
}

fn measured(window: &Window, records: &[Record], load: &Load) -> Measured {
    let mut all = Record::new(load.rate.is_some(), matches!(load.kind, Kind::Skew { .. }));
    records.iter().for_each(|record| all.add(record));
    let idle_ns = records.iter().map(|record| record.idle_ns).min().unwrap_or_default();
    let busy = (1.0 - idle_ns as f64 / 1e9 / window.seconds).clamp(0.0, 1.0);
    Measured {
        seconds: window.seconds,
        requests: all.requests(),
        bytes_sent: all.bytes_sent,
        bytes_received: all.bytes_received,
        latency: all.latency(),
        corrected: all.corrected(),
        costly: all.costly(),
        generator: Generator {
            cpu_us: window.cpu.as_secs_f64() * 1e6,
            busy: load.rate.is_none().then_some(busy),
            late: all.late,
            unsent: all.unsent,
        },
    }
}
