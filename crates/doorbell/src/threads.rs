//! The threads of a server: started under a name, waited for, and the first failure among them kept.

use crate::core::Core;
use crate::error::ServeError;
use doorbell_winsock::Error;
use doorbell_winsock::error::WSAENOBUFS;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Clones start threads of the same server: a model may keep one, for threads that it starts on demand.
#[derive(Clone, Debug)]
pub(crate) struct Threads {
    core: Arc<Core>,
    started: Arc<Mutex<Started>>,
}

#[derive(Debug, Default)]
struct Started {
    count: usize,
    /// Those that were not waited for yet.
    handles: VecDeque<JoinHandle<Result<(), Error>>>,
}

impl Threads {
    pub(crate) fn new(core: &Arc<Core>) -> Threads {
        Threads { core: core.clone(), started: Arc::default() }
    }

    /// Starts one. When it fails the others are stopped too: half a server is worse than none.
    pub(crate) fn spawn(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let core = self.core.clone();
        let run = move || {
            let mut stops_all = StopsAll { core, needed: true };
            let result = work();
            stops_all.needed = result.is_err();
            result
        };
        // Only want of memory or of threads can stop this, which is what WSAENOBUFS says.
        let mut started = self.started();
        let handle = thread::Builder::new()
            .name(format!("{name}-{}", started.count))
            .spawn(run)
            .map_err(|_| Error::new("create_thread", WSAENOBUFS))?;
        started.count += 1;
        started.handles.push_back(handle);
        Ok(())
    }

    pub(crate) fn count(&self) -> usize {
        self.started().count
    }

    /// Waits for all, then tells of the first that failed.
    pub(crate) fn join(self) -> Result<(), ServeError> {
        let mut outcome = Ok(());
        // One by one, since a thread may start others before it ends.
        let next = || self.started().handles.pop_front();
        while let Some(handle) = next() {
            let ended = match handle.join() {
                Ok(result) => result.map_err(ServeError::Winsock),
                Err(panic) => Err(ServeError::Panicked(message_of(panic.as_ref()))),
            };
            outcome = outcome.and(ended);
        }
        outcome
    }

    fn started(&self) -> MutexGuard<'_, Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a panic said, where it said it in words.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// Stops the server when its thread ends by a panic or an error.
struct StopsAll {
    core: Arc<Core>,
    needed: bool,
}

impl Drop for StopsAll {
    fn drop(&mut self) {
        if self.needed {
            self.core.stop_now();
        }
    }
}
