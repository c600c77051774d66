//! The gates of a thread that is told once that somebody is there: who cannot be let in yet is not forgotten.
//!
//! FD_ACCEPT comes again only after an accept (NE-08). So one accept is made for each, or, when the server is full or
//! accepting rests, as soon as it can be made.

use crate::core::Core;
use crate::door::{AtDoor, Gate, Newcomer};
use crate::listener::Listener;
use crate::peer::ready::Selects;
use doorbell_winsock::event_select::NetEvents;
use doorbell_winsock::socket::{Socket, SocketId};
use doorbell_winsock::{Error, Result};
use std::sync::Arc;
use std::time::Instant;

pub(crate) struct Gates {
    core: Arc<Core>,
    gates: Vec<TellingGate>,
}

struct TellingGate {
    gate: Gate,
    /// FD_ACCEPT came, and was not answered by an accept.
    announced: bool,
    /// Who was accepted, but found no seat.
    waiting: Option<Newcomer>,
}

impl Gates {
    pub(crate) fn new(core: &Arc<Core>, listeners: Vec<Listener>) -> Gates {
        let gate = |listener| TellingGate { gate: Gate::new(listener), announced: false, waiting: None };
        Gates { core: core.clone(), gates: listeners.into_iter().map(gate).collect() }
    }

    /// Asks for FD_ACCEPT, which also makes the listening sockets non-blocking (MO-01).
    pub(crate) fn select(&self, selects: &dyn Selects) -> Result<()> {
        self.sockets().try_for_each(|socket| selects.select(socket, NetEvents::ACCEPT))
    }

    pub(crate) fn sockets(&self) -> impl Iterator<Item = &Socket> {
        self.gates.iter().map(|gate| &gate.gate.listener.socket)
    }

    /// FD_ACCEPT came for this listening socket.
    pub(crate) fn announced(&mut self, socket: SocketId) {
        for gate in self.gates.iter_mut().filter(|gate| gate.gate.listener.socket.id() == socket) {
            gate.announced = true;
        }
    }

    /// Lets in who was announced, as far as may be. `seat` finds a seat for each; where it finds none, accepting rests.
    pub(crate) fn let_in(
        &mut self,
        now: Instant,
        mut seat: impl FnMut(Newcomer) -> std::result::Result<(), (Newcomer, Error)>,
    ) {
        for gate in &mut self.gates {
            let Some(newcomer) = gate.next(&self.core, now) else { continue };
            if let Err((newcomer, error)) = seat(newcomer) {
                gate.gate.failed(&self.core, error, now);
                gate.waiting = Some(newcomer);
            }
        }
    }

    /// When to try again to let somebody in, if accepting rests.
    pub(crate) fn rest_until(&self, now: Instant) -> Option<Instant> {
        let wanted = self.gates.iter().filter(|gate| gate.announced || gate.waiting.is_some());
        wanted.filter_map(|gate| gate.gate.rests_until(&self.core, now)).min()
    }

    /// Nobody comes in any more.
    pub(crate) fn close(&mut self) {
        for gate in self.gates.drain(..) {
            let _ = gate.gate.listener.socket.close();
        }
    }
}

impl TellingGate {
    fn next(&mut self, core: &Arc<Core>, now: Instant) -> Option<Newcomer> {
        if self.waiting.is_some() {
            let rests = self.gate.rests_until(core, now).is_some();
            return if rests { None } else { self.waiting.take() };
        }
        if !self.announced {
            return None;
        }
        let at_door = self.gate.accept(core, now);
        self.announced = matches!(at_door, AtDoor::NotNow);
        if let AtDoor::Newcomer(newcomer) = at_door { Some(newcomer) } else { None }
    }
}
