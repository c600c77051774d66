//! The messages of a thread: a list under a lock, and a wake for the thread when the first one comes.

use super::super::engine::home::Home;
use super::super::error::Result;
use super::super::event_select::{Beacons, Waitable};
use super::super::sync::{Mutex, MutexGuard};
use crate::async_select::{MESSAGES_MAX, Message};
use crate::error::{ERROR_INVALID_WINDOW_HANDLE, ERROR_NOT_ENOUGH_QUOTA};
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

pub(super) struct Queue {
    home: Arc<Home>,
    /// None when the queue is gone.
    messages: Mutex<Option<Messages>>,
}

#[derive(Default)]
struct Messages {
    waiting: VecDeque<Message>,
    beacons: Beacons,
}

impl Queue {
    /// The queue of the thread that lives there.
    pub(super) fn new(home: Arc<Home>) -> Queue {
        Queue { home, messages: Mutex::new(Some(Messages::default())) }
    }

    pub(super) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// Puts an application's message at the end, if there is room.
    pub(super) fn post(&self, message: Message) -> Result<()> {
        let messages = self.lock();
        match &*messages {
            None => Err(ERROR_INVALID_WINDOW_HANDLE),
            Some(queue) if queue.waiting.len() >= MESSAGES_MAX => Err(ERROR_NOT_ENOUGH_QUOTA),
            Some(_) => {
                self.push(messages, message);
                Ok(())
            }
        }
    }

    /// Puts a socket's message at the end, of which none is lost however many wait. A queue that is gone needs none.
    pub(super) fn tell(&self, message: Message) {
        self.push(self.lock(), message);
    }

    /// The first message, for the thread itself.
    pub(super) fn pop(&self) -> Option<Message> {
        let mut messages = self.lock();
        let queue = messages.as_mut()?;
        let message = queue.waiting.pop_front()?;
        if queue.waiting.is_empty() {
            queue.beacons.show(false);
        }
        Some(message)
    }

    /// From now on that set is readable while messages wait.
    pub(super) fn tell_also(&self, waitable: &Waitable) {
        if let Some(queue) = self.lock().as_mut() {
            queue.beacons.add(waitable, !queue.waiting.is_empty());
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_none()
    }

    pub(super) fn close(&self) {
        let messages = self.lock().take();
        // Behind the lock.
        drop(messages);
    }

    fn push(&self, mut messages: MutexGuard<'_, Option<Messages>>, message: Message) {
        let Some(queue) = &mut *messages else { return };
        queue.waiting.push_back(message);
        let first = queue.waiting.len() == 1;
        if first {
            queue.beacons.show(true);
        }
        // Behind the lock: the thread that is woken takes it.
        drop(messages);
        // Who finds messages waiting does not sleep; and the thread itself is awake.
        if first && !self.home.is_here() {
            self.home.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Messages>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
