//! A message-only window, and what its messages mean.
//!
//! The system's queue gives the order; what a message carries stands here. A program's own message is only a marker in
//! the queue, since a pointer in a message could be forged by whoever finds the window. A socket's message names a handle,
//! whose value may be given to a new socket while messages of the old one wait: therefore a handle that is not
//! registered any more gets a tombstone in the queue, and what comes before it belongs to the old socket (CL-05).

use super::super::error::{Result, check_system, last_system_error};
use super::dispatched;
use super::handle::{Handle, lock};
use super::selection::Registered;
use crate::async_select::{MESSAGES_MAX, Message, WM_USER, WM_USER_MAX};
use crate::error::{ERROR_INVALID_WINDOW_HANDLE, ERROR_NOT_ENOUGH_MEMORY, ERROR_NOT_ENOUGH_QUOTA, WSAEINVAL};
use crate::event_select::NetEvents;
use crate::socket::SocketId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use windows_sys::Win32::Foundation::HWND;
use windows_sys::Win32::Networking::WinSock::SOCKET;
use windows_sys::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DestroyWindow, HWND_MESSAGE, MSG, PostMessageW, RegisterWindowMessageW,
};
use windows_sys::w;

pub(crate) struct WindowObject {
    hwnd: usize,
    /// The message id of markers and tombstones, which no program uses by chance.
    own_message: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    destroyed: bool,
    /// What the markers in the queue stand for.
    posted: VecDeque<(u32, usize, isize)>,
    /// Whose messages name a handle: all but the last are retired, and their tombstones are in the queue.
    sockets: HashMap<SOCKET, VecDeque<Entry>>,
}

struct Entry {
    socket: u64,
    handle: Weak<Handle>,
    retired: bool,
}

impl WindowObject {
    /// Makes a window of the calling thread.
    pub(crate) fn new() -> Result<Arc<WindowObject>> {
        static OWN_MESSAGE: OnceLock<u32> = OnceLock::new();
        // SAFETY: a constant string.
        let register = || unsafe { RegisterWindowMessageW(w!("doorbell-winsock")) };
        let own_message = *OWN_MESSAGE.get_or_init(register);
        if own_message == 0 {
            return Err(ERROR_NOT_ENOUGH_MEMORY);
        }
        let (class, no_name, none) = (dispatched::class()?, std::ptr::null(), std::ptr::null_mut());
        // SAFETY: a class that was registered, and plain numbers.
        let hwnd = unsafe {
            CreateWindowExW(0, class, no_name, 0, 0, 0, 0, 0, HWND_MESSAGE, none, none, std::ptr::null())
        };
        if hwnd.is_null() {
            return Err(last_system_error());
        }
        Ok(Arc::new(WindowObject { hwnd: hwnd as usize, own_message, state: Mutex::default() }))
    }

    pub(crate) fn hwnd(&self) -> HWND {
        self.hwnd as HWND
    }

    /// # Errors
    /// WSAEINVAL (10022) when the window is gone.
    pub(crate) fn exists(&self) -> Result<()> {
        if lock(&self.state).destroyed { Err(WSAEINVAL) } else { Ok(()) }
    }

    /// Destroys the window, in the thread that made it.
    pub(crate) fn destroy(self: &Arc<WindowObject>) {
        let mut state = lock(&self.state);
        state.destroyed = true;
        let sockets = std::mem::take(&mut state.sockets);
        state.posted.clear();
        drop(state);
        for entry in sockets.into_values().flatten().filter(|entry| !entry.retired) {
            if let Some(handle) = entry.handle.upgrade() {
                handle.leave(self);
            }
        }
        // SAFETY: the window is this thread's, and nobody uses its value any more.
        unsafe { DestroyWindow(self.hwnd()) };
        // The value may be given to another window.
        while dispatched::take(self.hwnd()).is_some() {}
    }

    /// Posts a program's own message.
    pub(crate) fn post(&self, id: u32, wparam: usize, lparam: isize) -> Result<()> {
        let mut state = lock(&self.state);
        if state.destroyed {
            return Err(ERROR_INVALID_WINDOW_HANDLE);
        }
        if state.posted.len() >= MESSAGES_MAX {
            return Err(ERROR_NOT_ENOUGH_QUOTA);
        }
        self.post_own(0)?;
        state.posted.push_back((id, wparam, lparam));
        Ok(())
    }

    /// Notes whose messages name this handle, and makes the selection.
    ///
    /// # Errors
    /// WSAEINVAL (10022) when the window is gone, which Wine does not mind (AS-15).
    pub(crate) fn register(
        &self,
        handle: &Arc<Handle>,
        select: impl FnOnce(HWND) -> Result<()>,
    ) -> Result<()> {
        // Held across the call, so that the first message meets the note.
        let mut state = lock(&self.state);
        if state.destroyed {
            return Err(WSAEINVAL);
        }
        select(self.hwnd())?;
        state.note(handle);
        Ok(())
    }

    /// Notes the socket that an accept brings and that has this window by inheritance.
    pub(crate) fn inherit(&self, accept: impl FnOnce() -> Result<Arc<Handle>>) -> Result<Arc<Handle>> {
        let mut state = lock(&self.state);
        let accepted = accept()?;
        state.note(&accepted);
        Ok(accepted)
    }

    /// From here on messages with this handle are another socket's.
    pub(crate) fn retire(&self, registered: Registered) {
        let mut state = lock(&self.state);
        let Some(entries) = state.sockets.get_mut(&registered.raw) else { return };
        let Some(last) = entries.back_mut().filter(|last| last.socket == registered.socket) else { return };
        last.retired = true;
        // The queue is full: what waits there of this socket is not told. If that handle is registered anew before it
        // is taken, it is told as the new one's, as Windows itself would.
        if self.post_own(registered.raw).is_err() {
            entries.pop_back();
        }
    }

    /// What a message of the queue means; none if it is not to be told.
    pub(crate) fn translate(&self, message: &MSG) -> Option<Message> {
        let mut state = lock(&self.state);
        if message.message == self.own_message {
            if message.wParam != 0 {
                state.bury(message.wParam);
                return None;
            }
            let (id, wparam, lparam) = state.posted.pop_front()?;
            return Some(Message::Posted { id, wparam, lparam });
        }
        if !(WM_USER..=WM_USER_MAX).contains(&message.message) {
            return None;
        }
        let socket = state.sockets.get(&message.wParam)?.front()?.socket;
        // The low word is the event, the high word the error.
        let (event, error) = (message.lParam as u16, (message.lParam >> 16) as u16);
        Some(Message::Socket {
            id: message.message,
            socket: SocketId(socket),
            event: NetEvents::from_bits(event),
            error: i32::from(error),
        })
    }

    fn post_own(&self, wparam: usize) -> Result<()> {
        // SAFETY: plain numbers.
        check_system(unsafe { PostMessageW(self.hwnd(), self.own_message, wparam, 0) })
    }
}

impl State {
    fn note(&mut self, handle: &Arc<Handle>) {
        let Registered { raw, socket } = handle.registered();
        let entries = self.sockets.entry(raw).or_default();
        if entries.back().is_none_or(|last| last.retired) {
            entries.push_back(Entry { socket, handle: Arc::downgrade(handle), retired: false });
        }
    }

    /// Takes out the oldest socket of a handle, if it is retired: a tombstone can be forged.
    fn bury(&mut self, raw: SOCKET) {
        let Some(entries) = self.sockets.get_mut(&raw) else { return };
        if entries.front().is_some_and(|first| first.retired) {
            entries.pop_front();
        }
        if entries.is_empty() {
            self.sockets.remove(&raw);
        }
    }
}
