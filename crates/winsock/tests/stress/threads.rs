//! The same for operations that are told to their threads: by events, by routines, and by a port with an event beside
//! it. Each thread starts, waits, cancels and closes at random; some end with their operations pending.

use super::actor::{Actor, Pending};
use super::ledger::Ledger;
use super::work::taken;
use super::{ALONE, Plan, ROUNDS, Visitors, bound, listening};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::{CompletionPort, Family, Kind, Packet, Socket};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const ACTORS: usize = 3;
pub(super) const SLOTS: usize = 24;
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) struct World {
    port: CompletionPort,
    listener: Socket,
    pub(super) slots: Vec<Mutex<(Socket, Socket)>>,
    /// Listeners with overlapped accepts, and the sockets of those accepts and of who connects.
    pub(super) doors: Vec<Mutex<Socket>>,
    pub(super) visitors: Visitors,
    /// Datagram sockets, and their addresses.
    pub(super) post: Vec<(Socket, SocketAddr)>,
    pub(super) accepted: AtomicUsize,
    pub(super) packets_owed: AtomicUsize,
    packets: AtomicUsize,
    /// Actors that have acted to the end.
    done: AtomicUsize,
    closed: AtomicBool,
    over: AtomicBool,
    pub(super) alive: Arc<AtomicIsize>,
}

impl World {
    fn new() -> World {
        let mut world = World {
            port: CompletionPort::new(1).expect("a port"),
            listener: listening(),
            slots: Vec::new(),
            doors: Vec::new(),
            visitors: Visitors::default(),
            post: Vec::new(),
            accepted: AtomicUsize::new(0),
            packets_owed: AtomicUsize::new(0),
            packets: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            alive: Arc::default(),
        };
        world.slots = (0..SLOTS).map(|slot| Mutex::new(world.pair(slot))).collect();
        world.doors = (0..2).map(|number| Mutex::new(world.door(number))).collect();
        world.post = (0..4).map(|number| world.letter_box(number)).collect();
        world
    }

    /// Every fourth has one. Those without may have routines.
    pub(super) fn has_port(number: usize) -> bool {
        number % 4 == 0
    }

    fn associate(&self, socket: &Socket) {
        self.port.associate(socket, 0).expect("associate");
    }

    pub(super) fn door(&self, number: usize) -> Socket {
        let door = listening();
        if World::has_port(number) {
            self.associate(&door);
        }
        door
    }

    pub(super) fn visitor(&self, with_port: bool) -> Socket {
        let visitor = Socket::new(Family::V4, Kind::Stream).expect("a socket");
        if with_port {
            self.associate(&visitor);
        }
        visitor
    }

    fn letter_box(&self, number: usize) -> (Socket, SocketAddr) {
        let socket = bound(Kind::Datagram);
        if World::has_port(number) {
            self.associate(&socket);
        }
        let address = socket.local_addr().expect("an address");
        (socket, address)
    }

    pub(super) fn pair(&self, slot: usize) -> (Socket, Socket) {
        // One at a time, so that the accepted one belongs to the connecting one.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().expect("no panic before");
        let near = Socket::new(Family::V4, Kind::Stream).expect("a socket");
        near.connect(self.listener.local_addr().expect("an address")).expect("connect");
        let (far, _) = self.listener.accept().expect("accept");
        if World::has_port(slot) {
            self.associate(&near);
            self.associate(&far);
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
                        Packet::Io(completion) => drop(taken(completion)),
                        posted => panic!("nobody posts here: {posted:?}"),
                    }
                    self.packets.fetch_add(1, SeqCst);
                }
            }
        }
    }
}

/// A thread that ends with its operations pending; whoever has their handles sees the end all the same.
fn end_early(world: &World, seed: u64) {
    let left = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut actor = Actor::new(world, seed);
            (0..20).for_each(|_| actor.start());
            actor.pending()
        });
        thread.join().expect("an actor")
    });
    left.into_iter().for_each(Pending::end);
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
        for door in &world.doors {
            let _ = door.lock().unwrap_or_else(PoisonError::into_inner).close();
        }
        world.visitors.close();
        world.post.iter().for_each(|(socket, _)| _ = socket.close());
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
