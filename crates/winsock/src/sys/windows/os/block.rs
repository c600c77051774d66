//! The blocks of memory that travel through the kernel, and who owns them when.
//!
//! Everything that a port hands out is a block of ours, so nothing that a caller posted is ever taken for an address.
//! A block is a box that was leaked: to the kernel when an operation starts, to a port's queue when it is posted. Whoever
//! takes it from there owns it again, and that happens once:
//!
//! - the kernel posts a packet for it, and the thread that dequeues the packet takes it;
//! - or the kernel posts none (see [`super::detour`]), and the callback of its event takes it;
//! - or it is told by an event, and whoever has the operation's name takes it when it has ended;
//! - or it is told by a routine, and the call into the routine's thread takes it (see [`super::apc`]);
//! - or the start ended without leaving anything behind, and the starting thread takes it.
//!
//! Between leak and take-back nobody holds a reference into a block, because the kernel writes to it: only its address
//! stands in the list of its handle, to be compared by a cancellation. Whether the kernel is done with it is read as the
//! one number that the kernel writes last.

use super::super::error::{Result, code_of_status};
use super::address::Address;
use super::apc::Thread;
use super::detour::Detour;
use super::event::EventObject;
use super::extensions::Extensions;
use super::handle::{Handle, ToldBy, lock};
use crate::error::{ERROR_MORE_DATA, WSA_IO_INCOMPLETE, WSA_OPERATION_ABORTED, wsa_from_system};
use crate::overlapped::{Accepted, Completion, OpId, Owned, Request, Segments, Work};
use crate::socket::Socket;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use windows_sys::Win32::Foundation::{NTSTATUS, STATUS_PENDING};
use windows_sys::Win32::Networking::WinSock as ws;
use windows_sys::Win32::System::IO::OVERLAPPED;

/// The head of every block.
#[repr(C)]
pub(crate) struct Head {
    pub(crate) overlapped: OVERLAPPED,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Posted,
    Operation,
    Husk,
}

/// A posted packet's third value.
#[repr(C)]
struct PostedBlock {
    head: Head,
    token: usize,
}

/// An operation in progress.
#[repr(C)]
pub(crate) struct OperationBlock {
    pub(crate) head: Head,
    /// The peer's address, read or written by the kernel.
    pub(crate) address: Address,
    /// The receive flags, which the kernel may write.
    pub(crate) flags: u32,
    /// Accept: the first bytes and both addresses. Connect: the pieces to send, gathered.
    pub(crate) staging: Vec<u8>,
    pub(crate) detour: Option<Detour>,
    pub(crate) told: Told,
    pub(crate) noted: Noted,
    pub(crate) request: Request,
}

/// Who is told of the end.
pub(crate) enum Told {
    /// The port of the socket, and the event if there is one.
    Port(Option<Arc<EventObject>>),
    /// Whoever waits for the event.
    Event(Arc<EventObject>),
    /// The routine of this number in the store of its thread.
    Routine(Arc<Thread>, u64),
}

/// What came back.
pub(crate) enum Block {
    Posted(usize),
    Operation(Box<OperationBlock>),
    /// What [`husk`] left; nobody waits for it.
    Husk,
}

/// Leaks a block that carries `token`.
pub(crate) fn leak_posted(token: usize) -> *mut OVERLAPPED {
    Box::into_raw(Box::new(PostedBlock { head: Head::new(Kind::Posted), token })).cast()
}

/// Takes a block back.
///
/// # Safety
/// The address came from one of the functions here that leak, and nobody took it back yet.
pub(crate) unsafe fn take_back(address: *mut OVERLAPPED) -> Block {
    // SAFETY: every block starts with a head, whose kind says what the whole is; the caller vouches for the rest.
    unsafe {
        match (*address.cast::<Head>()).kind {
            Kind::Posted => Block::Posted(Box::from_raw(address.cast::<PostedBlock>()).token),
            Kind::Operation => Block::Operation(Box::from_raw(address.cast::<OperationBlock>())),
            Kind::Husk => {
                drop(Box::from_raw(address.cast::<MaybeUninit<OperationBlock>>()));
                Block::Husk
            }
        }
    }
}

impl Head {
    fn new(kind: Kind) -> Head {
        let overlapped = OVERLAPPED { Internal: STATUS_PENDING as usize, ..OVERLAPPED::default() };
        Head { overlapped, kind }
    }
}

/// An entry in the list of a handle's running operations. It leaves the list before the block is freed, so that no
/// cancellation meets an address that belongs to something new.
pub(crate) struct Noted {
    pub(crate) handle: Arc<Handle>,
    pub(crate) id: u64,
    /// The socket that an accept is to connect.
    pub(crate) accept: Option<Arc<Handle>>,
}

impl Noted {
    fn forget(&self) {
        self.handle.forget(self.id);
        if let Some(accept) = &self.accept {
            let mut accepting = lock(&accept.connection.accepting);
            if accepting.as_ref().is_some_and(|(by, id)| Arc::ptr_eq(by, &self.handle) && *id == self.id) {
                *accepting = None;
            }
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Room for one address as AcceptEx lays it out: 16 bytes more than the longest.
pub(crate) const ACCEPT_ADDRESS: u32 = size_of::<ws::SOCKADDR_INET>() as u32 + 16;

impl OperationBlock {
    pub(crate) fn new(
        noted: Noted,
        request: Request,
        told: Told,
        address: Address,
        flags: u32,
    ) -> Box<OperationBlock> {
        let staging = match (&request.work, &request.segments) {
            (Work::Accept(_), segments) => vec![0; segments.total() + 2 * ACCEPT_ADDRESS as usize],
            (Work::Connect(_), segments @ Segments::Many(_)) => gathered(segments),
            _ => Vec::new(),
        };
        let head = Head::new(Kind::Operation);
        Box::new(OperationBlock { head, address, flags, staging, detour: None, told, noted, request })
    }

    /// Leaks the block to the kernel and notes where it is.
    pub(crate) fn leak(self: Box<OperationBlock>) -> *mut OperationBlock {
        let (handle, id, accept) = (self.noted.handle.clone(), self.noted.id, self.noted.accept.clone());
        let told = match self.told {
            Told::Port(_) => ToldBy::Port,
            Told::Event(_) => ToldBy::Event,
            Told::Routine(..) => ToldBy::Routine,
        };
        let block = Box::into_raw(self);
        handle.note(id, block.cast(), told, accept);
        block
    }

    /// The end of the operation, as the kernel wrote it.
    pub(crate) fn complete(self: Box<OperationBlock>, key: usize) -> Completion {
        // SAFETY: the block is ours.
        let (code, bytes) = unsafe { outcome(&raw const self.head.overlapped) };
        self.complete_with(key, code, bytes)
    }

    /// The end of the operation: what is left to do for it on this side, and the buffer out of the block.
    pub(crate) fn complete_with(
        self: Box<OperationBlock>,
        key: usize,
        code: i32,
        bytes: usize,
    ) -> Completion {
        self.noted.forget();
        let OperationBlock { address, staging, noted, request, .. } = *self;
        let Request { work, segments, buffer } = request;
        let operation = work.operation();
        let mut end = Completion {
            id: OpId(noted.id),
            operation,
            key,
            system_code: code,
            // A failed operation moved nothing, but for a datagram that was cut off (UD-03).
            bytes: if code == 0 || code == ERROR_MORE_DATA { bytes } else { 0 },
            buffer,
            remote: None,
            accepted: None,
        };
        match work {
            Work::Accept(accept) => finish_accept(&mut end, &noted, accept, &staging, &segments),
            Work::Connect(_) if code == 0 => finish_connect(&noted.handle),
            Work::ReceiveFrom(_) if code == 0 || code == ERROR_MORE_DATA => end.remote = address.get().ok(),
            _ => {}
        }
        end
    }
}

/// An accepted socket learns what it is connected to (IN-11), and the first bytes go where the caller wants them.
fn finish_accept(end: &mut Completion, noted: &Noted, accept: Socket, staging: &[u8], segments: &Segments) {
    let mut local = None;
    if end.system_code == 0 {
        match accept.sys.handle().update_accept_context(&noted.handle) {
            Ok(()) => {
                let capacity = segments.total();
                (local, end.remote) = addresses(accept.sys.handle(), staging, capacity);
                // SAFETY: the operation owns the buffer that the segments name.
                unsafe { scatter(&staging[..end.bytes.min(capacity)], segments) };
            }
            // Closed meanwhile, and the connection with it (CL-03).
            Err(_) => (end.system_code, end.bytes) = (WSA_OPERATION_ABORTED, 0),
        }
    }
    end.accepted = Some(Box::new(Accepted { socket: Some(accept), local }));
}

/// Whether the kernel is done with a block.
///
/// # Safety
/// The block is there.
pub(crate) unsafe fn ended(block: *mut OperationBlock) -> bool {
    // SAFETY: the caller's word; the kernel writes the field at any moment, as one.
    unsafe { status(&raw const (*block).head.overlapped) != STATUS_PENDING }
}

/// The outcome that the kernel wrote, the system's code and the count, of an operation that has ended.
///
/// # Safety
/// The structure is there.
pub(crate) unsafe fn outcome(overlapped: *const OVERLAPPED) -> (i32, usize) {
    // SAFETY: the caller's word; after the end nobody writes.
    unsafe { (code_of_status(status(overlapped)), (*overlapped).InternalHigh) }
}

/// The outcome as Winsock's query tells it.
///
/// # Errors
/// WSA_IO_INCOMPLETE (996) while it is pending; else why it failed, as a Winsock code.
///
/// # Safety
/// The structure is there.
pub(crate) unsafe fn result(overlapped: *const OVERLAPPED) -> Result<usize> {
    // SAFETY: the caller's word.
    unsafe {
        if status(overlapped) == STATUS_PENDING {
            return Err(WSA_IO_INCOMPLETE);
        }
        match outcome(overlapped) {
            (0, bytes) => Ok(bytes),
            (code, _) => Err(wsa_from_system(code)),
        }
    }
}

/// # Safety
/// The structure is there.
unsafe fn status(overlapped: *const OVERLAPPED) -> NTSTATUS {
    // SAFETY: the caller's word. The kernel writes this field last, so whatever else it wrote is seen too.
    let status = unsafe {
        AtomicUsize::from_ptr((&raw const (*overlapped).Internal).cast_mut()).load(Ordering::Acquire)
    };
    // The status is 32 bits wide; the field that holds it is as wide as an address.
    status as u32 as NTSTATUS
}

/// A connected socket learns what it is connected to (IN-11).
pub(crate) fn finish_connect(handle: &Handle) {
    handle.connection.connected.store(true, Ordering::Release);
    // A socket that was closed meanwhile needs no context any more; the packet stays what it is (CP-25).
    let _ = handle.with(|raw| {
        // SAFETY: the option takes no value.
        super::super::error::check(unsafe {
            ws::setsockopt(raw, ws::SOL_SOCKET, ws::SO_UPDATE_CONNECT_CONTEXT, std::ptr::null(), 0)
        })
    });
}

/// Both ends of an accepted connection (IN-07).
fn addresses(
    accept: &Handle,
    staging: &[u8],
    capacity: usize,
) -> (Option<std::net::SocketAddr>, Option<std::net::SocketAddr>) {
    let Ok(extensions) = accept.with(Extensions::get) else { return (None, None) };
    let (mut local, mut remote) = (std::ptr::null_mut(), std::ptr::null_mut());
    let (mut local_len, mut remote_len) = (0, 0);
    // SAFETY: the staging memory was filled by AcceptEx with these very lengths; the addresses that the call names lie
    // in it and are copied at once.
    unsafe {
        (extensions.accept_ex_addresses)(
            staging.as_ptr().cast(),
            capacity as u32,
            ACCEPT_ADDRESS,
            ACCEPT_ADDRESS,
            &mut local,
            &mut local_len,
            &mut remote,
            &mut remote_len,
        );
        if local.is_null() || remote.is_null() {
            return (None, None);
        }
        (Address::copied(local, local_len).get().ok(), Address::copied(remote, remote_len).get().ok())
    }
}

/// Copies `bytes` into the pieces, in order.
///
/// # Safety
/// The pieces can be written, and nobody else touches them.
unsafe fn scatter(mut bytes: &[u8], segments: &Segments) {
    for segment in segments.as_slice() {
        let (now, rest) = bytes.split_at(bytes.len().min(segment.len));
        // SAFETY: the piece is at least as long as what is copied; the caller vouches that it can be written.
        unsafe { std::ptr::copy_nonoverlapping(now.as_ptr(), segment.start, now.len()) };
        bytes = rest;
    }
}

/// The pieces in one.
fn gathered(segments: &Segments) -> Vec<u8> {
    let mut all = Vec::with_capacity(segments.total());
    for segment in segments.as_slice() {
        // SAFETY: the operation owns the buffer that the segments name; its bytes are initialised.
        all.extend_from_slice(unsafe { std::slice::from_raw_parts(segment.start, segment.len) });
    }
    all
}

/// A block's buffer, for a start that was refused.
pub(crate) fn request_of(block: Box<OperationBlock>) -> Request {
    block.noted.forget();
    let OperationBlock { request, .. } = *block;
    request
}

/// Takes everything out of a block for which a packet may come or may not, and leaves the bare memory to that packet. If
/// none comes a few hundred bytes are lost, which is less than to be wrong.
///
/// # Safety
/// The block is leaked, its operation was refused, and it belongs to the caller.
pub(crate) unsafe fn husk(block: *mut OperationBlock) -> Request {
    // SAFETY: it is the caller's until its kind is changed; then what the copy did not take out is never dropped twice,
    // because a husk is freed without dropping anything.
    unsafe {
        let copy = Box::new(std::ptr::read(block));
        (*block).head.kind = Kind::Husk;
        request_of(copy)
    }
}

const _: () = {
    // A block's address is that of its OVERLAPPED.
    assert!(std::mem::offset_of!(Head, overlapped) == 0);
    assert!(std::mem::offset_of!(PostedBlock, head) == 0);
    assert!(std::mem::offset_of!(OperationBlock, head) == 0);
    const fn is_send<T: Send>() {}
    // What crosses threads inside a block without the compiler seeing it.
    is_send::<Request>();
    is_send::<Owned>();
    is_send::<Noted>();
    is_send::<Detour>();
    is_send::<Told>();
};
