//! Message queues and their windows, and the network events that are posted there.
//!
//! A queue is a list under a lock. Its thread waits at home, where the sockets that are registered with its window are
//! in its own set; whoever else posts wakes it there.

mod queue;

use self::queue::Queue;
use super::engine::home;
use super::error::Result;
use super::event_select;
use super::network_events::Target;
use super::port::free_place;
use super::socket::Socket;
use crate::async_select::{Message, MessageQueue as Public, Window as PublicWindow};
use crate::error::{Error, WSAEINVAL};
use crate::event_select::{NetEvents, Waitable};
use crate::socket::SocketId;
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Every so many messages taken the thread also looks at the sockets, so that posted messages, however many, do not
/// keep those of sockets away.
const LOOK_EVERY: u32 = 64;

pub(crate) struct MessageQueue {
    window: Window,
    taken: Cell<u32>,
}

#[derive(Clone)]
pub(crate) struct Window {
    shared: Arc<Queue>,
}

impl MessageQueue {
    pub(crate) fn new() -> Result<MessageQueue> {
        super::startup::startup()?;
        let home = home::here()?;
        // What fails, fails now.
        home.ordered_selection()?;
        Ok(MessageQueue { window: Window { shared: Arc::new(Queue::new(home)) }, taken: Cell::new(0) })
    }

    pub(crate) fn window(&self) -> Window {
        self.window.clone()
    }

    pub(crate) fn get(&self, timeout: Option<Duration>) -> Result<Option<Message>> {
        let home = self.window.shared.home();
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if let Some(message) = self.take() {
            return Ok(Some(message));
        }
        if timeout == Some(Duration::ZERO) {
            home.look();
            return Ok(self.take());
        }
        // A thread of a port that waits here frees its place (CP-21).
        let _place = free_place(|| true);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            home.wait(left);
            let message = self.take();
            if message.is_some() || left == Some(Duration::ZERO) {
                return Ok(message);
            }
        }
    }

    fn take(&self) -> Option<Message> {
        let message = self.window.shared.pop()?;
        self.taken.set((self.taken.get() + 1) % LOOK_EVERY);
        if self.taken.get() == 0 {
            self.window.shared.home().look();
        }
        Some(message)
    }
}

impl Public {
    /// What a loop that is not this crate's can wait for in place of [`get`](Public::get): its descriptor is readable when
    /// there is reason to look. Then `get` with a time-out of zero is asked until it finds nothing, and the rules of
    /// [`Event::waitable`](crate::Event::waitable) hold. On Linux; on Windows such a loop waits for the thread's messages.
    ///
    /// # Errors
    /// WSAEMFILE (10024) when no descriptor is left, WSAENOBUFS (10055).
    pub fn waitable(&self) -> crate::Result<Waitable> {
        let made = || {
            let sys = event_select::Waitable::new()?;
            self.sys.window.shared.tell_also(&sys);
            Ok(Waitable::of(sys))
        };
        made().map_err(|code| Error::new("waitable", code))
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        self.window.shared.close();
    }
}

impl Window {
    pub(crate) fn post(&self, id: u32, wparam: usize, lparam: isize) -> Result<()> {
        // What happened before the post comes out before it (AS-10), also what the window's thread has just been woken for.
        self.shared.home().look_in_its_place();
        self.shared.post(Message::Posted { id, wparam, lparam })
    }

    /// Posts a message of a socket, of which none is lost however many wait. A queue that is gone needs none.
    pub(super) fn tell(&self, message: Message) {
        self.shared.tell(message);
    }
}

impl Socket {
    pub(crate) fn async_select(&self, window: &PublicWindow, id: u32, mask: NetEvents) -> Result<()> {
        let window = &window.sys;
        self.core()?;
        if window.shared.is_closed() {
            return Err(WSAEINVAL);
        }
        let socket = SocketId(self.id());
        self.select(mask, Target::Window { window: window.clone(), id, socket }, window.shared.home())
    }
}
