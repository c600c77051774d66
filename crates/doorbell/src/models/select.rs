#![doc = include_str!("select.md")]

use super::{Built, StandsOn};
use crate::core::{Core, Phase};
use crate::desks::Desks;
use crate::door::{AtDoor, Gate, Place};
use crate::listener::Listener;
use crate::peer::ready::{Manner, Peer};
use crate::sets::Sets;
use crate::threads::Threads;
use doorbell_winsock::{Error, host};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const BUILT: Built = Built { page: include_str!("select.md"), stands_on: StandsOn::Calls, launch };

/// One receive buffer for all clients of a worker: what is received is handled before the next one is looked at.
const BUFFER_BYTES: usize = 64 * 1024;

/// How many clients a worker takes in from a listener before it serves those it has.
const ACCEPTS_A_TURN: usize = 32;

fn launch(core: &Arc<Core>, listeners: Vec<Listener>, threads: &Threads) -> Result<(), Error> {
    // 1. The listening sockets do not block: two workers may be told of one client, and one of them finds nobody.
    for listener in &listeners {
        listener.socket.set_nonblocking(true)?;
    }
    // 2. The workers, each with a datagram socket in its read set by which others wake it.
    let count = core.settings.threads.unwrap_or_else(host::processors);
    let desks = Arc::new(Desks::new(core, count)?);
    for desk in 0..count {
        let worker = Worker {
            core: core.clone(),
            desks: desks.clone(),
            desk,
            gates: listeners.iter().cloned().map(Gate::new).collect(),
            clients: Vec::new(),
            phase: Phase::Serving,
            buffer: vec![0; BUFFER_BYTES].into(),
            sets: Sets::default(),
        };
        threads.spawn("select", move || worker.run())?;
    }
    Ok(())
}

struct Worker {
    core: Arc<Core>,
    desks: Arc<Desks>,
    /// Its number among the desks.
    desk: usize,
    gates: Vec<Gate>,
    /// The array.
    clients: Vec<Peer>,
    phase: Phase,
    buffer: Box<[u8]>,
    sets: Sets,
}

impl Worker {
    fn run(mut self) -> Result<(), Error> {
        loop {
            // 3. Fill the sets from the array: who wants to receive, who has something to send.
            let timeout = self.fill_sets(Instant::now());
            // 4. Wait. The call walks the array, and leaves those in the sets that are ready.
            self.sets.select(timeout)?;
            // 5. Walk the array again and serve those that are ready.
            self.serve(Instant::now());
            // 6. When it is to stop, the worker ends with its last client.
            if self.phase > Phase::Serving && self.clients.is_empty() {
                return Ok(());
            }
        }
    }

    /// Returns for how long to wait at most: until the first time-out of a client, or the end of a gate's rest.
    fn fill_sets(&mut self, now: Instant) -> Option<Duration> {
        let mut deadlines: Option<Instant> = None;
        let mut by = |at: Option<Instant>| deadlines = deadlines.into_iter().chain(at).min();

        self.sets.clear();
        self.sets.read.insert(self.desks.bell(self.desk).wake.socket());
        if Place::is_free(&self.core) && self.desks.accepts(self.desk, self.clients.len()) {
            for gate in &self.gates {
                match gate.rests_until(&self.core, now) {
                    None => self.sets.read.insert(&gate.listener.socket),
                    until => by(until),
                }
            }
        }
        for client in &self.clients {
            by(client.deadline());
            self.sets.insert(client);
        }
        deadlines.map(|at| at.saturating_duration_since(now))
    }

    fn serve(&mut self, now: Instant) {
        let mut ready = self.sets.ready();

        // 5a. Woken by another thread: for a message to a client, for room at the door, or to stop.
        let bell = self.desks.bell(self.desk);
        let mut posted = Vec::new();
        if ready.may_read(bell.wake.socket()) {
            posted = bell.answer();
        }
        let phase = self.core.phase();
        let moved_on = phase != std::mem::replace(&mut self.phase, phase);

        // 5b. A listener is ready: its clients join the array below, when the walk is over.
        let due: Vec<bool> = self.gates.iter().map(|gate| ready.may_read(&gate.listener.socket)).collect();

        // 5c. The clients, in the order in which they stand in the sets. Whoever is over leaves the array.
        self.clients.retain_mut(|client| {
            ready.serve(client, &mut self.buffer, now);
            if posted.binary_search(&client.number()).is_ok() {
                client.posted(now);
            }
            if client.deadline().is_some_and(|deadline| deadline <= now) {
                client.on_time(now);
            }
            if moved_on {
                client.follow_phase(now);
            }
            !client.is_over()
        });

        // 5d. Take the new clients in, or nobody any more.
        if phase > Phase::Serving {
            self.gates.clear();
        }
        for index in (0..self.gates.len()).filter(|&index| due[index]) {
            self.accept(index, now);
        }
    }

    fn accept(&mut self, gate: usize, now: Instant) {
        for _ in 0..ACCEPTS_A_TURN {
            let AtDoor::Newcomer(newcomer) = self.gates[gate].accept(&self.core, now) else { return };
            let bell = self.desks.bell(self.desk).clone();
            // It has the listener's mode, so it does not block.
            if let Some(client) = Peer::open(&self.core, newcomer, bell, Manner::Asked, now) {
                self.clients.push(client);
            }
        }
    }
}
