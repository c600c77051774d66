//! A thread of the generator: waits for its connections, and does for each what its event calls for.

use super::connection::{Connection, Role};
use super::desk::Desk;
use super::draw::Draw;
use super::orders::Orders;
use super::pattern::{PIECE_MAX, Pattern};
use super::record::Record;
use super::schedule::Schedule;
use super::{Kind, Load, LoadError};
use doorbell_winsock::host;
use doorbell_winsock::startup::{self, Backend};
use mio::{Events, Poll};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a wait lasts at most, so that orders are seen.
const TURN: Duration = Duration::from_millis(10);

/// Connects under way at a time, of all threads: at first, and as many as the shortest queues in use hold.
const OPENING_FIRST: usize = 16;
const OPENING_MAX: usize = 128;

/// A connect that takes so long was lost: systems repeat it after a second or more.
const LOST_NS: u64 = 900_000_000;

/// Events taken at a time.
const EVENTS_MAX: usize = 1024;

/// How often slow readers have their moment.
const SLOW_NS: u64 = 20_000_000;

/// Which of the threads one is.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) thread: usize,
    pub(super) threads: usize,
}

pub(super) struct Worker<'a> {
    part: Part,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    desk: Desk<'a>,
    slow: bool,
    sweep_ns: u64,
    slow_ns: u64,
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        target: SocketAddr,
        load: &'a Load,
        orders: &'a Orders,
        pattern: &'a Pattern,
        part: Part,
    ) -> Result<Worker<'a>, LoadError> {
        let (poll, registry) = Poll::new()
            .and_then(|poll| poll.registry().try_clone().map(|registry| (poll, registry)))
            .map_err(|error| {
                LoadError::Generator(format!("the load generator has nothing to wait with: {error}"))
            })?;
        let desk = Desk {
            target,
            load,
            orders,
            pattern,
            registry,
            receive: vec![0; PIECE_MAX].into(),
            scratch: Vec::new(),
            short_read_is_all: startup::backend() != Backend::Winsock,
            record: Record::new(load.rate.is_some(), matches!(load.kind, Kind::Skew { .. })),
            draw: Draw::new(load, part.thread),
            schedule: None,
            sending: false,
            opened: 0,
            opened_ns: 0,
            opened_last: 0,
            now_ns: 0,
        };
        let numbers = (part.thread..load.connections).step_by(part.threads);
        let connections =
            numbers.enumerate().map(|(token, number)| Connection::new(token, number, load.role(number)));
        let slow = matches!(load.kind, Kind::SlowReader { .. });
        Ok(Worker {
            part,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            connections: connections.collect(),
            desk,
            slow,
            sweep_ns: 0,
            slow_ns: 0,
        })
    }

    /// Carries a run out, on the thread that calls it.
    pub(super) fn work(mut self) -> Result<Record, LoadError> {
        self.pin()?;
        if self.desk.load.kind != Kind::Churn {
            self.open()?;
        }
        self.desk.orders.report_ready();
        let start_ns = loop {
            match self.desk.orders.started_ns() {
                Some(start_ns) => break start_ns,
                None => self.turn(TURN)?,
            }
        };
        self.start(start_ns)?;
        while self.desk.tick() < self.desk.orders.ended_ns() {
            let timeout = self.give_out()?;
            self.turn(timeout)?;
        }
        self.desk.sending = false;
        self.desk.record.unsent =
            self.connections.iter().map(|connection| connection.unsent(&self.desk)).sum();
        self.drain()?;
        Ok(self.desk.record)
    }

    /// Keeps this thread to one of the generator's processors.
    fn pin(&self) -> Result<(), LoadError> {
        let processors = self.desk.load.processors.as_deref().unwrap_or_default();
        let Some(processor) = processors.get(self.part.thread % processors.len().max(1)) else {
            return Ok(());
        };
        host::pin_current_thread(&[*processor]).map_err(|error| {
            LoadError::Generator(format!(
                "the load generator cannot keep to processor {processor}; --pin none leaves it free: {error}"
            ))
        })
    }

    /// Opens the connections, few at a time: a system takes connections in that its server has not accepted, as many as
    /// the listener's queue holds, and loses what comes then, to be tried again after a second.
    ///
    /// So the last one of each batch exchanges a request: with its answer all before it are accepted.
    fn open(&mut self) -> Result<(), LoadError> {
        let (mut batch, mut growth) = (OPENING_FIRST, 2);
        let mut next = 0;
        while next < self.connections.len() {
            let end = self.connections.len().min(next + (batch / self.part.threads).max(1));
            let start_ns = self.desk.tick();
            self.connections[next..end]
                .iter_mut()
                .try_for_each(|connection| connection.open(&mut self.desk))?;
            while self.desk.opened < end {
                self.turn(TURN)?;
            }
            if self.desk.opened_ns - start_ns > LOST_NS {
                batch = (batch / 2).max(1);
                growth = 1;
            }
            batch = (batch * growth).min(OPENING_MAX);
            let last = self.desk.opened_last;
            self.connections[last].greet(&mut self.desk)?;
            while !self.connections[last].is_quiet() {
                self.turn(TURN)?;
            }
            next = end;
        }
        Ok(())
    }

    fn start(&mut self, start_ns: u64) -> Result<(), LoadError> {
        let load = self.desk.load;
        self.desk.schedule = load
            .rate
            .map(|rate| Schedule::new(start_ns, rate, load.active(), self.part.thread, self.part.threads));
        self.desk.sending = true;
        self.connections.iter_mut().try_for_each(|connection| connection.pump(&mut self.desk))
    }

    /// Open loop: begins what is due. Says how long may be waited.
    fn give_out(&mut self) -> Result<Duration, LoadError> {
        let now_ns = self.desk.now_ns;
        while let Some(index) = self.desk.schedule.as_mut().and_then(|schedule| schedule.take(now_ns)) {
            self.connections[index].due(&mut self.desk)?;
        }
        let Some(next_ns) = self.desk.schedule.as_ref().and_then(Schedule::next_ns) else { return Ok(TURN) };
        // A wait is whole milliseconds and ends late by a part of one: the last one is spent without sleep.
        let left_ms = next_ns.saturating_sub(self.desk.tick()) / 1_000_000;
        Ok(Duration::from_millis(left_ms.saturating_sub(1)).min(TURN))
    }

    /// No more is asked: receives what is under way, and then the ends of the streams.
    fn drain(&mut self) -> Result<(), LoadError> {
        while !(self.desk.orders.may_close() && self.connections.iter().all(Connection::is_quiet)) {
            self.turn(TURN)?;
        }
        self.connections.iter_mut().try_for_each(|connection| connection.end(&mut self.desk))?;
        while !self.connections.iter().all(Connection::is_closed) {
            self.turn(TURN)?;
        }
        Ok(())
    }

    /// Waits once and handles what came.
    fn turn(&mut self, timeout: Duration) -> Result<(), LoadError> {
        let Worker { poll, connections, desk, events, slow, sweep_ns, slow_ns, .. } = self;
        if desk.orders.must_quit() {
            return Err(LoadError::Stopped);
        }
        let before_ns = desk.tick();
        match poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(LoadError::Generator(format!("the load generator cannot wait: {error}")));
            }
            _ => {}
        }
        let after_ns = desk.tick();
        desk.record.idle_ns += desk.orders.measured_ns(before_ns, after_ns);
        let mut count = 0;
        for event in events.iter() {
            count += 1;
            connections[event.token().0].ready(event, desk)?;
        }
        if *slow && after_ns >= *slow_ns {
            *slow_ns = after_ns + SLOW_NS;
            connections.iter_mut().try_for_each(|connection| connection.be_slow(desk))?;
        }
        // With events left over, what is missing may be among them.
        if count < EVENTS_MAX && after_ns >= *sweep_ns {
            *sweep_ns = after_ns + sweep_interval_ns(desk.load.patience);
            connections.iter_mut().try_for_each(|connection| connection.sweep(desk))?;
        }
        Ok(())
    }
}

/// Often enough for the patience and for the pause between two connects, too seldom to be seen in the figures.
fn sweep_interval_ns(patience: Duration) -> u64 {
    (patience.as_nanos() as u64 / 16).clamp(5_000_000, 50_000_000)
}

impl Load {
    /// How many connections exchange requests and answers.
    fn active(&self) -> usize {
        match self.kind {
            Kind::Idle { active } | Kind::SlowReader { active, .. } => active.min(self.connections),
            Kind::Echo | Kind::Churn | Kind::Skew { .. } => self.connections,
        }
    }

    fn role(&self, number: usize) -> Role {
        match self.kind {
            Kind::Churn => Role::Churn,
            _ if number < self.active() => Role::Active,
            Kind::SlowReader { bytes_per_s, .. } => Role::Slow { bytes_per_s },
            _ => Role::Silent,
        }
    }
}
