//! A flat: clients that one thread alone serves, and the instants that they wait for.
//!
//! All its operations are started by that thread, and end there (OV-15, CR-02). What its model is told of a client, by an
//! event or a routine or from another thread, it tells here.

use crate::client::{Client, Notice};
use crate::core::{Core, Phase};
use crate::door::Place;
use crate::instants::Instants;
use crate::peer::done::{Arrival, Carrier, Peer};
use doorbell_service::Reach;
use doorbell_winsock::event_select::Event;
use doorbell_winsock::overlapped::ToEvent;
use doorbell_winsock::socket::{Family, Flags, Kind};
use doorbell_winsock::{Result, Socket};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct Flat<C> {
    core: Arc<Core>,
    /// By the number that handles know them by.
    clients: HashMap<u64, Client<C>>,
    instants: Instants<u64>,
    /// Who was cut short, and goes on after others have had their turns.
    going_on: Vec<u64>,
    phase: Phase,
}

impl<C: Carrier> Flat<C> {
    pub(crate) fn new(core: &Arc<Core>) -> Flat<C> {
        Flat {
            core: core.clone(),
            clients: HashMap::new(),
            instants: Instants::new(),
            going_on: Vec::new(),
            phase: Phase::Serving,
        }
    }

    /// Somebody comes in, who is told of under this number.
    pub(crate) fn take_in(
        &mut self,
        number: u64,
        (arrival, place): (Arrival, Place),
        means: (C, Arc<dyn Reach>),
        now: Instant,
    ) {
        // When the connection has failed already there is nobody to talk to.
        if let Ok(peer) = Peer::open(&self.core, place, arrival, number, means, now) {
            self.clients.insert(number, Client::new(peer));
            self.end_turn(number);
        }
    }

    /// Tells a client something, if it is still there.
    pub(crate) fn tell(&mut self, number: u64, notice: Notice, now: Instant) {
        if let Some(client) = self.clients.get_mut(&number) {
            client.hear(notice, now);
            self.end_turn(number);
        }
    }

    /// Tells of time to those whose instants have come.
    pub(crate) fn ring(&mut self, now: Instant) {
        while let Some(number) = self.instants.pop_due(now) {
            self.tell(number, Notice::Time, now);
        }
    }

    /// Lets those go on who were cut short.
    pub(crate) fn go_on(&mut self, now: Instant) {
        for number in std::mem::take(&mut self.going_on) {
            self.tell(number, Notice::GoOn, now);
        }
    }

    /// Whether somebody was cut short.
    pub(crate) fn goes_on(&self) -> bool {
        !self.going_on.is_empty()
    }

    /// For how long the thread may wait, unless something happens: until an instant comes, and not if somebody goes on.
    pub(crate) fn timeout(&self, now: Instant) -> Option<Duration> {
        if self.goes_on() {
            return Some(Duration::ZERO);
        }
        self.instants.next().map(|at| at.saturating_duration_since(now))
    }

    /// Tells everybody how far the server has moved towards its end, if it has.
    pub(crate) fn follow_phase(&mut self, now: Instant) {
        let phase = self.core.phase();
        if phase != std::mem::replace(&mut self.phase, phase) {
            let numbers: Vec<_> = self.clients.keys().copied().collect();
            numbers.into_iter().for_each(|number| self.tell(number, Notice::Phase, now));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        self.clients.contains_key(&number)
    }

    fn end_turn(&mut self, number: u64) {
        let Flat { clients, instants, going_on, .. } = self;
        let Some(client) = clients.get_mut(&number) else { return };
        let go_on = || {
            going_on.push(number);
            true
        };
        if !client.end_turn(go_on, |at| instants.push(at, number)) {
            clients.remove(&number);
        }
    }
}

/// Has the system give the calling thread what its operations need, before any client depends on it: with an operation of a
/// socket that is nobody's.
pub(crate) fn prepare_thread() -> Result<()> {
    let (nobody, event) = (Socket::new(Family::V4, Kind::Datagram)?, Event::new()?);
    nobody.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let started = nobody.recv_overlapped(vec![0], Flags::NONE, ToEvent(&event));
    let operation = started.map_err(|refused| refused.error)?;
    nobody.cancel(Some(operation.id()))?;
    operation.take();
    nobody.close()
}
