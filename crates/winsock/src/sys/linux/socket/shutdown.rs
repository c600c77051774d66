//! Shutting a connection down.
//!
//! The kernel's call comes last: behind the plain sends in progress, which it would cut short, and behind the overlapped
//! ones (SD-06). Receiving is shut in the record alone.

use super::super::error::{Result, wsa};
use super::super::overlapped;
use super::Socket;
use super::core::{Core, InUse};
use crate::error::WSAECONNRESET;
use crate::semantics::connection::Connection;
use crate::socket::{Kind, Shutdown};
use rustix::io::Errno;
use rustix::net;
use std::sync::atomic::Ordering::SeqCst;

impl Socket {
    pub(crate) fn shutdown(&self, how: Shutdown) -> Result<()> {
        let core = self.core()?;
        let call = core.enter()?;
        core.settle();
        core.ask(|connection| connection.may_shutdown())?;
        let send_before = core.ask(|connection| connection.is_shut(Shutdown::Send));
        core.update(|connection| connection.shut(how));
        // Receiving is shut here alone: the kernel's call would end receives that are pending (SD-04).
        let sends = how != Shutdown::Receive && !send_before && core.kind == Kind::Stream;
        if sends {
            core.end_follows.store(true, SeqCst);
            core.end_behind_sends(&call)?;
        }
        Ok(())
    }
}

impl Core {
    /// Sends the end of the stream behind the sends that were queued before it (SD-06).
    pub(crate) fn send_the_end(&self) {
        if let Ok(call) = self.enter() {
            // A connection that broke meanwhile has no end to send.
            let _ = self.finish_sending(&call);
        }
    }

    /// Sends the end of the stream if it was asked for and nobody sends any more (SD-06).
    pub(super) fn end_behind_sends(&self, call: &InUse<'_>) -> Result<()> {
        let due = self.senders.load(SeqCst) == 0 && self.end_follows.swap(false, SeqCst);
        if due && !overlapped::shutdown_send(self) { self.finish_sending(call) } else { Ok(()) }
    }

    fn finish_sending(&self, call: &InUse<'_>) -> Result<()> {
        match net::shutdown(call.fd()?, net::Shutdown::Write) {
            Ok(()) => Ok(()),
            // What is written down as connected and is not was reset.
            Err(Errno::NOTCONN) => match self.ask(Connection::socket_error) {
                0 => Err(self.note_failure(WSAECONNRESET)),
                code => Err(code),
            },
            Err(errno) => Err(wsa(errno)),
        }
    }
}

/// A plain send in progress: the end of the stream that a shutdown asks for meanwhile follows it.
pub(super) struct Sending<'a> {
    core: &'a Core,
    call: &'a InUse<'a>,
}

impl<'a> Sending<'a> {
    pub(super) fn begin(core: &'a Core, call: &'a InUse<'a>) -> Sending<'a> {
        core.senders.fetch_add(1, SeqCst);
        Sending { core, call }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.core.senders.fetch_sub(1, SeqCst);
        // A connection that broke meanwhile has no end to send.
        let _ = self.core.end_behind_sends(self.call);
    }
}
