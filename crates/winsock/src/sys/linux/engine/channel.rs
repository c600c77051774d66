//! Where the end of an operation is told: at a port, by an event, by a routine.

use super::super::event_select::Object;
use super::super::overlapped::Outcome;
use super::super::port::PortCore;
use super::home::Home;
use crate::overlapped::Completion;
use std::sync::Arc;

/// The channel that the start of an operation was given.
#[derive(Clone)]
pub(in crate::sys::linux) enum Channel {
    /// A packet at the port that the socket has when it ends (CP-26).
    Port,
    /// The same, and the event is set (CP-09).
    PortAndEvent(Arc<Object>),
    /// Its outcome, and an event that says so.
    Event(Arc<Outcome>),
    /// The routine of this number, on this thread.
    Routine(Arc<Home>, usize),
}

impl Channel {
    /// Whether the operation ends with the thread that started it (OV-15, CR-20).
    pub(in crate::sys::linux) fn is_of_thread(&self) -> bool {
        !matches!(self, Channel::Port)
    }

    /// The operation is on its way: its event is unset (OV-04).
    pub(super) fn begin(&self) {
        // A closed event was refused before; one that is closed from here on is nobody's any more.
        match self {
            Channel::PortAndEvent(event) => _ = event.reset(),
            Channel::Event(outcome) => _ = outcome.event().reset(),
            Channel::Port | Channel::Routine(..) => {}
        }
    }
}

/// The end of an operation on its way to its channel.
pub(in crate::sys::linux) struct End {
    pub(in crate::sys::linux) channel: Channel,
    pub(in crate::sys::linux) completion: Completion,
}

impl End {
    /// Whether a socket that skips packets on success skips this one.
    pub(in crate::sys::linux) fn is_success_of_port(&self) -> bool {
        let of_port = matches!(self.channel, Channel::Port | Channel::PortAndEvent(_));
        of_port && self.completion.system_code == 0
    }
}

/// Ends of operations are told through it, under the lock of their socket's lines, so that those of a socket come out in
/// their order whoever brings them. What must not be done under a lock waits in it: finding threads for the packets, and
/// dropping buffers, as that may run anything.
#[derive(Default)]
pub(crate) struct Sink {
    /// Ports that have new packets.
    ports: Vec<Arc<PortCore>>,
    /// What nobody wants.
    left: Vec<Completion>,
    keeps: bool,
    kept: Option<End>,
}

impl Sink {
    /// One that tells nothing and keeps the end that is put in: a start has one at most.
    pub(super) fn keeping() -> Sink {
        Sink { keeps: true, ..Sink::default() }
    }

    /// The end that was kept.
    pub(super) fn kept(self) -> Option<End> {
        self.kept
    }

    /// Does what was left to do when no lock is held: each port wakes whom it must.
    pub(crate) fn deliver(&mut self) {
        self.deliver_but(None);
    }

    /// The same, but this port, if it has new packets, is the caller's.
    pub(crate) fn deliver_but(&mut self, mine: Option<&Arc<PortCore>>) {
        self.left.clear();
        for port in self.ports.drain(..) {
            if !mine.is_some_and(|mine| Arc::ptr_eq(mine, &port)) {
                port.wake_for_packets();
            }
        }
    }

    /// An operation has ended. The port is that of its socket, whose lines the caller has locked.
    #[inline]
    pub(in crate::sys::linux) fn put(&mut self, port: Option<&Arc<PortCore>>, end: End) {
        if self.keeps {
            self.kept = Some(end);
            return;
        }
        let End { channel, completion } = end;
        match channel {
            Channel::Event(outcome) => self.left.extend(outcome.end(completion)),
            Channel::Routine(home, number) => self.left.extend(home.queue_routine(number, completion)),
            Channel::Port => self.put_packet(port, completion, None),
            Channel::PortAndEvent(event) => self.put_packet(port, completion, Some(&event)),
        }
    }

    #[inline]
    fn put_packet(&mut self, port: Option<&Arc<PortCore>>, completion: Completion, event: Option<&Object>) {
        let Some(port) = port else {
            event.map(Object::set);
            self.left.push(completion);
            return;
        };
        match port.queue(completion, event) {
            Some(completion) => self.left.push(completion),
            None if self.ports.iter().any(|known| Arc::ptr_eq(known, port)) => {}
            None => self.ports.push(port.clone()),
        }
    }
}
