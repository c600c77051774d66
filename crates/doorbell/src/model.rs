//! The registry of the seven models. Adding one: its two files in `models`, and its line here.

use crate::models;
use crate::models::{Built, StandsOn};
use doorbell_winsock::Backend;
use std::fmt;
use std::str::FromStr;

/// How a server waits: one of the seven Winsock I/O models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Model {
    /// A thread a connection, each standing in `recv`.
    Blocking,
    /// Worker threads that walk the array of their sockets.
    Select,
    /// A message for each network event.
    AsyncSelect,
    /// An event object for each connection.
    EventSelect,
    /// Overlapped operations that signal events.
    OverlappedEvent,
    /// Overlapped operations that run completion routines.
    OverlappedRoutine,
    /// Overlapped operations that end as packets at a port, which any thread takes.
    #[default]
    CompletionPort,
}

struct Row {
    model: Model,
    name: &'static str,
    waits_on: &'static str,
    limit: &'static str,
    maps_to: MapsTo,
    built: &'static Built,
}

/// What a model's calls are on each backend.
struct MapsTo {
    windows: &'static str,
    io_uring: &'static str,
    epoll: &'static str,
}

const fn maps(windows: &'static str, linux: &'static str) -> MapsTo {
    MapsTo { windows, io_uring: linux, epoll: linux }
}

#[rustfmt::skip]
const ROWS: [Row; 7] = [
    Row { model: Model::Blocking, name: "blocking", waits_on: "the call itself",
        limit: "a thread a connection",
        maps_to: maps("accept, recv, send", "accept, recv, send: the same calls"),
        built: &models::blocking::BUILT },
    Row { model: Model::Select, name: "select", waits_on: "an array of sockets",
        limit: "every call walks the array",
        maps_to: maps("select", "poll(2) behind select's rules"),
        built: &models::select::BUILT },
    Row { model: Model::AsyncSelect, name: "async-select", waits_on: "a window's messages",
        limit: "needs a window (a queue) and its pump; 10,000 posted messages by default on Windows",
        maps_to: maps("WSAAsyncSelect and a message pump", "a thread's message queue fed by epoll"),
        built: &models::async_select::BUILT },
    Row { model: Model::EventSelect, name: "event-select", waits_on: "event objects",
        limit: "64 events a wait, so 63 connections a thread",
        maps_to: maps("WSAEventSelect, WSAWaitForMultipleEvents", "event objects over epoll"),
        built: &models::event_select::BUILT },
    Row { model: Model::OverlappedEvent, name: "overlapped-event", waits_on: "the events of operations",
        limit: "64 events a wait, so 63 connections a thread",
        maps_to: MapsTo { windows: "WSARecv, WSASend, OVERLAPPED.hEvent",
            io_uring: "operations on io_uring, events in user space",
            epoll: "operations over epoll, events in user space" },
        built: &models::overlapped_event::BUILT },
    Row { model: Model::OverlappedRoutine, name: "overlapped-routine", waits_on: "routines, in an alertable wait",
        limit: "one thread owns its connections",
        maps_to: MapsTo { windows: "completion routines, SleepEx",
            io_uring: "operations on io_uring, routines run in alertable waits",
            epoll: "operations over epoll, routines run in alertable waits" },
        built: &models::overlapped_routine::BUILT },
    Row { model: Model::CompletionPort, name: "completion-port", waits_on: "packets at a port",
        limit: "none worth the name",
        maps_to: MapsTo { windows: "GetQueuedCompletionStatusEx",
            io_uring: "a packet queue over io_uring, last in first out release",
            epoll: "a packet queue over epoll, last in first out release" },
        built: &models::completion_port::BUILT },
];

impl Model {
    /// All seven, in the order of the table.
    pub const ALL: [Model; 7] = {
        let mut all = [Model::Blocking; 7];
        let mut row = 0;
        while row < all.len() {
            all[row] = ROWS[row].model;
            row += 1;
        }
        all
    };

    /// The name on the command line: `completion-port`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What a thread of this model waits on.
    pub fn waits_on(self) -> &'static str {
        self.row().waits_on
    }

    /// Its known limit.
    pub fn limit(self) -> &'static str {
        self.row().limit
    }

    /// What its calls are on this system.
    pub fn maps_to(self) -> &'static str {
        let maps_to = &self.row().maps_to;
        match doorbell_winsock::startup::backend() {
            Backend::Winsock => maps_to.windows,
            Backend::IoUring => maps_to.io_uring,
            Backend::Epoll => maps_to.epoll,
        }
    }

    /// What it stands on in this process: `winsock` on Windows; elsewhere the engine of overlapped operations, `epoll` for
    /// a model that is told network events, or `none` for one that uses plain calls.
    pub fn backend(self) -> &'static str {
        match (doorbell_winsock::startup::backend(), self.built().stands_on) {
            (Backend::Winsock, _) => Backend::Winsock.name(),
            (_, StandsOn::NetworkEvents) => Backend::Epoll.name(),
            (engine, StandsOn::Operations) => engine.name(),
            (_, StandsOn::Calls) => "none",
        }
    }

    /// Whether it waits for operations that are *done*, which the backend does (io_uring or epoll); the others are told when
    /// a call may be made, or stand in it.
    pub fn is_overlapped(self) -> bool {
        matches!(self.built().stands_on, StandsOn::Operations)
    }

    /// Its page: the story, the steps as numbered in its file, the limit, the calls on each system.
    pub fn page(self) -> &'static str {
        self.built().page
    }

    pub(crate) fn built(self) -> &'static Built {
        self.row().built
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No model has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownModel(String);

impl fmt::Display for UnknownModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Model::ALL.iter().map(|model| model.name()).collect();
        write!(f, "no model is called '{}'; the seven are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownModel {}

impl FromStr for Model {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Model, UnknownModel> {
        Model::ALL.into_iter().find(|model| model.name() == name).ok_or_else(|| UnknownModel(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_stands_on_its_own_row_under_its_own_name() {
        for model in Model::ALL {
            assert_eq!(model.row().model, model);
            assert_eq!(model.name().parse(), Ok(model));
        }
    }

    #[test]
    fn every_page_has_its_part_of_the_story_its_limit_and_its_calls() {
        for model in Model::ALL {
            let page = model.page();
            assert!(page.starts_with(&format!("# {model}: ")), "{model}");
            for part in ["Old Chen", "\n1. ", "\n**The limit:** "] {
                assert!(page.contains(part), "'{part}' is missing in the page of {model}");
            }
            let (_, calls) =
                page.split_once("\n**The calls:** ").unwrap_or_else(|| panic!("{}", model.name()));
            assert!(calls.contains("Windows") && calls.contains("Linux"), "{model}: {calls}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_seven() {
        let text = "iocp".parse::<Model>().unwrap_err().to_string();
        assert!(text.contains("'iocp'"));
        assert!(Model::ALL.iter().all(|model| text.contains(model.name())), "{text}");
    }
}
