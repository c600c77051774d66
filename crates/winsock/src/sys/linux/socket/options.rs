//! Socket options. The kernel keeps them, except what it would round or cannot tell back.

use super::super::error::{Result, wsa};
use super::super::network_events;
use super::Socket;
use super::core::Core;
use crate::error::WSAEINVAL;
use crate::socket::Kind;
use rustix::io::Errno;
use rustix::net;
use rustix::net::sockopt::{self, Timeout};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

impl Socket {
    pub(crate) fn set_nonblocking(&self, on: bool) -> Result<()> {
        let core = self.core()?;
        // The kernel is told by the accept or connect that needs it: a transfer says it with each call.
        network_events::set_nonblocking(core, on)
    }

    pub(crate) fn bytes_available(&self) -> Result<usize> {
        self.with_fd(|_, fd| match rustix::io::ioctl_fionread(fd) {
            Ok(bytes) => Ok(usize::try_from(bytes).unwrap_or(usize::MAX)),
            // A listener has no bytes to count.
            Err(rustix::io::Errno::INVAL) => Ok(0),
            Err(errno) => Err(wsa(errno)),
        })
    }

    pub(crate) fn socket_error(&self) -> Result<i32> {
        let core = self.core()?;
        core.settle();
        Ok(core.ask(|connection| connection.socket_error()))
    }

    pub(crate) fn set_nodelay(&self, on: bool) -> Result<()> {
        self.with_fd(|_, fd| sockopt::set_tcp_nodelay(fd, on).map_err(wsa))
    }

    pub(crate) fn nodelay(&self) -> Result<bool> {
        self.with_fd(|_, fd| sockopt::tcp_nodelay(fd).map_err(wsa))
    }

    pub(crate) fn set_keepalive(&self, on: bool) -> Result<()> {
        self.with_fd(|_, fd| sockopt::set_socket_keepalive(fd, on).map_err(wsa))
    }

    pub(crate) fn keepalive(&self) -> Result<bool> {
        self.with_fd(|_, fd| sockopt::socket_keepalive(fd).map_err(wsa))
    }

    pub(crate) fn set_linger(&self, linger: Option<Duration>) -> Result<()> {
        // Winsock counts in 16 bits of seconds; part of a second is a second, for zero would mean a reset.
        let linger = linger.map(|time| {
            let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
            Duration::from_secs(seconds.min(u16::MAX.into()))
        });
        self.with_fd(|_, fd| sockopt::set_socket_linger(fd, linger).map_err(wsa))
    }

    pub(crate) fn linger(&self) -> Result<Option<Duration>> {
        self.with_fd(|_, fd| sockopt::socket_linger(fd).map_err(wsa))
    }

    pub(crate) fn set_oob_inline(&self, on: bool) -> Result<()> {
        self.with_fd(|core, fd| {
            sockopt::set_socket_oobinline(fd, on).map_err(wsa)?;
            core.oob_inline.store(on, SeqCst);
            Ok(())
        })
    }

    pub(crate) fn oob_inline(&self) -> Result<bool> {
        Ok(self.core()?.oob_inline.load(SeqCst))
    }

    pub(crate) fn set_recv_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.with_fd(|core, fd| set_timeout(fd, Timeout::Recv, &core.recv_timeout_ms, timeout))
    }

    pub(crate) fn recv_timeout(&self) -> Result<Option<Duration>> {
        Ok(timeout(&self.core()?.recv_timeout_ms))
    }

    pub(crate) fn set_send_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.with_fd(|core, fd| set_timeout(fd, Timeout::Send, &core.send_timeout_ms, timeout))
    }

    pub(crate) fn send_timeout(&self) -> Result<Option<Duration>> {
        Ok(timeout(&self.core()?.send_timeout_ms))
    }

    pub(crate) fn set_recv_buffer(&self, bytes: usize) -> Result<()> {
        self.with_fd(|_, fd| sockopt::set_socket_recv_buffer_size(fd, kernel_half(bytes)).map_err(wsa))
    }

    pub(crate) fn set_send_buffer(&self, bytes: usize) -> Result<()> {
        self.with_fd(|_, fd| sockopt::set_socket_send_buffer_size(fd, kernel_half(bytes)).map_err(wsa))
    }

    pub(crate) fn set_exclusive_address(&self) -> Result<()> {
        let core = self.core()?;
        if core.ask(|connection| connection.is_bound()) {
            return Err(WSAEINVAL);
        }
        core.exclusive.store(true, SeqCst);
        Ok(())
    }

    fn with_fd<T>(&self, work: impl FnOnce(&Core, BorrowedFd<'_>) -> Result<T>) -> Result<T> {
        let core = self.core()?;
        let call = core.enter()?;
        work(core, call.fd()?)
    }
}

impl Core {
    /// Binds. An exclusive listener gives way to nobody, but old connections give way to it: those of a listener that
    /// reused its address. While it does, others may take the port as long as nobody listens there, so it does for as
    /// long as it takes to bind, and again from `listen` on.
    pub(super) fn bind_to(&self, fd: BorrowedFd<'_>, address: &SocketAddr) -> Result<()> {
        let mut outcome = net::bind(fd, address);
        if outcome == Err(Errno::ADDRINUSE) && self.listens_exclusively() {
            sockopt::set_socket_reuseaddr(fd, true).map_err(wsa)?;
            outcome = net::bind(fd, address);
            sockopt::set_socket_reuseaddr(fd, false).map_err(wsa)?;
        }
        outcome.map_err(wsa)
    }

    pub(super) fn listen_on(&self, fd: BorrowedFd<'_>, backlog: i32) -> Result<()> {
        if self.listens_exclusively() {
            sockopt::set_socket_reuseaddr(fd, true).map_err(wsa)?;
        }
        net::listen(fd, backlog).map_err(wsa)
    }

    /// A datagram socket has no old connections, and with that option would let a second one in.
    fn listens_exclusively(&self) -> bool {
        self.kind == Kind::Stream && self.exclusive.load(SeqCst)
    }

    /// Takes over what an accepted socket has of its listener and the kernel does not carry over (IN-02): keep-alive,
    /// no-delay, linger and the time-outs it does.
    pub(super) fn inherit(&self, listener: &Core) {
        self.recv_timeout_ms.store(listener.recv_timeout_ms.load(SeqCst), SeqCst);
        self.send_timeout_ms.store(listener.send_timeout_ms.load(SeqCst), SeqCst);
        self.accepted.store(true, SeqCst);
        self.oob_inline.store(listener.oob_inline.load(SeqCst), SeqCst);
    }
}

/// The kernel counts in ticks of its clock, so what was set is kept here; it never waits for less.
fn set_timeout(
    fd: BorrowedFd<'_>,
    which: Timeout,
    kept: &AtomicU32,
    timeout: Option<Duration>,
) -> Result<()> {
    let ms = timeout
        .map_or(0, |time| u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1));
    let timeout = (ms != 0).then(|| Duration::from_millis(ms.into()));
    sockopt::set_socket_timeout(fd, which, timeout).map_err(wsa)?;
    kept.store(ms, SeqCst);
    Ok(())
}

fn timeout(kept: &AtomicU32) -> Option<Duration> {
    match kept.load(SeqCst) {
        0 => None,
        ms => Some(Duration::from_millis(ms.into())),
    }
}

/// The kernel doubles what it is told, for its own book-keeping; and it knows no more than an `int`.
fn kernel_half(bytes: usize) -> usize {
    (bytes / 2).min(i32::MAX as usize / 2)
}
