//! Threads, sockets and random operations with cancels, shutdowns and closes among them. After each round every operation
//! that was started has ended exactly once, every buffer has come back exactly once, and no descriptor, no thread and no
//! memory is left.
//!
//! The seed is printed; `DOORBELL_STRESS_SEED=n` repeats a run's choices, `DOORBELL_STRESS_OPERATIONS=n` makes each of the
//! two tests as long as that.

mod actor;
mod ledger;
mod threads;
mod work;

use doorbell_winsock::overlapped::{IoBuf, IoBufMut, OpId, Refused, Segment, Segments, ToPort};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{CompletionPort, Family, Kind, Packet, Shutdown, Socket, Started, startup};
use ledger::Ledger;
use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is left is counted over the whole process, so the tests of this file take turns.
static ALONE: Mutex<()> = Mutex::new(());
/// Each test runs so many rounds, a world each. What the first leaves is kept for good; the others may add nothing.
const ROUNDS: u64 = 4;

/// A buffer that knows how many of its kind live.
struct Counted {
    bytes: Vec<u8>,
    alive: Arc<AtomicIsize>,
}

impl Counted {
    fn new(len: usize, alive: &Arc<AtomicIsize>) -> Counted {
        alive.fetch_add(1, SeqCst);
        Counted { bytes: vec![0x5a; len], alive: alive.clone() }
    }

    /// All that is ever sent is the byte that is in all buffers already.
    fn check(&self) {
        static EXPECTED: [u8; 300_000] = [0x5a; 300_000];
        assert!(self.bytes[..] == EXPECTED[..self.bytes.len()], "somebody wrote into a buffer of ours");
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Written over, so that a late write of the kernel would be into bytes that somebody checks.
        self.bytes.fill(0xee);
        self.alive.fetch_sub(1, SeqCst);
    }
}

// SAFETY: the bytes lie on the heap and stay there when the value is moved.
unsafe impl IoBuf for Counted {
    fn segments(&mut self) -> Segments {
        let len = self.bytes.len();
        // Every third one comes in pieces, one of them empty.
        if len % 3 == 0 {
            let piece = |bytes: &mut [u8]| Segment::new(bytes.as_mut_ptr(), bytes.len());
            let (near, far) = self.bytes.split_at_mut(len / 3);
            let (middle, end) = far.split_at_mut(0);
            return Segments::Many(Box::new([piece(near), piece(middle), piece(end)]));
        }
        Segments::One(Segment::new(self.bytes.as_mut_ptr(), len))
    }
}
// SAFETY: they are the value's own, to be written.
unsafe impl IoBufMut for Counted {}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        // xorshift64*: good enough to be unlike a pattern, and the same on every system.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

/// Sockets that are kept until others have come.
#[derive(Default)]
struct Visitors(Mutex<Vec<Socket>>);

impl Visitors {
    fn keep(&self, socket: Socket, random: &mut Random) {
        let gone = {
            let mut visitors = self.0.lock().expect("no panic before");
            visitors.push(socket);
            let at = random.below(visitors.len() as u64) as usize;
            (visitors.len() > 24).then(|| visitors.swap_remove(at))
        };
        drop(gone);
    }

    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

struct World {
    port: CompletionPort,
    listener: Socket,
    slots: Vec<Mutex<(Socket, Socket)>>,
    /// A listener with overlapped accepts, the accept sockets and the sockets that connect to it.
    visited: Socket,
    visitors: Visitors,
    /// Datagram sockets, and their addresses.
    post: Vec<(Socket, SocketAddr)>,
    keys: AtomicUsize,
    started: AtomicUsize,
    ended: AtomicUsize,
    /// Operations that a packet told of: each (key, id) may come once.
    told: Vec<Mutex<HashSet<(usize, OpId)>>>,
    alive: Arc<AtomicIsize>,
}

impl World {
    fn new(slots: usize) -> World {
        let port = CompletionPort::new(2).expect("a port");
        let (listener, visited) = (listening(), listening());
        let post = (0..2).map(|_| bound(Kind::Datagram)).map(|socket| {
            let address = socket.local_addr().expect("an address");
            (socket, address)
        });
        let mut world = World {
            port,
            listener,
            slots: Vec::new(),
            visited,
            visitors: Visitors::default(),
            post: post.collect(),
            keys: AtomicUsize::new(1),
            started: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            told: (0..64).map(|_| Mutex::default()).collect(),
            alive: Arc::default(),
        };
        world.slots = (0..slots).map(|_| Mutex::new(world.pair())).collect();
        world.associate(&world.visited);
        world.post.iter().for_each(|(socket, _)| world.associate(socket));
        world
    }

    fn pair(&self) -> (Socket, Socket) {
        // One at a time, so that the accepted one belongs to the connecting one.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().expect("no panic before");
        let near = Socket::new(Family::V4, Kind::Stream).expect("a socket");
        near.connect(self.listener.local_addr().expect("an address")).expect("connect");
        let (far, _) = self.listener.accept().expect("accept");
        self.associate(&near);
        self.associate(&far);
        (near, far)
    }

    fn associate(&self, socket: &Socket) {
        self.port.associate(socket, self.keys.fetch_add(1, SeqCst)).expect("associate");
    }

    fn note(&self, outcome: Result<Started, Refused<Counted>>) {
        match outcome {
            Ok(Started::Pending(_) | Started::Queued(_)) => {
                self.started.fetch_add(1, SeqCst);
            }
            Ok(Started::Done(_)) => panic!("no socket here skips packets"),
            // The buffer came back with the refusal and is dropped here.
            Err(refused) => assert_ne!(refused.error.code(), 0),
        }
    }

    fn act(&self, random: &mut Random) {
        match random.below(20) {
            0 => return self.visit(random),
            1 => return self.write(random),
            _ => {}
        }
        let slot = random.below(self.slots.len() as u64) as usize;
        let mut ends = self.slots[slot].lock().expect("no panic before");
        let end = if random.below(2) == 0 { &ends.0 } else { &ends.1 };
        match random.below(200) {
            0..90 => {
                let len = if random.below(20) == 0 { 0 } else { random.below(2000) as usize };
                let flags = if random.below(8) == 0 { Flags::WAIT_ALL } else { Flags::NONE };
                self.note(end.recv_overlapped(Counted::new(len, &self.alive), flags, ToPort));
            }
            90..184 => {
                let len = if random.below(50) == 0 { 300_000 } else { random.below(3000) as usize };
                self.note(end.send_overlapped(Counted::new(len, &self.alive), ToPort));
            }
            184..190 => {
                let _ = end.cancel(None);
            }
            190..192 => {
                let _ = end.cancel_thread();
            }
            192 => {
                let _ = end.shutdown(Shutdown::Send);
            }
            193 => {
                let _ = end.set_linger(Some(Duration::ZERO));
                let _ = end.close();
            }
            194 => {
                let _ = end.close();
            }
            _ => *ends = self.pair(),
        }
    }

    /// Accepts and connects, whose sockets go when others come.
    fn visit(&self, random: &mut Random) {
        let buffer = Counted::new(random.below(3) as usize * 20, &self.alive);
        let socket = if random.below(2) == 0 {
            let accept = Socket::for_accept(Family::V4).expect("a socket");
            self.note(self.visited.accept_ex(&accept, buffer, ToPort));
            accept
        } else {
            let visitor = Socket::new(Family::V4, Kind::Stream).expect("a socket");
            self.associate(&visitor);
            let to = self.visited.local_addr().expect("an address");
            self.note(visitor.connect_ex(to, buffer, ToPort));
            visitor
        };
        self.visitors.keep(socket, random);
        if random.below(16) == 0 {
            let _ = self.visited.cancel(None);
        }
    }

    /// Datagrams, of which some are lost.
    fn write(&self, random: &mut Random) {
        let (socket, _) = &self.post[random.below(2) as usize];
        let buffer = Counted::new(random.below(1500) as usize, &self.alive);
        match random.below(10) {
            0..5 => {
                self.note(socket.send_to_overlapped(buffer, self.post[random.below(2) as usize].1, ToPort))
            }
            5..9 => self.note(socket.recv_from_overlapped(buffer, Flags::NONE, ToPort)),
            _ => _ = socket.cancel(None),
        }
    }

    /// Everything that is open is closed, so that everything that was started ends.
    fn close(&self) {
        for slot in &self.slots {
            let ends = slot.lock().expect("no panic before");
            let _ = ends.0.close();
            let _ = ends.1.close();
        }
        let _ = self.visited.close();
        self.visitors.close();
        self.post.iter().for_each(|(socket, _)| _ = socket.close());
    }

    fn take(&self, packets: &mut Vec<Packet>) -> bool {
        let mut go_on = true;
        for packet in packets.drain(..) {
            match packet {
                // One batch may hold the words for several workers.
                Packet::Posted { .. } if !go_on => self.port.post(0, 0, 0).expect("post"),
                Packet::Posted { .. } => go_on = false,
                Packet::Io(mut completion) => {
                    let bytes = completion.bytes();
                    let buffer = completion.take_buffer::<Counted>().expect("the buffer that went in");
                    assert!(bytes <= buffer.bytes.len());
                    buffer.check();
                    let name = (completion.key(), completion.id());
                    let mut told =
                        self.told[completion.key() % self.told.len()].lock().expect("no panic before");
                    assert!(told.insert(name), "an operation ended twice: {completion:?}");
                    self.ended.fetch_add(1, SeqCst);
                }
            }
        }
        go_on
    }
}

fn bound(kind: Kind) -> Socket {
    let socket = Socket::new(Family::V4, kind).expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("bind");
    socket
}

fn listening() -> Socket {
    let socket = bound(Kind::Stream);
    socket.listen(BACKLOG_MAX).expect("listen");
    socket
}

#[test]
fn every_operation_ends_once_and_every_buffer_comes_back() {
    let plan = Plan::new(1_200_000, 20_000);
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The guard and other things that stay are there before the count.
    drop(World::new(2));
    let mut ledger = Ledger::default();
    for round in 0..ROUNDS {
        by_port(&plan, round);
        ledger.settle(&plan);
    }
}

fn by_port(plan: &Plan, round: u64) {
    let seed = plan.seed.wrapping_add(2 * round);
    let world = World::new(32);
    const WORKERS: usize = 3;
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let mut packets = Vec::new();
                loop {
                    world.port.get_many(&mut packets, 16, None, Alertable::No).expect("the port is open");
                    if !world.take(&mut packets) {
                        return;
                    }
                }
            });
        }
        let actors: Vec<_> = (0..3u64)
            .map(|actor| {
                let world = &world;
                scope.spawn(move || {
                    let mut random = Random(seed.wrapping_add(actor.wrapping_mul(0x9e37_79b9)) | 1);
                    for _ in 0..plan.operations / ROUNDS / 3 {
                        world.act(&mut random);
                    }
                })
            })
            .collect();
        for actor in actors {
            actor.join().expect("an actor");
        }
        world.close();
        let deadline = Instant::now() + Duration::from_secs(20);
        while world.ended.load(SeqCst) < world.started.load(SeqCst) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        for _ in 0..WORKERS {
            world.port.post(0, 0, 0).expect("post");
        }
    });
    println!("round {round}: {} operations were accepted", world.started.load(SeqCst));
    assert_eq!(world.ended.load(SeqCst), world.started.load(SeqCst), "operations that never ended ({plan})");
    let alive = world.alive.clone();
    drop(world);
    assert_eq!(alive.load(SeqCst), 0, "buffers that never came back ({plan})");
}

/// What a run does: its seed, and how much.
struct Plan {
    seed: u64,
    operations: u64,
}

impl Plan {
    /// Under Wine every call passes through one server process, which is some forty times slower.
    fn new(operations: u64, on_wine: u64) -> Plan {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seed = number("DOORBELL_STRESS_SEED").unwrap_or(now.map_or(1, |time| time.as_nanos() as u64));
        let wine = startup::report().iter().any(|(key, _)| key == "wine");
        let usual = if wine { on_wine } else { operations };
        let plan = Plan { seed, operations: number("DOORBELL_STRESS_OPERATIONS").unwrap_or(usual) };
        println!("{plan}, {} operations, backend {}", plan.operations, startup::backend());
        plan
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DOORBELL_STRESS_SEED={}", self.seed)
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
