//! What an operation does, whatever tells of its end, and what it has to give back.

use super::Counted;
use doorbell_winsock::Socket;
use doorbell_winsock::overlapped::{Channel, Completion, Operation, Refused};
use doorbell_winsock::socket::Flags;
use std::net::SocketAddr;

pub(super) enum Work {
    Receive,
    Send,
    ReceiveFrom,
    SendTo(SocketAddr),
    Accept(Socket),
    Connect(SocketAddr),
}

impl Work {
    pub(super) fn start<C: Channel<Counted>>(
        self,
        socket: &Socket,
        buffer: Counted,
        channel: C,
    ) -> Result<C::Started, Refused<Counted>> {
        match self {
            Work::Receive => socket.recv_overlapped(buffer, Flags::NONE, channel),
            Work::Send => socket.send_overlapped(buffer, channel),
            Work::ReceiveFrom => socket.recv_from_overlapped(buffer, Flags::NONE, channel),
            Work::SendTo(to) => socket.send_to_overlapped(buffer, to, channel),
            Work::Accept(accept) => socket.accept_ex(&accept, buffer, channel),
            Work::Connect(to) => socket.connect_ex(to, buffer, channel),
        }
    }

    fn operation(&self) -> Operation {
        match self {
            Work::Receive => Operation::Receive,
            Work::Send => Operation::Send,
            Work::ReceiveFrom => Operation::ReceiveFrom,
            Work::SendTo(_) => Operation::SendTo,
            Work::Accept(_) => Operation::Accept,
            Work::Connect(_) => Operation::Connect,
        }
    }
}

/// What the end of an operation has to bring.
pub(super) struct Due {
    operation: Operation,
    /// Where the bytes of its buffer lie, and no others while they live.
    place: usize,
    len: usize,
}

impl Due {
    pub(super) fn new(work: &Work, buffer: &Counted) -> Due {
        Due { operation: work.operation(), place: buffer.bytes.as_ptr() as usize, len: buffer.bytes.len() }
    }

    /// It is the end of that operation, with the very buffer that went in.
    pub(super) fn check(&self, completion: Completion) {
        assert_eq!(completion.operation(), self.operation);
        let buffer = taken(completion);
        assert_eq!((buffer.bytes.as_ptr() as usize, buffer.bytes.len()), (self.place, self.len));
    }
}

/// The buffer comes back as it went in, and an accept brings its socket.
pub(super) fn taken(mut completion: Completion) -> Counted {
    let buffer = completion.take_buffer::<Counted>().expect("the buffer that went in");
    assert!(completion.bytes() <= buffer.bytes.len());
    buffer.check();
    let accepts = completion.operation() == Operation::Accept;
    assert_eq!(completion.take_accepted().is_some(), accepts, "{completion:?}");
    buffer
}
