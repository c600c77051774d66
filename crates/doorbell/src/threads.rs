//! The threads of a server: started under a name, waited for, and the first failure among them kept.

use crate::core::Core;
use crate::error::ServeError;
use doorbell_winsock::Error;
use doorbell_winsock::error::WSAENOBUFS;
use std::any::Any;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

#[derive(Debug)]
pub(crate) struct Threads {
    core: Arc<Core>,
    handles: Vec<JoinHandle<Result<(), Error>>>,
}

impl Threads {
    pub(crate) fn new(core: &Arc<Core>) -> Threads {
        Threads { core: core.clone(), handles: Vec::new() }
    }

    /// Starts one. When it fails the others are stopped too: half a server is worse than none.
    pub(crate) fn spawn(
        &mut self,
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
        let handle = thread::Builder::new()
            .name(format!("{name}-{}", self.handles.len()))
            .spawn(run)
            .map_err(|_| Error::new("create_thread", WSAENOBUFS))?;
        self.handles.push(handle);
        Ok(())
    }

    pub(crate) fn count(&self) -> usize {
        self.handles.len()
    }

    /// Waits for all, then tells of the first that failed.
    pub(crate) fn join(self) -> Result<(), ServeError> {
        let mut outcome = Ok(());
        for handle in self.handles {
            let ended = match handle.join() {
                Ok(result) => result.map_err(ServeError::Winsock),
                Err(panic) => Err(ServeError::Panicked(message_of(panic.as_ref()))),
            };
            outcome = outcome.and(ended);
        }
        outcome
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
