//! Ctrl-C in the middle of a bench.

use doorbell_winsock::host::Signals;
use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The code of a program that a signal ended, as shells have it.
const INTERRUPTED: i32 = 130;

/// Between a signal's arrival at the first process of a terminal and at the last one, on a machine that is busy. Only a
/// bench that has failed waits for it.
const ARRIVES_WITHIN: Duration = Duration::from_secs(1);

/// Whether to stop.
#[derive(Debug)]
pub(crate) struct Stop {
    flag: Arc<AtomicBool>,
}

impl Stop {
    /// Is set by the first signal; the second one ends the process, whose servers end with it.
    pub(crate) fn on_signals() -> io::Result<Stop> {
        let signals = Signals::install()?;
        let flag = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&flag);
        thread::spawn(move || {
            signals.wait();
            set.store(true, Ordering::Relaxed);
            signals.wait();
            process::exit(INTERRUPTED);
        });
        Ok(Stop { flag })
    }

    pub(crate) fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// The same, with the time that a signal may take to arrive here after it arrived elsewhere.
    pub(crate) fn is_set_soon(&self) -> bool {
        let deadline = Instant::now() + ARRIVES_WITHIN;
        while !self.is_set() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        self.is_set()
    }

    /// For those that look at it themselves.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.flag
    }
}
