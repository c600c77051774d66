//! The calls of Winsock that start an operation.

use super::super::error::{Result, last_error};
use super::super::os::address::Address;
use super::super::os::block::{ACCEPT_ADDRESS, OperationBlock};
use super::super::os::extensions::Extensions;
use crate::error::WSAEINVAL;
use crate::overlapped::{Operation, Segments};
use windows_sys::Win32::Networking::WinSock as ws;

/// One call of Winsock.
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) raw: ws::SOCKET,
    pub(super) accept: ws::SOCKET,
    pub(super) block: *mut OperationBlock,
    pub(super) buffers: &'a Buffers,
    /// There for an accept and a connect.
    pub(super) extensions: Option<&'a Extensions>,
    /// None for an accept and a connect, which take none.
    pub(super) routine: ws::LPWSAOVERLAPPED_COMPLETION_ROUTINE,
}

// SAFETY: the addresses in it are those of memory that whoever makes the call owns, on whichever thread.
unsafe impl Send for Call<'_> {}

impl Call<'_> {
    /// Calls: the count when the operation succeeded at once, else the code.
    ///
    /// # Safety
    /// The block is leaked and belongs to nobody else; it stays where it is until the operation has ended. The handles are
    /// open.
    pub(super) unsafe fn issue(self) -> Result<u32> {
        let Call { operation, raw, accept, block, buffers, extensions, routine } = self;
        let mut bytes = 0;
        let (pieces, count) = buffers.as_list();
        // SAFETY: what the pointers name lies in the block, or on the heap that the block owns; see above.
        let succeeded = unsafe {
            let overlapped = &raw mut (*block).head.overlapped;
            let flags = &raw mut (*block).flags;
            let (to, to_len) = Address::parts(&raw mut (*block).address);
            let (staging, staged) = ((*block).staging.as_mut_ptr(), (*block).staging.len());
            match (operation, extensions) {
                (Operation::Receive, _) => {
                    ws::WSARecv(raw, pieces, count, &mut bytes, flags, overlapped, routine) == 0
                }
                (Operation::ReceiveFrom, _) => {
                    ws::WSARecvFrom(raw, pieces, count, &mut bytes, flags, to, to_len, overlapped, routine)
                        == 0
                }
                (Operation::Send, _) => {
                    ws::WSASend(raw, pieces, count, &mut bytes, 0, overlapped, routine) == 0
                }
                (Operation::SendTo, _) => {
                    ws::WSASendTo(raw, pieces, count, &mut bytes, 0, to, *to_len, overlapped, routine) == 0
                }
                (Operation::Accept, Some(extensions)) => {
                    let room = staged as u32 - 2 * ACCEPT_ADDRESS;
                    let (local, remote) = (ACCEPT_ADDRESS, ACCEPT_ADDRESS);
                    (extensions.accept_ex)(
                        raw,
                        accept,
                        staging.cast(),
                        room,
                        local,
                        remote,
                        &mut bytes,
                        overlapped,
                    ) != 0
                }
                (Operation::Connect, Some(extensions)) => {
                    let (first, len) = match buffers {
                        Buffers::One([piece]) => (piece.buf, piece.len),
                        Buffers::Many(_) => (staging, staged as u32),
                    };
                    (extensions.connect_ex)(raw, to, *to_len, first.cast(), len, &mut bytes, overlapped) != 0
                }
                (Operation::Accept | Operation::Connect, None) => return Err(WSAEINVAL),
            }
        };
        if succeeded { Ok(bytes) } else { Err(last_error()) }
    }
}

/// The descriptors of a buffer, which may go as soon as the call has returned (BF-04).
pub(super) enum Buffers {
    One([ws::WSABUF; 1]),
    Many(Vec<ws::WSABUF>),
}

impl Buffers {
    pub(super) fn of(segments: &Segments) -> Buffers {
        let piece = |start: *mut u8, len: usize| ws::WSABUF { len: len as u32, buf: start };
        match segments {
            Segments::One(segment) if u32::try_from(segment.len).is_ok() => {
                Buffers::One([piece(segment.start, segment.len)])
            }
            // A piece longer than a descriptor can say takes several.
            segments => Buffers::Many(
                segments
                    .as_slice()
                    .iter()
                    .flat_map(|segment| {
                        let most = u32::MAX as usize;
                        (0..segment.len.div_ceil(most).max(1)).map(move |n| {
                            let from = n * most;
                            piece(segment.start.wrapping_add(from), (segment.len - from).min(most))
                        })
                    })
                    .collect(),
            ),
        }
    }

    fn as_list(&self) -> (*const ws::WSABUF, u32) {
        let list = match self {
            Buffers::One(list) => list.as_slice(),
            Buffers::Many(list) => list,
        };
        (list.as_ptr(), list.len() as u32)
    }
}
