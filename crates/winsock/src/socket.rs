//! Sockets and the plain calls on them: blocking by default, non-blocking when set so (model 1).
//!
//! A [`Socket`] is a cheap clone; all clones are one handle. [`Socket::close`], or the drop of the last clone,
//! closes it, and every call through another clone then fails with WSAENOTSOCK (10038).
//! [`Socket::duplicate`] makes a second handle of the same connection (CL-06, CP-27).
//!
//! Any thread may make any call. Only `accept`, `connect`, `recv`, `send`, `recv_from` and `send_to` block, and only on
//! a socket that is not set non-blocking; meanwhile they run the routines and APCs that are queued for the thread (BL-11).
//!
//! ```
//! use doorbell_winsock::socket::BACKLOG_MAX;
//! use doorbell_winsock::{Family, Kind, Shutdown, Socket};
//!
//! # fn main() -> doorbell_winsock::Result<()> {
//! let listener = Socket::new(Family::V4, Kind::Stream)?;
//! listener.bind(([127, 0, 0, 1], 0).into())?;
//! listener.listen(BACKLOG_MAX)?;
//!
//! let client = Socket::new(Family::V4, Kind::Stream)?;
//! client.connect(listener.local_addr()?)?;
//! client.send(b"ding dong")?;
//! client.shutdown(Shutdown::Send)?;
//!
//! let (server, _) = listener.accept()?;
//! let mut buffer = [0; 64];
//! assert_eq!(server.recv(&mut buffer)?, 9);
//! assert_eq!(server.recv(&mut buffer)?, 0, "the peer has finished");
//! # Ok(())
//! # }
//! ```

use crate::error::{Error, Result};
use crate::sys;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// The longest backlog a listener can ask for. The value of `SOMAXCONN` in winsock2.h.
#[doc(alias = "SOMAXCONN")]
pub const BACKLOG_MAX: i32 = 0x7fff_ffff;

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    #[doc(alias = "AF_INET")]
    V4,
    /// IPv6 alone: IPV6_V6ONLY is on everywhere, so that a port means the same on both systems.
    #[doc(alias = "AF_INET6")]
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: &SocketAddr) -> Family {
        match address {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(_) => Family::V6,
        }
    }
}

/// Stream or datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// TCP.
    #[doc(alias = "SOCK_STREAM")]
    Stream,
    /// UDP.
    #[doc(alias = "SOCK_DGRAM")]
    Datagram,
}

/// Which direction `shutdown` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// No more receives here; the peer sees nothing of it (SD-05).
    #[doc(alias = "SD_RECEIVE")]
    Receive,
    /// No more sends: the peer reads what was sent, then the end.
    #[doc(alias = "SD_SEND")]
    Send,
    /// Both.
    #[doc(alias = "SD_BOTH")]
    Both,
}

/// How one receive is to behave; `Flags::default()` is a plain one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Copy without removing (BL-10).
    #[doc(alias = "MSG_PEEK")]
    pub peek: bool,
    /// The urgent byte of a stream.
    #[doc(alias = "MSG_OOB")]
    pub out_of_band: bool,
    /// Complete only when the buffer is full, at the end, or on an error (BF-07). Streams only.
    #[doc(alias = "MSG_WAITALL")]
    pub wait_all: bool,
}

impl Flags {
    /// A plain call.
    pub const NONE: Flags = Flags { peek: false, out_of_band: false, wait_all: false };
    /// Copy without removing.
    pub const PEEK: Flags = Flags { peek: true, ..Flags::NONE };
    /// The urgent byte.
    pub const OUT_OF_BAND: Flags = Flags { out_of_band: true, ..Flags::NONE };
    /// Fill the whole buffer.
    pub const WAIT_ALL: Flags = Flags { wait_all: true, ..Flags::NONE };
}

/// Names one socket for the life of the process; never given to another one (CL-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub(crate) u64);

/// A socket. Clones are the same handle; the drop of the last one closes it. `Send` and `Sync`.
#[doc(alias = "SOCKET")]
#[derive(Clone)]
pub struct Socket {
    pub(crate) sys: sys::socket::Socket,
}

impl Socket {
    /// Makes a socket that can do overlapped operations, blocking until set otherwise. Starts Winsock if need be.
    ///
    /// Sends to a datagram port that nobody owns never make a later receive fail (UD-11).
    ///
    /// # Errors
    /// WSAEMFILE (10024) when no descriptor is left, WSAENOBUFS (10055), WSAEAFNOSUPPORT (10047).
    #[doc(alias = "socket")]
    #[doc(alias = "WSASocket")]
    #[doc(alias = "WSASocketW")]
    #[doc(alias = "WSA_FLAG_OVERLAPPED")]
    pub fn new(family: Family, kind: Kind) -> Result<Socket> {
        Ok(Socket { sys: call("socket", sys::socket::Socket::new(family, kind))? })
    }

    /// Makes a stream socket meant to be handed to [`accept_ex`](Socket::accept_ex). Where the system allows it
    /// costs no descriptor until a connection gives it one.
    ///
    /// # Errors
    /// As [`Socket::new`].
    #[doc(alias = "WSASocket")]
    pub fn for_accept(family: Family) -> Result<Socket> {
        Ok(Socket { sys: call("socket", sys::socket::Socket::for_accept(family))? })
    }

    /// Binds to a local address; port 0 takes a free one. Does not block.
    ///
    /// # Errors
    /// WSAEINVAL (10022) when bound already (ER-05), WSAEADDRINUSE (10048), WSAEACCES (10013), WSAEADDRNOTAVAIL (10049).
    pub fn bind(&self, address: SocketAddr) -> Result<()> {
        call("bind", self.sys.bind(&address))
    }

    /// Starts listening, without blocking, with room for `backlog` waiting connections ([`BACKLOG_MAX`] for as many as there can be).
    ///
    /// # Errors
    /// WSAEINVAL (10022) when not bound: nothing is bound implicitly (ER-04). WSAEISCONN (10056) when connected,
    /// WSAEOPNOTSUPP (10045) for datagrams (ER-08).
    pub fn listen(&self, backlog: i32) -> Result<()> {
        call("listen", self.sys.listen(backlog))
    }

    /// Takes the connection that has waited longest (BL-05). Blocks until there is one, unless non-blocking.
    /// The new socket has the listener's mode (MO-07) and options (IN-02).
    ///
    /// # Errors
    /// WSAEWOULDBLOCK (10035); WSAEINVAL (10022) when not listening (ER-06); WSAEMFILE (10024): the connection stays
    /// in the backlog; WSAECONNRESET (10054) or WSAECONNABORTED (10053): the client was gone before it was taken; when the
    /// listener is closed meanwhile, one of those of BL-07.
    #[doc(alias = "WSAAccept")]
    pub fn accept(&self) -> Result<(Socket, SocketAddr)> {
        let (sys, address) = call("accept", self.sys.accept())?;
        Ok((Socket { sys }, address))
    }

    /// Connects; blocks until the outcome is known, unless non-blocking.
    ///
    /// # Errors
    /// WSAEWOULDBLOCK (10035) for "in progress" when non-blocking, then WSAEALREADY (10037), then WSAEISCONN (10056)
    /// (MO-04); WSAECONNREFUSED (10061), after which the same socket may connect elsewhere (BL-06); WSAEINVAL (10022) on a listener.
    #[doc(alias = "WSAConnect")]
    pub fn connect(&self, address: SocketAddr) -> Result<()> {
        call("connect", self.sys.connect(&address))
    }

    /// Receives what is there, at most `buffer.len()` bytes. 0 is the peer's graceful end, again and again (BL-02).
    /// Blocks until at least one byte is there, unless non-blocking.
    ///
    /// # Errors
    /// WSAEWOULDBLOCK (10035); WSAECONNRESET (10054), again and again (BL-03); WSAENOTCONN (10057); WSAESHUTDOWN (10058)
    /// after a local shutdown (SD-03); WSAETIMEDOUT (10060) after the receive time-out; WSAEMSGSIZE (10040) for a
    /// longer datagram, whose rest is gone (UD-02); when closed meanwhile, one of those of BL-07.
    #[doc(alias = "WSARecv")]
    pub fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.recv_with(buffer, Flags::NONE)
    }

    /// [`recv`](Socket::recv) with flags.
    /// [`Flags::WAIT_ALL`] waits until the buffer is full, or the end, or an error (BF-07).
    ///
    /// # Errors
    /// As [`recv`](Socket::recv), also for urgent data where there is none; Windows may say WSAEINVAL (10022) of that.
    #[doc(alias = "WSARecv")]
    pub fn recv_with(&self, buffer: &mut [u8], flags: Flags) -> Result<usize> {
        call("recv", self.sys.recv(buffer, flags))
    }

    /// Sends. A blocking socket takes the whole buffer before it returns (BL-04); a non-blocking one what fits (MO-08).
    ///
    /// # Errors
    /// WSAEWOULDBLOCK (10035); WSAESHUTDOWN (10058); WSAENOTCONN (10057); WSAECONNRESET (10054) or WSAECONNABORTED
    /// (10053), never a signal (ER-03); WSAETIMEDOUT (10060) after the send time-out.
    #[doc(alias = "WSASend")]
    pub fn send(&self, buffer: &[u8]) -> Result<usize> {
        self.send_with(buffer, Flags::NONE)
    }

    /// [`send`](Socket::send) with flags; only `out_of_band` has a meaning here.
    ///
    /// # Errors
    /// As [`send`](Socket::send).
    #[doc(alias = "WSASend")]
    pub fn send_with(&self, buffer: &[u8], flags: Flags) -> Result<usize> {
        call("send", self.sys.send(buffer, flags))
    }

    /// Receives one datagram and its sender's address.
    ///
    /// # Errors
    /// As [`recv`](Socket::recv).
    #[doc(alias = "WSARecvFrom")]
    pub fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        call("recvfrom", self.sys.recv_from(buffer))
    }

    /// Sends one datagram; binds implicitly (UD-12). A port nobody owns is no error (UD-10).
    ///
    /// # Errors
    /// As [`send`](Socket::send); WSAEMSGSIZE (10040) when too long; WSAEADDRNOTAVAIL (10049) for the wildcard and for port 0.
    #[doc(alias = "WSASendTo")]
    pub fn send_to(&self, buffer: &[u8], to: SocketAddr) -> Result<usize> {
        call("sendto", self.sys.send_to(buffer, &to))
    }

    /// Ends one direction or both; repeating it succeeds (SD-07). Sends under way go out first, whether they are overlapped
    /// or block another thread (SD-06); a receive that waits already can still take data (SD-04).
    ///
    /// # Errors
    /// WSAENOTCONN (10057) when not connected or listening (SD-08); WSAECONNRESET (10054).
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        call("shutdown", self.sys.shutdown(how))
    }

    /// Closes this handle. Graceful and at once: what `send` accepted is delivered, then the end (CL-08), unless
    /// linger says otherwise. Pending operations end with an error (CL-01); a call blocked on the socket returns (BL-07).
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed already (CL-07).
    #[doc(alias = "closesocket")]
    pub fn close(&self) -> Result<()> {
        call("closesocket", self.sys.close())
    }

    /// A second handle of the same connection. The connection ends when the last handle is closed (CL-06).
    ///
    /// # Errors
    /// WSAENOTSOCK (10038), WSAEMFILE (10024).
    #[doc(alias = "WSADuplicateSocket")]
    pub fn duplicate(&self) -> Result<Socket> {
        Ok(Socket { sys: call("duplicate", self.sys.duplicate())? })
    }

    /// The name of this socket that no other one ever has; clones share it, duplicates have their own. It stays when the
    /// socket is closed.
    pub fn id(&self) -> SocketId {
        SocketId(self.sys.id())
    }

    /// The local address.
    ///
    /// # Errors
    /// WSAEINVAL (10022) when not bound (ER-07).
    #[doc(alias = "getsockname")]
    pub fn local_addr(&self) -> Result<SocketAddr> {
        call("getsockname", self.sys.local_addr())
    }

    /// The peer's address.
    ///
    /// # Errors
    /// WSAENOTCONN (10057) when not connected (ER-07).
    #[doc(alias = "getpeername")]
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        call("getpeername", self.sys.peer_addr())
    }

    /// Non-blocking or blocking.
    ///
    /// # Errors
    /// WSAEINVAL (10022) for blocking while a selection is active (MO-02); WSAENOTSOCK (10038) when closed.
    #[doc(alias = "ioctlsocket")]
    #[doc(alias = "FIONBIO")]
    pub fn set_nonblocking(&self, on: bool) -> Result<()> {
        call("ioctlsocket", self.sys.set_nonblocking(on))
    }

    /// How many bytes a receive could take now. Does not block.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "FIONREAD")]
    pub fn bytes_available(&self) -> Result<usize> {
        call("ioctlsocket", self.sys.bytes_available())
    }

    /// Why the last non-blocking connect failed, as a Winsock code; 0 for no error. Reading does not clear it (SE-10).
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_ERROR")]
    #[doc(alias = "getsockopt")]
    pub fn socket_error(&self) -> Result<i32> {
        call("getsockopt", self.sys.socket_error())
    }

    /// Small writes go out at once.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed; on a datagram socket a code that the system chooses, as TCP alone has it.
    #[doc(alias = "TCP_NODELAY")]
    pub fn set_nodelay(&self, on: bool) -> Result<()> {
        call("setsockopt", self.sys.set_nodelay(on))
    }

    /// Whether small writes go out at once.
    ///
    /// # Errors
    /// As [`set_nodelay`](Socket::set_nodelay).
    #[doc(alias = "TCP_NODELAY")]
    pub fn nodelay(&self) -> Result<bool> {
        call("getsockopt", self.sys.nodelay())
    }

    /// Probes of an idle connection.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_KEEPALIVE")]
    pub fn set_keepalive(&self, on: bool) -> Result<()> {
        call("setsockopt", self.sys.set_keepalive(on))
    }

    /// Whether an idle connection is probed.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_KEEPALIVE")]
    pub fn keepalive(&self) -> Result<bool> {
        call("getsockopt", self.sys.keepalive())
    }

    /// How long close waits for unsent data, in whole seconds; zero makes close a reset (CL-09), `None` is the default.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_LINGER")]
    pub fn set_linger(&self, linger: Option<Duration>) -> Result<()> {
        call("setsockopt", self.sys.set_linger(linger))
    }

    /// The linger time.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_LINGER")]
    pub fn linger(&self) -> Result<Option<Duration>> {
        call("getsockopt", self.sys.linger())
    }

    /// Urgent data is left in the stream.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_OOBINLINE")]
    pub fn set_oob_inline(&self, on: bool) -> Result<()> {
        call("setsockopt", self.sys.set_oob_inline(on))
    }

    /// Whether urgent data is left in the stream.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_OOBINLINE")]
    pub fn oob_inline(&self) -> Result<bool> {
        call("getsockopt", self.sys.oob_inline())
    }

    /// After how long a blocking receive fails with WSAETIMEDOUT (10060); `None` is never. Whole milliseconds, at
    /// least one. Overlapped operations do not know it (OV-13).
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_RCVTIMEO")]
    pub fn set_recv_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        call("setsockopt", self.sys.set_recv_timeout(timeout))
    }

    /// The receive time-out.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_RCVTIMEO")]
    pub fn recv_timeout(&self) -> Result<Option<Duration>> {
        call("getsockopt", self.sys.recv_timeout())
    }

    /// After how long a blocking send fails with WSAETIMEDOUT (10060); `None` is never.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_SNDTIMEO")]
    pub fn set_send_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        call("setsockopt", self.sys.set_send_timeout(timeout))
    }

    /// The send time-out.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_SNDTIMEO")]
    pub fn send_timeout(&self) -> Result<Option<Duration>> {
        call("getsockopt", self.sys.send_timeout())
    }

    /// Room of the system for bytes received and not yet taken, in bytes; the system may round it.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_RCVBUF")]
    #[doc(alias = "setsockopt")]
    pub fn set_recv_buffer(&self, bytes: usize) -> Result<()> {
        call("setsockopt", self.sys.set_recv_buffer(bytes))
    }

    /// Room of the system for bytes sent and not yet acknowledged, in bytes; the system may round it.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed.
    #[doc(alias = "SO_SNDBUF")]
    pub fn set_send_buffer(&self, bytes: usize) -> Result<()> {
        call("setsockopt", self.sys.set_send_buffer(bytes))
    }

    /// What a server's listener wants before `bind`: a restart binds although old connections are in TIME_WAIT, and
    /// nobody steals the port. SO_REUSEADDR on Linux, SO_EXCLUSIVEADDRUSE on Windows: the same promise.
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when closed; WSAEINVAL (10022) when bound already.
    #[doc(alias = "SO_REUSEADDR")]
    #[doc(alias = "SO_EXCLUSIVEADDRUSE")]
    pub fn set_exclusive_address(&self) -> Result<()> {
        call("setsockopt", self.sys.set_exclusive_address())
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Socket) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Socket {}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.id().0)
    }
}

fn call<T>(name: &'static str, result: std::result::Result<T, i32>) -> Result<T> {
    result.map_err(|code| Error::new(name, code))
}
