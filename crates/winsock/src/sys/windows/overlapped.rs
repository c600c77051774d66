//! Overlapped operations: Winsock's own calls on a block of ours; see `os::block` for who owns it when.

mod call;
mod told_by_event;
mod told_by_routine;

use super::error::Result;
use super::event_select::Event;
use super::os::address::Address;
use super::os::apc::by_winsock;
use super::os::block::{ACCEPT_ADDRESS, Noted, OperationBlock, Told, husk, request_of};
use super::os::detour::{Detour, Trigger, deliver, tagged};
use super::os::event::EventObject;
use super::os::extensions::Extensions;
use super::os::handle::{Handle, lock};
use super::os::lasting::on_lasting_thread;
use super::socket::{Socket, flags_of};
use crate::error::{WSA_IO_PENDING, WSAEAFNOSUPPORT, WSAEINVAL, WSAEISCONN, WSAEMSGSIZE, WSAENOTSOCK};
use crate::overlapped::{OpId, Operation, Request, Started, Work};
use crate::socket::{Family, Kind};
use call::{Buffers, Call};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
pub(crate) use told_by_event::Op;
use windows_sys::Win32::Foundation::STATUS_BUFFER_OVERFLOW;
use windows_sys::Win32::Networking::WinSock as ws;

impl Socket {
    pub(crate) fn start(
        &self,
        request: Request,
        event: Option<&Event>,
    ) -> std::result::Result<Started, (i32, Request)> {
        let event = event.map(|event| event.object().clone());
        if let Some(Err(code)) = event.as_ref().map(|event| event.open()) {
            return Err((code, request));
        }
        let handle = self.handle();
        let id = handle.next_operation();
        let Launched { block, answer, trigger, skip } =
            launch(handle, id, request, Told::Port(event.clone()))?;
        match answer {
            // SAFETY: in this mode the kernel posts nothing for what succeeds at once, and the wait is not armed; so nobody
            // else has the block, and the kernel is done with it.
            Answer::AtOnce(bytes) if skip => unsafe {
                if let (Some(event), Some(_)) = (event, trigger) {
                    event.set_by_operation();
                }
                let key = handle.connection.association.get().map_or(0, |association| association.key);
                Ok(Started::Done(Box::from_raw(block).complete_with(key, 0, bytes as usize)))
            },
            Answer::CutOff => {
                if trigger.is_some() {
                    // SAFETY: the kernel has ended the operation and posts nothing for a tagged event; the wait is not
                    // armed.
                    unsafe { deliver(block) };
                }
                Ok(Started::Pending(OpId(id)))
            }
            answer => {
                // From here on the block may be gone at any moment.
                if let Some(trigger) = trigger {
                    // SAFETY: the operation carries the tagged event, and its end sets it.
                    unsafe { trigger.arm() };
                }
                let at_once = matches!(answer, Answer::AtOnce(_));
                Ok(if at_once { Started::Queued(OpId(id)) } else { Started::Pending(OpId(id)) })
            }
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

/// A start that was not refused.
struct Launched {
    /// Leaked. If the kernel or a routine is to bring it back it may be gone already.
    block: *mut OperationBlock,
    answer: Answer,
    /// The wait for the end, still to be armed, if the block comes back that way.
    trigger: Option<Trigger>,
    /// The kernel posts no packet if the operation succeeded at once.
    skip: bool,
}

/// What the kernel said of a start that it did not refuse.
enum Answer {
    AtOnce(u32),
    Pending,
    /// A datagram that is cut off at once fails and has a completion all the same (UD-04).
    CutOff,
}

/// Gives the block to the kernel.
fn launch(
    handle: &Arc<Handle>,
    id: u64,
    request: Request,
    told: Told,
) -> std::result::Result<Launched, (i32, Request)> {
    let Prepared { address, flags, accept } = match prepare(handle, id, &request) {
        Ok(prepared) => prepared,
        Err(code) => return Err((code, request)),
    };
    let connection = &handle.connection;
    let operation = request.work.operation();
    let noted = Noted { handle: handle.clone(), id, accept: accept.clone() };
    let buffers = Buffers::of(&request.segments);
    let block = OperationBlock::new(noted, request, told, address, flags);

    // Both stay open, and the mode stays as it is, until the kernel has answered.
    let Ok(pass) = handle.enter() else { return Err((WSAENOTSOCK, request_of(block))) };
    let accept_pass = match accept.as_ref().map(|accept| accept.enter()) {
        Some(Err(code)) => return Err((code, request_of(block))),
        Some(Ok(pass)) => Some(pass),
        None => None,
    };
    let mode = connection.skip.read().unwrap_or_else(PoisonError::into_inner);
    let skip = *mode;
    let by_extension = matches!(operation, Operation::Accept | Operation::Connect);
    let extensions = match by_extension.then(|| Extensions::get(pass.raw())).transpose() {
        Ok(extensions) => extensions,
        Err(code) => return Err((code, request_of(block))),
    };
    let cut_off_possible =
        connection.kind == Kind::Datagram && matches!(operation, Operation::Receive | Operation::ReceiveFrom);
    let has_port = connection.association.get().is_some_and(|association| !association.queue.is_closed());
    let way = match &block.told {
        Told::Port(event) if !has_port || (skip && cut_off_possible) => Way::Detour(event.clone()),
        Told::Port(event) => Way::Port(event.clone()),
        Told::Event(event) => Way::Event(event.clone()),
        // These calls take no routine.
        Told::Routine(..) if by_extension => Way::Detour(None),
        Told::Routine(..) => Way::Routine,
    };
    // What is told by a port alone is to outlive this thread (CP-28).
    let lasting = matches!((&way, &block.told), (Way::Detour(_), Told::Port(None)));

    let block = block.leak();
    // SAFETY: the block is ours until the kernel gets it.
    let trigger = match unsafe { way.prepare(block) } {
        Ok(trigger) => trigger,
        // SAFETY: as above.
        Err(code) => return Err((code, request_of(unsafe { Box::from_raw(block) }))),
    };
    let accept = accept_pass.as_ref().map_or(ws::INVALID_SOCKET, |pass| pass.raw());
    let routine: ws::LPWSAOVERLAPPED_COMPLETION_ROUTINE =
        if matches!(way, Way::Routine) { Some(by_winsock) } else { None };
    let call = Call { operation, raw: pass.raw(), accept, block, buffers: &buffers, extensions, routine };
    let issue = move || {
        // SAFETY: the block was leaked for this call and stays where it is until it is taken back; the buffer that the
        // descriptors name belongs to it. The passes keep the handles open.
        unsafe { call.issue() }
    };
    let answer = if lasting { on_lasting_thread(issue) } else { issue() };
    drop((pass, accept_pass, mode));
    let answer = match answer {
        Ok(bytes) => Answer::AtOnce(bytes),
        Err(WSA_IO_PENDING) => Answer::Pending,
        Err(WSAEMSGSIZE) if cut_off_possible => {
            if !matches!(way, Way::Port(_)) {
                // SAFETY: the kernel has ended the operation, and no packet brings the block.
                unsafe {
                    (*block).head.overlapped.Internal = STATUS_BUFFER_OVERFLOW as u32 as usize;
                    (*block).head.overlapped.InternalHigh = (*block).request.segments.total();
                }
            }
            Answer::CutOff
        }
        // A datagram that is too long: Windows posts nothing, Wine posts a packet.
        // SAFETY: a call that was refused leaves the block to us but for that packet, which frees what is left.
        Err(WSAEMSGSIZE) if matches!(way, Way::Port(_)) => return Err((WSAEMSGSIZE, unsafe { husk(block) })),
        // SAFETY: a call that was refused leaves nothing with the kernel (OV-03).
        Err(code) => return Err((code, request_of(unsafe { Box::from_raw(block) }))),
    };
    Ok(Launched { block, answer, trigger, skip })
}

/// How the block comes back, and the event that the end sets besides.
enum Way {
    /// By a packet of the kernel.
    Port(Option<Arc<EventObject>>),
    /// See `os::detour`.
    Detour(Option<Arc<EventObject>>),
    /// Whoever waits for the event takes it.
    Event(Arc<EventObject>),
    /// By a call of Winsock.
    Routine,
}

impl Way {
    /// Gives the block the event that the kernel is to set.
    ///
    /// # Safety
    /// The block is leaked, and the caller's.
    unsafe fn prepare(&self, block: *mut OperationBlock) -> Result<Option<Trigger>> {
        let (event, trigger) = match self {
            Way::Port(None) | Way::Routine => return Ok(None),
            Way::Port(Some(event)) => (event.raw(), None),
            Way::Event(event) => (tagged(event.raw()), None),
            Way::Detour(event) => {
                let detour = Detour::new(block)?;
                let (own, trigger) = (detour.tagged_event(), detour.trigger());
                // SAFETY: see above.
                unsafe { (*block).detour = Some(detour) };
                if let Some(event) = event {
                    event.reset()?;
                }
                (own, Some(trigger))
            }
        };
        // SAFETY: see above.
        unsafe { (*block).head.overlapped.hEvent = event };
        Ok(trigger)
    }
}
