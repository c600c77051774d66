//! The threads of a server: started under a name, waited for, and the first failure among them kept.

use crate::core::Core;
use crate::error::ServeError;
use doorbell_winsock::Error;
use doorbell_winsock::error::WSAENOBUFS;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
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
    handles: VecDeque<Handle>,
    /// The first failure among those that were.
    failed: Option<ServeError>,
}

type Handle = JoinHandle<Result<(), Error>>;

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
        started.forget_ended();
        let handle = thread::Builder::new()
            .name(format!("{name}-{}", started.count))
            .spawn(run)
            .map_err(|_| Error::new("create_thread", WSAENOBUFS))?;
        started.count += 1;
        started.handles.push_back(handle);
        Ok(())
    }

    /// Starts one that prepares itself, and waits for that. It gives something to the caller, and has its work before it.
    pub(crate) fn spawn_prepared<T: Send + 'static, W: FnOnce() -> Result<(), Error>>(
        &self,
        name: &str,
        prepare: impl FnOnce() -> Result<(T, W), Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = mpsc::channel();
        self.spawn(name, move || {
            // The caller waits, so somebody is told.
            let _ = match prepare() {
                Ok((given, work)) => {
                    let _ = tell.send(Ok(given));
                    return work();
                }
                Err(error) => tell.send(Err(error)),
            };
            Ok(())
        })?;
        told.recv().unwrap_or(Err(Error::new("create_thread", WSAENOBUFS)))
    }

    pub(crate) fn count(&self) -> usize {
        self.started().count
    }

    /// Waits for all, then tells of the first that failed.
    pub(crate) fn join(self) -> Result<(), ServeError> {
        // One by one, since a thread may start others before it ends.
        let next = || self.started().handles.pop_front();
        while let Some(handle) = next() {
            let outcome = outcome_of(handle);
            self.started().note(outcome);
        }
        self.started().failed.take().map_or(Ok(()), Err)
    }

    fn started(&self) -> MutexGuard<'_, Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Started {
    /// Lets go of those that have ended: until a thread is waited for it keeps its stack.
    fn forget_ended(&mut self) {
        let (ended, running): (VecDeque<_>, _) =
            std::mem::take(&mut self.handles).into_iter().partition(JoinHandle::is_finished);
        self.handles = running;
        ended.into_iter().for_each(|handle| self.note(outcome_of(handle)));
    }

    fn note(&mut self, outcome: Result<(), ServeError>) {
        self.failed = self.failed.take().or(outcome.err());
    }
}

fn outcome_of(handle: Handle) -> Result<(), ServeError> {
    match handle.join() {
        Ok(result) => result.map_err(ServeError::Winsock),
        Err(panic) => Err(ServeError::Panicked(message_of(panic.as_ref()))),
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
