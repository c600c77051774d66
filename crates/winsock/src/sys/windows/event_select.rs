//! Event objects, waits for several of them, and the network events that set them: Windows' own.

use super::error::{Result, check, last_error};
use super::os::apc::resume_panic;
use super::os::event::EventObject;
use super::os::selection::Selection;
use super::os::time::milliseconds;
use super::socket::Socket;
use super::startup::startup;
use crate::error::{ERROR_INVALID_PARAMETER, WSAEINVAL};
use crate::event_select::{
    Event as Public, NetEvents, NetworkEvents, WAIT_EVENTS_MAX, Wait, Waitable as PublicWaitable,
};
use crate::routine::Alertable;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, RawHandle};
use std::sync::Arc;
use std::time::Duration;
use windows_sys::Win32::Foundation::{WAIT_FAILED, WAIT_IO_COMPLETION, WAIT_TIMEOUT};
use windows_sys::Win32::Networking::WinSock as ws;

#[derive(Clone)]
pub(crate) struct Event {
    object: Arc<EventObject>,
}

impl Event {
    pub(crate) fn new(manual_reset: bool) -> Result<Event> {
        startup()?;
        Ok(Event { object: EventObject::new(manual_reset)? })
    }

    pub(crate) fn set(&self) -> Result<()> {
        self.object.set()
    }

    pub(crate) fn reset(&self) -> Result<()> {
        self.object.reset()
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.object.close()
    }

    pub(crate) fn waitable(&self) -> Result<Waitable> {
        self.object.open()?;
        Ok(Waitable { object: self.object.clone() })
    }

    pub(crate) fn object(&self) -> &Arc<EventObject> {
        &self.object
    }
}

/// Keeps the handle open, also if the event is closed.
pub(crate) struct Waitable {
    object: Arc<EventObject>,
}

impl AsHandle for PublicWaitable {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        // SAFETY: the object keeps its handle open, and the borrow keeps the object.
        unsafe { BorrowedHandle::borrow_raw(self.as_raw_handle()) }
    }
}

impl AsRawHandle for PublicWaitable {
    fn as_raw_handle(&self) -> RawHandle {
        self.sys.object.raw()
    }
}

pub(crate) fn wait(
    events: &[Public],
    all: bool,
    timeout: Option<Duration>,
    alertable: Alertable,
) -> Result<Wait> {
    if !(1..=WAIT_EVENTS_MAX).contains(&events.len()) {
        return Err(ERROR_INVALID_PARAMETER);
    }
    let mut handles = [std::ptr::null_mut(); WAIT_EVENTS_MAX];
    for (at, (place, event)) in handles.iter_mut().zip(events).enumerate() {
        *place = event.sys.object.open()?;
        // Wine does not mind (EV-07).
        let twin = |other: &Public| Arc::ptr_eq(&other.sys.object, &event.sys.object);
        if all && events[..at].iter().any(twin) {
            return Err(ERROR_INVALID_PARAMETER);
        }
    }
    let (count, all, alert) = (events.len() as u32, i32::from(all), i32::from(alertable == Alertable::Yes));
    // SAFETY: the caller's events keep the handles open; the list says its own length.
    let outcome =
        unsafe { ws::WSAWaitForMultipleEvents(count, handles.as_ptr(), all, milliseconds(timeout), alert) };
    let outcome = match outcome {
        WAIT_FAILED => Err(last_error()),
        WAIT_IO_COMPLETION => Ok(Wait::IoCompletion),
        WAIT_TIMEOUT => Ok(Wait::TimedOut),
        index => Ok(Wait::Index(index as usize)),
    };
    resume_panic();
    outcome
}

impl Socket {
    pub(crate) fn event_select(&self, event: Option<&Public>, mask: NetEvents) -> Result<()> {
        let selection = match event {
            _ if mask.is_empty() => None,
            Some(event) => Some(Selection::Event { event: event.sys.object.clone(), mask }),
            None => return self.with(|_| Err(WSAEINVAL)),
        };
        self.handle().select(selection)
    }

    pub(crate) fn enum_network_events(
        &self,
        event: Option<&Public>,
        record: &mut NetworkEvents,
    ) -> Result<()> {
        let event = event.map_or(Ok(std::ptr::null_mut()), |event| event.sys.object.open())?;
        let mut record_of_system = ws::WSANETWORKEVENTS::default();
        // What is not reported stays as it was (ES-04), so it goes in too.
        let errors = record.errors.len();
        record_of_system.iErrorCode[..errors].copy_from_slice(&record.errors);
        self.with(|raw| {
            // SAFETY: the record lives across the call; the caller's event keeps its handle open.
            check(unsafe { ws::WSAEnumNetworkEvents(raw, event as isize, &mut record_of_system) })
        })?;
        record.events = NetEvents::from_bits(record_of_system.lNetworkEvents as u16);
        record.errors.copy_from_slice(&record_of_system.iErrorCode[..errors]);
        Ok(())
    }
}
