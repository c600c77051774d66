//! The models, one file each, with its page beside it: a file holds waiting and nothing else.

use crate::core::Core;
use crate::listener::Listener;
use crate::threads::Threads;
use doorbell_winsock::Error;
use std::sync::Arc;

pub mod async_select;
pub mod blocking;
pub mod completion_port;
pub mod event_select;
pub mod overlapped_event;
pub mod overlapped_routine;
pub mod select;

/// What a model's file offers to the registry.
pub(crate) struct Built {
    /// The page: module doc, `explain` text and chapter in one.
    pub(crate) page: &'static str,
    /// What it stands on where the system has no Winsock of its own.
    pub(crate) stands_on: StandsOn,
    /// Starts the threads. Those started before a failure are stopped by the caller.
    pub(crate) launch: Launch,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum StandsOn {
    /// The system's plain calls.
    Calls,
    /// Network events, which epoll tells, whatever the backend.
    NetworkEvents,
    /// The engine of overlapped operations, on the backend.
    Operations,
}

type Launch = fn(&Arc<Core>, Vec<Listener>, &Threads) -> Result<(), Error>;
