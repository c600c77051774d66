//! Sockets: handles, and the calls that move no data. Transfer, connecting, shutdown and options stand in
//! files of their own.
//!
//! A handle has an id that is never used twice; duplicated handles share a [`Core`], the kernel's socket.

mod attempt;
mod connect;
mod core;
mod options;
mod shutdown;
mod transfer;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use self::core::{Core, InUse};
pub(crate) use self::transfer::Received;
pub(crate) use self::watch::{WhoKnows, raw};

use self::connect::std_address;
use self::core::descriptor;
use super::error::{Result, wsa};
use super::startup;
use crate::error::{WSAEAFNOSUPPORT, WSAEINVAL, WSAENOTSOCK};
use crate::semantics::connection::{Connection, Phase};
use crate::socket::{Family, Kind};
use rustix::net;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

#[derive(Clone)]
pub(crate) struct Socket {
    handle: Arc<Handle>,
}

struct Handle {
    id: u64,
    core: Arc<Core>,
    closed: AtomicBool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Socket {
    pub(crate) fn new(family: Family, kind: Kind) -> Result<Socket> {
        startup::startup()?;
        Ok(Socket::of(Arc::new(Core::new(family, kind, Some(descriptor(family, kind)?)))))
    }

    pub(crate) fn for_accept(family: Family) -> Result<Socket> {
        startup::startup()?;
        Ok(Socket::of(Arc::new(Core::new(family, Kind::Stream, None))))
    }

    /// The accepted end of a connection, in the listener's mode (MO-07).
    fn accepted(listener: &Core, fd: OwnedFd, peer: SocketAddr) -> Socket {
        let core = Core::new(listener.family, listener.kind, Some(fd));
        core.inherit(listener);
        core.nonblocking.store(listener.is_nonblocking(), SeqCst);
        core.update(|connection| connection.connected(peer));
        Socket::of(Arc::new(core))
    }

    fn of(core: Arc<Core>) -> Socket {
        let id = NEXT_ID.fetch_add(1, SeqCst);
        Socket { handle: Arc::new(Handle { id, core, closed: AtomicBool::new(false) }) }
    }

    pub(crate) fn id(&self) -> u64 {
        self.handle.id
    }

    /// What the handle stands for, unless it is closed.
    pub(crate) fn core(&self) -> Result<&Arc<Core>> {
        if self.is_closed() { Err(WSAENOTSOCK) } else { Ok(&self.handle.core) }
    }

    /// What the handle stands for, closed or not: for a call that holds it already, and for an operation's end.
    pub(crate) fn core_even_closed(&self) -> &Arc<Core> {
        &self.handle.core
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.handle.closed.load(SeqCst)
    }

    pub(crate) fn bind(&self, address: &SocketAddr) -> Result<()> {
        let core = self.core()?;
        let call = core.enter()?;
        core.ask(|connection| connection.may_bind())?;
        if Family::of(address) != core.family {
            return Err(WSAEAFNOSUPPORT);
        }
        core.bind_to(call.fd()?, address)?;
        core.update(|connection| connection.bound());
        Ok(())
    }

    pub(crate) fn listen(&self, backlog: i32) -> Result<()> {
        let core = self.core()?;
        let call = core.enter()?;
        core.settle();
        core.ask(|connection| connection.may_listen())?;
        core.listen_on(call.fd()?, backlog)?;
        core.update(|connection| connection.listening());
        Ok(())
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.handle.close()
    }

    pub(crate) fn duplicate(&self) -> Result<Socket> {
        let core = self.core()?;
        let one_more = |handles| if handles == 0 { None } else { Some(handles + 1) };
        core.handles.fetch_update(SeqCst, SeqCst, one_more).map_err(|_| WSAENOTSOCK)?;
        Ok(Socket::of(Arc::clone(core)))
    }

    pub(crate) fn local_addr(&self) -> Result<SocketAddr> {
        self.core()?.local_addr()
    }

    pub(crate) fn peer_addr(&self) -> Result<SocketAddr> {
        self.core()?.peer_addr()
    }
}

impl Core {
    pub(crate) fn local_addr(&self) -> Result<SocketAddr> {
        let call = self.enter()?;
        self.settle();
        if self.ask(|connection| !connection.is_bound() && connection.phase() == Phase::Idle) {
            return Err(WSAEINVAL);
        }
        std_address(net::getsockname(call.fd()?).map_err(wsa)?)
    }

    pub(crate) fn peer_addr(&self) -> Result<SocketAddr> {
        self.settle();
        self.ask(Connection::peer)
    }

    /// Neither bound, connected nor listening: it may become an accepted connection (IN-10).
    pub(crate) fn is_fresh(&self) -> bool {
        self.kind == Kind::Stream
            && self.ask(|connection| !connection.is_bound() && connection.phase() == Phase::Idle)
    }
}

/// The peer of a connection, unless that is gone already.
pub(crate) fn peer_of(fd: &OwnedFd) -> Option<SocketAddr> {
    net::getpeername(fd).ok().flatten().and_then(|address| std_address(address).ok())
}

impl Handle {
    fn close(&self) -> Result<()> {
        if self.closed.swap(true, SeqCst) {
            return Err(WSAENOTSOCK);
        }
        if self.core.handles.fetch_sub(1, SeqCst) == 1 {
            self.core.close();
        }
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Closed by hand before: nothing is left to do.
        let _ = self.close();
    }
}
