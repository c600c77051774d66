#![doc = include_str!("async_select.md")]

use super::{Built, StandsOn};
use crate::bell::{Bell, Wake};
use crate::core::{Core, Phase};
use crate::door::Newcomer;
use crate::gates::Gates;
use crate::house::House;
use crate::inbox::Inbox;
use crate::listener::Listener;
use crate::peer::ready::{OF_CLIENT, Selects};
use crate::threads::Threads;
use crate::wake::WakeWindow;
use doorbell_winsock::async_select::{Message, MessageQueue, WM_USER, Window};
use doorbell_winsock::event_select::NetEvents;
use doorbell_winsock::{Result, Socket};
use std::sync::Arc;
use std::time::Instant;

pub(crate) const BUILT: Built =
    Built { page: include_str!("async_select.md"), stands_on: StandsOn::NetworkEvents, launch };

/// A network event of a socket: of a listening one as of a client's.
const WM_SOCKET: u32 = WM_USER + 1;

fn launch(core: &Arc<Core>, mut listeners: Vec<Listener>, threads: &Threads) -> Result<()> {
    // 1. A thread with a window; more of them if they were asked for. The first has the listening sockets, and is made last,
    // since it hands clients to the others.
    let mut others = Vec::new();
    for number in (0..core.settings.threads.unwrap_or(1)).rev() {
        let listeners = if number == 0 { std::mem::take(&mut listeners) } else { Vec::new() };
        let (core, theirs) = (core.clone(), others.clone());
        let desk = threads.spawn_prepared("window", move || {
            let procedure = Procedure::create(&core, listeners, theirs)?;
            Ok((procedure.desk.clone(), || procedure.pump()))
        })?;
        others.push(desk);
    }
    Ok(())
}

/// A window, as other threads see it.
struct Desk {
    bell: Arc<Bell<WakeWindow>>,
    inbox: Inbox<Newcomer>,
}

impl Desk {
    fn hand_over(&self, newcomer: Newcomer) {
        // Closed at the end only: then the newcomer is dropped.
        if self.inbox.put(newcomer).is_ok() {
            self.bell.wake.ring();
        }
    }
}

impl Selects for Window {
    fn select(&self, socket: &Socket, events: NetEvents) -> Result<()> {
        socket.async_select(self, WM_SOCKET, events)
    }
}

/// What is accepted for the same window has the listener's selection already; a second leg has not.
struct Inherited(Window);

impl Selects for Inherited {
    fn select(&self, socket: &Socket, events: NetEvents) -> Result<()> {
        if events == OF_CLIENT { Ok(()) } else { self.0.select(socket, events) }
    }
}

/// A window's procedure, and what it remembers between two messages.
struct Procedure {
    core: Arc<Core>,
    queue: MessageQueue,
    desk: Arc<Desk>,
    gates: Gates,
    house: House,
    /// For clients who were handed over, and for the window's own.
    selects: Arc<dyn Selects>,
    inherited: Arc<dyn Selects>,
    others: Vec<Arc<Desk>>,
    /// Whose turn it is to get a client: 0 is this one's.
    turn: usize,
}

impl Procedure {
    fn create(core: &Arc<Core>, listeners: Vec<Listener>, others: Vec<Arc<Desk>>) -> Result<Procedure> {
        let queue = MessageQueue::new()?;
        // 2. At its creation the window asks for FD_ACCEPT of the listening sockets, and for what the accepted ones inherit.
        let gates = Gates::new(core, listeners);
        let window = queue.window();
        gates.select(&window, OF_CLIENT)?;
        let bell = Bell::new(core, WakeWindow::new(window.clone()));
        bell.ring_at_stop(core);
        if gates.sockets().next().is_some() {
            bell.ring_at_room(core);
        }
        let desk = Arc::new(Desk { bell, inbox: Inbox::new() });
        let (core, house) = (core.clone(), House::new(core));
        Ok(Procedure {
            core,
            queue,
            desk,
            gates,
            house,
            inherited: Arc::new(Inherited(window.clone())),
            selects: Arc::new(window),
            others,
            turn: 0,
        })
    }

    fn pump(mut self) -> Result<()> {
        loop {
            // 3. Take the next message, and wait for it no longer than until the next timer or time-out.
            let now = Instant::now();
            let next = self.house.next_call().into_iter().chain(self.gates.next_try(now)).min();
            let message = self.queue.get(next.map(|at| at.saturating_duration_since(now)))?;
            self.handle(message, Instant::now());
            // 8. When it is to stop, the window goes with its last client.
            if self.core.phase() > Phase::Serving && self.house.len() == 0 && self.desk.inbox.close_if_empty()
            {
                return Ok(());
            }
        }
    }

    fn handle(&mut self, message: Option<Message>, now: Instant) {
        match message {
            // 4. FD_ACCEPT: one accept.
            Some(Message::Socket { socket, event: NetEvents::ACCEPT, .. }) => self.gates.announced(socket),
            // 5. FD_READ, FD_WRITE, FD_CLOSE, and FD_CONNECT of a second leg: the client whose socket it is.
            Some(Message::Socket { socket, event, error, .. }) => {
                self.house.told(socket, event, error, now);
            }
            Some(Message::Posted { .. }) | None => {}
        }
        // 6. WM_BELL, or its mark where it found the queue full: newcomers, post for a client, room at the door, or a stop.
        if self.desk.bell.wake.is_rung() {
            let posted = self.desk.bell.answer();
            self.house.posted(posted, now);
            for newcomer in self.desk.inbox.take() {
                self.house.open(newcomer, self.desk.bell.clone(), self.selects.clone(), now);
            }
        }
        if self.core.phase() > Phase::Serving {
            self.gates.close();
        }
        self.let_in(now);
        // 7. Who wants to be called by now is called.
        self.house.call(now);
    }

    fn let_in(&mut self, now: Instant) {
        let Procedure { gates, desk, others, turn, house, inherited, .. } = self;
        gates.let_in(now, |newcomer| {
            match turn.checked_sub(1).map(|other| &others[other]) {
                None => drop(house.open(newcomer, desk.bell.clone(), inherited.clone(), now)),
                Some(other) => other.hand_over(newcomer),
            }
            *turn = (*turn + 1) % (others.len() + 1);
            Ok(())
        });
    }
}
