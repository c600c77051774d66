//! The queue of a port, and how it is closed while others use it.
//!
//! Closing only shuts the gate. The threads that wait inside are woken by a packet without a block; each hands it on, and
//! the last one takes back what is left in the queue. The system's handle stays open until nobody can name it any
//! more: neither the port's clones, nor the sockets associated with it, nor their operations. So no call meets a handle
//! value that was given to somebody else, and no block is lost in a queue that is gone.
//!
//! What remains: a waiter that the concurrency value holds back comes out only when a running thread waits or ends, and a
//! block whose packet arrives after all this, at a port that is closed, comes back when its socket is closed.

use super::super::error::{Result, check_system, last_system_error};
use super::block::{Block, OperationBlock, leak_posted, take_back};
use super::gate::Gate;
use super::time::milliseconds;
use crate::error::{ERROR_ABANDONED_WAIT_0, ERROR_INVALID_HANDLE, WAIT_TIMEOUT};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Networking::WinSock::SOCKET;
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatusEx, OVERLAPPED, OVERLAPPED_ENTRY,
    PostQueuedCompletionStatus,
};

/// How many packets are taken at a time where the number is ours to choose.
pub(crate) const BATCH: usize = 64;
/// The most packets of one call: a caller that asks for all there are does not get memory for that many.
const BATCH_MAX: usize = 4096;
/// How long a closing socket waits for its cancelled operations at a closed port.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Queue {
    raw: usize,
    gate: Gate,
}

/// Where the operations of a connection end.
pub(crate) struct Association {
    pub(crate) queue: Arc<Queue>,
    pub(crate) key: usize,
}

/// What comes out of a queue. A packet without a block only wakes, and is not told.
pub(crate) struct Arrival {
    pub(crate) key: usize,
    pub(crate) bytes: u32,
    pub(crate) block: Block,
}

impl Queue {
    pub(crate) fn new(concurrency: u32) -> Result<Arc<Queue>> {
        // SAFETY: plain numbers; a port without a file.
        let raw =
            unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, std::ptr::null_mut(), 0, concurrency) };
        if raw.is_null() {
            return Err(last_system_error());
        }
        Ok(Arc::new(Queue { raw: raw as usize, gate: Gate::default() }))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is_shut()
    }

    pub(crate) fn associate(&self, socket: SOCKET, key: usize) -> Result<()> {
        let _inside = self.enter()?;
        // SAFETY: the caller keeps the socket open, and this value the port.
        let port = unsafe { CreateIoCompletionPort(socket as HANDLE, self.raw as HANDLE, key, 0) };
        if port.is_null() { Err(last_system_error()) } else { Ok(()) }
    }

    pub(crate) fn post(&self, bytes: u32, key: usize, token: usize) -> Result<()> {
        let _inside = self.enter()?;
        let block = leak_posted(token);
        self.post_raw(bytes, key, block).inspect_err(|_| {
            // SAFETY: it was leaked just now, and the system did not take it.
            drop(unsafe { take_back(block) });
        })
    }

    /// Posts an operation that has ended, or drops it when the port is closed.
    pub(crate) fn post_operation(&self, key: usize, block: Box<OperationBlock>) {
        let Ok(_inside) = self.enter() else { return };
        let bytes = block.head.overlapped.InternalHigh as u32;
        let block: *mut OVERLAPPED = Box::into_raw(block).cast();
        if self.post_raw(bytes, key, block).is_err() {
            // SAFETY: it was leaked just now, and the system did not take it.
            drop(unsafe { take_back(block) });
        }
    }

    /// Takes up to `max` packets and gives each to `each`; returns how many.
    pub(crate) fn take(
        &self,
        max: usize,
        timeout: Option<Duration>,
        alertable: bool,
        mut each: impl FnMut(Arrival),
    ) -> Result<usize> {
        let _inside = self.enter()?;
        // A time beyond what the clock can name is never.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut left = timeout;
        loop {
            let mut taken = 0;
            self.dequeue(max, milliseconds(left), alertable, |arrival| {
                taken += 1;
                each(arrival);
            })?;
            if taken > 0 {
                return Ok(taken);
            }
            // Only packets that concern nobody were there.
            if self.gate.is_shut() {
                return Err(ERROR_ABANDONED_WAIT_0);
            }
            left = until.map(|until| until.saturating_duration_since(Instant::now()));
        }
    }

    pub(crate) fn close(&self) -> Result<()> {
        if !self.gate.shut_behind() {
            return Err(ERROR_INVALID_HANDLE);
        }
        drop(Inside(self));
        Ok(())
    }

    fn enter(&self) -> Result<Inside<'_>> {
        if self.gate.enter() { Ok(Inside(self)) } else { Err(ERROR_INVALID_HANDLE) }
    }

    fn post_raw(&self, bytes: u32, key: usize, block: *mut OVERLAPPED) -> Result<()> {
        // SAFETY: the port is open as long as this value lives; the system hands the address through unread.
        check_system(unsafe { PostQueuedCompletionStatus(self.raw as HANDLE, bytes, key, block) })
    }

    /// Wakes one waiter, which wakes the next.
    fn wake(&self) {
        // If even this is refused (no memory), the waiter comes out with its next packet or its time-out.
        let _ = self.post_raw(0, 0, std::ptr::null_mut());
    }

    fn dequeue(
        &self,
        max: usize,
        timeout_ms: u32,
        alertable: bool,
        mut each: impl FnMut(Arrival),
    ) -> Result<()> {
        let mut few = [const { MaybeUninit::<OVERLAPPED_ENTRY>::uninit() }; BATCH];
        let mut many = Vec::new();
        let room: &mut [MaybeUninit<OVERLAPPED_ENTRY>] = match few.get_mut(..max) {
            Some(room) => room,
            None => {
                many.resize_with(max.min(BATCH_MAX), MaybeUninit::uninit);
                &mut many
            }
        };
        let (capacity, mut count) = (u32::try_from(room.len()).unwrap_or(u32::MAX), 0);
        // SAFETY: the port is open as long as this value lives; the room is ours and as long as the call is told.
        check_system(unsafe {
            GetQueuedCompletionStatusEx(
                self.raw as HANDLE,
                room.as_mut_ptr().cast(),
                capacity,
                &mut count,
                timeout_ms,
                i32::from(alertable),
            )
        })?;
        for entry in &room[..count as usize] {
            // SAFETY: the call filled as many as it said.
            let entry = unsafe { entry.assume_init_ref() };
            if entry.lpOverlapped.is_null() {
                continue;
            }
            // SAFETY: whatever comes out of this port was leaked by this crate, and a packet comes out once.
            match unsafe { take_back(entry.lpOverlapped) } {
                Block::Husk => {}
                block => {
                    each(Arrival {
                        key: entry.lpCompletionKey,
                        bytes: entry.dwNumberOfBytesTransferred,
                        block,
                    });
                }
            }
        }
        Ok(())
    }

    /// Drops what is in the queue.
    fn drain(&self) {
        while self.dequeue(BATCH, 0, false, drop).is_ok() {}
        // A packet meant for a waiter may have been among them.
        if self.gate.inside() > 0 {
            self.wake();
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.drain();
        // SAFETY: nobody can name this value any more, and with it the handle.
        unsafe { CloseHandle(self.raw as HANDLE) };
    }
}

/// Somebody uses the port; whoever leaves a closed one sees to the others.
struct Inside<'a>(&'a Queue);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let inside = self.0.gate.leave();
        if self.0.gate.is_shut() {
            if inside > 0 { self.0.wake() } else { self.0.drain() }
        }
    }
}

impl Association {
    /// When the port is closed nobody takes the packets of a socket that is closed too: takes them back until `done`.
    pub(crate) fn take_back_if_abandoned(&self, done: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while self.queue.is_closed() && !done() && Instant::now() < until {
            self.queue.drain();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

const _: () = assert!(WAIT_TIMEOUT == windows_sys::Win32::Foundation::WAIT_TIMEOUT as i32);
