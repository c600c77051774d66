//! Network events told by an event object or by messages: what a promise about both is tested against.
//!
//! The body of such a test is one closure over a [`Delivery`] and does not know which it has; [`both`] makes two tests
//! of it.

use crate::harness::{SOON, known_on_wine, promise};
use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::SocketId;
use doorbell_winsock::{Event, Message, MessageQueue, NetEvents, Socket, Wait, wait_any};
use std::collections::VecDeque;
use std::slice;
use std::time::{Duration, Instant};

/// The window in which nothing may be told; many bodies have several, twice.
pub(crate) const QUIET: Duration = Duration::from_millis(100);

/// The id of all messages of a [`Delivery`].
const ID: u32 = doorbell_winsock::async_select::WM_USER + 77;

/// Two tests, `$name::by_event` and `$name::by_message`, of one body. Where Wine does otherwise in one of the two ways,
/// the number stands behind: `by_event = "NE-20"`.
macro_rules! both {
    ($name:ident, $body:expr $(, by_event = $event:literal)? $(, by_message = $message:literal)?) => {
        mod $name {
            #[test]
            fn by_event() {
                crate::delivery::by_event(super::$name(), &[$($event)?]);
            }

            #[test]
            fn by_message() {
                crate::delivery::by_message(super::$name(), &[$($message)?]);
            }
        }

        fn $name() -> fn(&mut crate::delivery::Delivery) {
            $body
        }
    };
}
pub(crate) use both;

pub(crate) fn by_event(body: fn(&mut Delivery), wine: &[&str]) {
    run(wine, move || {
        let event = Event::new().expect("an event");
        body(&mut Delivery { way: Way::Event { event, sockets: Vec::new() }, waiting: VecDeque::new() });
    });
}

pub(crate) fn by_message(body: fn(&mut Delivery), wine: &[&str]) {
    run(wine, move || {
        let queue = MessageQueue::new().expect("a queue");
        body(&mut Delivery { way: Way::Message(queue), waiting: VecDeque::new() });
    });
}

fn run(wine: &[&str], body: impl FnOnce() + Send + 'static) {
    match wine.first() {
        Some(number) => known_on_wine(number, body),
        None => promise(body),
    }
}

/// Tells of the network events of the sockets that it selects.
pub(crate) struct Delivery {
    way: Way,
    /// What a record had besides the event that was given out.
    waiting: VecDeque<Told>,
}

enum Way {
    /// One event object for all of them, which are then asked one by one.
    Event {
        event: Event,
        sockets: Vec<Socket>,
    },
    Message(MessageQueue),
}

/// One network event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) socket: SocketId,
    pub(crate) event: NetEvents,
    pub(crate) error: i32,
}

impl Delivery {
    /// Selects network events of a socket; what was selected before is replaced.
    pub(crate) fn select(&mut self, socket: &Socket, mask: NetEvents) {
        match &mut self.way {
            Way::Event { event, .. } => socket.event_select(Some(event), mask).expect("event_select"),
            Way::Message(queue) => socket.async_select(&queue.window(), ID, mask).expect("async_select"),
        }
        self.inherited(socket);
    }

    /// Ends the selection.
    pub(crate) fn end(&mut self, socket: &Socket) {
        match &mut self.way {
            Way::Event { .. } => socket.event_select(None, NetEvents::NONE).expect("event_select"),
            Way::Message(queue) => {
                socket.async_select(&queue.window(), ID, NetEvents::NONE).expect("async_select");
            }
        }
    }

    /// This socket was accepted and has the selection of its listener.
    pub(crate) fn inherited(&mut self, socket: &Socket) {
        if let Way::Event { sockets, .. } = &mut self.way {
            if !sockets.iter().any(|known| known.id() == socket.id()) {
                sockets.push(socket.clone());
            }
        }
    }

    /// The next network event of any of the sockets.
    pub(crate) fn next(&mut self, limit: Duration) -> Option<Told> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(told) = self.waiting.pop_front() {
                return Some(told);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match &mut self.way {
                Way::Event { event, sockets } => {
                    match wait_any(slice::from_ref(event), Some(left), Alertable::No).expect("the wait") {
                        Wait::TimedOut => return None,
                        wait => assert_eq!(wait, Wait::Index(0)),
                    }
                    // Before the sockets are asked: what is recorded behind that sets it again.
                    event.reset().expect("reset");
                    self.waiting.extend(sockets.iter().flat_map(|socket| {
                        let record = socket.enum_network_events(None).expect("the record");
                        record.events.iter().map(move |event| Told {
                            socket: socket.id(),
                            event,
                            error: record.error(event),
                        })
                    }));
                }
                Way::Message(queue) => match queue.get(Some(left)).expect("the queue") {
                    None => return None,
                    Some(Message::Socket { id, socket, event, error }) => {
                        assert_eq!((id, event.iter().count()), (ID, 1), "{event:?} (AS-01)");
                        return Some(Told { socket, event, error });
                    }
                    Some(posted) => panic!("nobody posted {posted:?}"),
                },
            }
        }
    }

    /// Exactly these events of this socket are told, each once and without an error, in any order.
    #[track_caller]
    pub(crate) fn tells(&mut self, socket: &Socket, events: NetEvents) {
        let mut left = events;
        while !left.is_empty() {
            match self.next(SOON) {
                Some(told) if told.socket == socket.id() && told.error == 0 && left.contains(told.event) => {
                    left = left.without(told.event);
                }
                Some(told) => panic!("{told:?} instead of {left:?} of {:?}", socket.id()),
                None => panic!("{left:?} was not told"),
            }
        }
    }

    /// This event of this socket is told, with an error: gives that.
    #[track_caller]
    pub(crate) fn fails(&mut self, socket: &Socket, event: NetEvents) -> i32 {
        match self.next(SOON) {
            Some(told) if told.socket == socket.id() && told.event == event && told.error != 0 => told.error,
            Some(told) => panic!("{told:?} instead of a failed {event:?} of {:?}", socket.id()),
            None => panic!("{event:?} was not told"),
        }
    }

    /// Nothing is told.
    #[track_caller]
    pub(crate) fn nothing(&mut self) {
        if let Some(told) = self.next(QUIET) {
            panic!("{told:?} instead of nothing");
        }
    }

    /// At most this is told of this socket: whether it was.
    #[track_caller]
    pub(crate) fn at_most(&mut self, socket: &Socket, event: NetEvents) -> bool {
        match self.next(QUIET) {
            None => false,
            Some(told) => {
                assert_eq!(told, Told { socket: socket.id(), event, error: 0 });
                self.nothing();
                true
            }
        }
    }
}

/// A pair whose second end is connected, and selected by nobody yet; with small buffers, which are full soon.
pub(crate) fn narrow_pair() -> (Socket, Socket) {
    let (a, b) = crate::harness::pair();
    for socket in [&a, &b] {
        socket.set_send_buffer(16 * 1024).expect("the send buffer");
        socket.set_recv_buffer(16 * 1024).expect("the receive buffer");
    }
    (a, b)
}

/// Sends on a non-blocking socket until that would block: the bytes taken.
#[track_caller]
pub(crate) fn fill(socket: &Socket) -> usize {
    let mut sent = 0;
    loop {
        match socket.send(&[7; 8192]) {
            Ok(bytes) => sent += bytes,
            Err(error) if error.code() == WSAEWOULDBLOCK => return sent,
            Err(error) => panic!("after {sent} bytes: {error}"),
        }
    }
}

// Event objects.

const ZERO: Option<Duration> = Some(Duration::ZERO);

pub(crate) fn event() -> Event {
    Event::new().expect("an event")
}

fn wait(event: &Event, timeout: Option<Duration>) -> Wait {
    wait_any(slice::from_ref(event), timeout, Alertable::No).expect("the wait")
}

/// Whether it is set now.
pub(crate) fn is_set(event: &Event) -> bool {
    wait(event, ZERO) == Wait::Index(0)
}

/// It becomes set.
#[track_caller]
pub(crate) fn set_soon(event: &Event) {
    assert_eq!(wait(event, Some(SOON)), Wait::Index(0), "it was not set");
}

/// It stays unset.
#[track_caller]
pub(crate) fn stays_unset(event: &Event) {
    assert_eq!(wait(event, Some(QUIET)), Wait::TimedOut, "it was set");
}
