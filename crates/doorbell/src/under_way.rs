//! What is under way: overlapped operations that set one event between them, and what has become of each.

use crate::peer::done::{Begun, Carrier};
use doorbell_winsock::event_select::Event;
use doorbell_winsock::overlapped::{Completion, Op, Started, ToEvent};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{Result, Socket};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

pub(crate) struct UnderWay {
    event: Event,
    /// In the order of their starts, each with the tag of its socket.
    operations: RefCell<VecDeque<(u8, Op)>>,
    /// Those of them that have ended, and were not heard of yet.
    ended: RefCell<VecDeque<(u8, Completion)>>,
}

impl UnderWay {
    pub(crate) fn new(event: Event) -> UnderWay {
        UnderWay { event, operations: RefCell::default(), ended: RefCell::default() }
    }

    /// Starts an accept.
    pub(crate) fn accept(&self, listener: &Socket, accept: &Socket) -> Result<()> {
        let started = listener.accept_ex(accept, Vec::<u8>::new(), ToEvent(&self.event));
        self.operations.borrow_mut().push_back((0, started.map_err(|refused| refused.error)?));
        Ok(())
    }

    /// Has `hear` hear of those that have ended, each with its tag. It may start others.
    pub(crate) fn take_ended(&self, mut hear: impl FnMut(u8, Completion)) {
        self.sort_out();
        // No more than there are now, although what is started meanwhile may end at once: others wait too.
        let count = self.ended.borrow().len();
        for _ in 0..count {
            let next = self.ended.borrow_mut().pop_front();
            if let Some((tag, completion)) = next {
                hear(tag, completion);
            }
        }
    }

    /// Sets the event if an operation has ended, and else unsets it; to be called before the thread waits. For starting an
    /// operation unsets the event (OV-04), whatever the others that share it have said by it; and one that is over already
    /// leaves it set.
    pub(crate) fn tell_again(&self) {
        let _ = self.event.reset();
        self.sort_out();
        if !self.ended.borrow().is_empty() {
            let _ = self.event.set();
        }
    }

    fn sort_out(&self) {
        let (mut operations, mut ended) = (self.operations.borrow_mut(), self.ended.borrow_mut());
        for _ in 0..operations.len() {
            let Some((tag, operation)) = operations.pop_front() else { return };
            match operation.try_take() {
                Ok(completion) => ended.push_back((tag, completion)),
                Err(operation) => operations.push_back((tag, operation)),
            }
        }
    }

    fn keep(&self, tag: u8, operation: Op) -> Started {
        let id = operation.id();
        // What ended at once is gone on from at once; the peer sees to it that this has an end.
        let operation = if operation.at_once() { operation.try_take() } else { Err(operation) };
        match operation {
            Ok(completion) => Started::Done(completion),
            Err(operation) => {
                self.operations.borrow_mut().push_back((tag, operation));
                Started::Pending(id)
            }
        }
    }
}

/// Shared with the thread that waits for the event.
impl Carrier for Rc<UnderWay> {
    fn adopt(&self, _socket: &Socket, _tag: u8) -> Result<()> {
        Ok(())
    }

    fn receive(&self, socket: &Socket, tag: u8, buffer: Vec<u8>) -> Begun {
        socket
            .recv_overlapped(buffer, Flags::NONE, ToEvent(&self.event))
            .map(|started| self.keep(tag, started))
    }

    fn send(&self, socket: &Socket, tag: u8, buffer: Vec<u8>) -> Begun {
        socket.send_overlapped(buffer, ToEvent(&self.event)).map(|started| self.keep(tag, started))
    }

    fn connect(&self, socket: &Socket, tag: u8, to: SocketAddr) -> Begun {
        socket.connect_ex(to, Vec::new(), ToEvent(&self.event)).map(|started| self.keep(tag, started))
    }

    fn turn_ended(&self) {
        self.tell_again();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorbell_winsock::event_select::{Wait, wait_any};
    use doorbell_winsock::overlapped::Operation;
    use doorbell_winsock::routine::Alertable;
    use doorbell_winsock::socket::{Family, Kind};
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::time::Duration;

    const TAG: u8 = 7;

    fn connected() -> (Socket, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = Socket::new(Family::V4, Kind::Stream).unwrap();
        socket.connect(listener.local_addr().unwrap()).unwrap();
        (socket, listener.accept().unwrap().0)
    }

    fn is_set(event: &Event, within: Duration) -> bool {
        wait_any(std::slice::from_ref(event), Some(within), Alertable::No).unwrap() == Wait::Index(0)
    }

    #[test]
    fn an_end_is_told_again_when_a_later_start_has_unset_the_event() {
        let (socket, mut peer) = connected();
        let event = Event::new().unwrap();
        let under_way = Rc::new(UnderWay::new(event.clone()));
        under_way.receive(&socket, TAG, vec![0; 8]).unwrap();
        peer.write_all(b"hello").unwrap();
        assert!(is_set(&event, Duration::from_secs(5)));
        under_way.receive(&socket, TAG, vec![0; 8]).unwrap();
        assert!(!is_set(&event, Duration::ZERO), "the start unset it (OV-04)");

        under_way.tell_again();
        assert!(is_set(&event, Duration::ZERO), "the first receive has ended");
        let mut heard = Vec::new();
        under_way.take_ended(|tag, completion| heard.push((tag, completion.operation(), completion.bytes())));
        assert_eq!(heard, [(TAG, Operation::Receive, 5)]);
        under_way.tell_again();
        assert!(!is_set(&event, Duration::from_millis(100)), "the other one has not, and nobody spins");
    }

    #[test]
    fn what_ends_at_once_leaves_nothing_to_wait_for() {
        let (socket, _peer) = connected();
        let event = Event::new().unwrap();
        let under_way = Rc::new(UnderWay::new(event.clone()));
        if let Started::Pending(_) = under_way.send(&socket, TAG, b"hello".to_vec()).unwrap() {
            // It may also have been pending for a moment (OV-17).
            assert!(is_set(&event, Duration::from_secs(5)));
            under_way.take_ended(|_, completion| assert_eq!(completion.bytes(), 5));
        }
        under_way.turn_ended();
        assert!(!is_set(&event, Duration::from_millis(100)));
    }
}
