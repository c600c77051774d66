#![cfg(target_os = "linux")]
//! `poll(2)`: an epoll set, a GUI's or another library's loop would take the same two descriptors.

use crate::ForeignLoop;
use doorbell_winsock::{Event, MessageQueue, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{self, Errno};

impl ForeignLoop {
    pub(crate) fn new(queue: &MessageQueue, event: &Event) -> Result<ForeignLoop> {
        Ok(ForeignLoop { event: event.waitable()?, queue: Some(queue.waitable()?) })
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        // Descriptors of its own would stand here as well.
        let waitables = self.queue.iter().chain([&self.event]);
        let mut entries: Vec<_> = waitables.map(|one| PollFd::new(one, PollFlags::IN)).collect();
        match poll(&mut entries, None) {
            // The wait of a thread that started operations may end early, as by a signal: then there is reason to ask, too.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
