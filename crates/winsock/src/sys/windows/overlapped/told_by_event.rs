//! Operations that are told by an event. The name of the operation owns its block, once the kernel is done with it.

use super::super::error::Result;
use super::super::os::block::{OperationBlock, Told, ended, finish_connect, result, take_back};
use super::super::os::event::EventObject;
use super::super::os::handle::Handle;
use super::super::os::orphans;
use super::super::socket::Socket;
use super::{Answer, launch};
use crate::overlapped::{Completion, OpId, Operation, Request};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use windows_sys::Win32::Foundation::WAIT_TIMEOUT;
use windows_sys::Win32::System::Threading::WaitForSingleObject;

/// How often a wait looks by itself: the event may be unset by others, or set by them.
const LOOK_MS: u32 = 10;

impl Socket {
    pub(crate) fn start_with_event(
        &self,
        request: Request,
        event: &super::super::event_select::Event,
    ) -> std::result::Result<Op, (i32, Request)> {
        let event = event.object().clone();
        if let Err(code) = event.open() {
            return Err((code, request));
        }
        let handle = self.handle().clone();
        let operation = request.work.operation();
        let id = handle.next_operation();
        let launched = launch(&handle, id, request, Told::Event(event.clone()))?;
        if let Answer::CutOff = launched.answer {
            event.set_by_operation();
        }
        let at_once = matches!(launched.answer, Answer::AtOnce(_));
        Ok(Op { block: launched.block, id: OpId(id), at_once, operation, event, handle })
    }
}

/// An operation that is told by an event. Its drop, while it is pending, cancels it.
pub(crate) struct Op {
    /// Leaked; null when it was taken.
    block: *mut OperationBlock,
    id: OpId,
    at_once: bool,
    operation: Operation,
    event: Arc<EventObject>,
    handle: Arc<Handle>,
}

// SAFETY: the block may cross threads, as those of a port do; shared, it is only looked at, and the kernel's own writes to
// it are atomic.
unsafe impl Send for Op {}
// SAFETY: as above.
unsafe impl Sync for Op {}

impl Op {
    pub(crate) fn id(&self) -> OpId {
        self.id
    }

    pub(crate) fn at_once(&self) -> bool {
        self.at_once
    }

    pub(crate) fn result(&self) -> Result<usize> {
        // SAFETY: the block is there until it is taken, which ends this value.
        let result = unsafe { result(self.block.cast()) };
        let connected = &self.handle.connection.connected;
        // Whoever was told may use the socket without having taken the rest.
        if self.operation == Operation::Connect && result.is_ok() && !connected.load(Ordering::Acquire) {
            finish_connect(&self.handle);
        }
        result
    }

    pub(crate) fn wait(&self) -> Result<usize> {
        while !self.ended() {
            // SAFETY: this value keeps the event's handle open.
            let outcome = unsafe { WaitForSingleObject(self.event.raw(), LOOK_MS) };
            // Set by somebody else, or by another operation of the same event.
            if outcome != WAIT_TIMEOUT && !self.ended() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.result()
    }

    pub(crate) fn try_take(mut self) -> std::result::Result<Completion, Op> {
        if !self.ended() {
            return Err(self);
        }
        let block = std::mem::replace(&mut self.block, std::ptr::null_mut());
        let key = self.handle.connection.association.get().map_or(0, |association| association.key);
        // SAFETY: the kernel is done with it, and nobody else has it.
        Ok(unsafe { Box::from_raw(block) }.complete(key))
    }

    fn ended(&self) -> bool {
        // SAFETY: the block is there until it is taken, which ends this value.
        unsafe { ended(self.block) }
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        if self.block.is_null() {
            return;
        }
        if !self.ended() {
            // Refused when it has ended just now, or its socket is closed, which cancels too.
            let _ = self.handle.cancel_operations(Some(self.id.0));
        }
        // SAFETY: the block is this value's, which ends.
        unsafe {
            if self.ended() {
                drop(take_back(self.block.cast()));
            } else {
                orphans::leave(self.block);
            }
        }
    }
}
