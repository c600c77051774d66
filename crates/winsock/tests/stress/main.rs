//! Threads, sockets and random operations with cancels, shutdowns and closes among them. After each run every operation
//! that was started has ended exactly once, every buffer has come back exactly once, and no descriptor is left.
//!
//! The seed is printed; `DOORBELL_STRESS_SEED=n` repeats a run's choices, `DOORBELL_STRESS_OPERATIONS=n` makes it longer.

mod threads;

use doorbell_winsock::overlapped::{IoBuf, IoBufMut, Refused, Segment, Segments, ToPort};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{CompletionPort, Family, Kind, Packet, Shutdown, Socket, Started, host, startup};
use std::collections::HashSet;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The descriptors that are open are the whole process's, so the tests of this file take turns.
static ALONE: Mutex<()> = Mutex::new(());

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
        Segments::One(Segment::new(self.bytes.as_mut_ptr(), self.bytes.len()))
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

struct World {
    port: CompletionPort,
    listener: Socket,
    slots: Vec<Mutex<(Socket, Socket)>>,
    keys: AtomicUsize,
    started: AtomicUsize,
    ended: AtomicUsize,
    /// Operations that a packet told of: each (key, id) may come once.
    told: Vec<Mutex<HashSet<(usize, String)>>>,
    alive: Arc<AtomicIsize>,
}

impl World {
    fn new(slots: usize) -> World {
        let port = CompletionPort::new(2).expect("a port");
        let listener = Socket::new(Family::V4, Kind::Stream).expect("a socket");
        listener.bind("127.0.0.1:0".parse().expect("an address")).expect("bind");
        listener.listen(BACKLOG_MAX).expect("listen");
        let mut world = World {
            port,
            listener,
            slots: Vec::new(),
            keys: AtomicUsize::new(1),
            started: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            told: (0..64).map(|_| Mutex::default()).collect(),
            alive: Arc::default(),
        };
        world.slots = (0..slots).map(|_| Mutex::new(world.pair())).collect();
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
        let slot = random.below(self.slots.len() as u64) as usize;
        let mut ends = self.slots[slot].lock().expect("no panic before");
        let end = if random.below(2) == 0 { &ends.0 } else { &ends.1 };
        match random.below(100) {
            0..40 => {
                let len = random.below(2000) as usize;
                let flags = if random.below(8) == 0 { Flags::WAIT_ALL } else { Flags::NONE };
                self.note(end.recv_overlapped(Counted::new(len, &self.alive), flags, ToPort));
            }
            40..85 => {
                let len = if random.below(50) == 0 { 300_000 } else { random.below(3000) as usize };
                self.note(end.send_overlapped(Counted::new(len, &self.alive), ToPort));
            }
            85..90 => {
                let _ = end.cancel(None);
            }
            90..92 => {
                let _ = end.cancel_thread();
            }
            92..94 => {
                let _ = end.shutdown(Shutdown::Send);
            }
            94 => {
                let _ = end.set_linger(Some(Duration::ZERO));
                let _ = end.close();
            }
            95..97 => {
                let _ = end.close();
            }
            _ => *ends = self.pair(),
        }
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
                    assert!(
                        buffer.bytes.iter().all(|byte| *byte == 0x5a),
                        "somebody wrote into a buffer of ours"
                    );
                    let name = (completion.key(), format!("{:?}", completion.id()));
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

#[test]
fn every_operation_ends_once_and_every_buffer_comes_back() {
    let seed = number("DOORBELL_STRESS_SEED").unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |t| t.as_nanos() as u64)
    });
    let wine = startup::report().iter().any(|(key, _)| key == "wine");
    // Under Wine every call passes through one server process, which is some forty times slower.
    let operations = number("DOORBELL_STRESS_OPERATIONS").unwrap_or(if wine { 4_000 } else { 200_000 });
    println!("seed {seed}, {operations} operations, backend {}", startup::backend());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = {
        // The guard and other things that stay are there before the count.
        drop(World::new(2));
        host::descriptors_open()
    };
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
                    for _ in 0..operations / 3 {
                        world.act(&mut random);
                    }
                })
            })
            .collect();
        for actor in actors {
            actor.join().expect("an actor");
        }
        for slot in &world.slots {
            let ends = slot.lock().expect("no panic before");
            let _ = ends.0.close();
            let _ = ends.1.close();
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while world.ended.load(SeqCst) < world.started.load(SeqCst) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        for _ in 0..WORKERS {
            world.port.post(0, 0, 0).expect("post");
        }
    });
    println!("{} operations were accepted", world.started.load(SeqCst));
    assert_eq!(
        world.ended.load(SeqCst),
        world.started.load(SeqCst),
        "operations that never ended (seed {seed})"
    );
    let alive = world.alive.clone();
    drop(world);
    assert_eq!(alive.load(SeqCst), 0, "buffers that never came back (seed {seed})");
    let deadline = Instant::now() + Duration::from_secs(5);
    while host::descriptors_open() > before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(host::descriptors_open() <= before, "{} descriptors left", host::descriptors_open() - before);
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
