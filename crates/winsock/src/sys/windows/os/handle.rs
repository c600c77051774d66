//! A socket's handle: who may use it, and how it is closed while others use it.
//!
//! The system may give a handle's value to a new socket as soon as it is closed, so no call may carry the value of a
//! closed handle into the system. Calls go through a [`Gate`]; closing shuts it, asks the calls inside to end (a
//! cancelled request ends a waiting call), and closes the handle when the last one has come out.
//!
//! What remains: a call that a cancellation does not end is ended by closing the handle after [`PATIENCE`]; a thread
//! that stood still for so long between the gate and the system could then hit a new socket. `select` does not go
//! through the gate, since only closing wakes it (SE-16): there a reused value can make one answer wrong, which a later
//! call on the socket puts right.

use super::super::error::{Result, check, check_system, last_error, last_system_error};
use super::address::Address;
use super::block::result;
use super::gate::Gate;
use super::queue::Association;
use super::selection::{Registered, Selection};
use crate::error::{ERROR_NOT_FOUND, WSAENOTCONN, WSAENOTSOCK};
use crate::overlapped::OpId;
use crate::socket::{Family, Kind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Networking::WinSock::{
    INVALID_SOCKET, SO_CONNECT_TIME, SO_UPDATE_ACCEPT_CONTEXT, SOCKET, SOL_SOCKET, closesocket, getpeername,
    getsockname, getsockopt, setsockopt,
};
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::System::IO::{CancelIoEx, OVERLAPPED};
use windows_sys::Win32::System::WindowsProgramming::{
    FILE_SKIP_COMPLETION_PORT_ON_SUCCESS, FILE_SKIP_SET_EVENT_ON_HANDLE,
};

/// How long a close waits for calls that it has asked to end; they do so in microseconds.
const PATIENCE: Duration = Duration::from_millis(100);
/// The same when a duplicate lives on: then nothing is cancelled, and only calls about to enter the system are waited for.
const PATIENCE_SHARED: Duration = Duration::from_millis(2);

/// One handle; the clones of a socket and its operations share it.
pub(crate) struct Handle {
    pub(crate) id: u64,
    raw: SOCKET,
    gate: Gate,
    next_operation: AtomicU64,
    pub(crate) connection: Arc<Connection>,
}

/// What all duplicates of a handle share.
pub(crate) struct Connection {
    pub(crate) family: Family,
    pub(crate) kind: Kind,
    handles: AtomicUsize,
    /// The operations that have not come back yet, whichever handle they were started through.
    running: Mutex<Vec<Running>>,
    /// Handles that are closed for their owners and kept open for their operations.
    lingering: Mutex<Vec<SOCKET>>,
    pub(crate) bound: AtomicBool,
    pub(crate) listening: AtomicBool,
    pub(crate) connected: AtomicBool,
    pub(crate) association: OnceLock<Association>,
    /// Skip-on-success mode. Read-locked during each start, so that it cannot change between the system's decision to
    /// post a packet and ours to expect one.
    pub(crate) skip: RwLock<bool>,
    /// The listener and the operation that will connect this socket.
    pub(crate) accepting: Mutex<Option<(Arc<Handle>, u64)>>,
    /// What the system has; locked before a window's state.
    pub(crate) selection: Mutex<Option<Selection>>,
}

struct Running {
    id: u64,
    /// The handle that it was started through.
    handle: u64,
    thread: ThreadId,
    told: ToldBy,
    /// Where the operation's block lies: there at least as long as this entry.
    address: usize,
    /// The socket that an accept is to connect.
    accept: Option<Arc<Handle>>,
}

/// What tells of an operation's end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToldBy {
    Port,
    Event,
    Routine,
}

impl Handle {
    /// Takes over a socket that the system has just made.
    pub(crate) fn adopt(raw: SOCKET, family: Family, kind: Kind) -> Result<Arc<Handle>> {
        let connection = Arc::new(Connection {
            family,
            kind,
            handles: AtomicUsize::new(0),
            running: Mutex::default(),
            lingering: Mutex::default(),
            bound: AtomicBool::new(false),
            listening: AtomicBool::new(false),
            connected: AtomicBool::new(false),
            association: OnceLock::new(),
            skip: RwLock::new(false),
            accepting: Mutex::new(None),
            selection: Mutex::new(None),
        });
        Handle::adopt_duplicate(raw, connection)
    }

    /// Takes over one more handle of a connection.
    pub(crate) fn adopt_duplicate(raw: SOCKET, connection: Arc<Connection>) -> Result<Arc<Handle>> {
        // Counts for the life of the process, so no id comes twice.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if raw == INVALID_SOCKET {
            return Err(last_error());
        }
        connection.handles.fetch_add(1, Ordering::AcqRel);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Handle {
            id,
            raw,
            gate: Gate::default(),
            next_operation: AtomicU64::new(OpId::origin() + 1),
            connection,
        }))
    }

    /// Uses the handle, which stays open meanwhile.
    pub(crate) fn with<T>(&self, call: impl FnOnce(SOCKET) -> Result<T>) -> Result<T> {
        let pass = self.enter()?;
        call(pass.raw())
    }

    /// Keeps the handle open while the pass lives.
    pub(crate) fn enter(&self) -> Result<Pass<'_>> {
        if self.gate.enter() { Ok(Pass(self)) } else { Err(WSAENOTSOCK) }
    }

    /// The bare value, for `select` alone; see the head of this file.
    pub(crate) fn raw_for_select(&self) -> SOCKET {
        self.raw
    }

    /// Whether a stream is connected: elsewhere a transfer is refused with WSAENOTCONN (10057; BL-12, MO-09). Winsock
    /// refuses it too, Wine waits.
    pub(crate) fn connected_or_datagram(&self) -> Result<()> {
        let connection = &self.connection;
        if connection.kind == Kind::Datagram || connection.connected.load(Ordering::Acquire) {
            return Ok(());
        }
        // Asked until it is so: the end of a non-blocking connect is told to nobody. Unlike the peer's address, which is known
        // as soon as one tries, the time of the connection is there only when the connection is.
        let (mut seconds, mut len) = (0u32, size_of::<u32>() as i32);
        let (value, len) = ((&raw mut seconds).cast(), &raw mut len);
        // SAFETY: the number and its length live across the call.
        self.with(|raw| check(unsafe { getsockopt(raw, SOL_SOCKET, SO_CONNECT_TIME, value, len) }))?;
        if seconds == u32::MAX {
            return Err(WSAENOTCONN);
        }
        connection.connected.store(true, Ordering::Release);
        Ok(())
    }

    /// The same, and whether a datagram socket that is to receive has an address to receive at: WSAEINVAL (10022).
    pub(crate) fn ready_to_transfer(&self, receive: bool) -> Result<()> {
        if receive && self.connection.kind == Kind::Datagram && !self.connection.bound.load(Ordering::Acquire)
        {
            self.local_addr()?;
            self.connection.bound.store(true, Ordering::Release);
        }
        self.connected_or_datagram()
    }

    pub(crate) fn local_addr(&self) -> Result<SocketAddr> {
        let mut address = Address::empty();
        // SAFETY: the room for the address and its length live across the call.
        self.with(|raw| check(unsafe { getsockname(raw, address.room(), address.len()) }))?;
        address.get()
    }

    pub(crate) fn peer_addr(&self) -> Result<SocketAddr> {
        let mut address = Address::empty();
        // SAFETY: the room for the address and its length live across the call.
        self.with(|raw| check(unsafe { getpeername(raw, address.room(), address.len()) }))?;
        address.get()
    }

    /// This handle as messages name it.
    pub(crate) fn registered(&self) -> Registered {
        Registered { raw: self.raw, socket: self.id }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is_shut()
    }

    pub(crate) fn close(&self) -> Result<()> {
        if !self.gate.shut() {
            return Err(WSAENOTSOCK);
        }
        let last = self.connection.handles.fetch_sub(1, Ordering::AcqRel) == 1;
        self.settle(last);
        let _selection = self.deselect(self.registered(), last);
        if last {
            // An accept that waits for a connection to put here ends too (CL-03).
            let accept = lock(&self.connection.accepting).take();
            if let Some((listener, id)) = accept {
                let _ = listener.cancel(|running| running.id == id);
            }
        }
        // Operations of this handle go on while there is another one, and the system may still need this value for them.
        if self.lingers() {
            return Ok(());
        }
        // Operations that were cancelled end with 995; those that closing ends have other codes, some of them odd.
        if self.connection.handles.load(Ordering::Acquire) == 0 {
            self.cancel_everything();
            self.update_waiting_accepts();
            self.close_lingering();
        }
        // SAFETY: the gate was shut by this very call, so the handle is closed once, and nobody uses it any more.
        let closed = check(unsafe { closesocket(self.raw) });
        match self.connection.association.get() {
            Some(association) if last => {
                let by_port = |running: &Running| running.told == ToldBy::Port;
                association.take_back_if_abandoned(|| !lock(&self.connection.running).iter().any(by_port))
            }
            _ => {}
        }
        closed
    }

    /// Waits until nobody is inside, asking those who are to end.
    fn settle(&self, last: bool) {
        let until = Instant::now() + if last { PATIENCE } else { PATIENCE_SHARED };
        let mut turns = 0;
        while self.gate.inside() > 0 && Instant::now() < until {
            if last {
                self.cancel_everything();
            }
            turns += 1;
            if turns < 20 { std::thread::yield_now() } else { std::thread::sleep(Duration::from_millis(1)) }
        }
    }

    /// Tells the system what this socket, connected by an accept on `listener`, is connected to (IN-11).
    ///
    /// # Errors
    /// WSAENOTSOCK (10038) when this socket was closed.
    pub(crate) fn update_accept_context(&self, listener: &Handle) -> Result<()> {
        let pass = self.enter()?;
        self.connection.bound.store(true, Ordering::Release);
        self.connection.connected.store(true, Ordering::Release);
        // A listener that is closed did this when it closed.
        let _ = listener.with(|listener| update_accept_context(pass.raw(), listener));
        Ok(())
    }

    /// Accepts that have ended but whose packets were not taken yet: afterwards there is no listener to name.
    fn update_waiting_accepts(&self) {
        let accepts: Vec<_> =
            lock(&self.connection.running).iter().filter_map(|running| running.accept.clone()).collect();
        for accept in accepts {
            // Refused for those that are not connected, which is as it should be.
            let _ = accept.with(|accept| update_accept_context(accept, self.raw));
        }
    }

    fn cancel_everything(&self) {
        // SAFETY: the handle is open until `close` has come to its end.
        unsafe { CancelIoEx(self.raw as HANDLE, std::ptr::null()) };
    }

    /// Leaves the closing of this handle to the last one, if there is another one and operations are running.
    fn lingers(&self) -> bool {
        let busy = lock(&self.connection.running).iter().any(|running| running.handle == self.id);
        let mut lingering = lock(&self.connection.lingering);
        // The last one takes the list after its count was taken off, so it either finds this handle or is seen here.
        let lingers = busy && self.connection.handles.load(Ordering::Acquire) > 0;
        if lingers {
            lingering.push(self.raw);
        }
        lingers
    }

    /// Closes the duplicates that were left to the last handle.
    fn close_lingering(&self) {
        for raw in std::mem::take(&mut *lock(&self.connection.lingering)) {
            // SAFETY: each handle came into the list instead of being closed, and is taken out once.
            unsafe {
                CancelIoEx(raw as HANDLE, std::ptr::null());
                closesocket(raw);
            }
        }
    }

    /// Notes an operation before the system gets its block.
    pub(crate) fn note(&self, id: u64, block: *mut OVERLAPPED, told: ToldBy, accept: Option<Arc<Handle>>) {
        let (thread, address) = (std::thread::current().id(), block.expose_provenance());
        lock(&self.connection.running).push(Running { id, handle: self.id, thread, told, address, accept });
    }

    /// What became of an operation that the calling thread started with a routine, until that routine has run (CR-19).
    pub(crate) fn routine_result(&self, id: u64) -> Result<usize> {
        let own = std::thread::current().id();
        let running = lock(&self.connection.running);
        let found = running
            .iter()
            .find(|running| running.id == id && running.thread == own && running.told == ToldBy::Routine)
            .ok_or(ERROR_NOT_FOUND)?;
        let block = std::ptr::with_exposed_provenance(found.address);
        // SAFETY: an entry leaves the list, under its lock, before its block is freed.
        unsafe { result(block) }
    }

    /// The name of the next operation started through this handle.
    pub(crate) fn next_operation(&self) -> u64 {
        self.next_operation.fetch_add(1, Ordering::Relaxed)
    }

    /// Forgets an operation; its block may be freed afterwards, not before.
    pub(crate) fn forget(&self, id: u64) {
        let mut running = lock(&self.connection.running);
        if let Some(at) = running.iter().position(|running| running.id == id) {
            running.swap_remove(at);
        }
    }

    /// Cancels one operation, or all of the connection: to the system a duplicate is the same file.
    pub(crate) fn cancel_operations(&self, id: Option<u64>) -> Result<()> {
        let _pass = self.enter()?;
        self.cancel(|running| id.is_none_or(|id| running.id == id))
    }

    /// Cancels what the calling thread started.
    pub(crate) fn cancel_thread(&self) -> Result<()> {
        let _pass = self.enter()?;
        let own = std::thread::current().id();
        // Nothing to cancel is no error here (CN-04).
        let _ = self.cancel(|running| running.thread == own);
        Ok(())
    }

    /// Under the lock an address that stands in the list is that of a living block, so it cannot name another one.
    fn cancel(&self, which: impl Fn(&Running) -> bool) -> Result<()> {
        let Ok(_pass) = self.enter() else { return Err(ERROR_NOT_FOUND) };
        let running = lock(&self.connection.running);
        let mut outcome = Err(ERROR_NOT_FOUND);
        for running in running.iter().filter(|running| which(running)) {
            let block: *const OVERLAPPED = std::ptr::with_exposed_provenance(running.address);
            // SAFETY: the pass keeps the handle open; the system compares the address and does not read it.
            match check_system(unsafe { CancelIoEx(self.raw as HANDLE, block) }) {
                Ok(()) => outcome = Ok(()),
                Err(_) if outcome.is_ok() => {}
                Err(_) => outcome = Err(last_system_error()),
            }
        }
        outcome
    }

    /// From now on an operation that succeeds at once posts no packet (CP-10).
    pub(crate) fn skip_completion_port_on_success(&self) -> Result<()> {
        let modes = FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE;
        let mut skip = self.connection.skip.write().unwrap_or_else(PoisonError::into_inner);
        let pass = self.enter()?;
        // SAFETY: plain numbers; the pass keeps the handle open.
        check_system(unsafe { SetFileCompletionNotificationModes(pass.raw() as HANDLE, modes as u8) })?;
        *skip = true;
        Ok(())
    }
}

fn update_accept_context(accept: SOCKET, listener: SOCKET) -> Result<()> {
    let (value, len) = (&raw const listener, size_of::<SOCKET>() as i32);
    // SAFETY: the value is a handle and can be read for as long as the call lasts.
    check(unsafe { setsockopt(accept, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, value.cast(), len) })
}

/// The handle is open while this lives.
pub(crate) struct Pass<'a>(&'a Handle);

impl Pass<'_> {
    pub(crate) fn raw(&self) -> SOCKET {
        self.0.raw
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.gate.leave();
    }
}

/// A lock that outlives a panic: what it guards is consistent at every moment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
