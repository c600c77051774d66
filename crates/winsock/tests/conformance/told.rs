//! What holds whichever way the end of an operation is told: each body runs by event and by routine, over every
//! family. What a port tells stands in [`overlapped`](crate::overlapped) and [`port`](crate::port).

mod accept;
mod buffers;
mod cancel;
mod close;
mod order;
mod outcome;
mod starter;

use crate::harness::{LONG, SILENCE, SOON, event, families, narrow};
use doorbell_winsock::overlapped::{Channel, IoBufMut, Op, OpId, Refused, ToEvent, ToRoutine};
use doorbell_winsock::routine::{Alertable, sleep_ex};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Completion, Event, Family, Socket, Wait, wait_any};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Event,
    Routine,
}

const WAYS: [Way; 2] = [Way::Event, Way::Routine];

/// Runs a body each way, over each family.
fn each(body: impl Fn(Told, Family)) {
    for way in WAYS {
        for family in families() {
            println!("by {way:?}, over {family:?}");
            body(Told::by(way), family);
        }
    }
}

/// Starts operations of the calling thread, all told the same way, and hears of their ends.
struct Told {
    way: Way,
    /// By event: what runs, each with an event of its own.
    running: Vec<(Op, Event)>,
    /// By event: the events of those that ended. Nobody may set them again.
    spent: VecDeque<Event>,
    /// By routine: what the routines were given, in the order in which they ran.
    ends: Rc<RefCell<VecDeque<Completion>>>,
}

/// One start.
#[derive(Clone, Copy)]
enum Act<'a> {
    Recv(&'a Socket),
    /// A receive that is to fill its buffer.
    Fill(&'a Socket),
    RecvFrom(&'a Socket),
    Send(&'a Socket),
    SendTo(&'a Socket, SocketAddr),
    /// The listener, and the socket to accept into.
    Accept(&'a Socket, &'a Socket),
    Connect(&'a Socket, SocketAddr),
}

impl Act<'_> {
    fn start<B: IoBufMut, C: Channel<B>>(self, buffer: B, channel: C) -> Result<C::Started, Refused<B>> {
        match self {
            Act::Recv(socket) => socket.recv_overlapped(buffer, Flags::NONE, channel),
            Act::Fill(socket) => socket.recv_overlapped(buffer, Flags::WAIT_ALL, channel),
            Act::RecvFrom(socket) => socket.recv_from_overlapped(buffer, Flags::NONE, channel),
            Act::Send(socket) => socket.send_overlapped(buffer, channel),
            Act::SendTo(socket, to) => socket.send_to_overlapped(buffer, to, channel),
            Act::Accept(listener, accept) => listener.accept_ex(accept, buffer, channel),
            Act::Connect(socket, to) => socket.connect_ex(to, buffer, channel),
        }
    }
}

impl Told {
    fn by(way: Way) -> Told {
        Told { way, running: Vec::new(), spent: VecDeque::new(), ends: Rc::default() }
    }

    /// Starts something: its name, and whether it succeeded at once.
    fn start<B: IoBufMut>(&mut self, act: Act<'_>, buffer: B) -> Result<(OpId, bool), Refused<B>> {
        match self.way {
            Way::Event => {
                let event = event();
                let op = act.start(buffer, ToEvent(&event))?;
                let started = (op.id(), op.at_once());
                self.running.push((op, event));
                Ok(started)
            }
            Way::Routine => {
                let ends = self.ends.clone();
                let routed = act.start(buffer, ToRoutine(move |end| ends.borrow_mut().push_back(end)))?;
                Ok((routed.id, routed.at_once))
            }
        }
    }

    /// Starts something that may succeed at once or pend (OV-17).
    #[track_caller]
    fn started<B: IoBufMut>(&mut self, act: Act<'_>, buffer: B) -> OpId {
        self.start(act, buffer).expect("the operation starts").0
    }

    /// Starts something that cannot end yet.
    #[track_caller]
    fn pending<B: IoBufMut>(&mut self, act: Act<'_>, buffer: B) -> OpId {
        let (id, at_once) = self.start(act, buffer).expect("the operation starts");
        assert!(!at_once, "expected WSA_IO_PENDING");
        id
    }

    /// Starts a receive of `len` bytes that has nothing to take yet.
    #[track_caller]
    fn receives(&mut self, socket: &Socket, len: usize) -> OpId {
        self.pending(Act::Recv(socket), vec![0; len])
    }

    /// The next end, in time. By event the first started of those that have ended.
    #[track_caller]
    fn next(&mut self) -> Completion {
        match self.way {
            Way::Event => {
                let events: Vec<Event> = self.running.iter().map(|(_, event)| event.clone()).collect();
                match wait_any(&events, Some(SOON), Alertable::No) {
                    Ok(Wait::Index(at)) => {
                        let (op, event) = self.running.remove(at);
                        event.reset().expect("reset");
                        self.spent.push_back(event);
                        op.try_take().expect("its event is set, so it has ended")
                    }
                    other => panic!("no operation ended: {other:?}"),
                }
            }
            Way::Routine => {
                let deadline = Instant::now() + SOON;
                loop {
                    if let Some(end) = self.ends.borrow_mut().pop_front() {
                        return end;
                    }
                    let left = deadline.saturating_duration_since(Instant::now());
                    assert!(!left.is_zero(), "no routine ran");
                    sleep_ex(Some(left), Alertable::Yes).expect("sleep_ex");
                }
            }
        }
    }

    /// Nothing ends, and nothing that ended is told again.
    #[track_caller]
    fn silence(&mut self) {
        match self.way {
            Way::Event => {
                let mut events: Vec<Event> = self.running.iter().map(|(_, event)| event.clone()).collect();
                self.spent.drain(..self.spent.len().saturating_sub(64 - events.len()));
                events.extend(self.spent.iter().cloned());
                if events.is_empty() {
                    return;
                }
                let waited = wait_any(&events, Some(SILENCE), Alertable::No);
                assert_eq!(waited, Ok(Wait::TimedOut), "an event was set; {} run", self.running.len());
            }
            Way::Routine => {
                assert_eq!(sleep_ex(Some(SILENCE), Alertable::Yes), Ok(Wait::TimedOut), "a routine ran");
                assert!(self.ends.borrow().is_empty(), "a routine had run");
            }
        }
    }

    /// Lets time pass without hearing of anything.
    fn deaf(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
