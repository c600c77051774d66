//! Where the end of an operation is told: at a port, by an event, by a routine.

use super::super::event_select::Object;
use super::super::overlapped::Outcome;
use super::super::port::PortCore;
use super::home::Home;
use crate::overlapped::Completion;
use crate::port::Packet;
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
    /// Tells it. The port is that of the operation's socket.
    pub(in crate::sys::linux) fn tell(self, port: Option<&Arc<PortCore>>) {
        let mut sink = Sink::default();
        sink.put(port, self);
        sink.deliver();
    }
}

/// Ends of operations on their way. To be delivered when no lock is held, as dropping a buffer may run anything.
#[derive(Default)]
pub(crate) struct Sink {
    packets: Vec<(Option<Arc<PortCore>>, End)>,
    /// What nobody wants.
    left: Vec<Completion>,
}

impl Sink {
    /// Gives each packet to its port, which wakes whom it must.
    pub(crate) fn deliver(&mut self) {
        self.left.clear();
        for (port, end) in self.packets.drain(..) {
            deliver(port.as_ref(), end);
        }
    }

    /// Takes the packets of this port out, in order, and delivers the others.
    pub(crate) fn split(&mut self, port: &Arc<PortCore>, mine: &mut Vec<Packet>) {
        self.left.clear();
        for (owner, end) in self.packets.drain(..) {
            if !owner.as_ref().is_some_and(|owner| Arc::ptr_eq(owner, port)) {
                deliver(owner.as_ref(), end);
                continue;
            }
            mine.push(Packet::Io(end.completion));
            if let Channel::PortAndEvent(event) = end.channel {
                let _ = event.set();
            }
        }
    }

    /// An operation has ended. What is told by an outcome or a routine is told here, under the lock of the socket's lines,
    /// so that the ends of a socket come out in their order whoever brings them.
    pub(super) fn put(&mut self, port: Option<&Arc<PortCore>>, end: End) {
        match end.channel {
            Channel::Event(outcome) => self.left.extend(outcome.end(end.completion)),
            Channel::Routine(home, number) => self.left.extend(home.queue_routine(number, end.completion)),
            Channel::Port | Channel::PortAndEvent(_) => self.packets.push((port.cloned(), end)),
        }
    }

    /// The packet that was put in last.
    pub(super) fn take(&mut self) -> Option<End> {
        self.packets.pop().map(|(_, end)| end)
    }
}

fn deliver(port: Option<&Arc<PortCore>>, end: End) {
    // The event first: who has the packet may give it to the next operation.
    if let Channel::PortAndEvent(event) = end.channel {
        let _ = event.set();
    }
    if let Some(port) = port {
        port.deliver(Packet::Io(end.completion));
    }
}
