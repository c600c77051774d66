//! An event object, and how it is closed while others use it.
//!
//! Closing only says so. The system's handle stays open until nobody can name it any more: neither the event's clones,
//! nor the sockets that have a selection with it, nor the operations that are to set it. So no call meets a handle value
//! that was given to somebody else, and the system never loses an event that it has to set.

use super::super::error::{Result, check_system, last_system_error};
use crate::error::ERROR_INVALID_HANDLE;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE};
use windows_sys::Win32::System::Threading::{CreateEventW, ResetEvent, SetEvent};

pub(crate) struct EventObject {
    raw: usize,
    closed: AtomicBool,
}

impl EventObject {
    pub(crate) fn new(manual_reset: bool) -> Result<Arc<EventObject>> {
        // SAFETY: an unnamed event with the default security, initially unset.
        let raw = unsafe { CreateEventW(std::ptr::null(), i32::from(manual_reset), 0, std::ptr::null()) };
        if raw.is_null() {
            return Err(last_system_error());
        }
        Ok(Arc::new(EventObject { raw: raw as usize, closed: AtomicBool::new(false) }))
    }

    pub(crate) fn set(&self) -> Result<()> {
        let raw = self.open()?;
        // SAFETY: the handle is open as long as this value lives.
        check_system(unsafe { SetEvent(raw) })
    }

    pub(crate) fn reset(&self) -> Result<()> {
        let raw = self.open()?;
        // SAFETY: the handle is open as long as this value lives.
        check_system(unsafe { ResetEvent(raw) })
    }

    /// Sets it for an operation that has ended, which an event does not refuse although its owner has closed it.
    pub(crate) fn set_by_operation(&self) {
        // SAFETY: the handle is open as long as this value lives.
        unsafe { SetEvent(self.raw()) };
    }

    pub(crate) fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) { Err(ERROR_INVALID_HANDLE) } else { Ok(()) }
    }

    /// The handle, unless its owner has closed it.
    pub(crate) fn open(&self) -> Result<HANDLE> {
        if self.closed.load(Ordering::Acquire) { Err(ERROR_INVALID_HANDLE) } else { Ok(self.raw()) }
    }

    /// The handle, which is the system's as long as this value lives.
    pub(crate) fn raw(&self) -> HANDLE {
        self.raw as HANDLE
    }
}

impl Drop for EventObject {
    fn drop(&mut self) {
        // SAFETY: nobody can name this value any more, and with it the handle.
        unsafe { CloseHandle(self.raw()) };
    }
}
