//! The generator against servers that are right, and against servers with one fault each.

mod faults;
mod servers;

use super::{Kind, Load, LoadError, Measured, Moments, run};
use doorbell_winsock::host;
use servers::{Server, Then};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing that is right takes so long, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A load that a test changes to its needs.
pub(super) fn load() -> Load {
    Load {
        kind: Kind::Echo,
        connections: 4,
        size_min: 64,
        size_max: 64,
        depth: 1,
        rate: None,
        threads: 1,
        warm_up: Duration::from_millis(20),
        duration: Duration::from_millis(200),
        patience: PATIENCE,
        processors: None,
    }
}

/// The moments, in the order in which they were told.
#[derive(Default)]
struct Told(Vec<&'static str>);

impl Moments for Told {
    fn connected(&mut self) {
        self.0.push("connected");
    }

    fn began(&mut self) {
        self.0.push("began");
    }

    fn ended(&mut self) {
        self.0.push("ended");
    }
}

fn measure(target: SocketAddr, load: &Load) -> Result<Measured, LoadError> {
    let mut told = Told::default();
    let result = run(target, load, &AtomicBool::new(false), &mut told);
    if result.is_ok() {
        let opened: &[_] = if load.kind == Kind::Churn { &[] } else { &["connected"] };
        assert_eq!(told.0, [opened, &["began", "ended"]].concat());
    }
    result
}

/// Measures until a run had the processor that it needed, which a busy machine does not always give.
fn measure_until(target: SocketAddr, load: &Load, had_time: impl Fn(&Measured) -> bool) -> Measured {
    let start = Instant::now();
    loop {
        let measured = measure(target, load).unwrap();
        if had_time(&measured) {
            return measured;
        }
        assert!(start.elapsed() < PATIENCE, "the machine is too busy for this: {measured:?}");
    }
}

/// Each kind, in a closed and in an open loop.
fn right(kind: Kind) {
    let server = Server::echo();
    for rate in [None, Some(500.0)] {
        let load = Load { kind, rate, ..load() };
        let some = |measured: &Measured| measured.requests > 0 && measured.bytes_received > 0;
        let measured = measure_until(server.address, &load, some);
        assert!(measured.seconds >= 0.2, "{measured:?}");
        assert_eq!(measured.corrected.is_some(), rate.is_some());
        assert_eq!(measured.generator.busy.is_some(), rate.is_none());
        let costly = measured.costly.as_ref().map_or(0, |costly| costly.count);
        assert_eq!(measured.requests, measured.latency.count + costly);
    }
}

#[test]
fn echo() {
    right(Kind::Echo);
}

#[test]
fn idle() {
    right(Kind::Idle { active: 1 });
}

#[test]
fn churn() {
    right(Kind::Churn);
}

#[test]
fn slow_reader() {
    right(Kind::SlowReader { active: 2, bytes_per_s: 4096 });
}

#[test]
fn skew() {
    right(Kind::Skew { share: 0.5, cost: Duration::from_micros(10) });
}

#[test]
fn sizes_of_a_range_deep_in_several_threads() {
    let server = Server::echo();
    let processors = Some(host::processors_allowed());
    let load =
        Load { connections: 7, size_min: 1, size_max: 100_000, depth: 16, threads: 3, processors, ..load() };
    measure(server.address, &load).unwrap();
    assert_eq!(server.accepted(), 7);
    let skew = Kind::Skew { share: 0.01, cost: Duration::from_millis(1) };
    measure_until(server.address, &Load { kind: skew, ..load }, |measured| measured.requests > 0);
}

#[test]
fn an_open_loop_begins_what_is_due_or_says_that_it_did_not() {
    let server = Server::echo();
    let load = Load { rate: Some(2000.0), threads: 2, warm_up: Duration::ZERO, ..load() };
    let measured = measure(server.address, &load).unwrap();
    let due = measured.seconds * 2000.0;
    let told = (measured.requests + measured.generator.unsent) as f64;
    // One of each connection may be under way when it ends, and a round be at its edge.
    assert!((told - due).abs() <= 2.0 * load.connections as f64, "{told} of {due}: {measured:?}");
}

#[test]
fn a_stall_shows_in_the_corrected_latency_and_not_in_the_raw_one() {
    const STALL: Duration = Duration::from_millis(300);
    let server = Server::start(|mut came| {
        if came.position == 20 * 64 {
            thread::sleep(STALL);
        }
        came.echo()
    });
    // In a fifth of a second, 20 requests; then, 30 that wait for the stall; then time to answer them.
    let load = Load {
        connections: 1,
        rate: Some(100.0),
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(1500),
        ..load()
    };
    let measured = measure_until(server.address, &load, |measured| measured.generator.unsent == 0);
    let (raw, corrected) = (&measured.latency, measured.corrected.as_ref().unwrap());
    let stall_us = STALL.as_secs_f64() * 1e6;
    for percentile in [95.0, 99.0, 99.9, 100.0] {
        assert!(corrected.at(percentile).unwrap() > 0.7 * stall_us, "{percentile}: {measured:?}");
    }
    assert!(raw.at(100.0).unwrap() > 0.9 * stall_us, "{measured:?}");
    assert!(raw.at(99.0).unwrap() < 0.5 * stall_us, "{measured:?}");
    assert!(corrected.mean_us > 3.0 * raw.mean_us, "{measured:?}");
}

#[test]
fn a_stop_ends_a_run_wherever_it_is() {
    let server = Server::start(|mut came| match came.position {
        0 => came.echo(),
        _ => Then::Continue,
    });
    let client = TcpStream::connect(server.address).unwrap();
    // In the middle, with an answer awaited; and while nothing lets it in.
    for target in [server.address, client.local_addr().unwrap()] {
        let (stop, start) = (AtomicBool::new(false), Instant::now());
        let load = Load { duration: Duration::from_secs(600), patience: Duration::from_secs(600), ..load() };
        let result = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(100));
                stop.store(true, Ordering::Relaxed);
            });
            run(target, &load, &stop, &mut Told::default())
        });
        assert!(matches!(result, Err(LoadError::Stopped)), "{result:?}");
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
