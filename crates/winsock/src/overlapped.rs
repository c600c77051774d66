//! Overlapped operations: started now, finished later, told through a channel (models 5 to 7).
//!
//! The buffer goes in by value and belongs to the operation until that ends; then it comes back exactly once, also
//! when the operation fails, is cancelled, or its socket is closed (BF-05). A refused start gives it back at once
//! and tells nothing more (OV-03). So the system never writes into memory that somebody else has (BF-06).
//!
//! The last argument of a starting call is the channel that will tell of the end: [`ToPort`], a packet at the
//! completion port that the socket is associated with; [`ToEvent`], an event that is set, and the [`Op`] to ask then;
//! [`ToRoutine`], a routine that runs in an alertable wait of the starting thread; [`ToPortAndEvent`].
//!
//! An operation goes on while the thread that started it computes or sleeps (OV-07). When that thread ends, those that are
//! told by an event or a routine end with 995 (OV-15, CR-20); those that are told by a port alone go on (CP-28).
//!
//! ```
//! use doorbell_winsock::Event;
//! use doorbell_winsock::overlapped::ToEvent;
//! use doorbell_winsock::socket::Flags;
//! # use doorbell_winsock::{Family, Kind, Socket};
//!
//! # fn main() -> doorbell_winsock::Result<()> {
//! # let listener = Socket::new(Family::V4, Kind::Stream)?;
//! # listener.bind(([127, 0, 0, 1], 0).into())?;
//! # listener.listen(1)?;
//! # let client = Socket::new(Family::V4, Kind::Stream)?;
//! # client.connect(listener.local_addr()?)?;
//! # let (socket, _) = listener.accept()?;
//! let event = Event::new()?;
//! // A refused start turns into its reason; where the buffer is wanted back, `Refused` has it.
//! let receive = socket.recv_overlapped(vec![0; 64], Flags::NONE, ToEvent(&event))?;
//! client.send(b"ding dong")?;
//!
//! // `wait_any` says when the event is set. This waits for the one operation, and takes everything that it gives back.
//! let mut ended = receive.take();
//! assert_eq!(ended.result()?, 9);
//! let buffer: Vec<u8> = ended.take_buffer().expect("the very one that went in");
//! assert_eq!(&buffer[..9], b"ding dong");
//! # Ok(())
//! # }
//! ```
//!
//! The same with a packet stands at [`port`](crate::port), with a routine at [`routine`](crate::routine).

mod buffer;
mod channel;

pub use self::buffer::{IoBuf, IoBufMut, Segment, Segments};
pub use self::channel::{Channel, Op, Routed, ToEvent, ToPort, ToPortAndEvent, ToRoutine};

pub(crate) use self::buffer::Owned;

use crate::error::{self, Error, Result};
use crate::socket::{Flags, Socket};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A receive on a stream or a connected datagram socket.
    #[doc(alias = "WSARecv")]
    Receive,
    /// A receive of one datagram with its sender.
    #[doc(alias = "WSARecvFrom")]
    ReceiveFrom,
    /// A send.
    #[doc(alias = "WSASend")]
    Send,
    /// A send of one datagram.
    #[doc(alias = "WSASendTo")]
    SendTo,
    /// An accept.
    #[doc(alias = "AcceptEx")]
    Accept,
    /// A connect.
    #[doc(alias = "ConnectEx")]
    Connect,
}

impl Operation {
    /// The Winsock verb, as errors name it.
    pub const fn verb(self) -> &'static str {
        match self {
            Operation::Receive => "recv",
            Operation::ReceiveFrom => "recvfrom",
            Operation::Send => "send",
            Operation::SendTo => "sendto",
            Operation::Accept => "accept_ex",
            Operation::Connect => "connect_ex",
        }
    }
}

/// Names one operation, for [`Socket::cancel`]; never reused on its socket, and no other socket takes it for one of its
/// own. Those of a socket are in the order of their starts.
#[doc(alias = "LPOVERLAPPED")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId(pub(crate) u64);

impl OpId {
    /// What the names of one socket's operations are counted up from: room for 2^40 of them, and a start that only the
    /// 2^24th socket after it has again.
    pub(crate) fn origin() -> u64 {
        static SOCKETS: AtomicU64 = AtomicU64::new(0);
        SOCKETS.fetch_add(1, Ordering::Relaxed) << 40
    }
}

/// What one system does for one start: the contract between this file and the columns.
pub(crate) struct Request {
    pub(crate) work: Work,
    pub(crate) segments: Segments,
    pub(crate) buffer: Owned,
}

pub(crate) enum Work {
    Receive(Flags),
    ReceiveFrom(Flags),
    Send,
    SendTo(SocketAddr),
    Accept(Socket),
    Connect(SocketAddr),
}

impl Work {
    pub(crate) const fn operation(&self) -> Operation {
        match self {
            Work::Receive(_) => Operation::Receive,
            Work::ReceiveFrom(_) => Operation::ReceiveFrom,
            Work::Send => Operation::Send,
            Work::SendTo(_) => Operation::SendTo,
            Work::Accept(_) => Operation::Accept,
            Work::Connect(_) => Operation::Connect,
        }
    }
}

/// The end of an operation: what became of it, and its buffer. `Send`; whoever drops it drops the buffer.
pub struct Completion {
    pub(crate) id: OpId,
    pub(crate) operation: Operation,
    pub(crate) key: usize,
    /// 0, or the system's code as a completion port tells it: 64, 995, 1225.
    pub(crate) system_code: i32,
    pub(crate) bytes: usize,
    pub(crate) buffer: Owned,
    /// Receive from: the sender. Accept: the far end.
    pub(crate) remote: Option<SocketAddr>,
    /// Boxed, so that only an accept pays for it: every end is moved some times on its way.
    pub(crate) accepted: Option<Box<Accepted>>,
}

/// What only the end of an accept has.
pub(crate) struct Accepted {
    /// The connected socket, or the accept socket as it was when the operation failed, until it is taken.
    pub(crate) socket: Option<Socket>,
    pub(crate) local: Option<SocketAddr>,
}

impl Completion {
    /// Which operation this is the end of.
    pub fn id(&self) -> OpId {
        self.id
    }

    /// What the operation did.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The key that the socket was associated with, 0 without a port; that of the listener for an accept (IN-06).
    #[doc(alias = "lpCompletionKey")]
    pub fn key(&self) -> usize {
        self.key
    }

    /// The bytes transferred, or why the operation failed, as a Winsock code (10054, 10061, 995).
    ///
    /// A receive of 0 bytes into a buffer that is not empty is the peer's graceful end (OV-09).
    ///
    /// # Errors
    /// WSA_OPERATION_ABORTED (995) when it was cancelled or its socket closed (CN-05, CL-01); WSAECONNRESET (10054),
    /// WSAECONNABORTED (10053), WSAETIMEDOUT (10060) when the connection broke; WSAEMSGSIZE (10040) for a datagram that was cut
    /// off (UD-03); WSAECONNREFUSED (10061) for a connect; WSAEMFILE (10024) for an accept without a descriptor left.
    pub fn result(&self) -> Result<usize> {
        match self.system_code {
            0 => Ok(self.bytes),
            code => Err(Error::new(self.operation.verb(), error::wsa_from_system(code))),
        }
    }

    /// 0, or the code as `GetQueuedCompletionStatus` tells it: 64 for a reset, 1225 for a refusal, 995 (ER-02).
    #[doc(alias = "GetLastError")]
    pub fn system_code(&self) -> i32 {
        self.system_code
    }

    /// How many bytes were transferred; on failure 0, except for a datagram that was cut off: the buffer's length (UD-03).
    #[doc(alias = "cbTransferred")]
    #[doc(alias = "dwNumberOfBytesTransferred")]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The very buffer that went in, if it is of this type and was not taken yet.
    pub fn take_buffer<B: IoBuf>(&mut self) -> Option<B> {
        let owned = std::mem::replace(&mut self.buffer, Owned::Other(Box::new(())));
        match owned.into() {
            Ok(buffer) => Some(buffer),
            Err(owned) => {
                self.buffer = owned;
                None
            }
        }
    }

    /// The socket that was handed to [`Socket::accept_ex`]: connected when the operation succeeded. It is a clone of that
    /// one, so the connection is closed when both are dropped.
    #[doc(alias = "SO_UPDATE_ACCEPT_CONTEXT")]
    pub fn take_accepted(&mut self) -> Option<Socket> {
        self.accepted.as_mut()?.socket.take()
    }

    /// The local end of an accepted connection (IN-07).
    #[doc(alias = "GetAcceptExSockaddrs")]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.accepted.as_ref()?.local
    }

    /// The remote end of an accepted connection (IN-07), or the sender of a datagram (UD-06).
    #[doc(alias = "GetAcceptExSockaddrs")]
    #[doc(alias = "lpFrom")]
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .field("key", &self.key)
            .field("system_code", &self.system_code)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A start that was refused: why, and the buffer. Nothing will be told of it (OV-03, CP-05).
pub struct Refused<B> {
    /// The reason.
    pub error: Error,
    /// The buffer that went in.
    pub buffer: B,
}

impl<B> fmt::Debug for Refused<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl<B> fmt::Display for Refused<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<B> std::error::Error for Refused<B> {}

/// The reason alone, for `?`; the buffer is dropped.
impl<B> From<Refused<B>> for Error {
    fn from(refused: Refused<B>) -> Error {
        refused.error
    }
}

/// How an operation that ends at a port was started.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "handed over by value once; a box would cost an allocation")]
#[doc(alias = "WSA_IO_PENDING")]
pub enum Started {
    /// WSA_IO_PENDING (997): it runs, and exactly one packet will tell of its end (CP-04).
    Pending(OpId),
    /// It succeeded at once, and its packet was posted all the same (CP-03).
    Queued(OpId),
    /// It succeeded at once on a socket in skip-on-success mode: no packet will come (CP-10).
    Done(Completion),
}

impl Started {
    /// Names the operation, whichever it is.
    pub fn id(&self) -> OpId {
        match self {
            Started::Pending(id) | Started::Queued(id) => *id,
            Started::Done(completion) => completion.id(),
        }
    }
}

impl Socket {
    /// Starts a receive. It ends as soon as there is any data (OV-08), with 0 bytes at the peer's graceful end (OV-09),
    /// or with an error. Several receives are filled in the order of their starts (OR-01). An empty buffer waits
    /// until data (or the end) is there and takes nothing (OV-14). Does not block; any thread.
    ///
    /// # Errors
    /// [`Refused`] with WSAENOTCONN (10057), WSAESHUTDOWN (10058; SD-09), WSAENOTSOCK (10038), WSAECONNRESET (10054),
    /// WSAEINVAL (10022) for a list of no pieces (BF-03).
    #[doc(alias = "WSARecv")]
    pub fn recv_overlapped<B: IoBufMut, C: Channel<B>>(
        &self,
        buffer: B,
        flags: Flags,
        channel: C,
    ) -> std::result::Result<C::Started, Refused<B>> {
        self.begin(Work::Receive(flags), buffer, channel)
    }

    /// Starts a send. It ends when all its bytes have been taken, or with an error; the count is always the full
    /// length (OV-11). Several sends go out in the order of their starts and never interleave (OR-03). Does not block; any
    /// thread.
    ///
    /// # Errors
    /// As [`recv_overlapped`](Socket::recv_overlapped); WSAECONNABORTED (10053).
    #[doc(alias = "WSASend")]
    pub fn send_overlapped<B: IoBuf, C: Channel<B>>(
        &self,
        buffer: B,
        channel: C,
    ) -> std::result::Result<C::Started, Refused<B>> {
        self.begin(Work::Send, buffer, channel)
    }

    /// Starts the receive of one datagram (OR-06); the sender's address is known at the end (UD-06). Does not block; any
    /// thread.
    ///
    /// # Errors
    /// As [`recv_overlapped`](Socket::recv_overlapped); WSAEINVAL (10022) when not bound.
    #[doc(alias = "WSARecvFrom")]
    pub fn recv_from_overlapped<B: IoBufMut, C: Channel<B>>(
        &self,
        buffer: B,
        flags: Flags,
        channel: C,
    ) -> std::result::Result<C::Started, Refused<B>> {
        self.begin(Work::ReceiveFrom(flags), buffer, channel)
    }

    /// Starts the send of one datagram; binds implicitly (UD-12). Does not block; any thread.
    ///
    /// # Errors
    /// As [`send_overlapped`](Socket::send_overlapped); WSAEMSGSIZE (10040), WSAEADDRNOTAVAIL (10049) for the wildcard and for
    /// port 0.
    #[doc(alias = "WSASendTo")]
    pub fn send_to_overlapped<B: IoBuf, C: Channel<B>>(
        &self,
        buffer: B,
        to: SocketAddr,
        channel: C,
    ) -> std::result::Result<C::Started, Refused<B>> {
        self.begin(Work::SendTo(to), buffer, channel)
    }

    /// Starts an accept on this listener into `accept`, a socket that is neither bound nor connected
    /// ([`Socket::for_accept`]). With an empty buffer it ends when a connection is there (IN-03), else when its first
    /// bytes are there too (IN-04) or its end (IN-05). Several accepts take connections in the order of their starts (OR-05).
    ///
    /// The accepted socket comes back in the [`Completion`], ready for every call: the context is updated (IN-11). It is a
    /// clone of `accept`. Does not block; any thread.
    ///
    /// # Errors
    /// [`Refused`] with WSAEINVAL (10022) when this socket does not listen, or `accept` is bound, connected, or in
    /// another pending accept (IN-09, IN-10); WSAENOTSOCK (10038).
    #[doc(alias = "AcceptEx")]
    pub fn accept_ex<B: IoBufMut, C: Channel<B>>(
        &self,
        accept: &Socket,
        buffer: B,
        channel: C,
    ) -> std::result::Result<C::Started, Refused<B>> {
        self.begin(Work::Accept(accept.clone()), buffer, channel)
    }

    /// Starts a connect, and sends `buffer` when connected; the count at the end is its length (IN-13). A socket that
    /// is not bound is bound to the wildcard (IN-12). A refusal is told at the end, not by this call (IN-14). Does not block;
    /// any thread.
    ///
    /// # Errors
    /// [`Refused`] with WSAEISCONN (10056), WSAEALREADY (10037) while another connect of it is under way, WSAEINVAL (10022) on a
    /// listener, WSAENOTSOCK (10038), WSAEAFNOSUPPORT (10047).
    #[doc(alias = "ConnectEx")]
    #[doc(alias = "SO_UPDATE_CONNECT_CONTEXT")]
    pub fn connect_ex<B: IoBuf, C: Channel<B>>(
        &self,
        to: SocketAddr,
        buffer: B,
        channel: C,
    ) -> std::result::Result<C::Started, Refused<B>> {
        self.begin(Work::Connect(to), buffer, channel)
    }

    /// Asks one pending operation (CN-01), or with `None` all of this socket, whichever thread started them and through
    /// whichever of its duplicates (CN-02), to end. Each then ends through its channel exactly once, with 995 and 0 bytes (CN-05), or with success if it was
    /// about to (CN-06). Does not block; any thread.
    ///
    /// # Errors
    /// ERROR_NOT_FOUND (1168) when there is nothing to cancel (CN-03); WSAENOTSOCK (10038).
    #[doc(alias = "CancelIoEx")]
    pub fn cancel(&self, operation: Option<OpId>) -> Result<()> {
        self.sys.cancel(operation).map_err(|code| Error::new("cancel_io_ex", code))
    }

    /// What became of an operation that the calling thread started with a routine, until that routine has run (CR-19).
    /// Does not block.
    ///
    /// # Errors
    /// WSA_IO_INCOMPLETE (996) while it is pending, ERROR_NOT_FOUND (1168) when there is none of this name any more; else why
    /// it failed, as a Winsock code.
    #[doc(alias = "WSAGetOverlappedResult")]
    pub fn routine_result(&self, operation: OpId) -> Result<usize> {
        self.sys.routine_result(operation).map_err(|code| Error::new("get_overlapped_result", code))
    }

    /// Asks the operations of this socket that the calling thread started to end (CN-04). Does not block.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038). Nothing to cancel is no error.
    #[doc(alias = "CancelIo")]
    pub fn cancel_thread(&self) -> Result<()> {
        self.sys.cancel_thread().map_err(|code| Error::new("cancel_io", code))
    }

    /// From now on an operation that succeeds at once posts no packet (CP-10): its start says [`Started::Done`]. It cannot be
    /// taken back (CP-11). Does not block; any thread.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038).
    #[doc(alias = "SetFileCompletionNotificationModes")]
    #[doc(alias = "FILE_SKIP_COMPLETION_PORT_ON_SUCCESS")]
    pub fn skip_completion_port_on_success(&self) -> Result<()> {
        self.sys
            .skip_completion_port_on_success()
            .map_err(|code| Error::new("set_file_completion_notification_modes", code))
    }

    fn begin<B: IoBuf, C: Channel<B>>(
        &self,
        work: Work,
        buffer: B,
        channel: C,
    ) -> std::result::Result<C::Started, Refused<B>> {
        let operation = work.operation();
        let (buffer, segments) = Owned::from(buffer);
        channel.start(self, Request { work, segments, buffer }).map_err(|(code, request)| {
            let Ok(buffer) = request.buffer.into() else { unreachable!("a column gives back what it got") };
            Refused { error: Error::new(operation.verb(), code), buffer }
        })
    }
}
