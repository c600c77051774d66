//! One connection: its socket, and what becomes of it at each event. Edge-triggered: what is ready is used up.

mod opening;

use super::LoadError;
use super::desk::Desk;
use super::dialogue::{Dialogue, Request};
use mio::Token;
use mio::event::Event;
use mio::net::TcpStream;
use opening::Attempt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

/// Bytes of a slow reader's requests: it sends as much as is taken, so only the steps are by this.
const SLOW_REQUEST_BYTES: usize = 16 << 10;

/// Of these, begun at a time: the other connections are to have their turns while this one fills the buffers.
const SLOW_REQUESTS: usize = 16;

/// Sent later than this after it was due is late.
const LATE_NS: u64 = 1_000_000;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    Active,
    Silent,
    Churn,
    Slow { bytes_per_s: usize },
}

#[derive(Debug)]
enum State {
    Closed,
    Connecting(Attempt),
    /// Until the moment of the next attempt.
    Pausing(Attempt, io::Error),
    Open,
    /// The own half is ended, and the server's end is awaited.
    Ending,
}

pub(super) struct Connection {
    token: Token,
    number: usize,
    role: Role,
    state: State,
    socket: Option<TcpStream>,
    dialogue: Dialogue,
    /// When something came last, or began to be awaited.
    heard_ns: u64,
    /// Open loop: how many requests were due so far, and how many of them were begun.
    due: u64,
    begun: u64,
    /// When it last had as many under way as it may.
    full_ns: u64,
    /// Churn: the request that is answered, but whose connection is not closed.
    answered: Option<Request>,
}

impl Connection {
    pub(super) fn new(token: usize, number: usize, role: Role) -> Connection {
        Connection {
            token: Token(token),
            number,
            role,
            state: State::Closed,
            socket: None,
            dialogue: Dialogue::new(number),
            heard_ns: 0,
            due: 0,
            begun: 0,
            full_ns: 0,
            answered: None,
        }
    }

    /// An event of its socket.
    pub(super) fn ready(&mut self, event: &Event, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        if let State::Connecting(attempt) = self.state {
            self.connected(attempt, desk)?;
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.receive(event.is_read_closed(), desk)?;
        }
        if event.is_writable() {
            self.flush(desk)?;
        }
        self.pump(desk)
    }

    /// Exchanges one request before the run.
    pub(super) fn greet(&mut self, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        self.heard_ns = desk.tick();
        self.dialogue.ask(desk.draw.request(self.heard_ns, self.heard_ns));
        self.flush(desk)
    }

    /// One more of its requests is due.
    pub(super) fn due(&mut self, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        self.due += 1;
        self.pump(desk)
    }

    /// Begins what may begin now.
    pub(super) fn pump(&mut self, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        if !desk.sending {
            return Ok(());
        }
        match (self.role, &self.state) {
            (Role::Active, State::Open) => {
                desk.tick();
                while self.dialogue.under_way() < desk.load.depth && self.may_begin(desk) {
                    self.begin(desk);
                }
                self.flush(desk)
            }
            (Role::Churn, State::Closed) if self.may_begin(desk) => {
                desk.tick();
                self.begin(desk);
                self.open(desk)
            }
            (Role::Slow { .. }, State::Open) => {
                for _ in 0..SLOW_REQUESTS {
                    if !self.dialogue.is_sent() {
                        break;
                    }
                    self.dialogue.ask(Request {
                        size: SLOW_REQUEST_BYTES,
                        rounds: None,
                        due_ns: 0,
                        sent_ns: 0,
                    });
                    self.flush(desk)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn may_begin(&self, desk: &Desk<'_>) -> bool {
        desk.schedule.is_none() || self.begun < self.due
    }

    /// Begins one, as of the clock's last reading: those that are sent by one call were sent at one time.
    fn begin(&mut self, desk: &mut Desk<'_>) {
        let now_ns = desk.now_ns;
        let due_ns =
            desk.schedule.as_ref().map_or(now_ns, |schedule| schedule.due_ns(self.number, self.begun));
        let free_ns = due_ns.max(self.full_ns);
        if now_ns.saturating_sub(free_ns) > LATE_NS && desk.orders.measures(now_ns) {
            desk.record.late += 1;
        }
        self.begun += 1;
        if self.dialogue.under_way() == 0 {
            self.heard_ns = now_ns;
        }
        self.dialogue.ask(desk.draw.request(due_ns, now_ns));
    }

    /// Sends what is not sent.
    fn flush(&mut self, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        let (State::Open, Some(socket)) = (&self.state, &mut self.socket) else { return Ok(()) };
        while !self.dialogue.is_sent() {
            match socket.write(self.dialogue.outgoing(desk.pattern, &mut desk.scratch)) {
                Ok(len) => {
                    self.dialogue.sent(len);
                    if desk.orders.measures(desk.now_ns) {
                        desk.record.bytes_sent += len as u64;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.dialogue.standing().broke(&error)),
            }
        }
        Ok(())
    }

    /// Receives what is there, for `to_end` the end of the stream included.
    fn receive(&mut self, to_end: bool, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        if matches!(self.role, Role::Slow { .. }) && desk.sending {
            return Ok(());
        }
        let whole = desk.receive.len();
        loop {
            match self.read(whole, desk)? {
                Some(len) if len == whole || to_end || !desk.short_read_is_all => {}
                _ => return Ok(()),
            }
        }
    }

    /// A slow reader's moment: sends what is taken, and reads what its rate allows by now, or in the end all there is.
    pub(super) fn be_slow(&mut self, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        let (Role::Slow { bytes_per_s }, Some(started_ns)) = (self.role, desk.orders.started_ns()) else {
            return Ok(());
        };
        self.pump(desk)?;
        loop {
            let now_ns = desk.tick();
            let allowed = (now_ns.saturating_sub(started_ns)) as f64 / 1e9 * bytes_per_s as f64;
            let left = match desk.sending {
                true => (allowed as u64).saturating_sub(self.dialogue.standing().received),
                false => u64::MAX,
            };
            if left == 0 {
                // It is this side that waits.
                self.heard_ns = now_ns;
                return Ok(());
            }
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(desk.receive.len());
            if self.read(len, desk)?.is_none() {
                return Ok(());
            }
        }
    }

    /// Receives once. `None`: nothing is there, or nothing will be.
    fn read(&mut self, len: usize, desk: &mut Desk<'_>) -> Result<Option<usize>, LoadError> {
        let (State::Open | State::Ending, Some(socket)) = (&self.state, &mut self.socket) else {
            return Ok(None);
        };
        let came = loop {
            match socket.read(&mut desk.receive[..len]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                came => break came,
            }
        };
        match came {
            Ok(0) => self.stream_ended(desk).map(|()| None),
            Ok(len) => self.take(len, desk).map(|()| Some(len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(self.dialogue.standing().broke(&error)),
        }
    }

    fn take(&mut self, len: usize, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        let now_ns = desk.tick();
        let measured = desk.orders.measures(now_ns);
        self.heard_ns = now_ns;
        if self.dialogue.under_way() >= desk.load.depth {
            self.full_ns = now_ns;
        }
        if measured {
            desk.record.bytes_received += len as u64;
        }
        let Connection { role, dialogue, answered, .. } = self;
        dialogue.take(&desk.receive[..len], desk.pattern, |request| match role {
            Role::Active if measured => desk.record.answered(request, now_ns),
            Role::Churn => *answered = Some(*request),
            _ => {}
        })?;
        if self.answered.is_some() && matches!(self.state, State::Open) {
            self.end(desk)?;
        }
        Ok(())
    }

    /// Ends the own half. The server is to end its own then.
    ///
    /// This is also how churn closes, and not by a reset, which would spare it the wait of a minute for its port: an
    /// ordinary client's end is what servers are built for, and Linux takes such a port again after a second.
    pub(super) fn end(&mut self, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        if let (State::Open, Some(socket)) = (&self.state, &self.socket) {
            self.heard_ns = desk.tick();
            self.state = State::Ending;
            socket.shutdown(Shutdown::Write).map_err(|error| self.dialogue.standing().broke(&error))?;
        }
        Ok(())
    }

    fn stream_ended(&mut self, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        if !matches!(self.state, State::Ending) || self.dialogue.under_way() > 0 {
            return Err(self.dialogue.standing().closed());
        }
        self.socket = None;
        self.state = State::Closed;
        let now_ns = desk.tick();
        if let Some(request) = self.answered.take() {
            self.full_ns = now_ns;
            if desk.orders.measures(now_ns) {
                desk.record.answered(&request, now_ns);
            }
        }
        Ok(())
    }

    /// Looks after what no event tells: attempts that are to be repeated, and a patience that is at its end.
    pub(super) fn sweep(&mut self, desk: &mut Desk<'_>) -> Result<(), LoadError> {
        let patience = desk.load.patience;
        let silent = desk.now_ns.saturating_sub(self.heard_ns) > patience.as_nanos() as u64;
        match self.state {
            State::Connecting(_) | State::Pausing(..) => self.insist(desk),
            State::Open if silent && self.dialogue.under_way() > 0 => {
                Err(self.dialogue.standing().silence(patience))
            }
            State::Ending if silent => Err(self.dialogue.standing().not_ended(patience)),
            State::Open | State::Ending | State::Closed => Ok(()),
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        match self.role {
            Role::Churn => self.is_closed(),
            _ => self.dialogue.under_way() == 0,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Requests due within the measured time that were not begun.
    pub(super) fn unsent(&self, desk: &Desk<'_>) -> u64 {
        let Some(schedule) =
            desk.schedule.as_ref().filter(|_| matches!(self.role, Role::Active | Role::Churn))
        else {
            return 0;
        };
        let [before, within] = [desk.orders.began_ns(), desk.orders.ended_ns()]
            .map(|moment_ns| schedule.rounds_before(self.number, moment_ns));
        within.saturating_sub(self.begun.max(before))
    }
}
