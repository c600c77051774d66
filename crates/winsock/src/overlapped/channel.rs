//! Where the end of an operation is told, and what its start gives.

use super::{Completion, IoBuf, OpId, Request, Started};
use crate::error::{Error, Result};
use crate::event_select::Event;
use crate::socket::Socket;
use crate::sys;
use std::fmt;

/// The channel of an operation that ends as a packet at the port of its socket.
///
/// On a socket without a port the operation runs all the same; its packet goes to the port that the socket is
/// associated with when it ends (CP-26), and is dropped when there is none.
#[derive(Clone, Copy, Debug)]
pub struct ToPort;

/// [`ToPort`], and an event is set too when the operation ends (CP-09). Starting the operation resets the event (OV-04).
#[derive(Clone, Copy, Debug)]
#[doc(alias = "hEvent")]
pub struct ToPortAndEvent<'a>(pub &'a Event);

/// The channel of an operation that sets an event when it ends, whatever its outcome (OV-05), also when it ends at once
/// (OV-02). Starting it resets the event (OV-04). Also on a socket with a port no packet is posted (CP-08).
#[derive(Clone, Copy, Debug)]
#[doc(alias = "hEvent")]
pub struct ToEvent<'a>(pub &'a Event);

/// The channel of an operation whose end runs this routine, on the thread that starts the operation, in its next
/// alertable wait; never inside the starting call (CR-01). On a socket with a port the start is refused (CR-17).
#[doc(alias = "LPWSAOVERLAPPED_COMPLETION_ROUTINE")]
pub struct ToRoutine<F>(pub F);

impl<F> fmt::Debug for ToRoutine<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToRoutine")
    }
}

/// How an operation that is told by a routine was started. The routine runs in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed {
    /// Names the operation.
    pub id: OpId,
    /// It succeeded at once; else it is pending (997).
    pub at_once: bool,
}

/// An operation that is told by an event. Dropped while it is pending, it is cancelled and goes its own way; its buffer
/// is dropped when the system has given it back (BF-06).
#[doc(alias = "WSAOVERLAPPED")]
pub struct Op {
    sys: sys::overlapped::Op,
}

impl Op {
    /// Names the operation, for [`Socket::cancel`]. Does not block.
    pub fn id(&self) -> OpId {
        self.sys.id()
    }

    /// Whether the starting call succeeded at once; else it said "pending" (997). The event is set in both cases (OV-02).
    pub fn at_once(&self) -> bool {
        self.sys.at_once()
    }

    /// The bytes transferred, or why it failed. Does not block; asked as often as wanted.
    ///
    /// # Errors
    /// WSA_IO_INCOMPLETE (996) while it is pending (OV-06); else why it failed, as a Winsock code.
    #[doc(alias = "WSAGetOverlappedResult")]
    pub fn result(&self) -> Result<usize> {
        self.sys.result().map_err(|code| Error::new("get_overlapped_result", code))
    }

    /// Blocks until it has ended, and says what [`result`](Op::result) says from then on (OV-07). Not alertable.
    ///
    /// # Errors
    /// Why it failed, as a Winsock code.
    #[doc(alias = "WSAGetOverlappedResult")]
    pub fn wait(&self) -> Result<usize> {
        self.sys.wait().map_err(|code| Error::new("get_overlapped_result", code))
    }

    /// Everything that it gives back, if it has ended; else the operation itself.
    ///
    /// # Errors
    /// The operation, while it is pending.
    pub fn try_take(self) -> std::result::Result<Completion, Op> {
        self.sys.try_take().map_err(|sys| Op { sys })
    }

    /// Blocks until it has ended, and takes everything that it gives back. Not alertable. An event that is set says that it
    /// has ended, and then this does not block.
    pub fn take(self) -> Completion {
        let _ = self.sys.wait();
        match self.try_take() {
            Ok(completion) => completion,
            Err(_) => unreachable!("it has ended"),
        }
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Op").field("id", &self.id()).field("result", &self.result()).finish()
    }
}

/// Where the end of an operation is told. The starting call's last argument.
pub trait Channel<B: IoBuf>: sealed::Start<B> {}
impl<B: IoBuf> Channel<B> for ToPort {}
impl<B: IoBuf> Channel<B> for ToPortAndEvent<'_> {}
impl<B: IoBuf> Channel<B> for ToEvent<'_> {}
impl<B: IoBuf, F: FnOnce(Completion) + 'static> Channel<B> for ToRoutine<F> {}

mod sealed {
    use super::{IoBuf, Request, Socket};

    pub trait Start<B: IoBuf> {
        /// What the starting call gives.
        type Started;
        #[allow(private_interfaces, reason = "sealed: nobody outside this crate can name or call it")]
        fn start(self, socket: &Socket, request: Request) -> Result<Self::Started, (i32, Request)>;
    }
}

impl<B: IoBuf> sealed::Start<B> for ToPort {
    type Started = Started;

    #[allow(private_interfaces, reason = "sealed: nobody outside this crate can name or call it")]
    fn start(self, socket: &Socket, request: Request) -> std::result::Result<Started, (i32, Request)> {
        socket.sys.start(request, None)
    }
}

impl<B: IoBuf> sealed::Start<B> for ToPortAndEvent<'_> {
    type Started = Started;

    #[allow(private_interfaces, reason = "sealed: nobody outside this crate can name or call it")]
    fn start(self, socket: &Socket, request: Request) -> std::result::Result<Started, (i32, Request)> {
        socket.sys.start(request, Some(&self.0.sys))
    }
}

impl<B: IoBuf> sealed::Start<B> for ToEvent<'_> {
    type Started = Op;

    #[allow(private_interfaces, reason = "sealed: nobody outside this crate can name or call it")]
    fn start(self, socket: &Socket, request: Request) -> std::result::Result<Op, (i32, Request)> {
        socket.sys.start_with_event(request, &self.0.sys).map(|sys| Op { sys })
    }
}

impl<B: IoBuf, F: FnOnce(Completion) + 'static> sealed::Start<B> for ToRoutine<F> {
    type Started = Routed;

    #[allow(private_interfaces, reason = "sealed: nobody outside this crate can name or call it")]
    fn start(self, socket: &Socket, request: Request) -> std::result::Result<Routed, (i32, Request)> {
        socket.sys.start_with_routine(request, Box::new(self.0))
    }
}
