//! One receive or send that never waits: what the overlapped engine is made of.
//!
//! None of them asks for permission, which is given when an operation starts: it may go on although its direction was
//! shut afterwards (SD-04, SD-06). A broken connection ends it all the same.

use super::super::error::Result;
use super::core::Core;
use super::transfer::{Received, known, receive_once, recv_flags, whole};
use crate::socket::{Flags, Kind};
use rustix::io::Errno;
use rustix::net::{self, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags};
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

impl Core {
    /// One receive that does not wait, into the pieces in order; 10035 when nothing is there. It asks for no
    /// permission: an operation may go on although receiving was shut after its start (SD-04).
    pub(crate) fn try_receive(&self, pieces: &mut [IoSliceMut<'_>], flags: Flags) -> Result<usize> {
        self.try_receive_with(pieces, flags, false).and_then(whole)
    }

    /// As [`try_receive`](Core::try_receive), with the sender; a datagram that was cut off is told as such (UD-03).
    pub(crate) fn try_receive_from(&self, pieces: &mut [IoSliceMut<'_>], flags: Flags) -> Result<Received> {
        self.try_receive_with(pieces, flags, true)
    }

    fn try_receive_with(
        &self,
        pieces: &mut [IoSliceMut<'_>],
        flags: Flags,
        sender: bool,
    ) -> Result<Received> {
        let call = self.enter()?;
        self.broken(false)?;
        let fd = call.fd()?;
        let flags = Flags { wait_all: false, ..flags };
        let options = recv_flags(self.kind, flags) | RecvFlags::DONTWAIT;
        let datagrams = self.kind == Kind::Datagram;
        loop {
            let outcome = match &mut *pieces {
                [piece] => receive_once(fd, piece, options, datagrams, sender),
                pieces => receive_pieces(fd, pieces, options, datagrams),
            };
            match outcome {
                Ok(received) => {
                    if received.bytes == 0 && !datagrams && pieces.iter().any(|piece| !piece.is_empty()) {
                        self.ended_well(fd)?;
                    }
                    return Ok(received);
                }
                Err(errno) if self.passes(errno) => {}
                Err(errno) => return Err(self.note(fd, errno)),
            }
        }
    }

    /// One send that does not wait, of the pieces in order; 10035 when there is no room. A stream may take a part.
    pub(crate) fn try_send(&self, pieces: &[IoSlice<'_>], flags: Flags) -> Result<usize> {
        let call = self.enter()?;
        self.broken(true)?;
        let fd = call.fd()?;
        let mut options = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        options.set(SendFlags::OOB, flags.out_of_band);
        loop {
            let outcome = match pieces {
                [piece] => net::send(fd, piece, options),
                pieces => net::sendmsg(fd, pieces, &mut SendAncillaryBuffer::default(), options),
            };
            match outcome {
                Err(errno) if self.passes(errno) => {}
                outcome => return outcome.map_err(|errno| self.note(fd, errno)),
            }
        }
    }

    /// One datagram, without waiting.
    pub(crate) fn try_send_to(&self, pieces: &[IoSlice<'_>], to: &SocketAddr) -> Result<usize> {
        let call = self.enter()?;
        let fd = call.fd()?;
        let options = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = loop {
            match net::sendmsg_addr(fd, to, pieces, &mut SendAncillaryBuffer::default(), options) {
                Err(errno) if self.passes(errno) => {}
                outcome => break outcome.map_err(|errno| self.note(fd, errno))?,
            }
        };
        self.sent_to();
        Ok(sent)
    }
}

fn receive_pieces(
    fd: BorrowedFd<'_>,
    pieces: &mut [IoSliceMut<'_>],
    options: RecvFlags,
    datagrams: bool,
) -> std::result::Result<Received, Errno> {
    let room: usize = pieces.iter().map(|piece| piece.len()).sum();
    let message = net::recvmsg(fd, pieces, &mut RecvAncillaryBuffer::default(), options)?;
    Ok(Received {
        bytes: message.bytes.min(room),
        from: message.address.and_then(known),
        truncated: datagrams && message.flags.contains(ReturnFlags::TRUNC),
    })
}
