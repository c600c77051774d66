//! `WSAAsyncSelect`: network events as messages of a thread-owned queue (model 3).
//!
//! A [`MessageQueue`] belongs to the thread that made it and has one window, to which any thread may post (AS-14). A
//! socket that is registered with a window posts one message for each network event (AS-01), once until the call that
//! consumes it, as in [`event_select`](crate::event_select). The thread takes the messages in the order in which they
//! were posted, sockets' and others' mixed (AS-10). On Windows the window is a message-only window.
//!
//! ```
//! use doorbell_winsock::async_select::WM_USER;
//! use doorbell_winsock::{Message, MessageQueue, NetEvents};
//! # use doorbell_winsock::{Family, Kind, Socket};
//! use std::ops::ControlFlow;
//!
//! # fn main() -> doorbell_winsock::Result<()> {
//! # let listener = Socket::new(Family::V4, Kind::Stream)?;
//! # listener.bind(([127, 0, 0, 1], 0).into())?;
//! # listener.listen(1)?;
//! let queue = MessageQueue::new()?;
//! listener.async_select(&queue.window(), WM_USER, NetEvents::ACCEPT)?;
//! # let client = Socket::new(Family::V4, Kind::Stream)?;
//! # client.connect(listener.local_addr()?)?;
//!
//! queue.run(|message| match message {
//!     Message::Socket { event: NetEvents::ACCEPT, error: 0, .. } => {
//!         let (_socket, _) = listener.accept().expect("somebody is there");
//!         ControlFlow::Break(())
//!     }
//!     _ => ControlFlow::Continue(()),
//! })
//! # }
//! ```
//!
//! A loop that is not this crate's can wait for a queue: on Linux for the descriptor that `MessageQueue::waitable` gives, on
//! Windows for the messages of the thread, whose window `MessageQueue::hwnd` names.

use crate::error::{Error, Result};
use crate::event_select::NetEvents;
use crate::socket::{Socket, SocketId};
use crate::sys;
use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::time::Duration;

/// The first message id that is a program's own (0x0400); those below are the system's.
#[doc(alias = "WM_APP")]
pub const WM_USER: u32 = 0x0400;

/// The last message id that is a program's own (0xbfff).
pub const WM_USER_MAX: u32 = 0xbfff;

/// As many messages as may wait in a queue before [`Window::post`] is refused: the default of Windows, kept everywhere.
pub const MESSAGES_MAX: usize = 10_000;

/// What a window is told.
#[doc(alias = "MSG")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A network event of a socket.
    Socket {
        /// The id that the socket was registered under.
        id: u32,
        /// Which socket. It may be closed by now (AS-07, AS-11).
        socket: SocketId,
        /// Exactly one event (AS-01).
        #[doc(alias = "WSAGETSELECTEVENT")]
        event: NetEvents,
        /// A Winsock code, 0 for none.
        #[doc(alias = "WSAGETSELECTERROR")]
        error: i32,
    },
    /// What somebody posted, as it was posted.
    Posted {
        /// The message id.
        id: u32,
        /// The first value.
        wparam: usize,
        /// The second value.
        lparam: isize,
    },
}

/// A queue of messages, of the thread that made it, where it stays. Its drop destroys its window: what waits is lost, and
/// sockets that are registered with it are told no more.
#[doc(alias = "HWND_MESSAGE")]
pub struct MessageQueue {
    pub(crate) sys: sys::async_select::MessageQueue,
    /// It stays in its thread.
    _thread: PhantomData<*const ()>,
}

impl MessageQueue {
    /// Makes a queue with a window for the calling thread. Starts Winsock if need be.
    ///
    /// # Errors
    /// ERROR_NOT_ENOUGH_MEMORY (8), WSAEMFILE (10024), WSAENOBUFS (10055).
    #[doc(alias = "CreateWindowEx")]
    pub fn new() -> Result<MessageQueue> {
        let sys = sys::async_select::MessageQueue::new().map_err(|code| Error::new("create_window", code))?;
        Ok(MessageQueue { sys, _thread: PhantomData })
    }

    /// The window, by which others reach this queue. The same one each time.
    pub fn window(&self) -> Window {
        Window { sys: self.sys.window() }
    }

    /// Takes the next message; blocks for at most `timeout`, `None` for ever. `Ok(None)` when nothing came in time. Runs
    /// no routine.
    ///
    /// # Errors
    /// None is expected; a failure of the system's wait is told as it is.
    #[doc(alias = "GetMessage")]
    #[doc(alias = "PeekMessage")]
    #[doc(alias = "MsgWaitForMultipleObjects")]
    pub fn get(&self, timeout: Option<Duration>) -> Result<Option<Message>> {
        self.sys.get(timeout).map_err(|code| Error::new("get_message", code))
    }

    /// The pump: blocks, takes one message after the other and hands it to the window's procedure, until that breaks.
    ///
    /// # Errors
    /// As [`get`](MessageQueue::get).
    #[doc(alias = "DispatchMessage")]
    #[doc(alias = "PostQuitMessage")]
    #[doc(alias = "WNDPROC")]
    pub fn run(&self, mut procedure: impl FnMut(Message) -> ControlFlow<()>) -> Result<()> {
        loop {
            if let Some(message) = self.get(None)? {
                if procedure(message).is_break() {
                    return Ok(());
                }
            }
        }
    }
}

impl fmt::Debug for MessageQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageQueue")
    }
}

/// Reaches a queue from any thread: `Send` and `Sync`. Clones are the same window; it outlives its queue, and then refuses.
#[doc(alias = "HWND")]
#[derive(Clone)]
pub struct Window {
    pub(crate) sys: sys::async_select::Window,
}

impl Window {
    /// Posts a message of the program's own behind those that wait. Does not block; any thread.
    ///
    /// # Errors
    /// ERROR_INVALID_WINDOW_HANDLE (1400) when the queue is gone; ERROR_NOT_ENOUGH_QUOTA (1816) when
    /// [`MESSAGES_MAX`] messages wait already; ERROR_INVALID_PARAMETER (87) for an id that is not the program's own.
    #[doc(alias = "PostMessage")]
    pub fn post(&self, id: u32, wparam: usize, lparam: isize) -> Result<()> {
        own(id)
            .and_then(|()| self.sys.post(id, wparam, lparam))
            .map_err(|code| Error::new("post_message", code))
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Window")
    }
}

impl Socket {
    /// Registers the socket with a window: from now on each network event of `mask` is posted there under `id`. It
    /// replaces the registration before completely (AS-02), also one of [`event_select`](Socket::event_select) (AS-12),
    /// and makes the socket non-blocking whatever the mask (MO-01). Every condition that holds now is posted, also if it
    /// was before (AS-06). An empty mask ends it; what is queued is still delivered (AS-03). Does not block; any thread.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed; WSAEINVAL (10022) when the queue of the window is gone (AS-15); ERROR_INVALID_PARAMETER (87) for
    /// an id that is not the program's own.
    #[doc(alias = "WSAAsyncSelect")]
    pub fn async_select(&self, window: &Window, id: u32, mask: NetEvents) -> Result<()> {
        own(id)
            .and_then(|()| self.sys.async_select(window, id, mask))
            .map_err(|code| Error::new("async_select", code))
    }
}

fn own(id: u32) -> std::result::Result<(), i32> {
    if (WM_USER..=WM_USER_MAX).contains(&id) { Ok(()) } else { Err(crate::error::ERROR_INVALID_PARAMETER) }
}
