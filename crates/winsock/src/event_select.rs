//! `WSAEventSelect`: network events recorded for each socket, and event objects that say "look" (model 4).
//!
//! Each socket has a private record of network events. What happens is recorded once, and again only after the call
//! that consumes it: a receive re-arms FD_READ, an accept FD_ACCEPT, a send that found no room FD_WRITE (NE-01, NE-06,
//! NE-08). The event object says no more than that the record is worth a look (ES-01). Events also serve overlapped
//! operations, and any thread may set and await them.
//!
//! ```
//! use doorbell_winsock::routine::Alertable;
//! use doorbell_winsock::{Event, NetEvents, Wait, wait_any};
//! # use doorbell_winsock::{Family, Kind, Socket};
//!
//! # fn main() -> doorbell_winsock::Result<()> {
//! # let listener = Socket::new(Family::V4, Kind::Stream)?;
//! # listener.bind(([127, 0, 0, 1], 0).into())?;
//! # listener.listen(1)?;
//! let event = Event::new()?;
//! listener.event_select(Some(&event), NetEvents::ACCEPT)?;
//! # let client = Socket::new(Family::V4, Kind::Stream)?;
//! # client.connect(listener.local_addr()?)?;
//!
//! // The wait says which event, the record says what: it is taken, and the event reset, in one step.
//! let events = [event];
//! assert_eq!(wait_any(&events, None, Alertable::No)?, Wait::Index(0));
//! let record = listener.enum_network_events(Some(&events[0]))?;
//! assert!(record.contains(NetEvents::ACCEPT));
//! assert_eq!(record.error(NetEvents::ACCEPT), 0);
//! let (_socket, _) = listener.accept()?;
//! # Ok(())
//! # }
//! ```

use crate::error::{Error, Result};
use crate::routine::Alertable;
use crate::socket::Socket;
use crate::sys;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{BitAnd, BitOr, BitOrAssign};
use std::time::Duration;

/// As many events as one wait takes (LI-01).
#[doc(alias = "WSA_MAXIMUM_WAIT_EVENTS")]
pub const WAIT_EVENTS_MAX: usize = 64;

/// An event object: set or unset, waited for by any thread; see [`wait_any`]. Clones are the same handle; the drop of the last closes it.
#[doc(alias = "WSAEVENT")]
#[derive(Clone)]
pub struct Event {
    pub(crate) sys: sys::event_select::Event,
}

impl Event {
    /// Makes a manual-reset event, initially unset: it stays set until it is reset (EV-01). Starts Winsock if need be.
    ///
    /// # Errors
    /// ERROR_NOT_ENOUGH_MEMORY (8).
    #[doc(alias = "WSACreateEvent")]
    #[doc(alias = "CreateEvent")]
    pub fn new() -> Result<Event> {
        Event::make(true)
    }

    /// Makes an auto-reset event, initially unset: each set lets one wait through, which unsets it (EV-02).
    ///
    /// # Errors
    /// As [`Event::new`].
    #[doc(alias = "CreateEvent")]
    pub fn auto_reset() -> Result<Event> {
        Event::make(false)
    }

    /// Sets it and wakes those who wait for it: all for a manual-reset event, one for an auto-reset one (EV-02). Does
    /// not block; any thread.
    ///
    /// # Errors
    /// ERROR_INVALID_HANDLE (6) when closed (EV-06).
    #[doc(alias = "WSASetEvent")]
    #[doc(alias = "SetEvent")]
    pub fn set(&self) -> Result<()> {
        self.sys.set().map_err(|code| Error::new("set_event", code))
    }

    /// Unsets it. Does not block; any thread.
    ///
    /// # Errors
    /// As [`set`](Event::set).
    #[doc(alias = "WSAResetEvent")]
    #[doc(alias = "ResetEvent")]
    pub fn reset(&self) -> Result<()> {
        self.sys.reset().map_err(|code| Error::new("reset_event", code))
    }

    /// Closes it for all clones; the drop of the last one closes it too. Does not block. Nobody should be waiting for it:
    /// who is, may fail with 6.
    ///
    /// # Errors
    /// ERROR_INVALID_HANDLE (6) when closed already.
    #[doc(alias = "WSACloseEvent")]
    pub fn close(&self) -> Result<()> {
        self.sys.close().map_err(|code| Error::new("close_event", code))
    }

    /// What a loop that is not this crate's (a GUI's, another library's) can wait for in place of [`wait_any`]. Made when it is
    /// asked for; an event that never was costs nothing for it. It is of the calling thread, which waits for it.
    ///
    /// On Linux it is a descriptor (`AsFd`, `AsRawFd`), readable when there is reason to ask, to be used with `poll(2)` or
    /// in an epoll set. Readable is a hint: ask with a time-out of zero, for as long as something is found, and wait only
    /// then. The hint may be stale, but is never missing: who sets the event, an operation that ends or a network event
    /// makes it readable, also if no thread waits in this crate. An event that is closed is readable, and asking fails.
    /// Under io_uring such a wait may end with EINTR.
    ///
    /// On Windows it is the event's handle (`AsHandle`, `AsRawHandle`). The system's wait for an auto-reset event unsets it,
    /// and then asking finds nothing: for a loop that is to run on both, take a manual-reset event.
    ///
    /// # Errors
    /// ERROR_INVALID_HANDLE (6) when closed; WSAEMFILE (10024) when no descriptor is left, WSAENOBUFS (10055).
    #[doc(alias = "WaitForMultipleObjects")]
    pub fn waitable(&self) -> Result<Waitable> {
        self.sys.waitable().map(Waitable::of).map_err(|code| Error::new("waitable", code))
    }

    fn make(manual_reset: bool) -> Result<Event> {
        let sys =
            sys::event_select::Event::new(manual_reset).map_err(|code| Error::new("create_event", code))?;
        Ok(Event { sys })
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Event")
    }
}

/// What a foreign loop waits for: [`Event::waitable`]. It stays in its thread.
#[doc(alias = "HANDLE")]
pub struct Waitable {
    pub(crate) sys: sys::event_select::Waitable,
    _thread: PhantomData<*const ()>,
}

impl Waitable {
    pub(crate) fn of(sys: sys::event_select::Waitable) -> Waitable {
        Waitable { sys, _thread: PhantomData }
    }
}

impl fmt::Debug for Waitable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waitable")
    }
}

/// How a wait ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The event at this place was set: the lowest of those that were (EV-03). After [`wait_all`] 0: all were.
    #[doc(alias = "WSA_WAIT_EVENT_0")]
    Index(usize),
    /// The wait was alertable, and at least one routine ran (CR-04).
    #[doc(alias = "WSA_WAIT_IO_COMPLETION")]
    IoCompletion,
    /// Nothing came in time.
    #[doc(alias = "WSA_WAIT_TIMEOUT")]
    TimedOut,
}

/// Waits until one of 1 to 64 events is set, for at most `timeout` (`None` for ever). An event that is set already wins
/// over queued routines (CR-10); an auto-reset event that ends the wait is unset by it, no other is changed (EV-03).
/// Blocks, unless the time-out is zero; any thread, and as many as like for one event.
///
/// # Errors
/// ERROR_INVALID_PARAMETER (87) for none or more than 64 (LI-01), ERROR_INVALID_HANDLE (6) when one is closed (EV-06).
#[doc(alias = "WSAWaitForMultipleEvents")]
#[doc(alias = "WaitForMultipleObjectsEx")]
#[doc(alias = "WaitForSingleObject")]
pub fn wait_any(events: &[Event], timeout: Option<Duration>, alertable: Alertable) -> Result<Wait> {
    wait(events, false, timeout, alertable)
}

/// Waits until all of 1 to 64 events are set together; until then none is changed (EV-04), and then each auto-reset one
/// is unset. Else as [`wait_any`].
///
/// # Errors
/// As [`wait_any`]; ERROR_INVALID_PARAMETER (87) also when one stands there twice (EV-07).
#[doc(alias = "WSAWaitForMultipleEvents")]
pub fn wait_all(events: &[Event], timeout: Option<Duration>, alertable: Alertable) -> Result<Wait> {
    wait(events, true, timeout, alertable)
}

fn wait(events: &[Event], all: bool, timeout: Option<Duration>, alertable: Alertable) -> Result<Wait> {
    sys::event_select::wait(events, all, timeout, alertable)
        .map_err(|code| Error::new("wait_for_multiple_events", code))
}

/// A set of network events.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[doc(alias = "lNetworkEvents")]
pub struct NetEvents(u16);

impl NetEvents {
    /// None.
    pub const NONE: NetEvents = NetEvents(0);
    /// There is something to receive. Once until a receive (NE-01); the peer's end is none (NE-05).
    #[doc(alias = "FD_READ")]
    pub const READ: NetEvents = NetEvents(1);
    /// There is room to send: once for a new connection, and again after a send that found none (NE-06).
    #[doc(alias = "FD_WRITE")]
    pub const WRITE: NetEvents = NetEvents(2);
    /// There is urgent data, unless that is left in the stream (NE-20).
    #[doc(alias = "FD_OOB")]
    pub const OOB: NetEvents = NetEvents(4);
    /// There is a connection to accept. Once until an accept (NE-08).
    #[doc(alias = "FD_ACCEPT")]
    pub const ACCEPT: NetEvents = NetEvents(8);
    /// The outcome of a connect is known; its code says which (NE-12).
    #[doc(alias = "FD_CONNECT")]
    pub const CONNECT: NetEvents = NetEvents(16);
    /// The peer finished, or the connection broke: its code says which (NE-15). Once a connection (NE-13), and there may be
    /// something to receive before it (NE-14).
    #[doc(alias = "FD_CLOSE")]
    pub const CLOSE: NetEvents = NetEvents(32);
    /// All six.
    #[doc(alias = "FD_ALL_EVENTS")]
    pub const ALL: NetEvents = NetEvents(63);

    /// The set of these bits, Winsock's; others are dropped.
    pub const fn from_bits(bits: u16) -> NetEvents {
        NetEvents(bits & NetEvents::ALL.0)
    }

    /// Winsock's bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all of `other` are in it.
    pub const fn contains(self, other: NetEvents) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in this set and not in the other.
    pub const fn without(self, other: NetEvents) -> NetEvents {
        NetEvents(self.0 & !other.0)
    }

    /// Its members one by one, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = NetEvents> {
        (0..6).map(|bit| NetEvents(1 << bit)).filter(move |one| self.contains(*one))
    }
}

impl BitOr for NetEvents {
    type Output = NetEvents;
    fn bitor(self, other: NetEvents) -> NetEvents {
        NetEvents(self.0 | other.0)
    }
}

impl BitOrAssign for NetEvents {
    fn bitor_assign(&mut self, other: NetEvents) {
        self.0 |= other.0;
    }
}

impl BitAnd for NetEvents {
    type Output = NetEvents;
    fn bitand(self, other: NetEvents) -> NetEvents {
        NetEvents(self.0 & other.0)
    }
}

impl fmt::Debug for NetEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 6] = ["FD_READ", "FD_WRITE", "FD_OOB", "FD_ACCEPT", "FD_CONNECT", "FD_CLOSE"];
        let names: Vec<_> =
            self.iter().filter_map(|one| NAMES.get(one.0.trailing_zeros() as usize)).copied().collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join("|"))
    }
}

/// What a socket's record had: events, and an error code for each.
#[doc(alias = "WSANETWORKEVENTS")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkEvents {
    /// The events that were recorded.
    pub events: NetEvents,
    /// A Winsock code for each event by the number of its bit, 0 for none; only those of `events` are meant (ES-04).
    pub errors: [i32; 6],
}

impl NetworkEvents {
    /// Whether this event was recorded.
    pub fn contains(&self, event: NetEvents) -> bool {
        self.events.contains(event)
    }

    /// The code of one event: 0 when it went well, or was not recorded.
    pub fn error(&self, event: NetEvents) -> i32 {
        let at = event.bits().trailing_zeros() as usize;
        if self.contains(event) { self.errors.get(at).copied().unwrap_or(0) } else { 0 }
    }
}

impl Socket {
    /// Selects network events: from now on each of `mask` that is recorded sets `event` (ES-01). It replaces the
    /// selection before, also one of [`async_select`](Socket::async_select) (AS-12), and makes the socket non-blocking
    /// whatever the mask (MO-01). What holds already and was not reported is recorded at once (ES-06, ES-07). An empty
    /// mask ends the selection and leaves the socket non-blocking (MO-03). Does not block; any thread.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038); WSAEINVAL (10022) for events without an event object (ES-15); ERROR_INVALID_HANDLE (6) for
    /// one that is closed.
    #[doc(alias = "WSAEventSelect")]
    pub fn event_select(&self, event: Option<&Event>, mask: NetEvents) -> Result<()> {
        self.sys.event_select(event, mask).map_err(|code| Error::new("event_select", code))
    }

    /// Takes what was recorded of the selected events and clears it (ES-02, ES-08); `event`, if given, is reset in the
    /// same step. Does not block; any thread.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038); ERROR_INVALID_HANDLE (6) when the event is closed.
    #[doc(alias = "WSAEnumNetworkEvents")]
    pub fn enum_network_events(&self, event: Option<&Event>) -> Result<NetworkEvents> {
        let mut record = NetworkEvents::default();
        self.enum_network_events_into(event, &mut record)?;
        Ok(record)
    }

    /// [`enum_network_events`](Socket::enum_network_events) into a record of the caller's, whose error slots of events
    /// that are not reported stay as they were (ES-04).
    ///
    /// # Errors
    /// The same.
    #[doc(alias = "WSAEnumNetworkEvents")]
    pub fn enum_network_events_into(&self, event: Option<&Event>, record: &mut NetworkEvents) -> Result<()> {
        self.sys.enum_network_events(event, record).map_err(|code| Error::new("enum_network_events", code))
    }
}
