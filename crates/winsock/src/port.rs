//! Completion ports: one queue of packets, and the threads that take them (model 7).
//!
//! Each socket is associated with a port once, under a key that comes back in every packet of that socket (CP-01).
//! Packets come out in the order in which they were queued, posted ones and those of operations mixed (CP-13); each
//! goes to exactly one thread (CP-18). Waiting threads are released last in, first out (CP-19), and no more than the
//! concurrency value of them run at a time (CP-20). A thread counts as running from the call that gave it a packet
//! until its next call here, and not while it waits: in this crate, in [`blocking`], or, noticed some milliseconds later on
//! Linux, anywhere else (CP-21).
//!
//! ```
//! use doorbell_winsock::overlapped::{Operation, ToPort};
//! use doorbell_winsock::socket::Flags;
//! use doorbell_winsock::{CompletionPort, Packet};
//! # use doorbell_winsock::{Family, Kind, Socket};
//!
//! # fn main() -> doorbell_winsock::Result<()> {
//! # let listener = Socket::new(Family::V4, Kind::Stream)?;
//! # listener.bind(([127, 0, 0, 1], 0).into())?;
//! # listener.listen(1)?;
//! # let client = Socket::new(Family::V4, Kind::Stream)?;
//! # client.connect(listener.local_addr()?)?;
//! # let (socket, _) = listener.accept()?;
//! let port = CompletionPort::new(0)?;
//! port.associate(&socket, 7)?;
//! socket.recv_overlapped(vec![0; 64], Flags::NONE, ToPort)?;
//! client.send(b"ding dong")?;
//!
//! let Packet::Io(mut ended) = port.get(None)? else { panic!("nobody posted anything") };
//! assert_eq!((ended.key(), ended.operation(), ended.result()?), (7, Operation::Receive, 9));
//! let buffer: Vec<u8> = ended.take_buffer().expect("the very one that went in");
//! assert_eq!(&buffer[..9], b"ding dong");
//!
//! // Any thread posts whatever it likes, to wake another or to stop it.
//! port.post(0, 1, 2)?;
//! assert!(matches!(port.get(None)?, Packet::Posted { bytes: 0, key: 1, token: 2 }));
//! # Ok(())
//! # }
//! ```

use crate::error::{Error, Result};
use crate::overlapped::Completion;
use crate::routine::Alertable;
use crate::socket::Socket;
use crate::sys;
use std::fmt;
use std::time::Duration;

/// What a port hands out.
#[doc(alias = "OVERLAPPED_ENTRY")]
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every packet is of the large kind, and a box would cost an allocation each"
)]
pub enum Packet {
    /// The end of an operation, succeeded or failed (CP-06).
    Io(Completion),
    /// What somebody posted, as it was posted (CP-12).
    Posted {
        /// The first value.
        #[doc(alias = "dwNumberOfBytesTransferred")]
        bytes: u32,
        /// The second value.
        #[doc(alias = "dwCompletionKey")]
        key: usize,
        /// The third value; never looked at.
        token: usize,
    },
}

impl Packet {
    /// The key, of whichever kind the packet is.
    pub fn key(&self) -> usize {
        match self {
            Packet::Io(completion) => completion.key(),
            Packet::Posted { key, .. } => *key,
        }
    }
}

/// A completion port. Clones are the same handle; any thread may make any call. Only [`get`](CompletionPort::get) and
/// [`get_many`](CompletionPort::get_many) block.
#[doc(alias = "IOCP")]
#[derive(Clone)]
pub struct CompletionPort {
    sys: sys::port::Port,
}

impl CompletionPort {
    /// Makes a port that lets at most `concurrency` threads run at a time; 0 stands for the number of processors (CP-22).
    /// Starts Winsock if need be.
    ///
    /// # Errors
    /// WSAEMFILE (10024), WSAENOBUFS (10055).
    #[doc(alias = "CreateIoCompletionPort")]
    pub fn new(concurrency: u32) -> Result<CompletionPort> {
        let sys = sys::port::Port::new(concurrency)
            .map_err(|code| Error::new("create_io_completion_port", code))?;
        Ok(CompletionPort { sys })
    }

    /// Associates a socket, once and for ever: `key` comes back in each packet of its operations. Does not block. Operations started before it post here too when they end after it (CP-26).
    ///
    /// # Errors
    /// ERROR_INVALID_PARAMETER (87) when the socket has a port already (CP-02); ERROR_INVALID_HANDLE (6) when this port
    /// is closed; WSAENOTSOCK (10038).
    #[doc(alias = "CreateIoCompletionPort")]
    pub fn associate(&self, socket: &Socket, key: usize) -> Result<()> {
        self.sys.associate(&socket.sys, key).map_err(|code| Error::new("create_io_completion_port", code))
    }

    /// Posts a packet with three values of the caller's own; `token` stands where Winsock has the overlapped pointer.
    /// Does not block; any thread.
    ///
    /// # Errors
    /// ERROR_INVALID_HANDLE (6) when the port is closed (CP-24).
    #[doc(alias = "PostQueuedCompletionStatus")]
    pub fn post(&self, bytes: u32, key: usize, token: usize) -> Result<()> {
        self.sys.post(bytes, key, token).map_err(|code| Error::new("post_queued_completion_status", code))
    }

    /// Takes one packet; blocks for at most `timeout`, `None` for ever. Runs no routine (CP-17).
    ///
    /// # Errors
    /// WAIT_TIMEOUT (258); ERROR_ABANDONED_WAIT_0 (735) when the port is closed during the wait (CP-23);
    /// ERROR_INVALID_HANDLE (6) when it was closed before (CP-24). The packet of a failed operation is no error here.
    #[doc(alias = "GetQueuedCompletionStatus")]
    pub fn get(&self, timeout: Option<Duration>) -> Result<Packet> {
        self.sys.get(timeout).map_err(|code| Error::new("get_queued_completion_status", code))
    }

    /// Takes up to `max` packets in order, behind those that are in `packets` already, and returns how many. Waits only
    /// until there is at least one (CP-14); packets of failed operations are among them (CP-15).
    ///
    /// # Errors
    /// As [`get`](CompletionPort::get); WSA_WAIT_IO_COMPLETION (192) when the wait was alertable and a routine ran, which
    /// it does only if no packet is there (CP-16); ERROR_INVALID_PARAMETER (87) for a `max` of 0 (CP-33).
    #[doc(alias = "GetQueuedCompletionStatusEx")]
    pub fn get_many(
        &self,
        packets: &mut Vec<Packet>,
        max: usize,
        timeout: Option<Duration>,
        alertable: Alertable,
    ) -> Result<usize> {
        self.sys
            .get_many(packets, max, timeout, alertable)
            .map_err(|code| Error::new("get_queued_completion_status_ex", code))
    }

    /// Closes the port for all clones: every waiting thread returns with 735 (CP-23). Sockets are not disturbed (CP-32).
    /// The drop of the last clone closes it too.
    ///
    /// # Errors
    /// ERROR_INVALID_HANDLE (6) when closed already.
    #[doc(alias = "CloseHandle")]
    pub fn close(&self) -> Result<()> {
        self.sys.close().map_err(|code| Error::new("close_handle", code))
    }
}

impl fmt::Debug for CompletionPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompletionPort")
    }
}

/// Runs something that blocks outside this crate; meanwhile the calling thread's place at its port is free, so that
/// another thread can be released (CP-21). On Windows the kernel sees every wait itself, and this only calls `work`; on
/// Linux without it a wait is noticed late.
pub fn blocking<R>(work: impl FnOnce() -> R) -> R {
    sys::port::blocking(work)
}
