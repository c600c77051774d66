//! Where the network events of a connection go: an event object or a window, which must stay as long as the system
//! may use it.
//!
//! The system keeps a selection by the socket, whatever handle it was made with, and hands it on to accepted sockets. It
//! names a window by a value that may be given to another one, and a socket in a message by a handle of which the same
//! holds. So a selection ends before the handle is closed with which it was made, and before its window is destroyed.

use super::super::error::{Result, check, last_error};
use super::address::Address;
use super::event::EventObject;
use super::handle::{Handle, lock};
use super::window::WindowObject;
use crate::event_select::NetEvents;
use crate::socket::Kind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use windows_sys::Win32::Networking::WinSock as ws;

#[derive(Clone)]
pub(crate) enum Selection {
    Event { event: Arc<EventObject>, mask: NetEvents },
    Window { window: Arc<WindowObject>, id: u32, mask: NetEvents, registered: Registered },
}

/// The handle that messages name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) raw: ws::SOCKET,
    pub(crate) socket: u64,
}

impl Handle {
    /// Replaces the selection; none leaves the socket non-blocking (MO-03).
    pub(crate) fn select(self: &Arc<Handle>, wanted: Option<Selection>) -> Result<()> {
        let pass = self.enter()?;
        // Held across the call, so that what is noted is what the system has.
        let mut selection = lock(&self.connection.selection);
        match &wanted {
            None => end(pass.raw())?,
            Some(Selection::Event { event, mask }) => {
                let (event, mask) = (event.open()?, i32::from(mask.bits()));
                // SAFETY: the selection keeps the event's handle open.
                check(unsafe { ws::WSAEventSelect(pass.raw(), event as isize, mask) })?;
            }
            Some(Selection::Window { window, id, mask, .. }) => window.register(self, |hwnd| {
                // SAFETY: plain numbers; the window is there as long as its state is locked, as it is now.
                check(unsafe { ws::WSAAsyncSelect(pass.raw(), hwnd, *id, i32::from(mask.bits())) })
            })?,
        }
        let before = std::mem::replace(&mut *selection, wanted);
        if let Some(Selection::Window { window, registered, .. }) = before {
            let stays = matches!(&*selection, Some(Selection::Window { window: now, registered: by, .. })
                if Arc::ptr_eq(now, &window) && *by == registered);
            if !stays {
                window.retire(registered);
            }
        }
        Ok(())
    }

    /// Takes a connection, which has the listener's selection from the first moment (IN-01, AS-08).
    pub(crate) fn accept(&self, from: &mut Address) -> Result<Arc<Handle>> {
        let selection = lock(&self.connection.selection);
        let Some(inherited) = &*selection else {
            // It may block.
            drop(selection);
            let accepted = self.accept_raw(from)?;
            // Selected meanwhile: whether the new socket has it already cannot be known.
            let wanted = lock(&self.connection.selection).as_ref().map(|wanted| wanted.by(&accepted));
            if wanted.is_some() {
                let _ = accepted.select(wanted);
            }
            return Ok(accepted);
        };
        let accepted = match inherited {
            Selection::Event { .. } => self.accept_raw(from)?,
            Selection::Window { window, .. } => window.inherit(|| self.accept_raw(from))?,
        };
        *lock(&accepted.connection.selection) = Some(inherited.by(&accepted));
        if let Selection::Window { window, .. } = inherited {
            // One that is going just now may not have seen this socket.
            if window.exists().is_err() {
                accepted.leave(window);
            }
        }
        Ok(accepted)
    }

    fn accept_raw(&self, from: &mut Address) -> Result<Arc<Handle>> {
        // SAFETY: the room for the address and its length live across the call.
        let raw = self.with(|raw| match unsafe { ws::accept(raw, from.room(), from.len()) } {
            ws::INVALID_SOCKET => Err(last_error()),
            accepted => Ok(accepted),
        })?;
        let accepted = Handle::adopt(raw, self.connection.family, Kind::Stream)?;
        accepted.connection.bound.store(true, Ordering::Release);
        accepted.connection.connected.store(true, Ordering::Release);
        Ok(accepted)
    }

    /// Ends the selection that the closing of this handle would leave without its handle, or without any. What comes back
    /// is to be dropped when the handle is closed.
    pub(crate) fn deselect(&self, own: Registered, last: bool) -> Option<Selection> {
        let mut selection = lock(&self.connection.selection);
        if let Some(Selection::Window { window, registered, .. }) = &*selection {
            if *registered == own {
                let _ = end(own.raw);
                window.retire(own);
                return selection.take();
            }
        }
        if last { selection.take() } else { None }
    }

    /// Ends the selection if it is one with this window, which is about to go.
    pub(crate) fn leave(&self, window: &Arc<WindowObject>) {
        let Ok(pass) = self.enter() else { return };
        let mut selection = lock(&self.connection.selection);
        if matches!(&*selection, Some(Selection::Window { window: now, .. }) if Arc::ptr_eq(now, window)) {
            let _ = end(pass.raw());
            *selection = None;
        }
    }
}

impl Selection {
    pub(crate) fn window(window: &Arc<WindowObject>, handle: &Handle, id: u32, mask: NetEvents) -> Selection {
        Selection::Window { window: window.clone(), id, mask, registered: handle.registered() }
    }

    /// The same for an accepted socket, whose messages name itself.
    fn by(&self, accepted: &Handle) -> Selection {
        match self {
            Selection::Event { event, mask } => Selection::Event { event: event.clone(), mask: *mask },
            Selection::Window { window, id, mask, .. } => Selection::window(window, accepted, *id, *mask),
        }
    }
}

/// Ends the selection of either kind.
fn end(raw: ws::SOCKET) -> Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { ws::WSAEventSelect(raw, 0, 0) })
}
