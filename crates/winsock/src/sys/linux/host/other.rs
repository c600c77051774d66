//! Another process: its processor clock, and what `/proc/PID` says. The workers of its rings are threads of it there.

use super::super::os::perf;
use crate::host::OtherFigures;
use std::fs;
use std::io;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct OtherProcess {
    id: u32,
    /// Counts nanoseconds of all its threads, where `/proc` counts ticks of ten milliseconds.
    clock: libc::clockid_t,
}

impl OtherProcess {
    pub(crate) fn new(id: u32) -> io::Result<OtherProcess> {
        let process = id.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut clock = 0;
        // SAFETY: the number is ours for the system to write.
        match unsafe { libc::clock_getcpuclockid(process, &mut clock) } {
            0 => Ok(OtherProcess { id, clock }),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    pub(crate) fn figures(&self) -> io::Result<OtherFigures> {
        // The time first: a reading of many threads takes a while, and what begins and ends a measurement is this moment.
        let total = self.time()?;
        let system = total.mul_f64(self.share_of_the_system()?);
        let threads = Threads::of(self.id);
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap_or_default();
        // Kernels before 4.5 do not tell them apart.
        let memory = number(&status, "RssAnon:").or_else(|| number(&status, "VmRSS:"));
        Ok(OtherFigures {
            user: total - system,
            system,
            switches_voluntary: threads.as_ref().map(|threads| threads.voluntary),
            switches_involuntary: threads.as_ref().map(|threads| threads.involuntary),
            threads: threads.as_ref().map(|threads| threads.count),
            // In units of 1024 bytes, whatever the page size.
            memory_bytes: memory.map(|memory| memory * 1024),
            ended: match threads {
                Some(threads) => self.time()?.saturating_sub(threads.time),
                None => Duration::ZERO,
            },
        })
    }

    pub(crate) fn count_system_calls(&self) -> io::Result<SystemCalls> {
        let tracepoint = perf::tracepoint()?;
        let mut threads = Vec::new();
        for thread in fs::read_dir(format!("/proc/{}/task", self.id))? {
            let Ok(id) = thread?.file_name().to_string_lossy().parse() else { continue };
            match perf::SystemCalls::of_thread(id, tracepoint) {
                Ok(calls) => threads.push(calls),
                // It has ended since it was listed.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(SystemCalls { threads })
    }

    fn time(&self) -> io::Result<Duration> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the clock is one of this system, or of a process that is gone; the structure is ours.
        if unsafe { libc::clock_gettime(self.clock, &mut time) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32))
    }

    /// Of all its time, as the ticks tell.
    fn share_of_the_system(&self) -> io::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        // The second field is the program's name and may hold anything; the 14th and 15th are ticks of user and system.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut ticks = fields.split_whitespace().skip(11).map_while(|field| field.parse::<f64>().ok());
        let (user, system) = (ticks.next().unwrap_or(0.0), ticks.next().unwrap_or(0.0));
        Ok(if user + system > 0.0 { system / (user + system) } else { 0.0 })
    }
}

/// One for each thread that there was, which counts for its offspring too.
#[derive(Debug)]
pub(crate) struct SystemCalls {
    threads: Vec<perf::SystemCalls>,
}

impl SystemCalls {
    pub(crate) fn count(&self) -> io::Result<u64> {
        self.threads.iter().map(perf::SystemCalls::count).sum()
    }
}

/// The sums over the threads that live.
#[derive(Default)]
struct Threads {
    count: usize,
    voluntary: u64,
    involuntary: u64,
    time: Duration,
}

impl Threads {
    fn of(process: u32) -> Option<Threads> {
        let mut sum = Threads::default();
        for thread in fs::read_dir(format!("/proc/{process}/task")).ok()? {
            let folder = thread.ok()?.path();
            // One that ends while we look is one that has ended.
            let Ok(status) = fs::read_to_string(folder.join("status")) else { continue };
            // The first number is nanoseconds on a processor.
            let schedule = fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
            sum.count += 1;
            sum.voluntary += number(&status, "voluntary_ctxt_switches:")?;
            sum.involuntary += number(&status, "nonvoluntary_ctxt_switches:")?;
            sum.time += Duration::from_nanos(number(&schedule, "").unwrap_or(0));
        }
        Some(sum)
    }
}

/// The number behind a name at the beginning of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}
