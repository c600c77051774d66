//! Workers that each own their clients and all look after the same listeners: who of them takes the next client in.
//!
//! Left alone, the worker that is awake most takes nearly all. So one that has clearly more clients than another
//! leaves the listeners to that one, and wakes it in case it had left them to others itself.

use crate::bell::{Bell, Wake};
use crate::core::Core;
use crate::wake::WakeSocket;
use doorbell_winsock::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many clients more are clearly more: enough that workers do not wake each other at every accept.
const CLEARLY_MORE: usize = 8;

/// What workers know of each other; each is named by its number.
pub(crate) struct Desks {
    desks: Vec<Desk>,
}

struct Desk {
    bell: Arc<Bell<WakeSocket>>,
    clients: AtomicUsize,
    accepts: AtomicBool,
}

impl Desks {
    pub(crate) fn new(core: &Arc<Core>, count: usize) -> Result<Desks> {
        let desk = |_| {
            let bell = Bell::new(core, WakeSocket::new()?);
            bell.ring_at_stop(core);
            bell.ring_at_room(core);
            Ok(Desk { bell, clients: AtomicUsize::new(0), accepts: AtomicBool::new(true) })
        };
        Ok(Desks { desks: (0..count).map(desk).collect::<Result<_>>()? })
    }

    pub(crate) fn bell(&self, mine: usize) -> &Arc<Bell<WakeSocket>> {
        &self.desks[mine].bell
    }

    /// Whether worker `mine`, which has so many clients, looks after the listeners in its next wait.
    pub(crate) fn accepts(&self, mine: usize, clients: usize) -> bool {
        let desk = &self.desks[mine];
        // Told before it is decided: of two that decide at the same time one sees the other's word, so that they cannot
        // both leave the listeners alone.
        desk.clients.store(clients, Ordering::SeqCst);
        desk.accepts.store(false, Ordering::SeqCst);
        let others = self.desks.iter().filter(|other| !std::ptr::eq(*other, desk));
        let emptiest = others.min_by_key(|other| other.clients.load(Ordering::SeqCst));
        match emptiest {
            Some(other) if clients > other.clients.load(Ordering::SeqCst) + CLEARLY_MORE => {
                if !other.accepts.load(Ordering::SeqCst) {
                    other.bell.wake.ring();
                }
                false
            }
            _ => {
                desk.accepts.store(true, Ordering::SeqCst);
                true
            }
        }
    }
}
