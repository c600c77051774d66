#![doc = include_str!("blocking.md")]

use super::{Built, StandsOn};
use crate::bell::Wake;
use crate::core::{Core, Phase};
use crate::door::{Gate, Newcomer, Place};
use crate::hall::{Caller, Guest, Hall};
use crate::listener::Listener;
use crate::peer::ready::{Manner, Peer};
use crate::sets::Sets;
use crate::threads::Threads;
use doorbell_service::Leg;
use doorbell_winsock::error::{WSAENOBUFS, WSAETIMEDOUT};
use doorbell_winsock::{Error, FdSet, Result, Socket, select};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const BUILT: Built =
    Built { page: include_str!("blocking.md"), stands_on: StandsOn::Calls, launch };

/// A thread's receive buffer. Most receives are far shorter, and there is one for each connection.
const BUFFER_BYTES: usize = 16 * 1024;

/// A thread's stack: enough for a handler of some depth, an eighth of the usual. Nine thousand of them are 2.2 GiB of
/// addresses, of which only the pages that were touched are memory.
const STACK_BYTES: usize = 256 * 1024;

fn launch(core: &Arc<Core>, listeners: Vec<Listener>, threads: &Threads) -> Result<()> {
    // 1. A thread for each listening socket.
    let hall = Hall::new(core);
    for listener in listeners {
        let (core, hall) = (core.clone(), hall.clone());
        threads.spawn("accept", move || accept(&core, &hall, Gate::new(listener)))?;
    }
    Ok(())
}

fn accept(core: &Arc<Core>, hall: &Arc<Hall>, mut gate: Gate) -> Result<()> {
    // A stop closes the listening socket, which is what ends an accept (BL-07).
    let (here, socket) = (thread::current(), gate.listener.socket.clone());
    core.on_stop(move || {
        let _ = socket.close();
        here.unpark();
    });
    let here = thread::current();
    core.door.on_room(move || here.unpark());

    while core.phase() == Phase::Serving {
        // 2. Stand at the door until a client comes.
        match gate.listener.socket.accept() {
            Ok((socket, remote)) => {
                gate.succeeded(core);
                let guest = hall.enter(core, &socket);
                // 3. A thread for the client, who waits here as long as the server is full.
                if let Some(place) = wait_for_place(core) {
                    start_thread(
                        core,
                        &mut gate,
                        Client { guest, newcomer: Newcomer { socket, remote, place } },
                    );
                }
            }
            Err(_) if core.phase() > Phase::Serving => {}
            Err(error) => {
                gate.failed(core, error, Instant::now());
                rest(core, &gate);
            }
        }
    }
    // 7. The last client gone, this thread ends.
    hall.wait_until_empty(core);
    Ok(())
}

struct Client {
    guest: Guest,
    newcomer: Newcomer,
}

fn converse(core: &Arc<Core>, Client { guest, newcomer }: Client) -> Result<()> {
    let (caller, socket) = (&guest.caller, newcomer.socket.clone());
    // A call that has lasted as long as a connection may be idle returns, and nobody goes on with that socket.
    if let Some(timeout) = core.settings.idle_timeout {
        socket.set_recv_timeout(Some(timeout))?;
        socket.set_send_timeout(Some(timeout))?;
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    let opened = Peer::open(core, newcomer, caller.clone(), Manner::Stands, Instant::now());
    let Some(mut peer) = opened else { return Ok(()) };

    loop {
        // 4. `send` what the conversation has to say; that stands until the system has taken it all.
        // One that has always more to say looks now and then whether the client says something too.
        while peer.goes_on() && core.phase() == Phase::Serving && !says_something(&socket) {
            peer.on_time(Instant::now());
        }
        if !peer.needs_only_its_client() || !caller.stand(core) {
            return attend(core, caller, peer, &mut buffer);
        }
        // 5. Stand in `recv` until the client says something. A stop closes the socket of whoever stands there.
        let room = peer.room(Leg::First).min(buffer.len());
        let received = socket.recv(&mut buffer[..room]);
        caller.sit_down();
        let now = Instant::now();
        match received {
            Ok(count) => peer.received(Leg::First, Ok(&buffer[..count]), now),
            Err(error) if error.code() == WSAETIMEDOUT => peer.on_time(now),
            Err(_) if core.phase() > Phase::Serving => {}
            Err(error) => peer.received(Leg::First, Err(error), now),
        }
    }
}

// 6. A conversation with more to listen to than its client (a timer, post, a second leg, a stop) pays for it from here on:
// its sockets no longer block, and it stands in `select` with them and a bell of its own.
fn attend(core: &Core, caller: &Caller, mut peer: Peer, buffer: &mut [u8]) -> Result<()> {
    peer.stand_no_more()?;
    // When no descriptor is left for a bell it looks ten times a second instead.
    let wake = if peer.is_over() { None } else { caller.wake().ok() };
    let patience = if wake.is_some() { None } else { Some(Duration::from_millis(100)) };
    let mut sets = Sets::default();
    loop {
        let now = Instant::now();
        if core.phase() > Phase::Serving {
            peer.follow_phase(now);
        }
        // After the bell was hung up: who posted before found none.
        peer.posted(now);
        peer.on_time(now);
        if peer.is_over() {
            return Ok(());
        }
        sets.clear();
        if let Some(wake) = wake {
            sets.read.insert(wake.socket());
        }
        sets.insert(&peer);
        let deadline = peer.deadline().map(|at| at.saturating_duration_since(now));
        sets.select(deadline.into_iter().chain(patience).min())?;
        let mut ready = sets.ready();
        if let Some(wake) = wake.filter(|wake| ready.may_read(wake.socket())) {
            wake.hush();
        }
        ready.serve(&mut peer, buffer, Instant::now());
    }
}

/// Whether a receive would not stand.
fn says_something(socket: &Socket) -> bool {
    let mut read = FdSet::from_iter([socket]);
    select(Some(&mut read), None, None, Some(Duration::ZERO)).is_ok_and(|ready| ready > 0)
}

/// The thread of a client. Where there is no thread to be had, accepting rests as it does without descriptors.
fn start_thread(core: &Arc<Core>, gate: &mut Gate, client: Client) {
    let seat = Arc::new(Mutex::new(Some(client)));
    let take = |seat: &Mutex<Option<Client>>| seat.lock().unwrap_or_else(PoisonError::into_inner).take();
    while core.phase() == Phase::Serving {
        let (core_of_thread, theirs) = (core.clone(), seat.clone());
        let work = move || take(&theirs).map(|client| converse(&core_of_thread, client));
        let builder = thread::Builder::new().name("connection".to_owned()).stack_size(STACK_BYTES);
        if builder.spawn(work).is_ok() {
            return;
        }
        gate.failed(core, Error::new("create_thread", WSAENOBUFS), Instant::now());
        rest(core, gate);
    }
}

fn wait_for_place(core: &Arc<Core>) -> Option<Place> {
    while core.phase() == Phase::Serving {
        match Place::take(core) {
            None => thread::park(),
            place => return place,
        }
    }
    None
}

/// Until the time is over, somebody leaves, or the server stops.
fn rest(core: &Core, gate: &Gate) {
    let mut now = Instant::now();
    while let Some(until) = gate.rests_until(core, now).filter(|_| core.phase() == Phase::Serving) {
        thread::park_timeout(until.saturating_duration_since(now));
        now = Instant::now();
    }
}
