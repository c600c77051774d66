//! The host: limits from `rlimit`, figures from `getrusage` and `/proc/self`, signals through a pipe.

mod other;

pub(crate) use other::{OtherProcess, SystemCalls};

use super::os::signal::SignalPipe;
use crate::host::{DescriptorLimit, ProcessFigures, Signal};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;
use std::io;
use std::process::{Child, Command};
use std::time::Duration;

pub(crate) fn descriptor_limit() -> Option<DescriptorLimit> {
    let limit = getrlimit(Resource::Nofile);
    Some(DescriptorLimit { soft: limit.current.unwrap_or(u64::MAX), hard: limit.maximum.unwrap_or(u64::MAX) })
}

pub(crate) fn raise_descriptor_limit() -> Option<DescriptorLimit> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // A refusal leaves what holds, and that is the answer either way.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    descriptor_limit()
}

pub(crate) fn descriptors_open() -> usize {
    // The one that reads the directory stands in it too.
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}

pub(crate) fn process_figures() -> ProcessFigures {
    // SAFETY: an all-zero `rusage` is a valid one; the system fills it, or leaves it when it refuses.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    ProcessFigures {
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        // In units of 1024 bytes, whatever the page size.
        resident_bytes: figure("VmRSS:").unwrap_or(0) * 1024,
        threads: figure("Threads:").and_then(|threads| usize::try_from(threads).ok()).unwrap_or(0),
    }
}

pub(crate) fn processors_allowed() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|&processor| set.is_set(processor)).collect(),
        // A kernel made for more processors than a set has.
        Err(_) => (0..crate::host::processors()).collect(),
    }
}

pub(crate) fn pin_current_thread(processors: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    processors
        .iter()
        .filter(|&&processor| processor < CpuSet::MAX_CPU)
        .for_each(|&processor| set.set(processor));
    Ok(sched_setaffinity(None, &set)?)
}

/// A child inherits the processors of the thread that makes it: a thread of its own makes this one.
pub(crate) fn spawn_pinned(command: &mut Command, processors: &[usize]) -> io::Result<Child> {
    let spawn = || pin_current_thread(processors).and_then(|()| command.spawn());
    std::thread::scope(|scope| scope.spawn(spawn).join()).expect("spawning does not panic")
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}

#[derive(Debug)]
pub(crate) struct Signals {
    pipe: SignalPipe,
}

impl Signals {
    pub(crate) fn install() -> io::Result<Signals> {
        SignalPipe::install(&[libc::SIGINT, libc::SIGTERM]).map(|pipe| Signals { pipe })
    }

    pub(crate) fn wait(&self) -> Signal {
        if self.pipe.next() == libc::SIGINT { Signal::Interrupt } else { Signal::Terminate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let limit = raise_descriptor_limit().unwrap();
        assert_eq!(limit.soft, limit.hard);
    }

    #[test]
    fn an_open_file_is_counted() {
        let files: Vec<_> = (0..50).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(descriptors_open() >= files.len());
    }

    #[test]
    fn the_figures_are_those_of_a_living_process() {
        let figures = process_figures();
        assert!(figures.threads >= 1);
        assert!(figures.resident_bytes > 100_000);
    }
}
