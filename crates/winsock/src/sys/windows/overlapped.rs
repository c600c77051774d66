//! Overlapped operations: Winsock's own calls on a block of ours; see `os::block` for who owns it when.

use super::error::{Result, last_error};
use super::os::address::Address;
use super::os::block::{ACCEPT_ADDRESS, Noted, OperationBlock, husk, request_of};
use super::os::detour::{Detour, deliver};
use super::os::extensions::Extensions;
use super::os::handle::{Handle, lock};
use super::os::lasting::on_lasting_thread;
use super::socket::{Socket, flags_of};
use crate::error::{WSA_IO_PENDING, WSAEAFNOSUPPORT, WSAEINVAL, WSAEISCONN, WSAEMSGSIZE, WSAENOTSOCK};
use crate::overlapped::{OpId, Operation, Request, Segments, Started, Work};
use crate::socket::{Family, Kind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use windows_sys::Win32::Foundation::STATUS_BUFFER_OVERFLOW;
use windows_sys::Win32::Networking::WinSock as ws;

impl Socket {
    pub(crate) fn start_with_event(
        &self,
        request: Request,
        _event: &super::event_select::Event,
    ) -> std::result::Result<Op, (i32, Request)> {
        Err((super::error::REFUSED, request))
    }

    pub(crate) fn start_with_routine(
        &self,
        request: Request,
        _routine: Box<dyn FnOnce(crate::Completion)>,
    ) -> std::result::Result<crate::overlapped::Routed, (i32, Request)> {
        Err((super::error::REFUSED, request))
    }

    pub(crate) fn routine_result(&self, _operation: OpId) -> Result<usize> {
        Err(super::error::REFUSED)
    }

    pub(crate) fn start(
        &self,
        request: Request,
        _event: Option<&super::event_select::Event>,
    ) -> std::result::Result<Started, (i32, Request)> {
        let handle = self.handle();
        let id = handle.next_operation();
        match prepare(handle, id, &request) {
            Ok(prepared) => launch(handle, id, request, prepared),
            Err(code) => Err((code, request)),
        }
    }

    pub(crate) fn cancel(&self, operation: Option<OpId>) -> Result<()> {
        self.handle().cancel_operations(operation.map(|id| id.0))
    }

    pub(crate) fn cancel_thread(&self) -> Result<()> {
        self.handle().cancel_thread()
    }

    pub(crate) fn skip_completion_port_on_success(&self) -> Result<()> {
        self.handle().skip_completion_port_on_success()
    }
}

/// What a start needs beside the request.
struct Prepared {
    address: Address,
    flags: u32,
    /// The socket that an accept is to connect.
    accept: Option<Arc<Handle>>,
}

/// What Winsock, or Wine, would check late or not at all.
fn prepare(handle: &Arc<Handle>, id: u64, request: &Request) -> Result<Prepared> {
    let mut prepared = Prepared { address: Address::empty(), flags: 0, accept: None };
    let connection = &handle.connection;
    // BF-03. An accept or a connect without a buffer is complete as it is.
    let needs_pieces = !matches!(request.work, Work::Accept(_) | Work::Connect(_));
    if needs_pieces && request.segments.as_slice().is_empty() {
        return Err(WSAEINVAL);
    }
    // The calls that take one piece say its length, and that of the addresses behind it, in 32 bits.
    if !needs_pieces && request.segments.total() > (u32::MAX - 2 * ACCEPT_ADDRESS) as usize {
        return Err(WSAEINVAL);
    }
    match &request.work {
        Work::Receive(flags) | Work::ReceiveFrom(flags) => {
            handle.ready_to_transfer(true)?;
            prepared.flags = flags_of(*flags) as u32;
        }
        Work::Send => {
            handle.ready_to_transfer(false)?;
            fits(handle, request)?;
        }
        Work::SendTo(to) => {
            fits(handle, request)?;
            prepared.address = Address::new(to);
        }
        Work::Accept(accept) => {
            let accept = accept.sys.handle();
            let into = &accept.connection;
            let taken = [&into.bound, &into.connected, &into.listening].map(|is| is.load(Ordering::Acquire));
            if !connection.listening.load(Ordering::Acquire) || taken.contains(&true) {
                return Err(WSAEINVAL);
            }
            let mut accepting = lock(&into.accepting);
            if accept.is_closed() {
                return Err(WSAENOTSOCK);
            }
            if accepting.is_some() {
                return Err(WSAEINVAL);
            }
            *accepting = Some((handle.clone(), id));
            prepared.accept = Some(accept.clone());
        }
        Work::Connect(to) => {
            if connection.listening.load(Ordering::Acquire) {
                return Err(WSAEINVAL);
            }
            if connection.connected.load(Ordering::Acquire) {
                return Err(WSAEISCONN);
            }
            if Family::of(to) != connection.family {
                return Err(WSAEAFNOSUPPORT);
            }
            prepared.address = Address::new(to);
            bind_wildcard(handle)?;
        }
    }
    Ok(prepared)
}

// Told before the call: for a datagram that is too long Windows posts nothing, but Wine posts a packet, which a thread at
// the port could take before the refusal is seen here.
fn fits(handle: &Handle, request: &Request) -> Result<()> {
    let longest = match handle.connection.family {
        Family::V4 => 65_507,
        Family::V6 => 65_527,
    };
    let datagram = handle.connection.kind == Kind::Datagram;
    if datagram && request.segments.total() > longest { Err(WSAEMSGSIZE) } else { Ok(()) }
}

/// ConnectEx wants a socket that is bound (IN-12).
fn bind_wildcard(handle: &Handle) -> Result<()> {
    let mut any = Address::new(&match handle.connection.family {
        Family::V4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        Family::V6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    });
    if handle.local_addr().is_err() {
        // SAFETY: the address lives across the call.
        handle.with(|raw| super::error::check(unsafe { ws::bind(raw, any.room(), *any.len()) }))?;
    }
    handle.connection.bound.store(true, Ordering::Release);
    Ok(())
}

/// Gives the block to the kernel, and sorts out what the kernel says at once.
fn launch(
    handle: &Arc<Handle>,
    id: u64,
    request: Request,
    prepared: Prepared,
) -> std::result::Result<Started, (i32, Request)> {
    let Prepared { address, flags, accept } = prepared;
    let connection = &handle.connection;
    let operation = request.work.operation();
    let noted = Noted { handle: handle.clone(), id, accept: accept.clone() };
    let buffers = Buffers::of(&request.segments);
    let block = OperationBlock::new(noted, request, address, flags);

    // Both stay open, and the mode stays as it is, until the kernel has answered.
    let Ok(pass) = handle.enter() else { return Err((WSAENOTSOCK, request_of(block))) };
    let accept_pass = match accept.as_ref().map(|accept| accept.enter()) {
        Some(Err(code)) => return Err((code, request_of(block))),
        Some(Ok(pass)) => Some(pass),
        None => None,
    };
    let mode = connection.skip.read().unwrap_or_else(PoisonError::into_inner);
    let skip = *mode;
    let extensions = match operation {
        Operation::Accept | Operation::Connect => match Extensions::get(pass.raw()) {
            Ok(extensions) => Some(extensions),
            Err(code) => return Err((code, request_of(block))),
        },
        _ => None,
    };
    let cut_off_possible =
        connection.kind == Kind::Datagram && matches!(operation, Operation::Receive | Operation::ReceiveFrom);
    let has_port = connection.association.get().is_some_and(|association| !association.queue.is_closed());
    let needs_detour = !has_port || (skip && cut_off_possible);

    let block = block.leak();
    let mut trigger = None;
    if needs_detour {
        match Detour::new(block) {
            // SAFETY: the block is ours until the kernel gets it.
            Ok(detour) => unsafe {
                (*block).head.overlapped.hEvent = detour.tagged_event();
                trigger = Some(detour.trigger());
                (*block).detour = Some(detour);
            },
            // SAFETY: as above.
            Err(code) => return Err((code, request_of(unsafe { Box::from_raw(block) }))),
        }
    }
    let accept_raw = accept_pass.as_ref().map_or(ws::INVALID_SOCKET, |pass| pass.raw());
    let call = Call { operation, raw: pass.raw(), accept: accept_raw, block, buffers: &buffers, extensions };
    let issue = move || {
        // SAFETY: the block was leaked for this call and stays where it is until it is taken back; the buffer that the
        // descriptors name belongs to it. The passes keep the handles open.
        unsafe { call.issue() }
    };
    let answer = if trigger.is_none() { issue() } else { on_lasting_thread(issue) };
    drop((pass, accept_pass, mode));
    match answer {
        // SAFETY: in this mode the kernel posts nothing for what succeeds at once, and the wait is not armed; so nobody
        // else has the block, and the kernel is done with it.
        Ok(bytes) if skip => unsafe {
            let key = connection.association.get().map_or(0, |association| association.key);
            Ok(Started::Done(Box::from_raw(block).complete_with(key, 0, bytes as usize)))
        },
        // A datagram that is cut off fails at once and ends as a packet all the same (UD-04).
        Err(WSAEMSGSIZE) if cut_off_possible => {
            if trigger.is_some() {
                // SAFETY: the kernel has ended the operation and posts nothing for a tagged event; the wait is not armed.
                unsafe {
                    (*block).head.overlapped.Internal = STATUS_BUFFER_OVERFLOW as u32 as usize;
                    (*block).head.overlapped.InternalHigh = (*block).request.segments.total();
                    deliver(block);
                }
            }
            Ok(Started::Pending(OpId(id)))
        }
        Ok(_) | Err(WSA_IO_PENDING) => {
            // From here on the block may be gone at any moment.
            if let Some(trigger) = trigger {
                // SAFETY: the operation carries the tagged event, and its end sets it.
                unsafe { trigger.arm() };
            }
            Ok(if answer.is_ok() { Started::Queued(OpId(id)) } else { Started::Pending(OpId(id)) })
        }
        // A datagram that is too long: Windows posts nothing, Wine posts a packet.
        // SAFETY: a call that was refused leaves the block to us but for that packet, which frees what is left.
        Err(WSAEMSGSIZE) if trigger.is_none() => Err((WSAEMSGSIZE, unsafe { husk(block) })),
        // SAFETY: a call that was refused leaves nothing with the kernel (OV-03).
        Err(code) => Err((code, request_of(unsafe { Box::from_raw(block) }))),
    }
}

/// One call of Winsock.
struct Call<'a> {
    operation: Operation,
    raw: ws::SOCKET,
    accept: ws::SOCKET,
    block: *mut OperationBlock,
    buffers: &'a Buffers,
    extensions: Option<&'a Extensions>,
}

// SAFETY: the addresses in it are those of memory that whoever makes the call owns, on whichever thread.
unsafe impl Send for Call<'_> {}

impl Call<'_> {
    /// Calls: the count when the operation succeeded at once, else the code.
    ///
    /// # Safety
    /// The block is leaked and belongs to nobody else; it stays where it is until the operation has ended. The handles are
    /// open. The extensions are there for an accept and a connect.
    unsafe fn issue(self) -> Result<u32> {
        let Call { operation, raw, accept, block, buffers, extensions } = self;
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
                    ws::WSARecv(raw, pieces, count, &mut bytes, flags, overlapped, None) == 0
                }
                (Operation::ReceiveFrom, _) => {
                    ws::WSARecvFrom(raw, pieces, count, &mut bytes, flags, to, to_len, overlapped, None) == 0
                }
                (Operation::Send, _) => ws::WSASend(raw, pieces, count, &mut bytes, 0, overlapped, None) == 0,
                (Operation::SendTo, _) => {
                    ws::WSASendTo(raw, pieces, count, &mut bytes, 0, to, *to_len, overlapped, None) == 0
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
enum Buffers {
    One([ws::WSABUF; 1]),
    Many(Vec<ws::WSABUF>),
}

impl Buffers {
    fn of(segments: &Segments) -> Buffers {
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

/// An operation that is told by an event. Its drop, while it is pending, cancels it.
pub(crate) struct Op {
    never: std::convert::Infallible,
}

impl Op {
    pub(crate) fn id(&self) -> OpId {
        match self.never {}
    }
    pub(crate) fn at_once(&self) -> bool {
        match self.never {}
    }
    pub(crate) fn result(&self) -> Result<usize> {
        match self.never {}
    }
    pub(crate) fn wait(&self) -> Result<usize> {
        match self.never {}
    }
    pub(crate) fn try_take(self) -> std::result::Result<crate::Completion, Op> {
        match self.never {}
    }
}
