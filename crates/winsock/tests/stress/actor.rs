//! A thread of [`threads`](super::threads): it starts operations that it is told of, waits for them, forgets some, and
//! disturbs.

use super::threads::{DEADLINE, SLOTS, World};
use super::work::{Due, Work};
use super::{Counted, Random};
use doorbell_winsock::event_select::{NetEvents, WAIT_EVENTS_MAX, wait_any};
use doorbell_winsock::overlapped::{Op, ToEvent, ToPortAndEvent, ToRoutine};
use doorbell_winsock::routine::{Alertable, sleep_ex};
use doorbell_winsock::{Event, MessageQueue, Shutdown, Socket, Wait};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

/// The events before this one are shared by whatever comes. Each of the others is of one operation at a time, so that it
/// is set by the end of that one and by nothing else.
const SHARED: usize = 40;

pub(super) struct Actor<'a> {
    world: &'a World,
    random: Random,
    events: Vec<Event>,
    /// Each has the event at its place.
    operations: Vec<(usize, Pending)>,
    routines_owed: usize,
    routines_run: Rc<Cell<usize>>,
    messages: MessageQueue,
}

/// An operation that is told by an event, and what it has to give back.
pub(super) struct Pending {
    op: Op,
    due: Due,
    /// Nobody else's.
    event: Option<Event>,
}

impl<'a> Actor<'a> {
    pub(super) fn new(world: &'a World, seed: u64) -> Actor<'a> {
        Actor {
            world,
            random: Random(seed | 1),
            events: (0..WAIT_EVENTS_MAX).map(event).collect(),
            operations: Vec::new(),
            routines_owed: 0,
            routines_run: Rc::default(),
            messages: MessageQueue::new().expect("a message queue"),
        }
    }

    pub(super) fn act(&mut self) {
        match self.random.below(100) {
            0..70 => self.start(),
            70..75 => self.wait(),
            75..80 => {
                sleep_ex(Some(Duration::ZERO), Alertable::Yes).expect("sleep");
            }
            80..84 => self.drop_one(),
            84..88 => {
                if let Some((place, pending)) = self.operations.pop() {
                    self.take_or_keep(place, pending);
                }
            }
            88..91 => _ = self.messages.get(Some(Duration::ZERO)).expect("a look at the queue"),
            _ => self.disturb(),
        }
    }

    pub(super) fn start(&mut self) {
        match self.random.below(10) {
            0 => self.visit(),
            1 => self.write(),
            _ => self.talk(),
        }
    }

    fn talk(&mut self) {
        let slot = self.random.below(SLOTS as u64) as usize;
        let ends = self.world.slots[slot].lock().expect("no panic before");
        let end = if self.random.below(2) == 0 { &ends.0 } else { &ends.1 };
        let receives = self.random.below(2) == 0;
        let len = if !receives && self.random.below(50) == 0 { 300_000 } else { self.random.below(3000) };
        let work = if receives { Work::Receive } else { Work::Send };
        self.begin(end, World::has_port(slot), work, len);
    }

    /// Accepts and connects, whose sockets go when others come.
    fn visit(&mut self) {
        let number = self.random.below(2) as usize;
        let door = self.world.doors[number].lock().expect("no panic before").clone();
        let len = self.random.below(3) * 20;
        let visitor = if self.random.below(2) == 0 {
            let accept = Socket::for_accept(doorbell_winsock::Family::V4).expect("a socket");
            self.begin(&door, World::has_port(number), Work::Accept(accept.clone()), len);
            accept
        } else {
            let with_port = self.random.below(2) == 0;
            let visitor = self.world.visitor(with_port);
            // One that was closed has no address.
            if let Ok(to) = door.local_addr() {
                self.begin(&visitor, with_port, Work::Connect(to), len);
            }
            visitor
        };
        self.world.visitors.keep(visitor, &mut self.random);
    }

    /// Datagrams, of which some are lost.
    fn write(&mut self) {
        let number = self.random.below(self.world.post.len() as u64) as usize;
        let to = self.world.post[self.random.below(self.world.post.len() as u64) as usize].1;
        let work = if self.random.below(2) == 0 { Work::ReceiveFrom } else { Work::SendTo(to) };
        let len = self.random.below(1500);
        self.begin(&self.world.post[number].0, World::has_port(number), work, len);
    }

    /// Starts it, to be told by what such a socket may have.
    fn begin(&mut self, socket: &Socket, has_port: bool, work: Work, len: u64) {
        let buffer = Counted::new(len as usize, &self.world.alive);
        let due = Due::new(&work, &buffer);
        let place = self.random.below(WAIT_EVENTS_MAX as u64) as usize;
        let accepted = match self.random.below(3) {
            0 if has_port => {
                // Owed before it can have come.
                self.world.packets_owed.fetch_add(1, SeqCst);
                let started = work.start(socket, buffer, ToPortAndEvent(&self.events[place % SHARED]));
                if started.is_err() {
                    self.world.packets_owed.fetch_sub(1, SeqCst);
                }
                started.is_ok()
            }
            0 | 1 if !has_port => {
                let run = self.routines_run.clone();
                let channel = ToRoutine(move |completion| {
                    due.check(completion);
                    run.set(run.get() + 1);
                });
                let started = work.start(socket, buffer, channel);
                self.routines_owed += usize::from(started.is_ok());
                started.is_ok()
            }
            _ => {
                let taken = place >= SHARED && self.operations.iter().any(|(of, _)| *of == place);
                let place = if taken { place % SHARED } else { place };
                let event = &self.events[place];
                let started = work.start(socket, buffer, ToEvent(event));
                let accepted = started.is_ok();
                let own = (place >= SHARED).then(|| event.clone());
                self.operations.extend(started.ok().map(|op| (place, Pending { op, due, event: own })));
                accepted
            }
        };
        self.world.accepted.fetch_add(usize::from(accepted), SeqCst);
    }

    fn wait(&mut self) {
        let timeout = Some(Duration::from_millis(self.random.below(2)));
        let alertable = if self.random.below(2) == 0 { Alertable::Yes } else { Alertable::No };
        if let Wait::Index(place) = wait_any(&self.events, timeout, alertable).expect("a wait") {
            self.events[place].reset().expect("reset");
            let all = std::mem::take(&mut self.operations).into_iter();
            let (its, others) = all.partition::<Vec<_>, _>(|(of, _)| *of == place);
            self.operations = others;
            for (place, pending) in its {
                match pending.event {
                    // Its event said so.
                    Some(_) => pending.due.check(pending.op.try_take().expect("an operation that has ended")),
                    None => self.take_or_keep(place, pending),
                }
            }
        }
    }

    fn take_or_keep(&mut self, place: usize, pending: Pending) {
        if let Err(pending) = pending.try_take() {
            self.operations.push((place, pending));
        }
    }

    fn drop_one(&mut self) {
        if !self.operations.is_empty() {
            let at = self.random.below(self.operations.len() as u64) as usize;
            let (place, _) = self.operations.swap_remove(at);
            // What was dropped sets its event all the same.
            if place >= SHARED {
                self.events[place] = event(place);
            }
        }
    }

    fn disturb(&mut self) {
        match self.random.below(16) {
            0 => {
                let number = self.random.below(2) as usize;
                let mut door = self.world.doors[number].lock().expect("no panic before");
                match self.random.below(4) {
                    0 => {
                        let _ = door.close();
                        *door = self.world.door(number);
                    }
                    1 => _ = door.cancel_thread(),
                    _ => _ = door.cancel(None),
                }
            }
            1 => {
                let number = self.random.below(self.world.post.len() as u64) as usize;
                let _ = self.world.post[number].0.cancel(None);
            }
            _ => self.disturb_talk(),
        }
    }

    fn disturb_talk(&mut self) {
        let slot = self.random.below(SLOTS as u64) as usize;
        let mut ends = self.world.slots[slot].lock().expect("no panic before");
        let end = if self.random.below(2) == 0 { &ends.0 } else { &ends.1 };
        match self.random.below(16) {
            // Network events beside the operations, by event and by message, now and then none.
            12 => {
                let event = &self.events[self.random.below(SHARED as u64) as usize];
                let _ = end.event_select(Some(event), NetEvents::ALL);
            }
            13 => _ = end.async_select(&self.messages.window(), 1, NetEvents::ALL),
            14 => _ = end.event_select(None, NetEvents::NONE),
            15 => _ = end.enum_network_events(None),
            0..3 => _ = end.cancel(None),
            3 => _ = end.cancel_thread(),
            4 => _ = end.shutdown(Shutdown::Send),
            5 => {
                let _ = end.set_linger(Some(Duration::ZERO));
                let _ = end.close();
            }
            6 => _ = end.close(),
            _ => *ends = self.world.pair(slot),
        }
    }

    /// What somebody else may wait for.
    pub(super) fn pending(&mut self) -> Vec<Pending> {
        self.operations.drain(..).map(|(_, pending)| pending).collect()
    }

    /// Everything ends, since every socket is closed.
    pub(super) fn finish(mut self) {
        self.pending().into_iter().for_each(Pending::end);
        let deadline = Instant::now() + DEADLINE;
        while self.routines_run.get() < self.routines_owed && Instant::now() < deadline {
            sleep_ex(Some(Duration::from_millis(2)), Alertable::Yes).expect("sleep");
        }
        assert_eq!(self.routines_run.get(), self.routines_owed, "routines that never ran");
    }
}

fn event(place: usize) -> Event {
    let event = if place % 2 == 0 { Event::new() } else { Event::auto_reset() };
    event.expect("an event")
}

impl Pending {
    /// Looks whether it has ended; one with an event of its own has then set it, or is about to.
    fn try_take(self) -> Result<(), Pending> {
        let id = self.op.id();
        match self.op.try_take() {
            Ok(completion) => {
                assert_eq!(completion.id(), id);
                self.due.check(completion);
                if let Some(event) = &self.event {
                    let told = wait_any(std::slice::from_ref(event), Some(DEADLINE), Alertable::No);
                    assert_eq!(
                        told.expect("a wait"),
                        Wait::Index(0),
                        "the event of an operation that has ended"
                    );
                    event.reset().expect("reset");
                }
                Ok(())
            }
            Err(op) => Err(Pending { op, ..self }),
        }
    }

    /// It has to end, with a deadline instead of a run that hangs.
    pub(super) fn end(mut self) {
        let deadline = Instant::now() + DEADLINE;
        while let Err(pending) = self.try_take() {
            assert!(Instant::now() < deadline, "an operation that never ended: {:?}", pending.op);
            self = pending;
            thread::sleep(Duration::from_millis(1));
        }
    }
}
