//! The way home of an operation for which the kernel is to post no packet.
//!
//! Nothing would tell of the end of an operation on a socket without a port, and whether the kernel posts one for a socket
//! that is associated meanwhile could not be known for sure: its block would leak, or be freed twice. So such an
//! operation has an event whose handle carries a set low bit, which keeps the kernel from posting (CP-08). When the event
//! is set, the thread pool calls back, and the block goes to the port that the socket has by then (CP-26), or is dropped.
//!
//! Accepts and connects that are told by a routine come this way as well, since they take none: their block goes to the
//! routine's thread.
//!
//! Datagram receives in skip-on-success mode come this way too: whether one that is cut off at once posts a packet in
//! this mode is written nowhere.

use super::block::{Block, OperationBlock, Told, take_back};
use crate::error::WSAENOBUFS;
use std::ffi::c_void;
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE};
use windows_sys::Win32::System::Threading::{
    CloseThreadpoolWait, CreateEventW, CreateThreadpoolWait, PTP_CALLBACK_INSTANCE, PTP_WAIT,
    SetThreadpoolWait,
};

pub(crate) struct Detour {
    event: usize,
    wait: PTP_WAIT,
}

impl Detour {
    /// An event, and a wait for it that is not running yet.
    pub(crate) fn new(block: *mut OperationBlock) -> Result<Detour, i32> {
        // SAFETY: an unnamed manual-reset event with the default security.
        let event = unsafe { CreateEventW(std::ptr::null(), 1, 0, std::ptr::null()) };
        if event.is_null() {
            return Err(WSAENOBUFS);
        }
        // SAFETY: the callback gets the block when the wait ends; `arm` promises that it is its owner then.
        let wait = unsafe { CreateThreadpoolWait(Some(arrived), block.cast(), std::ptr::null()) };
        let detour = Detour { event: event as usize, wait };
        // Dropping a wait that is not there is avoided by the check in `drop`.
        if wait == 0 { Err(WSAENOBUFS) } else { Ok(detour) }
    }

    /// The handle as an operation carries it: the low bit asks for no packet.
    pub(crate) fn tagged_event(&self) -> HANDLE {
        tagged(self.event as HANDLE)
    }

    /// What [`arm`] needs, to be had before the kernel has the block.
    pub(crate) fn trigger(&self) -> Trigger {
        Trigger { event: self.event, wait: self.wait }
    }
}

/// The handle with the bit that asks for no packet (CP-08).
pub(crate) fn tagged(event: HANDLE) -> HANDLE {
    event.map_addr(|event| event | 1)
}

impl Drop for Detour {
    fn drop(&mut self) {
        // SAFETY: both are ours and closed once. The wait is not running, or its only callback is the caller of this
        // drop; in that case the system frees it when the callback has returned.
        unsafe {
            if self.wait != 0 {
                CloseThreadpoolWait(self.wait);
            }
            CloseHandle(self.event as HANDLE);
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Trigger {
    event: usize,
    wait: PTP_WAIT,
}

impl Trigger {
    /// Starts the wait.
    ///
    /// # Safety
    /// The operation was started with the tagged event, and will set it or has. From here on its block belongs to the
    /// callback.
    pub(crate) unsafe fn arm(self) {
        // SAFETY: both live as long as the block, which only the callback of this very wait takes back.
        unsafe { SetThreadpoolWait(self.wait, self.event as HANDLE, std::ptr::null()) };
    }
}

/// Called by the thread pool when the event is set.
unsafe extern "system" fn arrived(_: PTP_CALLBACK_INSTANCE, block: *mut c_void, _: PTP_WAIT, _: u32) {
    // SAFETY: the event is set, so the kernel is done with the block, and the wait was armed for this callback alone.
    unsafe { deliver(block.cast()) };
}

/// Hands a block whose operation has ended to the port of its socket, or drops it when there is none.
///
/// # Safety
/// The block was leaked, the kernel is done with it, and it belongs to the caller.
pub(crate) unsafe fn deliver(block: *mut OperationBlock) {
    // SAFETY: it is the caller's; see above.
    let Block::Operation(mut block) = (unsafe { take_back(block.cast()) }) else { return };
    block.detour = None;
    let event = match &mut block.told {
        Told::Port(event) => event.take(),
        Told::Event(event) => Some(event.clone()),
        Told::Routine(thread, _) => {
            let thread = thread.clone();
            // SAFETY: it is the caller's still, and leaked again for the call into its thread.
            return unsafe { thread.arrived(Box::into_raw(block)) };
        }
    };
    let handle = block.noted.handle.clone();
    if let Some(association) = handle.connection.association.get() {
        association.queue.post_operation(association.key, block);
    }
    if let Some(event) = event {
        event.set_by_operation();
    }
}
