//! A house: the clients of one thread that is told network events: whose socket it is, and when each wants to be called.
//!
//! What a message costs does not grow with the clients who say nothing: one is found by its socket, and only who had a turn
//! is asked when it wants to be called next.

use crate::core::{Core, Phase};
use crate::door::Newcomer;
use crate::instants::Instants;
use crate::peer::LEGS;
use crate::peer::notified::Notified;
use crate::peer::ready::Selects;
use doorbell_service::{Leg, Reach};
use doorbell_winsock::event_select::NetEvents;
use doorbell_winsock::socket::{Socket, SocketId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// One receive buffer for all clients of a thread: what is received is handled before the next one is looked at.
const BUFFER_BYTES: usize = 64 * 1024;

pub(crate) struct House {
    core: Arc<Core>,
    /// Each under its number.
    clients: HashMap<u64, Client>,
    sockets: HashMap<SocketId, (u64, Leg)>,
    instants: Instants<u64>,
    phase: Phase,
    buffer: Box<[u8]>,
}

struct Client {
    peer: Notified,
    /// The sockets that it is found by.
    sockets: [Option<SocketId>; 2],
    /// The earliest instant at which it will be called.
    called_at: Option<Instant>,
}

impl House {
    pub(crate) fn new(core: &Arc<Core>) -> House {
        House {
            core: core.clone(),
            clients: HashMap::new(),
            sockets: HashMap::new(),
            instants: Instants::new(),
            phase: Phase::Serving,
            buffer: vec![0; BUFFER_BYTES].into(),
        }
    }

    /// Opens a newcomer's conversation, and returns its number. `None`: it is over already.
    pub(crate) fn open(
        &mut self,
        newcomer: Newcomer,
        reach: Arc<dyn Reach>,
        selects: Arc<dyn Selects>,
        now: Instant,
    ) -> Option<u64> {
        let peer = Notified::open(&self.core, newcomer, reach, selects, now)?;
        let number = peer.number();
        self.clients.insert(number, Client { peer, sockets: [None; 2], called_at: None });
        self.end_turn(number);
        Some(number)
    }

    /// The sockets of a client, if it is still there.
    pub(crate) fn sockets(&self, number: u64) -> impl Iterator<Item = &Socket> {
        let client = self.clients.get(&number);
        client.into_iter().flat_map(|client| LEGS.into_iter().filter_map(|leg| client.peer.socket(leg)))
    }

    /// Network events of a socket were told; `code` is that of FD_CONNECT. It may be closed by now, and then nobody hears of
    /// it (AS-07).
    pub(crate) fn told(&mut self, socket: SocketId, events: NetEvents, code: i32, now: Instant) {
        if let Some(&(number, leg)) = self.sockets.get(&socket) {
            self.turn(number, |peer, buffer| peer.told(leg, events, code, buffer, now));
        }
    }

    /// Somebody has posted to these.
    pub(crate) fn posted(&mut self, numbers: Vec<u64>, now: Instant) {
        for number in numbers {
            self.turn(number, |peer, buffer| peer.posted(buffer, now));
        }
    }

    /// Calls those who want to be called by now; all of them, when the server has begun to stop or to end at once.
    pub(crate) fn call(&mut self, now: Instant) {
        let phase = self.core.phase();
        if phase != std::mem::replace(&mut self.phase, phase) {
            for number in self.clients.keys().copied().collect::<Vec<_>>() {
                self.turn(number, |peer, buffer| peer.follow_phase(buffer, now));
            }
        }
        // First all who are due: one who goes on is due again at once, and has its next turn after the others'.
        let due: Vec<u64> = std::iter::from_fn(|| self.instants.pop_due(now)).collect();
        for number in due {
            if let Some(client) = self.clients.get_mut(&number) {
                client.called_at = client.called_at.filter(|at| *at > now);
            }
            self.turn(number, |peer, buffer| peer.on_time(buffer, now));
        }
    }

    /// When to [`call`](House::call) next.
    pub(crate) fn next_call(&self) -> Option<Instant> {
        self.instants.next()
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether this one has not gone yet.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.clients.contains_key(&number)
    }

    fn turn(&mut self, number: u64, turn: impl FnOnce(&mut Notified, &mut [u8])) {
        if let Some(client) = self.clients.get_mut(&number) {
            turn(&mut client.peer, &mut self.buffer);
            self.end_turn(number);
        }
    }

    fn end_turn(&mut self, number: u64) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        for leg in LEGS {
            let socket = client.peer.socket(leg).map(Socket::id);
            let before = std::mem::replace(&mut client.sockets[leg as usize], socket);
            if before != socket {
                before.map(|socket| self.sockets.remove(&socket));
                socket.map(|socket| self.sockets.insert(socket, (number, leg)));
            }
        }
        if client.peer.is_over() {
            self.clients.remove(&number);
        } else if let Some(deadline) = client.peer.deadline() {
            if client.called_at.is_none_or(|at| deadline < at) {
                client.called_at = Some(deadline);
                self.instants.push(deadline, number);
            }
        }
    }
}
