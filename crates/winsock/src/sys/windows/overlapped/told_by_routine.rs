//! Operations that are told by a routine: Winsock's own routines where the call takes one; see `os::apc`.

use super::super::error::Result;
use super::super::os::apc::{forget, keep};
use super::super::os::block::Told;
use super::super::socket::Socket;
use super::{Answer, launch};
use crate::Completion;
use crate::error::WSAEINVAL;
use crate::overlapped::{OpId, Request, Routed};

impl Socket {
    pub(crate) fn start_with_routine(
        &self,
        request: Request,
        routine: Box<dyn FnOnce(Completion)>,
    ) -> std::result::Result<Routed, (i32, Request)> {
        let handle = self.handle();
        // Winsock refuses it too, but not where it takes no routine (CR-17).
        if handle.connection.association.get().is_some() {
            return Err((WSAEINVAL, request));
        }
        let operation = handle.next_operation();
        let (thread, number) = match keep(handle, operation, routine) {
            Ok(kept) => kept,
            Err(code) => return Err((code, request)),
        };
        let launched = launch(handle, operation, request, Told::Routine(thread.clone(), number))
            .inspect_err(|_| forget(number))?;
        match (launched.trigger, &launched.answer) {
            (Some(trigger), _) => {
                thread.expect_event(handle, launched.block);
                // SAFETY: the operation carries the tagged event, and its end sets it.
                unsafe { trigger.arm() };
            }
            // SAFETY: the kernel has ended the operation; see `launch`.
            (None, Answer::CutOff) => unsafe { thread.expect_winsock_or(number, launched.block) },
            (None, _) => thread.expect_winsock(number),
        }
        Ok(Routed { id: OpId(operation), at_once: matches!(launched.answer, Answer::AtOnce(_)) })
    }

    pub(crate) fn routine_result(&self, operation: OpId) -> Result<usize> {
        self.handle().routine_result(operation.0)
    }
}
