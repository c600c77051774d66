//! The gates of a thread that is told once that somebody is there: who cannot be let in yet is not forgotten.
//!
//! FD_ACCEPT comes again only after an accept (NE-08). So one accept is made for each, or, when the server is full or
//! accepting rests, as soon as it can be made.

use crate::core::Core;
use crate::door::{AtDoor, Gate, Newcomer, Place};
use crate::listener::Listener;
use crate::peer::ready::Selects;
use doorbell_winsock::event_select::NetEvents;
use doorbell_winsock::socket::{Socket, SocketId};
use doorbell_winsock::{Error, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after an FD_ACCEPT that found nobody to look again. Windows and Linux tell of the next client; under Wine it was
/// seen that nothing more came before an accept succeeded.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub(crate) struct Gates {
    core: Arc<Core>,
    gates: Vec<TellingGate>,
}

struct TellingGate {
    gate: Gate,
    /// FD_ACCEPT came, and was not answered by an accept.
    announced: bool,
    /// It came, and nobody was there: when to look again.
    doubtful: Option<Instant>,
    /// Who was accepted, but found no seat.
    waiting: Option<Newcomer>,
}

impl Gates {
    pub(crate) fn new(core: &Arc<Core>, listeners: Vec<Listener>) -> Gates {
        let gate = |listener| TellingGate {
            gate: Gate::new(listener),
            announced: false,
            doubtful: None,
            waiting: None,
        };
        Gates { core: core.clone(), gates: listeners.into_iter().map(gate).collect() }
    }

    /// Asks for FD_ACCEPT, and for what accepted sockets are to have from the first moment (AS-08). It makes all of them
    /// non-blocking (MO-01).
    pub(crate) fn select(&self, selects: &dyn Selects, of_accepted: NetEvents) -> Result<()> {
        self.sockets().try_for_each(|socket| selects.select(socket, NetEvents::ACCEPT | of_accepted))
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

    /// When to [let in](Gates::let_in) next, if nothing comes: at the end of a rest, or at once when somebody who was
    /// announced could come in now; some time after nobody was there who was announced. At a full door there is no such time; it rings.
    pub(crate) fn next_try(&self, now: Instant) -> Option<Instant> {
        self.gates.iter().filter_map(|gate| gate.next_try(&self.core, now)).min()
    }

    /// Nobody comes in any more.
    pub(crate) fn close(&mut self) {
        for gate in self.gates.drain(..) {
            let _ = gate.gate.listener.socket.close();
        }
    }
}

impl TellingGate {
    fn next_try(&self, core: &Core, now: Instant) -> Option<Instant> {
        let at = self.gate.rests_until(core, now).unwrap_or(now);
        if self.waiting.is_some() || self.announced && Place::is_free(core) {
            return Some(at);
        }
        self.doubtful.map(|again| again.max(at)).filter(|_| Place::is_free(core))
    }

    fn next(&mut self, core: &Arc<Core>, now: Instant) -> Option<Newcomer> {
        if self.waiting.is_some() {
            let rests = self.gate.rests_until(core, now).is_some();
            return if rests { None } else { self.waiting.take() };
        }
        if !self.announced && self.doubtful.is_none_or(|again| now < again) {
            return None;
        }
        let at_door = self.gate.accept(core, now);
        self.announced = matches!(at_door, AtDoor::NotNow);
        self.doubtful = matches!(at_door, AtDoor::Nobody).then(|| now + LOOK_AGAIN);
        if let AtDoor::Newcomer(newcomer) = at_door { Some(newcomer) } else { None }
    }
}
