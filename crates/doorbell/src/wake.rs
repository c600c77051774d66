//! The textbook ways to wake a thread: a loopback datagram to a socket in its read set, a posted message, an event.

use crate::bell::Wake;
use doorbell_winsock::Result;
use doorbell_winsock::async_select::{WM_USER, Window};
use doorbell_winsock::event_select::Event;
use doorbell_winsock::socket::{Family, Kind, Socket};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

/// For a thread that waits for sockets, of which this is one.
#[derive(Debug)]
pub(crate) struct WakeSocket {
    socket: Socket,
    /// A datagram is on its way: another one would say nothing more.
    rung: AtomicBool,
}

impl WakeSocket {
    /// A socket that is connected to itself, so that nobody else can ring it.
    pub(crate) fn new() -> Result<WakeSocket> {
        let socket = Socket::new(Family::V4, Kind::Datagram)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(WakeSocket { socket, rung: AtomicBool::new(false) })
    }

    /// What stands in the read set.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }
}

impl Wake for WakeSocket {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) && self.socket.send(&[1]).is_err() {
            // Nothing is on its way after all, so the next one who rings tries again.
            self.rung.store(false, Ordering::Release);
        }
    }

    fn hush(&self) {
        // First empty, then unset: the other way round a datagram could be eaten whose mark stays, and nobody would
        // ring again.
        while self.socket.recv(&mut [0]).is_ok() {}
        self.rung.swap(false, Ordering::AcqRel);
    }
}

/// Somebody has something for the thread of the window.
const WM_BELL: u32 = WM_USER + 2;

/// For a thread that takes the messages of a window.
#[derive(Debug)]
pub(crate) struct WakeWindow {
    window: Window,
    /// A message is in the queue: another one would say nothing more.
    rung: AtomicBool,
}

impl WakeWindow {
    pub(crate) fn new(window: Window) -> WakeWindow {
        WakeWindow { window, rung: AtomicBool::new(false) }
    }

    /// To be asked after each message, since a full queue takes no message that says so.
    pub(crate) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }
}

impl Wake for WakeWindow {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // Refused by a full queue: then its thread has a message to take, and asks afterwards.
            let _ = self.window.post(WM_BELL, 0, 0);
        }
    }

    fn hush(&self) {
        self.rung.swap(false, Ordering::AcqRel);
    }
}

/// For a thread that waits for events, of which this is one.
impl Wake for Event {
    fn ring(&self) {
        // It is closed by the drop of its last handle only, so it can be set.
        let _ = self.set();
    }

    fn hush(&self) {
        let _ = self.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbell_winsock::async_select::{MESSAGES_MAX, Message, MessageQueue};
    use std::time::Duration;

    #[test]
    fn a_ring_that_a_full_queue_refuses_leaves_its_mark() {
        let queue = MessageQueue::new().unwrap();
        let wake = WakeWindow::new(queue.window());
        for number in 0..MESSAGES_MAX {
            queue.window().post(WM_BELL + 1, number, 0).unwrap();
        }
        wake.ring();
        assert!(wake.is_rung());
        for number in 0..MESSAGES_MAX {
            let message = queue.get(Some(Duration::ZERO)).unwrap();
            assert_eq!(message, Some(Message::Posted { id: WM_BELL + 1, wparam: number, lparam: 0 }));
        }
        assert_eq!(queue.get(Some(Duration::ZERO)).unwrap(), None);
        assert!(wake.is_rung());
        // It was looked for, and the next one is posted again: once, however often it is rung.
        wake.hush();
        (0..3).for_each(|_| wake.ring());
        let bell = Message::Posted { id: WM_BELL, wparam: 0, lparam: 0 };
        assert_eq!(queue.get(Some(Duration::ZERO)).unwrap(), Some(bell));
        assert_eq!(queue.get(Some(Duration::ZERO)).unwrap(), None);
    }
}
