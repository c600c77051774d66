#![doc = include_str!("event_select.md")]

use super::{Built, StandsOn};
use crate::bell::{Bell, Wake};
use crate::core::{Core, Phase};
use crate::door::Newcomer;
use crate::gates::Gates;
use crate::groups::{Group, Groups, Work, wait_for_each};
use crate::house::House;
use crate::listener::Listener;
use crate::peer::ready::Selects;
use crate::threads::Threads;
use doorbell_winsock::event_select::{Event, NetEvents, wait_any};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::{Family, Kind};
use doorbell_winsock::{Result, Socket};
use std::sync::Arc;
use std::time::Instant;

pub(crate) const BUILT: Built =
    Built { page: include_str!("event_select.md"), stands_on: StandsOn::NetworkEvents, launch };

fn launch(core: &Arc<Core>, listeners: Vec<Listener>, threads: &Threads) -> Result<()> {
    // 1. A group, with a thread of its own; more of them if so many threads were asked for.
    let count = core.settings.threads.unwrap_or(1);
    let groups = Groups::start(core, threads, count, Guard::prepare)?;
    // 2. A porter, who waits for all listening sockets with two events: one says that somebody is there, the other is his own.
    let (door, bell) = (Event::new()?, Bell::new(core, Event::new()?));
    bell.ring_at_stop(core);
    bell.ring_at_room(core);
    let porter = Porter { core: core.clone(), gates: Gates::new(core, listeners), groups, door, bell };
    threads.spawn("porter", move || porter.stand())
}

impl Selects for Event {
    fn select(&self, socket: &Socket, events: NetEvents) -> Result<()> {
        socket.event_select(Some(self), events)
    }
}

struct Porter {
    core: Arc<Core>,
    gates: Gates,
    groups: Groups<Newcomer>,
    /// FD_ACCEPT of all listening sockets.
    door: Event,
    bell: Arc<Bell<Event>>,
}

impl Porter {
    fn stand(mut self) -> Result<()> {
        self.gates.select(&self.door, NetEvents::NONE)?;
        let events = [self.bell.wake.clone(), self.door.clone()];
        while self.core.phase() == Phase::Serving {
            let now = Instant::now();
            let next = self.gates.next_try(now).map(|at| at.saturating_duration_since(now));
            wait_any(&events, next, Alertable::No)?;
            self.bell.wake.hush();
            // Reset before the records are read: what is recorded afterwards sets it again.
            self.door.reset()?;
            let sockets = self.gates.sockets();
            let announced = sockets.filter(|socket| says(socket, NetEvents::ACCEPT)).map(Socket::id);
            announced.collect::<Vec<_>>().into_iter().for_each(|socket| self.gates.announced(socket));
            // 3. Whoever comes is given a seat in the emptiest group. When all 63 seats of all groups are taken a new group is
            // started for him.
            self.gates.let_in(Instant::now(), |newcomer| self.groups.place(newcomer));
        }
        self.gates.close();
        Ok(())
    }
}

fn says(socket: &Socket, event: NetEvents) -> bool {
    socket.enum_network_events(None).is_ok_and(|record| record.contains(event))
}

/// Who watches over a group.
struct Guard {
    core: Arc<Core>,
    group: Arc<Group<Newcomer>>,
    house: House,
    /// At index 0 the guard's own, then one for each client.
    events: Vec<Event>,
    /// The clients by number, each one place before its event.
    seats: Vec<u64>,
}

impl Guard {
    fn prepare(core: &Arc<Core>, group: Arc<Group<Newcomer>>) -> Result<Work> {
        let events = vec![group.bell.wake.clone()];
        let guard = Guard { core: core.clone(), house: House::new(core), group, events, seats: Vec::new() };
        // What the system gives a thread to be told network events comes with its first selection: so it is there before anybody
        // is let in. The socket is nobody's.
        let nobody = Socket::new(Family::V4, Kind::Stream)?;
        guard.events[0].select(&nobody, NetEvents::CLOSE)?;
        nobody.close()?;
        Ok(Box::new(|| guard.watch()))
    }

    fn watch(mut self) -> Result<()> {
        loop {
            // 4. Wait for any of up to 64 events, for no longer than until the next timer or time-out.
            let now = Instant::now();
            let timeout = self.house.next_call().map(|at| at.saturating_duration_since(now));
            let mut set = Vec::new();
            wait_for_each(&self.events, timeout, |index| set.push(index))?;
            // 5. The wait names the lowest event that is set. Those behind it are asked for too, each once, before the next
            // wait: so somebody busy at a low index keeps nobody waiting at a high one.
            for index in set {
                self.serve(index)?;
            }
            // 8. Who wants to be called by now is called; who has gone leaves a free seat.
            self.house.call(Instant::now());
            self.free_seats();
            // 9. The guard of a group that was started on demand ends with his last client; the others do when the server stops.
            if self.seats.is_empty() && self.group.may_end(self.core.phase()) {
                return Ok(());
            }
        }
    }

    fn serve(&mut self, index: usize) -> Result<()> {
        let now = Instant::now();
        let Some(seat) = index.checked_sub(1) else {
            // 6. The guard's own event: newcomers, post for a client, or a stop.
            let posted = self.group.bell.answer();
            self.house.posted(posted, now);
            self.group.newcomers().into_iter().for_each(|newcomer| self.seat(newcomer, now));
            return Ok(());
        };
        // 7. A client's event: its sockets' records say what happened. Read and cleared with the first of them, the event is set
        // again by what is recorded later.
        let number = self.seats[seat];
        let mut event = Some(&self.events[index]);
        let read = |socket: &Socket| Ok((socket.id(), socket.enum_network_events(event.take())?));
        let records: Vec<_> = self.house.sockets(number).map(read).collect::<Result<_>>()?;
        event.map_or(Ok(()), Event::reset)?;
        for (socket, record) in records {
            self.house.told(socket, record.events, record.error(NetEvents::CONNECT), now);
        }
        Ok(())
    }

    fn seat(&mut self, newcomer: Newcomer, now: Instant) {
        let open = |event: Event| {
            let (reach, selects) = (self.group.bell.clone(), Arc::new(event.clone()));
            self.house.open(newcomer, reach, selects, now).map(|number| (event, number))
        };
        match Event::new().ok().and_then(open) {
            Some((event, number)) => {
                self.events.push(event);
                self.seats.push(number);
            }
            None => self.group.free_seat(),
        }
    }

    fn free_seats(&mut self) {
        let mut seat = 0;
        while self.house.len() < self.seats.len() {
            if self.house.has(self.seats[seat]) {
                seat += 1;
            } else {
                self.seats.swap_remove(seat);
                self.events.swap_remove(seat + 1);
                self.group.free_seat();
            }
        }
    }
}
