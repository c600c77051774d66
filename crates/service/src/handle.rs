//! A handle: how other threads reach a conversation.
//!
//! Messages wait in a mailbox that the conversation and its handles share. The first one put into it since the
//! conversation last looked rings; how that wakes the thread which waits is the server's business ([`Reach`]).

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Reaches one conversation, and its server, from any thread. Clones reach the same one.
///
/// When the connection ends, posting fails. While there is a handle, a conversation whose peer has finished is not closed
/// for it, since it may still be told something: a conversation that keeps its own handle must close by itself.
pub struct Handle<M> {
    mailbox: Arc<Mailbox>,
    message: PhantomData<fn(M)>,
}

impl<M: Send + 'static> Handle<M> {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Handle<M> {
        mailbox.handles.fetch_add(1, Ordering::Relaxed);
        Handle { mailbox, message: PhantomData }
    }

    /// Puts a message into the conversation's mailbox; it is told [`Input::Posted`](crate::Input::Posted), in the order of
    /// the posts. Does not block; any thread, also inside the conversation itself.
    ///
    /// The mailbox has no limit: whoever posts decides how much may wait. A message is dropped when the conversation ends
    /// before it is told.
    ///
    /// # Errors
    /// Gives the message back when the conversation is over.
    pub fn post(&self, message: M) -> Result<(), M> {
        self.mailbox.put(message)
    }

    /// Asks the whole server to stop: it accepts nobody more and drains. Does not block; any thread.
    pub fn stop_server(&self) {
        self.mailbox.reach.stop_server();
    }

    /// The number of the connection, as in its [`Peer`](crate::Peer).
    pub fn number(&self) -> u64 {
        self.mailbox.number
    }
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Handle<M> {
        self.mailbox.handles.fetch_add(1, Ordering::Relaxed);
        Handle { mailbox: Arc::clone(&self.mailbox), message: PhantomData }
    }
}

impl<M> Drop for Handle<M> {
    fn drop(&mut self) {
        // A conversation whose peer has finished may have been waiting only for this one.
        if self.mailbox.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.mailbox.ring(|_| {});
        }
    }
}

impl<M> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("number", &self.mailbox.number).finish()
    }
}

/// For servers: how a handle reaches whoever runs the conversation.
///
/// Both are called from any thread, and also from inside a handler of the very connection: they must not block, and
/// must not touch the exchange.
pub trait Reach: Send + Sync + 'static {
    /// Connection `number` has something in its mailbox, or its last handle is gone: see that its exchange is soon given
    /// [`Event::Posted`](crate::Event::Posted). Called once until that happens. The connection may be over by then.
    fn wake(&self, number: u64);

    /// Stop the server.
    fn stop_server(&self);
}

/// The messages for one conversation.
pub(crate) struct Mailbox {
    number: u64,
    reach: Arc<dyn Reach>,
    handles: AtomicUsize,
    letters: Mutex<Letters>,
}

#[derive(Default)]
struct Letters {
    waiting: VecDeque<Box<dyn Any + Send>>,
    /// The server was woken and has not come yet, so another post need not wake it.
    rung: bool,
    over: bool,
}

impl Mailbox {
    pub(crate) fn new(number: u64, reach: Arc<dyn Reach>) -> Mailbox {
        Mailbox { number, reach, handles: AtomicUsize::new(0), letters: Mutex::default() }
    }

    fn put<M: Send + 'static>(&self, message: M) -> Result<(), M> {
        let mut message = Some(message);
        self.ring(|waiting| {
            if let Some(message) = message.take() {
                waiting.push_back(Box::new(message));
            }
        });
        message.map_or(Ok(()), Err)
    }

    /// Has the server come and look, after `change`. Unless the conversation is over.
    fn ring(&self, change: impl FnOnce(&mut VecDeque<Box<dyn Any + Send>>)) {
        let mut letters = self.letters();
        if letters.over {
            return;
        }
        change(&mut letters.waiting);
        let is_first = !std::mem::replace(&mut letters.rung, true);
        drop(letters);
        if is_first {
            self.reach.wake(self.number);
        }
    }

    /// How many wait now. Who posts from here on rings again.
    pub(crate) fn open(&self) -> usize {
        let mut letters = self.letters();
        letters.rung = false;
        letters.waiting.len()
    }

    /// Somebody can post, or has.
    pub(crate) fn is_in_use(&self) -> bool {
        self.handles.load(Ordering::Acquire) > 0 || !self.letters().waiting.is_empty()
    }

    pub(crate) fn take(&self) -> Option<Box<dyn Any + Send>> {
        self.letters().waiting.pop_front()
    }

    /// Takes nothing more. Gives what waits, to be dropped outside the lock: that runs the service's code.
    pub(crate) fn close(&self) -> impl Sized {
        let mut letters = self.letters();
        letters.over = true;
        std::mem::take(&mut letters.waiting)
    }

    /// Nothing of the service's own runs under this lock, so a poisoned one is whole.
    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
