//! Receiving and sending: one try that never waits, for the overlapped engine, and the plain calls.
//!
//! A plain blocking call is the kernel's blocking call and nothing else; `poll` comes in only when the descriptor was
//! made non-blocking for an accept or a connect, or the thread has routines to run.

use super::super::error::{Result, wsa};
use super::super::network_events;
use super::super::os::poll::{POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, look_at};
use super::super::port::free_place;
use super::super::routine;
use super::Socket;
use super::connect::std_address;
use super::core::Core;
use super::shutdown::Sending;
use crate::error::{
    WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT, WSAECONNRESET, WSAEINTR, WSAEINVAL, WSAEISCONN, WSAEMSGSIZE,
    WSAENOTCONN, WSAETIMEDOUT, WSAEWOULDBLOCK,
};
use crate::socket::{Family, Flags, Kind};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendFlags, SocketAddrAny};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// What a receive brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// The bytes in the buffer.
    pub(crate) bytes: usize,
    /// The sender of a datagram.
    pub(crate) from: Option<SocketAddr>,
    /// The datagram was longer than the buffer; its rest is gone (UD-02).
    pub(crate) truncated: bool,
}

impl Received {
    const fn of(bytes: usize) -> Received {
        Received { bytes, from: None, truncated: false }
    }
}

impl Socket {
    pub(crate) fn recv(&self, buffer: &mut [u8], flags: Flags) -> Result<usize> {
        self.receive(buffer, flags, false).and_then(whole)
    }

    pub(crate) fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let received = self.receive(buffer, Flags::NONE, true)?;
        // A stream has one sender.
        let from = match received.from {
            Some(from) => from,
            None => self.peer_addr()?,
        };
        Ok((whole(received)?, from))
    }

    fn receive(&self, buffer: &mut [u8], flags: Flags, sender: bool) -> Result<Received> {
        let core = self.core()?;
        let call = core.enter()?;
        core.may_receive()?;
        network_events::receiving(core, &call, flags, buffer.len(), || {
            self.receive_on(core, call.fd()?, buffer, flags, sender)
        })
    }

    fn receive_on(
        &self,
        core: &Core,
        fd: BorrowedFd<'_>,
        buffer: &mut [u8],
        flags: Flags,
        sender: bool,
    ) -> Result<Received> {
        core.behind(deadline(&core.recv_timeout_ms), |core| core.queues.receives_queued())?;
        let mut options = recv_flags(core.kind, flags);
        if core.waits_outside() {
            options |= RecvFlags::DONTWAIT;
        }
        let events = if flags.out_of_band { POLLPRI } else { POLLIN };
        let fills = flags.wait_all && core.kind == Kind::Stream && !flags.peek;
        let start = fills.then(Instant::now);
        let mut filled = 0;
        loop {
            let outcome = core.patiently(fd, events, &core.recv_timeout_ms, || {
                receive_once(fd, &mut buffer[filled..], options, core.kind == Kind::Datagram, sender)
            });
            let received = match outcome {
                // What came before a failure is not lost with it (BL-09).
                Err(_) if filled > 0 && !core.is_closed() => Received::of(0),
                outcome => outcome?,
            };
            filled += received.bytes;
            if filled == 0 && core.kind == Kind::Stream && !buffer.is_empty() {
                core.ended_well(fd)?;
            }
            // A signal may cut a receive short that was to fill the buffer.
            let short = received.bytes > 0 && filled < buffer.len() && !core.is_nonblocking();
            if !(short && start.is_some_and(|start| !core.recv_time_is_over(start))) {
                return Ok(Received { bytes: filled, ..received });
            }
        }
    }

    pub(crate) fn send(&self, buffer: &[u8], flags: Flags) -> Result<usize> {
        let core = self.core()?;
        let call = core.enter()?;
        // It ends when no lock of the selection is held any more.
        let _sending = Sending::begin(core, &call);
        // Asked after the count: either a shutdown waits for this send, or this send sees the shutdown.
        core.may_send()?;
        network_events::sending(core, &call, buffer.len(), || core.send_on(call.fd()?, buffer, flags))
    }

    pub(crate) fn send_to(&self, buffer: &[u8], to: &SocketAddr) -> Result<usize> {
        let core = self.core()?;
        if core.kind == Kind::Stream {
            return self.send(buffer, Flags::NONE);
        }
        let call = core.enter()?;
        core.may_send_to(to)?;
        let fd = call.fd()?;
        let mut options = SendFlags::NOSIGNAL;
        options.set(SendFlags::DONTWAIT, core.waits_outside());
        let sent = network_events::sending(core, &call, buffer.len(), || {
            core.behind(deadline(&core.send_timeout_ms), |core| core.queues.sends_queued())?;
            core.patiently(fd, POLLOUT, &core.send_timeout_ms, || net::sendto(fd, buffer, options, to))
        })?;
        core.sent_to();
        Ok(sent)
    }
}

impl Core {
    fn send_on(&self, fd: BorrowedFd<'_>, buffer: &[u8], flags: Flags) -> Result<usize> {
        self.behind(deadline(&self.send_timeout_ms), |core| core.queues.sends_queued())?;
        if buffer.is_empty() && self.kind == Kind::Stream {
            return Ok(0);
        }
        let mut options = SendFlags::NOSIGNAL;
        options.set(SendFlags::OOB, flags.out_of_band);
        options.set(SendFlags::DONTWAIT, self.waits_outside());
        let mut sent = 0;
        loop {
            let rest = &buffer[sent..];
            sent += self.patiently(fd, POLLOUT, &self.send_timeout_ms, || net::send(fd, rest, options))?;
            if sent >= buffer.len() || self.is_nonblocking() || self.kind == Kind::Datagram {
                return Ok(sent);
            }
        }
    }

    /// That nothing more comes is the peer's end, unless it reset the connection behind that: then the kernel goes on to
    /// tell the end (BL-03).
    pub(super) fn ended_well(&self, fd: BorrowedFd<'_>) -> Result<()> {
        if look_at(fd, 0) & POLLERR == 0 { Ok(()) } else { Err(self.note_failure(WSAECONNRESET)) }
    }

    fn recv_time_is_over(&self, start: Instant) -> bool {
        let ms = self.recv_timeout_ms.load(SeqCst);
        ms != 0 && start.elapsed() >= Duration::from_millis(ms.into())
    }

    /// A transfer does not wait in the kernel's own call: it need not wait, or runs routines meanwhile (BL-11).
    pub(super) fn waits_outside(&self) -> bool {
        self.is_nonblocking() || routine::is_used()
    }

    /// May a datagram be sent to this address?
    pub(crate) fn may_send_to(&self, to: &SocketAddr) -> Result<()> {
        self.ask(|connection| connection.may_send_to())?;
        if Family::of(to) != self.family {
            return Err(WSAEAFNOSUPPORT);
        }
        // Linux takes the wildcard for this machine, and calls port 0 an invalid argument. A stream passes the address over.
        let nowhere = to.ip().is_unspecified() || to.port() == 0;
        if nowhere && self.kind == Kind::Datagram { Err(WSAEADDRNOTAVAIL) } else { Ok(()) }
    }

    /// A datagram that was sent has bound its socket (UD-12).
    pub(super) fn sent_to(&self) {
        if self.ask(|connection| !connection.is_bound()) {
            self.update(|connection| connection.bound());
        }
    }

    /// Makes attempts until one has an outcome; between them it waits as the socket's mode says.
    fn patiently<T>(
        &self,
        fd: BorrowedFd<'_>,
        events: i16,
        timeout_ms: &AtomicU32,
        mut attempt: impl FnMut() -> std::result::Result<T, Errno>,
    ) -> Result<T> {
        let mut until = None;
        // A thread of a port that waits here frees its place (CP-21). That there is room now does not say that all of
        // a send will fit.
        let _place = free_place(|| !self.is_nonblocking() && (events == POLLOUT || look_at(fd, events) == 0));
        loop {
            let outcome = attempt();
            if self.is_closed() {
                return Err(WSAEINTR);
            }
            // No urgent data yet is told as an error of its own kind, and is a reason to wait like any other.
            let outcome = match outcome {
                Err(errno) if events == POLLPRI && self.lacks_urgent(fd, errno) == Some(WSAEWOULDBLOCK) => {
                    Err(Errno::AGAIN)
                }
                outcome => outcome,
            };
            match outcome {
                Ok(done) => return Ok(done),
                Err(errno) if self.passes(errno) => {}
                Err(Errno::AGAIN) if self.is_nonblocking() => return Err(WSAEWOULDBLOCK),
                Err(Errno::AGAIN)
                    if events != POLLPRI
                        && !self.kernel_nonblocking.load(SeqCst)
                        && !self.waits_outside() =>
                {
                    // The kernel waited for as long as it was told to.
                    return Err(WSAETIMEDOUT);
                }
                Err(Errno::AGAIN) => {
                    if until.is_none() {
                        until = deadline(timeout_ms);
                    }
                    match routine::wait_alertably(fd, events, until)? {
                        0 => return Err(WSAETIMEDOUT),
                        // The end of the stream comes without urgent data.
                        answer if events == POLLPRI && answer & POLLPRI == 0 && answer & POLLHUP != 0 => {
                            return Err(WSAEINVAL);
                        }
                        _ => {}
                    }
                }
                Err(errno) => return Err(self.note(fd, errno)),
            }
        }
    }

    /// A plain call does not overtake overlapped ones: neither a transfer nor an accept (OR-07).
    pub(super) fn behind(&self, deadline: Option<Instant>, queued: impl Fn(&Core) -> bool) -> Result<()> {
        let _place = free_place(|| !self.is_nonblocking() && queued(self));
        while queued(self) {
            if self.is_nonblocking() {
                return Err(WSAEWOULDBLOCK);
            }
            if self.is_closed() {
                return Err(WSAEINTR);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(WSAETIMEDOUT);
            }
            // Mixing blocking calls with overlapped ones on one socket is rare, and then this is no burden: a
            // millisecond is short beside what fills a send buffer.
            routine::pause(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Interrupted; or an earlier datagram met a port that nobody owns, which is nobody's error here (UD-11).
    pub(super) fn passes(&self, errno: Errno) -> bool {
        errno == Errno::INTR || (errno == Errno::CONNREFUSED && self.kind == Kind::Datagram)
    }

    /// The code of a receive of urgent data when there is none: 10035 if there may be some later.
    fn lacks_urgent(&self, fd: BorrowedFd<'_>, errno: Errno) -> Option<i32> {
        let lacks = errno == Errno::INVAL && self.kind == Kind::Stream && !self.oob_inline.load(SeqCst);
        lacks.then(|| if look_at(fd, POLLHUP) & POLLHUP != 0 { WSAEINVAL } else { WSAEWOULDBLOCK })
    }

    /// The code of a failed transfer; what ends a connection is remembered.
    pub(super) fn note(&self, fd: BorrowedFd<'_>, errno: Errno) -> i32 {
        if let Some(code) = self.lacks_urgent(fd, errno) {
            return code;
        }
        let code = match wsa(errno) {
            // sendto and send on a datagram socket without a peer.
            crate::error::WSAEDESTADDRREQ => WSAENOTCONN,
            WSAEISCONN => WSAEINVAL,
            code => code,
        };
        if code != WSAEWOULDBLOCK {
            self.note_error(code);
        }
        code
    }
}

/// When a wait that begins now has to end.
fn deadline(timeout_ms: &AtomicU32) -> Option<Instant> {
    match timeout_ms.load(SeqCst) {
        0 => None,
        ms => Some(Instant::now() + Duration::from_millis(ms.into())),
    }
}

pub(super) fn whole(received: Received) -> Result<usize> {
    if received.truncated { Err(WSAEMSGSIZE) } else { Ok(received.bytes) }
}

pub(super) fn recv_flags(kind: Kind, flags: Flags) -> RecvFlags {
    let mut options = RecvFlags::empty();
    options.set(RecvFlags::PEEK, flags.peek);
    options.set(RecvFlags::OOB, flags.out_of_band);
    options.set(RecvFlags::WAITALL, flags.wait_all && kind == Kind::Stream);
    // On a stream this flag would throw data away; for a datagram it makes the kernel tell the true length.
    options.set(RecvFlags::TRUNC, kind == Kind::Datagram);
    options
}

pub(super) fn receive_once(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    options: RecvFlags,
    datagrams: bool,
    sender: bool,
) -> std::result::Result<Received, Errno> {
    let room = buffer.len();
    let (length, from) = if datagrams && sender {
        let (_, length, from) = net::recvfrom(fd, buffer, options)?;
        (length, from.and_then(known))
    } else {
        (net::recv(fd, buffer, options)?.1, None)
    };
    Ok(Received { bytes: length.min(room), from, truncated: datagrams && length > room })
}

pub(super) fn known(address: SocketAddrAny) -> Option<SocketAddr> {
    std_address(address).ok()
}
