//! The record of one socket with what surrounds it: the set that brings its edges, and whom it tells.

use super::super::async_select::Window;
use super::super::engine::domain::Domain;
use super::super::engine::registry::{self, Token};
use super::super::error::Result;
use super::super::socket::{Core, InUse};
use super::edge::Edge;
use crate::async_select::Message;
use crate::error::WSAENOBUFS;
use crate::event_select::Event;
use crate::semantics::network_events::Record;
use crate::socket::SocketId;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// No thread has this number: it stands for whatever may have consumed.
pub(super) const SOMEBODY: u64 = 0;

#[derive(Default)]
pub(super) struct Selected {
    pub(super) record: Record,
    pub(super) target: Target,
    /// Where edges come from, while something is selected.
    pub(super) domain: Option<Arc<Domain>>,
    pub(super) token: Option<Token>,
    /// The set tells of room to send as well.
    pub(super) writer: bool,
    /// Who made the last call that consumed, or [`SOMEBODY`]. An edge that another thread brings may be older than that call.
    pub(super) consumer: Option<u64>,
}

/// Whom the record tells.
#[derive(Clone, Default)]
pub(in crate::sys::linux) enum Target {
    #[default]
    Nobody,
    Event(Event),
    Window {
        window: Window,
        id: u32,
        socket: SocketId,
    },
}

impl Selected {
    /// Registers the descriptor in this set, and nowhere else.
    pub(super) fn settle(
        &mut self,
        core: &Arc<Core>,
        fd: BorrowedFd<'_>,
        domain: Option<Arc<Domain>>,
    ) -> Result<()> {
        if self.domain.as_ref().map(Arc::as_ptr) == domain.as_ref().map(Arc::as_ptr) {
            self.want_room(fd);
            return Ok(());
        }
        if let Some(old) = self.domain.take() {
            old.remove(fd);
        }
        let Some(domain) = domain else { return Ok(()) };
        let token = match self.token {
            Some(token) => token,
            None => registry::insert(core).ok_or(WSAENOBUFS)?,
        };
        self.token = Some(token);
        self.writer = self.record.wants_room();
        domain.add_selected(fd, token, self.writer)?;
        domain.note_pending();
        self.domain = Some(domain);
        Ok(())
    }

    /// After a change of the record: asks the system, if something could come of it, and tells.
    pub(super) fn go_on(&mut self, core: &Core, call: &InUse<'_>, ask: bool) {
        let (true, Some(fd)) = (self.domain.is_some(), call.current_fd()) else { return };
        if ask && self.record.is_open() {
            self.look(core, fd);
        }
        self.want_room(fd);
        self.tell();
    }

    pub(super) fn look(&mut self, core: &Core, fd: BorrowedFd<'_>) {
        if self.record.is_open() {
            self.observe(core, fd, Edge::look(core, fd));
        }
    }

    pub(super) fn observe(&mut self, core: &Core, fd: BorrowedFd<'_>, edge: Edge) {
        let (phase, seen) = edge.seen(core, fd);
        // Whoever learned how the connect ended has yet to say so here, and an edge of the connection must not come before it
        // (AS-09).
        if let Some(code) = core.connect_outcome() {
            self.record.connect_ended(code);
        }
        self.record.observe(core.kind, phase, seen);
    }

    /// Asks the set to tell of room, once a socket: told from the start, it would wake a thread for every connection.
    pub(super) fn want_room(&mut self, fd: BorrowedFd<'_>) {
        if let (Some(domain), Some(token), false) = (&self.domain, self.token, self.writer) {
            if self.record.wants_room() {
                domain.add_selected_writer(fd, token);
                self.writer = true;
            }
        }
    }

    pub(super) fn is_for_event(&self) -> bool {
        matches!(self.target, Target::Event(_))
    }

    pub(super) fn tell(&mut self) {
        match &self.target {
            Target::Nobody => {}
            Target::Event(event) => {
                if self.record.news() {
                    // A closed event has nobody to tell.
                    let _ = event.sys.set();
                }
            }
            Target::Window { window, id, socket } => {
                while let Some((event, error)) = self.record.next() {
                    window.tell(Message::Socket { id: *id, socket: *socket, event, error });
                }
            }
        }
    }
}
