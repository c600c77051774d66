//! The kernel's socket and what is remembered beside it. Duplicated handles share one.
//!
//! The trick is in who may close the descriptor: whoever leaves last. Every call in progress is counted, and so are
//! the open handles together, as one. So a descriptor number cannot be given to another socket under a call's feet,
//! and close finds out whether somebody has to be woken.

use super::super::error::{Result, wsa};
use super::super::network_events::{self, Selection};
use super::super::overlapped::{self, Queues};
use super::watch::{Watchers, WhoKnows};
use crate::error::{WSAENOTCONN, WSAENOTSOCK, WSAESHUTDOWN};
use crate::semantics::connection::{Connection, Phase};
use crate::socket::{Family, Kind};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// No descriptor yet, or no longer.
const NONE: i32 = -1;

pub(crate) struct Core {
    fd: AtomicI32,
    /// The calls in progress, and one for the handles as long as one is open. At 0 the descriptor goes.
    users: AtomicUsize,
    pub(super) handles: AtomicUsize,
    closed: AtomicBool,
    pub(crate) family: Family,
    pub(crate) kind: Kind,
    /// What the program asked for.
    pub(super) nonblocking: AtomicBool,
    /// What the kernel was told, which is less: a transfer says with each call that it must not wait.
    pub(super) kernel_nonblocking: AtomicBool,
    pub(super) recv_timeout_ms: AtomicU32,
    pub(super) send_timeout_ms: AtomicU32,
    pub(crate) oob_inline: AtomicBool,
    /// It wants its address for itself alone.
    pub(super) exclusive: AtomicBool,
    /// A call or an operation waits for the connect's outcome: nobody else asks the system for it.
    pub(crate) connect_attended: AtomicBool,
    /// Plain sends in progress, and whether the end of the stream is to follow them.
    pub(super) senders: AtomicUsize,
    pub(super) end_follows: AtomicBool,
    connection: Mutex<Connection>,
    /// What the connection refuses a receive and a send with, 0 for nothing; kept beside it so that a transfer takes
    /// no lock.
    refuse_receive: AtomicI32,
    refuse_send: AtomicI32,
    readiness: AtomicU8,
    watchers: Watchers,
    pub(crate) queues: Queues,
    pub(crate) selection: Selection,
    /// It came out of an accept; no connect was made.
    pub(super) accepted: AtomicBool,
}

impl Core {
    pub(super) fn new(family: Family, kind: Kind, fd: Option<OwnedFd>) -> Core {
        let core = Core {
            fd: AtomicI32::new(fd.map_or(NONE, IntoRawFd::into_raw_fd)),
            users: AtomicUsize::new(1),
            handles: AtomicUsize::new(1),
            closed: AtomicBool::new(false),
            family,
            kind,
            nonblocking: AtomicBool::new(false),
            kernel_nonblocking: AtomicBool::new(false),
            recv_timeout_ms: AtomicU32::new(0),
            send_timeout_ms: AtomicU32::new(0),
            oob_inline: AtomicBool::new(false),
            exclusive: AtomicBool::new(false),
            connect_attended: AtomicBool::new(false),
            senders: AtomicUsize::new(0),
            end_follows: AtomicBool::new(false),
            connection: Mutex::new(Connection::new(kind)),
            refuse_receive: AtomicI32::new(0),
            refuse_send: AtomicI32::new(0),
            readiness: AtomicU8::new(0),
            watchers: Watchers::default(),
            queues: Queues::default(),
            selection: Selection::default(),
            accepted: AtomicBool::new(false),
        };
        core.update(|_| ());
        core
    }

    /// Where `select` learns whether this socket is ready.
    pub(crate) fn who_knows(&self) -> WhoKnows {
        match self.readiness.load(SeqCst) {
            0 => WhoKnows::Record,
            1 => WhoKnows::System,
            _ => WhoKnows::Outcome,
        }
    }

    /// Counts a call in progress without a value that stands for it: the caller answers for [`leave`](Core::leave).
    pub(crate) fn hold(&self) -> Result<()> {
        self.enter().map(std::mem::forget)
    }

    /// The number to hand to `poll`, or a negative one, which `poll` passes over.
    pub(crate) fn raw_fd(&self) -> i32 {
        self.fd.load(SeqCst)
    }

    /// Begins a call. While the answer lives the descriptor stays this socket's.
    pub(crate) fn enter(&self) -> Result<InUse<'_>> {
        self.users.fetch_add(1, SeqCst);
        let in_use = InUse { core: self };
        // Asked after the count: either close sees this call, or this call sees the close.
        if self.is_closed() { Err(WSAENOTSOCK) } else { Ok(in_use) }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// The last handle went.
    pub(super) fn close(self: &Arc<Core>) {
        self.closed.store(true, SeqCst);
        network_events::closing(self);
        overlapped::closing(self);
        if self.users.load(SeqCst) > 1 {
            self.wake_users();
        }
        self.watchers.tell();
        self.leave();
    }

    /// Ends the connection under the calls that wait for it; each then sees that the socket is closed.
    fn wake_users(&self) {
        let fd = self.fd.load(SeqCst);
        if fd == NONE {
            return;
        }
        // SAFETY: the handles' own count still holds the descriptor open.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let abort = self.kind == Kind::Stream
            && net::sockopt::socket_linger(fd) == Ok(Some(std::time::Duration::ZERO));
        // With linger {on, 0} the peer is to see a reset, and shutdown would send it a graceful end (CL-09).
        if !(abort && net::connect_unspec(fd).is_ok()) {
            // ENOTCONN is told for a socket without a peer, which wakes its waiters all the same.
            let _ = net::shutdown(fd, net::Shutdown::Both);
        }
    }

    /// Keeps the descriptor open beyond the call, for an entry in the ring, until [`leave`](Core::leave).
    pub(crate) fn stay(call: InUse<'_>) {
        std::mem::forget(call);
    }

    pub(crate) fn leave(&self) {
        if self.users.fetch_sub(1, SeqCst) == 1 {
            self.release();
        }
    }

    fn release(&self) {
        // A selection that was on its way when the socket was closed.
        network_events::closing(self);
        let fd = self.fd.swap(NONE, SeqCst);
        if fd != NONE {
            // SAFETY: the number came out of an `OwnedFd`, and the swap gives it to one caller alone.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }

    /// Gives a socket that has no descriptor, or a fresh one, the descriptor of a connection.
    pub(super) fn take_over(&self, in_use: &InUse<'_>, fd: OwnedFd) -> Result<()> {
        let number = fd.as_raw_fd();
        if self.fd.compare_exchange(NONE, number, SeqCst, SeqCst).is_ok() {
            // It is this socket's now.
            let _ = fd.into_raw_fd();
            return Ok(());
        }
        let old = in_use.fd()?;
        // SAFETY: `dup3` closes what `old` names and puts the connection there in one step; the number stays owned by
        // this socket before and after.
        let outcome = unsafe { libc::dup3(number, old.as_raw_fd(), libc::O_CLOEXEC) };
        if outcome < 0 { Err(crate::error::WSAEMFILE) } else { Ok(()) }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the connection's record.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Connection) -> T) -> T {
        question(&self.connection())
    }

    /// Changes the connection's record and what follows from it.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Connection) -> T) -> T {
        let mut connection = self.connection();
        let phase = connection.phase();
        let answer = change(&mut connection);
        self.refuse_receive.store(connection.may_receive().err().unwrap_or(0), SeqCst);
        self.refuse_send.store(connection.may_send().err().unwrap_or(0), SeqCst);
        self.readiness.store(WhoKnows::of(&connection, self.kind) as u8, SeqCst);
        let new_phase = connection.phase();
        if new_phase != phase {
            self.watchers.tell();
        }
        drop(connection);
        if new_phase != phase {
            network_events::phase_changed(self, new_phase);
        }
        answer
    }

    /// May a receive be started (10057, 10058, what ended the connection)?
    pub(crate) fn may_receive(&self) -> Result<()> {
        self.gate(&self.refuse_receive)
    }

    /// May a send be started?
    pub(crate) fn may_send(&self) -> Result<()> {
        self.gate(&self.refuse_send)
    }

    fn gate(&self, refusal: &AtomicI32) -> Result<()> {
        if refusal.load(SeqCst) == WSAENOTCONN {
            self.settle();
        }
        match refusal.load(SeqCst) {
            0 => Ok(()),
            code => Err(code),
        }
    }

    /// What ends a transfer that was allowed to start: a broken connection does, a shutdown does not (SD-04).
    pub(super) fn broken(&self, sending: bool) -> Result<()> {
        match if sending { &self.refuse_send } else { &self.refuse_receive }.load(SeqCst) {
            0 | WSAESHUTDOWN => Ok(()),
            code => Err(code),
        }
    }

    /// A transfer failed with `code`: what ends a connection is remembered (BL-03).
    pub(crate) fn note_error(&self, code: i32) {
        self.update(|connection| connection.failed(code));
    }

    /// How many calls are in progress.
    #[cfg(test)]
    pub(crate) fn calls_in_progress(&self) -> usize {
        self.users.load(SeqCst).saturating_sub(1)
    }

    /// [`note_error`](Core::note_error), and what it is to the caller.
    pub(crate) fn note_failure(&self, code: i32) -> i32 {
        self.note_error(code);
        code
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.ask(|connection| connection.phase() == Phase::Listening)
    }

    /// How the connect of this socket ended, if it made one and that has ended.
    pub(crate) fn connect_outcome(&self) -> Option<i32> {
        if self.kind == Kind::Datagram || self.was_accepted() {
            return None;
        }
        match self.ask(|connection| connection.phase()) {
            Phase::Connected => Some(0),
            Phase::Failed(code) => Some(code),
            Phase::Idle | Phase::Listening | Phase::Connecting => None,
        }
    }

    pub(crate) fn was_accepted(&self) -> bool {
        self.accepted.load(SeqCst)
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(SeqCst)
    }

    pub(crate) fn set_nonblocking(&self, on: bool) {
        self.nonblocking.store(on, SeqCst);
    }

    /// From now on calls on the descriptor do not wait in the kernel; blocking ones wait in `poll`.
    pub(crate) fn set_kernel_nonblocking(&self, fd: BorrowedFd<'_>) -> Result<()> {
        if !self.kernel_nonblocking.load(SeqCst) {
            rustix::io::ioctl_fionbio(fd, true).map_err(wsa)?;
            self.kernel_nonblocking.store(true, SeqCst);
        }
        Ok(())
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.release();
    }
}

/// A call in progress.
pub(crate) struct InUse<'a> {
    core: &'a Core,
}

impl InUse<'_> {
    /// The descriptor, if there is one.
    pub(crate) fn current_fd(&self) -> Option<BorrowedFd<'_>> {
        let fd = self.core.fd.load(SeqCst);
        // SAFETY: as below.
        (fd != NONE).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// The descriptor; made now for a socket that had none.
    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>> {
        let mut fd = self.core.fd.load(SeqCst);
        if fd == NONE {
            let made = descriptor(self.core.family, self.core.kind)?;
            match self.core.fd.compare_exchange(NONE, made.as_raw_fd(), SeqCst, SeqCst) {
                Ok(_) => fd = made.into_raw_fd(),
                Err(other) => fd = other,
            }
        }
        // SAFETY: the count that this value holds keeps the descriptor open, and the loan ends before the value does.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.core.leave();
    }
}

/// A kernel socket: not inherited by programs that are started, IPv6 alone for V6.
pub(super) fn descriptor(family: Family, kind: Kind) -> Result<OwnedFd> {
    let domain = match family {
        Family::V4 => AddressFamily::INET,
        Family::V6 => AddressFamily::INET6,
    };
    let socket_type = match kind {
        Kind::Stream => SocketType::STREAM,
        Kind::Datagram => SocketType::DGRAM,
    };
    let fd = net::socket_with(domain, socket_type, SocketFlags::CLOEXEC, None).map_err(wsa)?;
    if family == Family::V6 {
        net::sockopt::set_ipv6_v6only(&fd, true).map_err(wsa)?;
    }
    Ok(fd)
}
