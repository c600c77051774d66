//! Accepting and connecting: the steps that never wait, for the overlapped engine, and the calls made of them.

use super::super::error::{Result, wsa};
use super::super::network_events;
use super::super::os::poll::{POLLIN, POLLOUT, look_at};
use super::super::port::free_place;
use super::super::routine;
use super::Socket;
use super::core::Core;
use crate::error::{WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT, WSAEINTR, WSAEINVAL, WSAEWOULDBLOCK};
use crate::semantics::connection::{Connection, Phase};
use crate::socket::{Family, Kind};
use rustix::io::Errno;
use rustix::net::{self, SocketAddrAny, SocketFlags};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::SeqCst;

impl Socket {
    pub(crate) fn accept(&self) -> Result<(Socket, SocketAddr)> {
        let core = self.core()?;
        let call = core.enter()?;
        core.ask(|connection| connection.may_accept())?;
        let fd = call.fd()?;
        network_events::accepting(core, &call, || {
            core.behind(None, |core| core.queues.receives_queued())?;
            self.accept_from(core, fd)
        })
    }

    fn accept_from(&self, core: &Core, fd: BorrowedFd<'_>) -> Result<(Socket, SocketAddr)> {
        let _place = free_place(|| !core.is_nonblocking() && look_at(fd, POLLIN) == 0);
        loop {
            if core.waits_outside() {
                core.set_kernel_nonblocking(fd)?;
            }
            match accept_once(fd) {
                _ if core.is_closed() => return Err(WSAEINTR),
                Ok((accepted, peer)) => return Ok((Socket::accepted(core, accepted, peer), peer)),
                Err(Errno::AGAIN) if core.is_nonblocking() => return Err(WSAEWOULDBLOCK),
                // Without the kernel's flag this is the listener's receive time-out, which is not for accepts.
                Err(Errno::AGAIN) => {
                    routine::wait_alertably(fd, POLLIN, None)?;
                }
                Err(errno) if passes(errno) => {}
                Err(errno) => return Err(wsa(errno)),
            }
        }
    }

    pub(crate) fn connect(&self, address: &SocketAddr) -> Result<()> {
        let core = self.core()?;
        if core.is_nonblocking() {
            return if core.start_connect(address)? {
                Ok(())
            } else {
                core.connect_attended.store(false, SeqCst);
                network_events::connect_left(core);
                Err(WSAEWOULDBLOCK)
            };
        }
        let call = core.enter()?;
        let fd = call.fd()?;
        if core.begin_connect(fd, address)? {
            return Ok(());
        }
        let _place = free_place(|| true);
        if routine::is_used() {
            if let Err(code) = core.set_kernel_nonblocking(fd) {
                core.update(|connection| connection.connect_failed(code));
                return Err(code);
            }
        }
        match net::connect(fd, address) {
            Ok(()) => core.update(|connection| connection.connected(*address)),
            // Interrupted, out of send time, or on a descriptor that does not wait: it goes on all the same.
            Err(Errno::INTR | Errno::INPROGRESS | Errno::ALREADY) => {
                routine::wait_alertably(fd, POLLOUT, None)?;
                if core.is_closed() {
                    return Err(WSAEINTR);
                }
                return core.outcome(fd);
            }
            Err(_) if core.is_closed() => return Err(WSAEINTR),
            Err(errno) => return core.connect_failed(fd, errno),
        }
        Ok(())
    }
}

impl Core {
    /// Takes a connection that waits: its descriptor and its peer. 10035 when there is none.
    pub(crate) fn try_accept(&self) -> Result<(OwnedFd, SocketAddr)> {
        let call = self.enter()?;
        let fd = call.fd()?;
        self.set_kernel_nonblocking(fd)?;
        loop {
            match accept_once(fd) {
                Err(errno) if passes(errno) => {}
                outcome => return outcome.map_err(wsa),
            }
        }
    }

    /// Makes this socket, fresh until now, the accepted end of a connection taken from `listener`.
    pub(crate) fn adopt(&self, accepted: OwnedFd, peer: SocketAddr, listener: &Core) -> Result<()> {
        let call = self.enter()?;
        self.take_over(&call, accepted)?;
        self.kernel_nonblocking.store(false, SeqCst);
        self.inherit(listener);
        network_events::new_descriptor(self, call.fd()?)?;
        self.update(|connection| connection.connected(peer));
        Ok(())
    }

    /// May a connect be started (10037, 10056, 10022)?
    pub(crate) fn may_connect(&self) -> Result<()> {
        self.settle();
        self.ask(Connection::may_connect)
    }

    /// Starts to connect and does not wait, whatever the mode. Whether it is connected already; if not, the caller
    /// asks [`finish_connect`](Core::finish_connect) when the descriptor is writable.
    pub(crate) fn start_connect(&self, address: &SocketAddr) -> Result<bool> {
        let call = self.enter()?;
        let fd = call.fd()?;
        if self.begin_connect(fd, address)? {
            return Ok(true);
        }
        if let Err(code) = self.set_kernel_nonblocking(fd) {
            self.update(|connection| connection.connect_failed(code));
            return Err(code);
        }
        match net::connect(fd, address) {
            Ok(()) => {
                self.update(|connection| connection.connected(*address));
                Ok(true)
            }
            Err(Errno::INPROGRESS | Errno::INTR) => Ok(false),
            Err(errno) => self.connect_failed(fd, errno).map(|()| false),
        }
    }

    /// The outcome of a connect: 10035 while there is none. Any number of calls; the outcome stays.
    pub(crate) fn finish_connect(&self) -> Result<()> {
        let call = self.enter()?;
        self.outcome(call.fd()?)
    }

    /// Gives up a connect whose outcome nobody wants any more; the socket may connect again.
    pub(crate) fn abandon_connect(&self, code: i32) {
        let Ok(call) = self.enter() else { return };
        self.update(|connection| {
            if connection.phase() == Phase::Connecting {
                if let Ok(fd) = call.fd() {
                    start_over(fd, connection);
                }
                connection.connect_failed(code);
            }
        });
    }

    fn outcome(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.update(|connection| match connection.phase() {
            Phase::Connected => Ok(()),
            Phase::Failed(code) => Err(code),
            Phase::Idle | Phase::Listening => Err(WSAEINVAL),
            Phase::Connecting => match net::sockopt::socket_error(fd) {
                Ok(Ok(())) => {
                    let peer = net::getpeername(fd).ok().flatten().ok_or(WSAEWOULDBLOCK)?;
                    connection.connected(std_address(peer)?);
                    Ok(())
                }
                Ok(Err(errno)) | Err(errno) => {
                    start_over(fd, connection);
                    connection.connect_failed(wsa(errno));
                    Err(wsa(errno))
                }
            },
        })
    }

    /// Asks for the outcome of a connect that nobody attends to.
    pub(crate) fn settle(&self) {
        if self.connect_attended.load(SeqCst) || self.ask(|c| c.phase() != Phase::Connecting) {
            return;
        }
        let Ok(call) = self.enter() else { return };
        let Ok(fd) = call.fd() else { return };
        if look_at(fd, POLLOUT) != 0 {
            let _ = self.outcome(fd);
        }
    }

    /// The checks, and the record of a connect that begins. Whether nothing is left to do.
    fn begin_connect(&self, fd: BorrowedFd<'_>, address: &SocketAddr) -> Result<bool> {
        self.settle();
        if Family::of(address) != self.family {
            return Err(WSAEAFNOSUPPORT);
        }
        if self.kind == Kind::Datagram {
            return self.connect_datagram(fd, address).map(|()| true);
        }
        self.update(|connection| {
            connection.may_connect()?;
            // Linux takes the wildcard for this machine; Winsock refuses it.
            if address.ip().is_unspecified() || address.port() == 0 {
                return Err(WSAEADDRNOTAVAIL);
            }
            connection.connecting();
            self.connect_attended.store(true, SeqCst);
            Ok(false)
        })
    }

    fn connect_datagram(&self, fd: BorrowedFd<'_>, address: &SocketAddr) -> Result<()> {
        // The wildcard gives the peer up.
        if address.ip().is_unspecified() {
            let port = std_address(net::getsockname(fd).map_err(wsa)?)?.port();
            net::connect_unspec(fd).map_err(wsa)?;
            self.update(|connection| connection.disconnected());
            // The kernel lets go of a port that it chose itself; Winsock's socket keeps it.
            let mut name = std_address(net::getsockname(fd).map_err(wsa)?)?;
            if name.port() != port {
                name.set_port(port);
                net::bind(fd, &name).map_err(wsa)?;
            }
        } else {
            net::connect(fd, address).map_err(wsa)?;
            self.update(|connection| connection.connected(*address));
        }
        Ok(())
    }

    fn connect_failed(&self, fd: BorrowedFd<'_>, errno: Errno) -> Result<()> {
        let code = match wsa(errno) {
            // EAGAIN is the kernel's word for no free port here, not for "in progress".
            WSAEWOULDBLOCK => WSAEADDRNOTAVAIL,
            code => code,
        };
        self.update(|connection| {
            start_over(fd, connection);
            connection.connect_failed(code);
        });
        Err(code)
    }
}

/// After a connect that failed. If its error was taken from the kernel, the next connect would fail for want of it; and a
/// port that the kernel chose for a bind it has let go of. This makes the socket what it was before (BL-06).
fn start_over(fd: BorrowedFd<'_>, connection: &Connection) {
    let _ = net::connect_unspec(fd);
    if let (true, Ok(name)) = (connection.is_bound(), net::getsockname(fd)) {
        // Refused where the port was not let go of.
        let _ = net::bind(fd, &name);
    }
}

/// One `accept4`.
fn accept_once(fd: BorrowedFd<'_>) -> std::result::Result<(OwnedFd, SocketAddr), Errno> {
    let (accepted, peer) = net::acceptfrom_with(fd, SocketFlags::CLOEXEC)?;
    // A peer that is gone already may have no name; the connection is none any more.
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok()).ok_or(Errno::CONNABORTED)?;
    Ok((accepted, peer))
}

/// Errors of the connection that was to be taken: the listener is well, and the next one may be there.
fn passes(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INTR
            | Errno::CONNABORTED
            | Errno::PROTO
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET
            | Errno::NOPROTOOPT
            | Errno::OPNOTSUPP
    )
}

pub(super) fn std_address(address: SocketAddrAny) -> Result<SocketAddr> {
    SocketAddr::try_from(address).map_err(|_| WSAEAFNOSUPPORT)
}
