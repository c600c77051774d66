//! The same for operations that are told to their threads: by events, by routines, and by a port with an event beside
//! it. Each thread starts, waits, cancels and closes at random; some end with their operations pending.

use super::ledger::Ledger;
use super::{ALONE, Counted, Plan, ROUNDS, Random, listening};
use doorbell_winsock::event_select::{NetEvents, WAIT_EVENTS_MAX, wait_any};
use doorbell_winsock::overlapped::{Completion, Op, ToEvent, ToPortAndEvent, ToRoutine};
use doorbell_winsock::routine::{Alertable, sleep_ex};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{CompletionPort, Event, Family, Kind, MessageQueue, Packet, Shutdown, Socket, Wait};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const ACTORS: usize = 3;
/// The sockets of the first slots have a port.
const WITH_PORT: usize = 6;
const SLOTS: usize = 24;
const DEADLINE: Duration = Duration::from_secs(20);

struct World {
    port: CompletionPort,
    listener: Socket,
    slots: Vec<Mutex<(Socket, Socket)>>,
    accepted: AtomicUsize,
    packets_owed: AtomicUsize,
    packets: AtomicUsize,
    /// Actors that have acted to the end.
    done: AtomicUsize,
    closed: AtomicBool,
    over: AtomicBool,
    alive: Arc<AtomicIsize>,
}

impl World {
    fn new() -> World {
        let mut world = World {
            port: CompletionPort::new(1).expect("a port"),
            listener: listening(),
            slots: Vec::new(),
            accepted: AtomicUsize::new(0),
            packets_owed: AtomicUsize::new(0),
            packets: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            alive: Arc::default(),
        };
        world.slots = (0..SLOTS).map(|slot| Mutex::new(world.pair(slot))).collect();
        world
    }

    fn pair(&self, slot: usize) -> (Socket, Socket) {
        // One at a time, so that the accepted one belongs to the connecting one.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().expect("no panic before");
        let near = Socket::new(Family::V4, Kind::Stream).expect("a socket");
        near.connect(self.listener.local_addr().expect("an address")).expect("connect");
        let (far, _) = self.listener.accept().expect("accept");
        if slot < WITH_PORT {
            self.port.associate(&near, slot).expect("associate");
            self.port.associate(&far, slot).expect("associate");
        }
        (near, far)
    }

    /// Counts packets until all that are owed have come.
    fn count_packets(&self) {
        let mut packets = Vec::new();
        let mut deadline = None;
        loop {
            if self.over.load(SeqCst) {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + DEADLINE);
                if self.packets.load(SeqCst) == self.packets_owed.load(SeqCst) || Instant::now() > deadline {
                    return;
                }
            }
            let timeout = Some(Duration::from_millis(20));
            if self.port.get_many(&mut packets, 16, timeout, Alertable::No).is_ok() {
                for packet in packets.drain(..) {
                    match packet {
                        Packet::Io(completion) => taken(completion),
                        posted => panic!("nobody posts here: {posted:?}"),
                    }
                    self.packets.fetch_add(1, SeqCst);
                }
            }
        }
    }
}

/// The buffer comes back as it went in.
fn taken(mut completion: Completion) {
    let bytes = completion.bytes();
    let buffer = completion.take_buffer::<Counted>().expect("the buffer that went in");
    assert!(bytes <= buffer.bytes.len());
    buffer.check();
}

/// The end of an operation that has to come, with a deadline instead of a run that hangs.
fn soon(mut op: Op) -> Completion {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match op.try_take() {
            Ok(completion) => return completion,
            Err(pending) => op = pending,
        }
        assert!(Instant::now() < deadline, "an operation that never ended: {op:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

struct Actor<'a> {
    world: &'a World,
    random: Random,
    events: Vec<Event>,
    /// With the place of its event.
    operations: Vec<(usize, Op)>,
    routines_owed: usize,
    routines_run: Rc<Cell<usize>>,
    messages: MessageQueue,
}

impl<'a> Actor<'a> {
    fn new(world: &'a World, seed: u64) -> Actor<'a> {
        let event = |place| if place % 2 == 0 { Event::new() } else { Event::auto_reset() };
        Actor {
            world,
            random: Random(seed | 1),
            events: (0..WAIT_EVENTS_MAX).map(|place| event(place).expect("an event")).collect(),
            operations: Vec::new(),
            routines_owed: 0,
            routines_run: Rc::default(),
            messages: MessageQueue::new().expect("a message queue"),
        }
    }

    fn act(&mut self) {
        match self.random.below(100) {
            0..70 => self.start(),
            70..75 => self.wait(),
            75..80 => {
                sleep_ex(Some(Duration::ZERO), Alertable::Yes).expect("sleep");
            }
            80..84 => self.drop_one(),
            84..88 => {
                if let Some((_, op)) = self.operations.pop() {
                    self.take_or_keep(op);
                }
            }
            88..91 => _ = self.messages.get(Some(Duration::ZERO)).expect("a look at the queue"),
            _ => self.disturb(),
        }
    }

    fn start(&mut self) {
        let slot = self.random.below(SLOTS as u64) as usize;
        let ends = self.world.slots[slot].lock().expect("no panic before");
        let end = if self.random.below(2) == 0 { &ends.0 } else { &ends.1 };
        let receives = self.random.below(2) == 0;
        let len = if !receives && self.random.below(50) == 0 { 300_000 } else { self.random.below(3000) };
        let buffer = Counted::new(len as usize, &self.world.alive);
        let place = self.random.below(WAIT_EVENTS_MAX as u64) as usize;
        let event = &self.events[place];
        let accepted = match self.random.below(3) {
            0 if slot < WITH_PORT => {
                // Owed before it can have come.
                self.world.packets_owed.fetch_add(1, SeqCst);
                let channel = ToPortAndEvent(event);
                let started = match receives {
                    true => end.recv_overlapped(buffer, Flags::NONE, channel),
                    false => end.send_overlapped(buffer, channel),
                };
                if started.is_err() {
                    self.world.packets_owed.fetch_sub(1, SeqCst);
                }
                started.is_ok()
            }
            0 | 1 if slot >= WITH_PORT => {
                let run = self.routines_run.clone();
                let channel = ToRoutine(move |completion| {
                    taken(completion);
                    run.set(run.get() + 1);
                });
                let started = match receives {
                    true => end.recv_overlapped(buffer, Flags::NONE, channel),
                    false => end.send_overlapped(buffer, channel),
                };
                self.routines_owed += usize::from(started.is_ok());
                started.is_ok()
            }
            _ => {
                let started = match receives {
                    true => end.recv_overlapped(buffer, Flags::NONE, ToEvent(event)),
                    false => end.send_overlapped(buffer, ToEvent(event)),
                };
                let accepted = started.is_ok();
                self.operations.extend(started.ok().map(|op| (place, op)));
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
            its.into_iter().for_each(|(_, op)| self.take_or_keep(op));
        }
    }

    fn take_or_keep(&mut self, op: Op) {
        match op.try_take() {
            Ok(completion) => taken(completion),
            Err(op) => self.operations.push((0, op)),
        }
    }

    fn drop_one(&mut self) {
        if !self.operations.is_empty() {
            let at = self.random.below(self.operations.len() as u64) as usize;
            self.operations.swap_remove(at);
        }
    }

    fn disturb(&mut self) {
        let slot = self.random.below(SLOTS as u64) as usize;
        let mut ends = self.world.slots[slot].lock().expect("no panic before");
        let end = if self.random.below(2) == 0 { &ends.0 } else { &ends.1 };
        match self.random.below(16) {
            // Network events beside the operations, by event and by message, now and then none.
            12 => {
                let event = &self.events[self.random.below(WAIT_EVENTS_MAX as u64) as usize];
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

    /// Everything ends, since every socket is closed.
    fn finish(mut self) {
        self.operations.drain(..).for_each(|(_, op)| taken(soon(op)));
        let deadline = Instant::now() + DEADLINE;
        while self.routines_run.get() < self.routines_owed && Instant::now() < deadline {
            sleep_ex(Some(Duration::from_millis(2)), Alertable::Yes).expect("sleep");
        }
        assert_eq!(self.routines_run.get(), self.routines_owed, "routines that never ran");
    }
}

/// A thread that ends with its operations pending; whoever has their handles sees the end all the same.
fn end_early(world: &World, seed: u64) {
    let left = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut actor = Actor::new(world, seed);
            (0..20).for_each(|_| actor.start());
            std::mem::take(&mut actor.operations)
        });
        thread.join().expect("an actor")
    });
    left.into_iter().for_each(|(_, op)| taken(soon(op)));
}

#[test]
fn every_operation_is_told_to_its_thread_once() {
    let plan = Plan::new(400_000, 10_000);
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The guard and other things that stay are there before the count.
    end_early(&World::new(), plan.seed);
    let mut ledger = Ledger::default();
    for round in 0..ROUNDS {
        by_thread(&plan, round);
        ledger.settle(&plan);
    }
}

fn by_thread(plan: &Plan, round: u64) {
    let seed = plan.seed.wrapping_add(2 * round);
    let world = World::new();
    thread::scope(|scope| {
        let packets = scope.spawn(|| world.count_packets());
        let actors: Vec<_> = (0..ACTORS as u64)
            .map(|number| {
                let world = &world;
                scope.spawn(move || {
                    let mut actor = Actor::new(world, seed.wrapping_add(number.wrapping_mul(0x9e37_79b9)));
                    for step in 0..plan.operations / ROUNDS / ACTORS as u64 {
                        actor.act();
                        if step % 500 == 0 {
                            end_early(world, seed ^ step);
                        }
                    }
                    world.done.fetch_add(1, SeqCst);
                    while !world.closed.load(SeqCst) {
                        thread::sleep(Duration::from_millis(1));
                    }
                    actor.finish();
                })
            })
            .collect();
        // One that failed is none to wait for.
        while world.done.load(SeqCst) < ACTORS && !actors.iter().any(|actor| actor.is_finished()) {
            thread::sleep(Duration::from_millis(1));
        }
        for slot in &world.slots {
            let ends = slot.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = ends.0.close();
            let _ = ends.1.close();
        }
        world.closed.store(true, SeqCst);
        let failed = actors.into_iter().filter_map(|actor| actor.join().err()).count();
        world.over.store(true, SeqCst);
        assert!(packets.join().is_ok() && failed == 0, "a thread failed ({plan})");
    });
    println!("round {round}: {} operations were accepted", world.accepted.load(SeqCst));
    assert_eq!(world.packets.load(SeqCst), world.packets_owed.load(SeqCst), "packets ({plan})");
    let alive = world.alive.clone();
    drop(world);
    // What was dropped while it was pending goes its own way.
    let deadline = Instant::now() + DEADLINE;
    while alive.load(SeqCst) != 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(alive.load(SeqCst), 0, "buffers that never came back ({plan})");
}
