//! One try at an operation by the system's own call, never blocking.

use super::super::socket::Core;
use super::line::{Connect, Op};
use crate::error::{
    WSA_OPERATION_ABORTED, WSAEALREADY, WSAECONNREFUSED, WSAECONNRESET, WSAEHOSTUNREACH, WSAEMSGSIZE,
    WSAENETUNREACH, WSAETIMEDOUT, WSAEWOULDBLOCK,
};
use crate::overlapped::{Segment, Work};
use crate::socket::{Flags, Kind, Socket};
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// IOV_MAX: the system refuses more pieces in one call; Winsock takes any number.
const PIECES_MAX: usize = 1024;

/// What a try came to.
pub(in crate::sys::linux) enum Step {
    Ended(Result<usize, i32>),
    /// It cannot go on before the system says so.
    Blocked,
    /// It made progress, and may make more at once.
    Again,
    /// An accept has its connection, this one, and goes on there to wait for the first bytes.
    Moved(Socket),
}

/// Tries the operation. The caller holds the lock of its line, and the operation is the first of it.
pub(in crate::sys::linux) fn attempt(core: &Arc<Core>, op: &mut Op) -> Step {
    match &op.work {
        Work::Receive(flags) => receive(core, *flags, op.segments.as_slice(), &mut op.moved),
        // The rest of an accept: the first bytes, or the end (IN-05).
        Work::Accept(_) if op.listener.is_some() => {
            receive(core, Flags::NONE, op.segments.as_slice(), &mut op.moved)
        }
        Work::ReceiveFrom(flags) => {
            let flags = *flags;
            match with_pieces_mut(op.segments.as_slice(), 0, |pieces| core.try_receive_from(pieces, flags)) {
                Ok(received) => {
                    op.from = received.from;
                    op.moved = received.bytes;
                    Step::Ended(if received.truncated { Err(WSAEMSGSIZE) } else { Ok(received.bytes) })
                }
                Err(code) => failed(code),
            }
        }
        Work::Send => send(core, op.segments.as_slice(), &mut op.moved),
        Work::SendTo(to) => {
            match with_pieces(op.segments.as_slice(), 0, |pieces| core.try_send_to(pieces, to)) {
                Ok(bytes) => Step::Ended(Ok(bytes)),
                Err(code) => failed(code),
            }
        }
        // A connection is not taken for a socket that is being closed (CL-03).
        Work::Accept(accept) if accept.sys.core_even_closed().is_closed() => {
            Step::Ended(Err(WSA_OPERATION_ABORTED))
        }
        Work::Accept(accept) => match core.try_accept() {
            Ok((fd, peer)) => accepted(core, accept, fd, peer, op.segments.total()),
            Err(code) => failed(code),
        },
        Work::Connect(to) => {
            let through = match op.connect {
                Connect::New => match core.start_connect(to) {
                    Ok(through) => {
                        op.connect = Connect::Connecting;
                        through
                    }
                    Err(code) => {
                        if is_answer(code) {
                            op.connect = Connect::Connecting;
                        }
                        return Step::Ended(Err(code));
                    }
                },
                Connect::Connecting => match core.finish_connect() {
                    Ok(()) => true,
                    Err(code) => return failed(code),
                },
                Connect::Sending => true,
            };
            if !through {
                return Step::Blocked;
            }
            op.connect = Connect::Sending;
            if op.segments.total() == 0 {
                Step::Ended(Ok(0))
            } else {
                send(core, op.segments.as_slice(), &mut op.moved)
            }
        }
    }
}

/// An accept has its connection: the accept socket becomes it.
pub(in crate::sys::linux) fn accepted(
    listener: &Arc<Core>,
    accept: &Socket,
    fd: OwnedFd,
    peer: SocketAddr,
    wanted: usize,
) -> Step {
    let core = accept.sys.core_even_closed();
    if let Err(code) = core.adopt(fd, peer, listener) {
        return Step::Ended(Err(code));
    }
    let mut lines = core.queues.lock();
    if let Err(code) = lines.new_descriptor(core) {
        return Step::Ended(Err(code));
    }
    if wanted == 0 { Step::Ended(Ok(0)) } else { Step::Moved(accept.clone()) }
}

fn receive(core: &Arc<Core>, flags: Flags, segments: &[Segment], moved: &mut usize) -> Step {
    let total: usize = segments.iter().map(|s| s.len).sum();
    if total == 0 && core.kind == Kind::Stream {
        // Nothing is taken; only that something is there has to be known (OV-14).
        return match core.try_receive(&mut [IoSliceMut::new(&mut [0])], Flags::PEEK) {
            Ok(_) => Step::Ended(Ok(0)),
            Err(code) => failed(code),
        };
    }
    // The kernel does not know what is filled already, so WAIT_ALL is done here.
    let once = Flags { wait_all: false, ..flags };
    match with_pieces_mut(segments, *moved, |pieces| core.try_receive(pieces, once)) {
        Ok(bytes) => {
            *moved += bytes;
            if flags.wait_all && core.kind == Kind::Stream && bytes > 0 && *moved < total {
                Step::Again
            } else {
                Step::Ended(Ok(*moved))
            }
        }
        Err(code) => failed(code),
    }
}

fn send(core: &Arc<Core>, segments: &[Segment], moved: &mut usize) -> Step {
    let total: usize = segments.iter().map(|s| s.len).sum();
    // A stream's pieces may go one lot after the other.
    let (lot, skip) = match core.kind {
        Kind::Stream if segments.len() > PIECES_MAX => lot_behind(segments, *moved),
        _ => (segments, *moved),
    };
    let offered = lot.iter().map(|s| s.len).sum::<usize>() - skip;
    match with_pieces(lot, skip, |pieces| core.try_send(pieces, Flags::NONE)) {
        Ok(bytes) => {
            *moved += bytes;
            // A short send means that there is no more room: the system tells when there is.
            match bytes {
                _ if *moved == total => Step::Ended(Ok(total)),
                _ if bytes == offered => Step::Again,
                _ => Step::Blocked,
            }
        }
        Err(code) => failed(code),
    }
}

/// The next pieces behind the first `skip` bytes, as many as the system takes, and what of `skip` is left in them.
fn lot_behind(segments: &[Segment], mut skip: usize) -> (&[Segment], usize) {
    let mut first = 0;
    while first < segments.len() && segments[first].len <= skip {
        skip -= segments[first].len;
        first += 1;
    }
    (&segments[first..segments.len().min(first + PIECES_MAX)], skip)
}

// What the network answers to a connect, not what is wrong with the call (IN-14).
fn is_answer(code: i32) -> bool {
    [WSAECONNREFUSED, WSAECONNRESET, WSAETIMEDOUT, WSAENETUNREACH, WSAEHOSTUNREACH].contains(&code)
}

fn failed(code: i32) -> Step {
    match code {
        WSAEWOULDBLOCK | WSAEALREADY => Step::Blocked,
        code => Step::Ended(Err(code)),
    }
}

/// The pieces behind the first `skip` bytes, to be written. One piece, the usual case, costs no allocation.
fn with_pieces_mut<R>(
    segments: &[Segment],
    mut skip: usize,
    call: impl FnOnce(&mut [IoSliceMut<'_>]) -> R,
) -> R {
    let mut piece = |segment: &Segment| {
        let skipped = skip.min(segment.len);
        skip -= skipped;
        // SAFETY: the operation owns the buffer (`IoBufMut`), nobody else touches it before it ends, and this call ends
        // before the operation does.
        IoSliceMut::new(unsafe {
            std::slice::from_raw_parts_mut(segment.start.add(skipped), segment.len - skipped)
        })
    };
    match segments {
        [one] => call(&mut [piece(one)]),
        many if many.len() <= PIECES_MAX => call(&mut many.iter().map(piece).collect::<Vec<_>>()),
        many => {
            // As one piece, from where each gets back what is its own.
            let mut pieces: Vec<_> = many.iter().map(piece).collect();
            let mut whole: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter()).copied().collect();
            let result = call(&mut [IoSliceMut::new(&mut whole)]);
            let mut rest = whole.as_slice();
            for piece in &mut pieces {
                let (own, others) = rest.split_at(piece.len());
                piece.copy_from_slice(own);
                rest = others;
            }
            result
        }
    }
}

/// The pieces behind the first `skip` bytes, to be read.
fn with_pieces<R>(segments: &[Segment], mut skip: usize, call: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
    let mut piece = |segment: &Segment| {
        let skipped = skip.min(segment.len);
        skip -= skipped;
        // SAFETY: the operation owns the buffer (`IoBuf`), and this call ends before the operation does.
        IoSlice::new(unsafe { std::slice::from_raw_parts(segment.start.add(skipped), segment.len - skipped) })
    };
    match segments {
        [one] => call(&[piece(one)]),
        many if many.len() <= PIECES_MAX => call(&many.iter().map(piece).collect::<Vec<_>>()),
        // A datagram is sent in one call.
        many => {
            let pieces: Vec<_> = many.iter().map(piece).collect();
            call(&[IoSlice::new(&pieces.iter().flat_map(|piece| piece.iter()).copied().collect::<Vec<u8>>())])
        }
    }
}
