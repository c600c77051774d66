//! Sockets: Winsock's own calls. The owner of a handle is counted apart from the operations that use it, so that the
//! drop of the last clone closes the handle although operations are pending.

use super::error::{Result, check, count, last_error};
use super::os::address::Address;
use super::os::apc::resume_panic;
use super::os::handle::Handle;
use super::startup::startup;
use crate::error::WSAECONNRESET;
use crate::socket::{Family, Flags, Kind, Shutdown};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use windows_sys::Win32::Networking::WinSock as ws;
use windows_sys::Win32::System::Threading::GetCurrentProcessId;

#[derive(Clone)]
pub(crate) struct Socket {
    owner: Arc<Owner>,
}

struct Owner(Arc<Handle>);

impl Drop for Owner {
    fn drop(&mut self) {
        // Closed by hand before, in which case nothing is left to do.
        let _ = self.0.close();
    }
}

const FLAGS: u32 = ws::WSA_FLAG_OVERLAPPED | ws::WSA_FLAG_NO_HANDLE_INHERIT;

impl Socket {
    pub(crate) fn new(family: Family, kind: Kind) -> Result<Socket> {
        startup()?;
        let af = if family == Family::V4 { ws::AF_INET } else { ws::AF_INET6 };
        let (kind_code, protocol) = match kind {
            Kind::Stream => (ws::SOCK_STREAM, ws::IPPROTO_TCP),
            Kind::Datagram => (ws::SOCK_DGRAM, ws::IPPROTO_UDP),
        };
        // SAFETY: plain numbers, and no protocol description.
        let raw = unsafe { ws::WSASocketW(i32::from(af), kind_code, protocol, std::ptr::null(), 0, FLAGS) };
        let socket = Socket::owning(Handle::adopt(raw, family, kind)?);
        if family == Family::V6 {
            socket.set_switch(ws::IPPROTO_IPV6, ws::IPV6_V6ONLY, true)?;
        }
        if kind == Kind::Datagram {
            socket.no_reset_by_datagrams();
        }
        Ok(socket)
    }

    pub(crate) fn for_accept(family: Family) -> Result<Socket> {
        Socket::new(family, Kind::Stream)
    }

    pub(crate) fn id(&self) -> u64 {
        self.handle().id
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        &self.owner.0
    }

    pub(crate) fn bind(&self, address: &SocketAddr) -> Result<()> {
        let mut address = Address::new(address);
        // SAFETY: the address lives across the call.
        self.with(|raw| check(unsafe { ws::bind(raw, address.room(), *address.len()) }))?;
        self.handle().connection.bound.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn listen(&self, backlog: i32) -> Result<()> {
        // SAFETY: plain numbers.
        self.with(|raw| check(unsafe { ws::listen(raw, backlog) }))?;
        self.handle().connection.listening.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn accept(&self) -> Result<(Socket, SocketAddr)> {
        let mut from = Address::empty();
        let accepted = self.handle().accept(&mut from);
        resume_panic();
        let handle = accepted?;
        // One who has reset meanwhile may have no address any more: under Wine the accept succeeds without.
        let accepted = Socket::owning(handle);
        Ok((accepted, from.get().map_err(|_| WSAECONNRESET)?))
    }

    pub(crate) fn connect(&self, address: &SocketAddr) -> Result<()> {
        let mut address = Address::new(address);
        // A connect binds even when it fails.
        self.handle().connection.bound.store(true, Ordering::Release);
        // SAFETY: the address lives across the call.
        self.with(|raw| check(unsafe { ws::connect(raw, address.room(), *address.len()) }))?;
        self.handle().connection.connected.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn recv(&self, buffer: &mut [u8], flags: Flags) -> Result<usize> {
        self.handle().connected_or_datagram()?;
        // SAFETY: the buffer is ours to write for as long as the call lasts.
        self.with(|raw| count(unsafe { ws::recv(raw, buffer.as_mut_ptr(), len(buffer), flags_of(flags)) }))
    }

    pub(crate) fn send(&self, buffer: &[u8], flags: Flags) -> Result<usize> {
        self.handle().connected_or_datagram()?;
        self.with(|raw| {
            let mut sent = 0;
            // One turn, but for a buffer longer than the call can name.
            loop {
                let rest = &buffer[sent..];
                // SAFETY: the rest of the buffer can be read for as long as the call lasts.
                match count(unsafe { ws::send(raw, rest.as_ptr(), len(rest), flags_of(flags)) }) {
                    Ok(more) if more < rest.len() && more == i32::MAX as usize => sent += more,
                    Ok(more) => return Ok(sent + more),
                    Err(_) if sent > 0 => return Ok(sent),
                    Err(code) => return Err(code),
                }
            }
        })
    }

    pub(crate) fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        self.handle().connected_or_datagram()?;
        let mut from = Address::empty();
        let received = self.with(|raw| {
            // SAFETY: the buffer and the room for the address are ours to write for as long as the call lasts.
            count(unsafe { ws::recvfrom(raw, buffer.as_mut_ptr(), len(buffer), 0, from.room(), from.len()) })
        })?;
        // A stream has one sender, whom this call does not name.
        Ok((received, from.get().or_else(|_| self.peer_addr())?))
    }

    pub(crate) fn send_to(&self, buffer: &[u8], to: &SocketAddr) -> Result<usize> {
        self.handle().connected_or_datagram()?;
        let mut to = Address::new(to);
        self.with(|raw| {
            // SAFETY: the buffer and the address can be read for as long as the call lasts.
            count(unsafe { ws::sendto(raw, buffer.as_ptr(), len(buffer), 0, to.room(), *to.len()) })
        })
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> Result<()> {
        let how = match how {
            Shutdown::Receive => ws::SD_RECEIVE,
            Shutdown::Send => ws::SD_SEND,
            Shutdown::Both => ws::SD_BOTH,
        };
        // SAFETY: plain numbers.
        self.with(|raw| check(unsafe { ws::shutdown(raw, how) }))
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.handle().close()
    }

    pub(crate) fn duplicate(&self) -> Result<Socket> {
        let mut description = ws::WSAPROTOCOL_INFOW::default();
        let any = ws::FROM_PROTOCOL_INFO;
        // SAFETY: the description is ours; it is filled by the first call and read by the second.
        let raw = self.with(|raw| unsafe {
            check(ws::WSADuplicateSocketW(raw, GetCurrentProcessId(), &mut description))?;
            match ws::WSASocketW(any, any, any, &description, 0, FLAGS) {
                ws::INVALID_SOCKET => Err(last_error()),
                duplicate => Ok(duplicate),
            }
        })?;
        Ok(Socket::owning(Handle::adopt_duplicate(raw, self.handle().connection.clone())?))
    }

    pub(crate) fn local_addr(&self) -> Result<SocketAddr> {
        self.handle().local_addr()
    }

    pub(crate) fn peer_addr(&self) -> Result<SocketAddr> {
        self.handle().peer_addr()
    }

    pub(super) fn owning(handle: Arc<Handle>) -> Socket {
        Socket { owner: Arc::new(Owner(handle)) }
    }

    /// Uses the handle. A call that has to wait runs what is queued for the thread (BL-11).
    pub(super) fn with<T>(&self, call: impl FnOnce(ws::SOCKET) -> Result<T>) -> Result<T> {
        let outcome = self.handle().with(call);
        resume_panic();
        outcome
    }

    /// A datagram to a port that nobody owns must not make a later receive fail (UD-11).
    fn no_reset_by_datagrams(&self) {
        let off = 0u32;
        let mut unused = 0;
        // A provider that does not know the switch does not report such datagrams either, so a refusal is no harm.
        let _ = self.with(|raw| {
            // SAFETY: the call reads four bytes from `off`, writes none, and is not overlapped.
            check(unsafe {
                ws::WSAIoctl(
                    raw,
                    ws::SIO_UDP_CONNRESET,
                    (&raw const off).cast(),
                    4,
                    std::ptr::null_mut(),
                    0,
                    &mut unused,
                    std::ptr::null_mut(),
                    None,
                )
            })
        });
    }
}

/// The length of a buffer as these calls count it; what is beyond is left for the next call.
fn len(buffer: &[u8]) -> i32 {
    i32::try_from(buffer.len()).unwrap_or(i32::MAX)
}

pub(super) fn flags_of(flags: Flags) -> i32 {
    let mut bits = 0;
    if flags.peek {
        bits |= ws::MSG_PEEK;
    }
    if flags.out_of_band {
        bits |= ws::MSG_OOB;
    }
    if flags.wait_all {
        bits |= ws::MSG_WAITALL;
    }
    bits
}
