//! A thread that lasts as long as the process.
//!
//! The system cancels what a thread has started when it exits (OV-15), except on a socket that has a port. What is started
//! before the association is to go on all the same (CP-26, CP-28), so it is started from here. The thread is made when it
//! is needed first.

use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel, sync_channel};

type Job = Box<dyn FnOnce() + Send>;

/// Runs `work` on the lasting thread, and waits for it.
pub(crate) fn on_lasting_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    static JOBS: OnceLock<Sender<Job>> = OnceLock::new();
    let jobs = JOBS.get_or_init(|| {
        let (jobs, queue) = channel::<Job>();
        // Without the thread the queue is gone, and the work is done in place, as well as can be.
        let _ = std::thread::Builder::new()
            .name("doorbell-starter".into())
            .spawn(move || queue.into_iter().for_each(|job| job()));
        jobs
    });
    let (tell, told) = sync_channel(1);
    let job: Box<dyn FnOnce() + Send + '_> = Box::new(move || {
        let _ = tell.send(work());
    });
    // SAFETY: only the lifetime changes. This function does not return or unwind before the job has run or is dropped, so
    // what it borrows outlives it.
    let job = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Job>(job) };
    if let Err(refused) = jobs.send(job) {
        (refused.0)();
    }
    match told.recv() {
        Ok(result) => result,
        // The work panicked, and what it left half done cannot be known.
        Err(_) => std::process::abort(),
    }
}
