//! Routines, and what they say: a routine knows no more than whose operation has ended, and tells the worker that its thread is.
//!
//! It runs on the thread that started the operation (CR-02), so it need not be sent to another one, nor may it: what it tells
//! is found through the thread.

use crate::peer::done::{Begun, Carrier};
use doorbell_winsock::overlapped::{Completion, Routed, Started, ToRoutine};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Result, Socket};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

/// What a worker is told.
pub(crate) enum Word {
    /// An accept at the listener with this number has ended.
    Accepted(usize, Completion),
    /// An operation of the client with this number has ended, on the socket with this tag.
    Ended(u64, u8, Completion),
    /// Another thread has called.
    Summons,
    /// Time has passed.
    Time,
}

type Hear = Rc<dyn Fn(Word)>;

thread_local! {
    static HEAR: RefCell<Option<Hear>> = const { RefCell::new(None) };
}

/// From now on, and until what this returns is dropped, `hear` is told what routines and APCs of this thread have to say.
pub(crate) fn tell_to(hear: impl Fn(Word) + 'static) -> Hears {
    HEAR.set(Some(Rc::new(hear)));
    Hears
}

pub(crate) struct Hears;

impl Drop for Hears {
    fn drop(&mut self) {
        HEAR.take();
    }
}

/// Tells whoever hears on this thread. Nobody does when it is about to end, and its clients have gone.
pub(crate) fn tell(word: Word) {
    if let Some(hear) = HEAR.with_borrow(Option::clone) {
        hear(word);
    }
}

/// Starts an accept, whose end runs a routine that says so with the listener's number.
pub(crate) fn accept(listener: &Socket, accept: &Socket, number: usize) -> Result<()> {
    let routine = ToRoutine(move |completion| tell(Word::Accepted(number, completion)));
    listener.accept_ex(accept, Vec::<u8>::new(), routine).map(drop).map_err(|refused| refused.error)
}

/// Starts a client's operations, whose ends run a routine that says so.
pub(crate) struct ByRoutine {
    /// The client's.
    number: u64,
}

impl ByRoutine {
    pub(crate) fn of(number: u64) -> ByRoutine {
        ByRoutine { number }
    }

    fn routine(&self, tag: u8) -> ToRoutine<impl FnOnce(Completion) + 'static> {
        let number = self.number;
        ToRoutine(move |completion| tell(Word::Ended(number, tag, completion)))
    }
}

impl Carrier for ByRoutine {
    fn adopt(&self, _socket: &Socket, _tag: u8) -> Result<()> {
        Ok(())
    }

    fn receive(&self, socket: &Socket, tag: u8, buffer: Vec<u8>) -> Begun {
        socket.recv_overlapped(buffer, Flags::NONE, self.routine(tag)).map(started)
    }

    fn send(&self, socket: &Socket, tag: u8, buffer: Vec<u8>) -> Begun {
        socket.send_overlapped(buffer, self.routine(tag)).map(started)
    }

    fn connect(&self, socket: &Socket, tag: u8, to: SocketAddr) -> Begun {
        socket.connect_ex(to, Vec::new(), self.routine(tag)).map(started)
    }
}

/// Also what succeeded at once has its routine run.
fn started(routed: Routed) -> Started {
    if routed.at_once { Started::Queued(routed.id) } else { Started::Pending(routed.id) }
}
