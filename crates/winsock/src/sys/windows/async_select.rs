//! Message queues and their windows: message-only windows, and `WSAAsyncSelect`.

use super::error::{Result, last_system_error};
use super::os::dispatched;
use super::os::selection::Selection;
use super::os::time::milliseconds;
use super::os::window::WindowObject;
use super::socket::Socket;
use super::startup::startup;
use crate::async_select::{Message, MessageQueue as PublicQueue, Window as Public};
use crate::event_select::NetEvents;
use std::sync::Arc;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::WAIT_FAILED;
use windows_sys::Win32::UI::WindowsAndMessaging::{
    MSG, MsgWaitForMultipleObjectsEx, PM_REMOVE, PeekMessageW, QS_POSTMESSAGE, QS_SENDMESSAGE,
};

pub(crate) struct MessageQueue {
    window: Arc<WindowObject>,
}

impl MessageQueue {
    pub(crate) fn new() -> Result<MessageQueue> {
        startup()?;
        Ok(MessageQueue { window: WindowObject::new()? })
    }

    pub(crate) fn window(&self) -> Window {
        Window { window: self.window.clone() }
    }

    pub(crate) fn get(&self, timeout: Option<Duration>) -> Result<Option<Message>> {
        // A time beyond what the clock can name is never.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            while let Some(message) = self.peek() {
                if let Some(message) = self.window.translate(&message) {
                    return Ok(Some(message));
                }
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            // Ends when something came after the look above: another window of this thread may have messages that wait.
            let wake = QS_POSTMESSAGE | QS_SENDMESSAGE;
            // SAFETY: no handles, plain numbers.
            let outcome =
                unsafe { MsgWaitForMultipleObjectsEx(0, std::ptr::null(), milliseconds(left), wake, 0) };
            if outcome == WAIT_FAILED {
                return Err(last_system_error());
            }
        }
    }

    /// What a foreign pump has dispatched was in the queue before what is there now.
    fn peek(&self) -> Option<MSG> {
        if let Some(message) = dispatched::take(self.window.hwnd()) {
            return Some(message);
        }
        let mut message = MSG::default();
        // SAFETY: the message is ours; the window is this thread's, in which the queue stays.
        let found = unsafe { PeekMessageW(&mut message, self.window.hwnd(), 0, 0, PM_REMOVE) };
        (found != 0).then_some(message)
    }
}

impl PublicQueue {
    /// The window, an `HWND`, for a loop that is not this crate's. Such a loop waits for the messages of the thread, with
    /// `MsgWaitForMultipleObjectsEx` and MWMO_INPUTAVAILABLE, or pumps them with `GetMessage`: then, and after each message
    /// that it dispatches, [`get`](PublicQueue::get) with a time-out of zero is asked until it finds nothing. What a foreign
    /// pump dispatches to this window is kept for `get`, in its place. On Windows; on Linux the queue has a descriptor.
    pub fn hwnd(&self) -> *mut std::ffi::c_void {
        self.sys.window.hwnd()
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        self.window.destroy();
    }
}

#[derive(Clone)]
pub(crate) struct Window {
    window: Arc<WindowObject>,
}

impl Window {
    pub(crate) fn post(&self, id: u32, wparam: usize, lparam: isize) -> Result<()> {
        self.window.post(id, wparam, lparam)
    }
}

impl Socket {
    pub(crate) fn async_select(&self, window: &Public, id: u32, mask: NetEvents) -> Result<()> {
        let window = &window.sys.window;
        if mask.is_empty() {
            window.exists()?;
            return self.handle().select(None);
        }
        self.handle().select(Some(Selection::window(window, self.handle(), id, mask)))
    }
}
