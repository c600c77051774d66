#![doc = include_str!("overlapped_event.md")]

use super::{Built, StandsOn};
use crate::bell::Bell;
use crate::client::Notice;
use crate::core::{Core, Phase};
use crate::door::Place;
use crate::flat::{Flat, prepare_thread};
use crate::groups::{Group, Groups, SEATS, Work, wait_for_each};
use crate::listener::Listener;
use crate::lobby::{ACCEPTS, Host, Lobby, TurnedAway};
use crate::peer::done::Arrival;
use crate::threads::Threads;
use crate::under_way::UnderWay;
use doorbell_winsock::event_select::Event;
use doorbell_winsock::{Result, Socket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

pub(crate) const BUILT: Built =
    Built { page: include_str!("overlapped_event.md"), stands_on: StandsOn::Operations, launch };

/// A client on its way to its thread, and the event that it will be known by there.
type Newcomer = (Arrival, Place, Event);

fn launch(core: &Arc<Core>, listeners: Vec<Listener>, threads: &Threads) -> Result<()> {
    // 1. A group, with a thread of its own; more of them if so many threads were asked for.
    let groups = Arc::new(Groups::start(core, threads, core.settings.threads.unwrap_or(1), prepare)?);
    // 2. A thread that accepts, for as many listening sockets as it can wait for.
    for listeners in listeners.chunks(SEATS) {
        let (core, groups) = (core.clone(), groups.clone());
        let lobby = Lobby::new(&core, listeners, ACCEPTS);
        let count = listeners.len();
        threads.spawn("accept", move || accept(&core, &groups, &lobby, count))?;
    }
    Ok(())
}

fn accept(core: &Arc<Core>, groups: &Groups<Newcomer>, lobby: &Lobby, listeners: usize) -> Result<()> {
    let bell = Bell::new(core, Event::new()?);
    bell.ring_at_stop(core);
    bell.ring_at_room(core);
    let mut events = vec![bell.wake.clone()];
    for _ in 0..listeners {
        events.push(Event::new()?);
    }
    let under_way = events[1..].iter().cloned().map(UnderWay::new).collect();
    let mut doorman = Doorman { groups, under_way, again_at: None };
    loop {
        let now = Instant::now();
        doorman.again_at = None;
        // 8. Told to stop, it closes the listening sockets, which ends the accepts.
        if core.phase() > Phase::Serving {
            lobby.close();
        }
        if lobby.is_over() {
            return Ok(());
        }
        // 3. Several accepts at each listening socket; they all set its one event.
        lobby.let_in(&mut doorman, now);
        doorman.under_way.iter().for_each(UnderWay::tell_again);
        let timeout = doorman.again_at.map(|at| at.saturating_duration_since(now));
        wait_for_each(&events, timeout, |index| match index.checked_sub(1) {
            None => drop(bell.answer()),
            Some(listener) => doorman.under_way[listener].take_ended(|_, completion| {
                lobby.accept_ended(listener, completion, Instant::now());
            }),
        })?;
    }
}

struct Doorman<'a> {
    groups: &'a Groups<Newcomer>,
    /// The accepts at each listener.
    under_way: Vec<UnderWay>,
    /// When to try again, since something was wanting.
    again_at: Option<Instant>,
}

impl Host for Doorman<'_> {
    fn start_accept(&mut self, number: usize, listener: &Socket, accept: &Socket) -> Result<()> {
        self.under_way[number].accept(listener, accept)
    }

    fn try_again_at(&mut self, at: Instant) {
        self.again_at = self.again_at.into_iter().chain([at]).min();
    }

    /// 4. An accept has ended: the client goes to the group with the most free seats, whose thread it belongs to from now on.
    fn open(&mut self, arrival: Arrival, place: Place, _: Instant) -> std::result::Result<(), TurnedAway> {
        match Event::new() {
            Err(error) => Err((arrival, place, error)),
            Ok(event) => self
                .groups
                .place((arrival, place, event))
                .map_err(|((arrival, place, _), error)| (arrival, place, error)),
        }
    }
}

fn prepare(core: &Arc<Core>, group: Arc<Group<Newcomer>>) -> Result<Work> {
    prepare_thread()?;
    let core = core.clone();
    Ok(Box::new(move || serve(&core, &group)))
}

fn serve(core: &Arc<Core>, group: &Group<Newcomer>) -> Result<()> {
    let mut flat = Flat::new(core);
    // The array: at index 0 the thread's own event, and then that of each client, who it is and what is under way for it.
    let mut events = vec![group.bell.wake.clone()];
    let mut seats: Vec<(u64, Rc<UnderWay>)> = Vec::new();
    loop {
        let timeout = flat.timeout(Instant::now());
        let mut called = false;
        // 5. Wait until events are set.
        wait_for_each(&events, timeout, |index| match index.checked_sub(1).map(|seat| &seats[seat]) {
            None => called = true,
            // 6. Ask which operations have ended, and how: the conversation hears of it, and the next ones are started.
            Some((number, under_way)) => under_way.take_ended(|tag, completion| {
                flat.tell(*number, Notice::Ended(tag, completion), Instant::now());
            }),
        })?;
        let now = Instant::now();
        // 7. Called by another thread: for a message to a client, a new client, or to stop.
        if called {
            group.bell.answer().into_iter().for_each(|number| flat.tell(number, Notice::Posted, now));
            for (arrival, place, event) in group.newcomers() {
                let number = core.next_number();
                let under_way = Rc::new(UnderWay::new(event.clone()));
                events.push(event);
                seats.push((number, under_way.clone()));
                flat.take_in(number, (arrival, place), (under_way, group.bell.clone()), now);
            }
        }
        flat.follow_phase(now);
        flat.ring(now);
        flat.go_on(now);
        // Whoever is over leaves the array.
        for seat in (0..seats.len()).rev().filter(|&seat| !flat.has(seats[seat].0)).collect::<Vec<_>>() {
            events.swap_remove(seat + 1);
            seats.swap_remove(seat);
            group.free_seat();
        }
        // 9. A thread that was started on demand ends with its last client, and the others when the server stops.
        if flat.is_empty() && group.may_end(core.phase()) {
            return Ok(());
        }
    }
}
