//! The company behind a port: clients that any worker may serve, the lobby they come in by, and the clock.

use crate::client::{Client, Notice};
use crate::clock::Clock;
use crate::core::{Core, Phase};
use crate::door::Place;
use crate::listener::Listener;
use crate::lobby::{ACCEPTS, Host, Lobby, TurnedAway};
use crate::peer::done::{Arrival, Begun, Carrier, LAST_TAG, Peer};
use crate::table::{Key, Table};
use doorbell_service::Reach;
use doorbell_winsock::overlapped::{Completion, ToPort};
use doorbell_winsock::socket::Flags;
use doorbell_winsock::{CompletionPort, Result, Socket};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Instant;

/// What a posted packet says, as its token.
pub(crate) mod word {
    /// Somebody posted a message to the client.
    pub(crate) const POSTED: usize = 1;
    /// An instant has come that the client, or a listener, asked for.
    pub(crate) const TIME: usize = 2;
    /// The client was cut short and goes on.
    pub(crate) const GO_ON: usize = 3;
    /// The client is to look whether the server stops.
    pub(crate) const PHASE: usize = 4;
    /// The server stops.
    pub(crate) const STOP: usize = 5;
    /// There is room at the door.
    pub(crate) const ROOM: usize = 6;
    /// There is something in the tray.
    pub(crate) const LOOK: usize = 7;
}

/// A listener's key is its number under this tag, which no socket of a client has.
const LISTENER: u8 = LAST_TAG + 1;

pub(crate) struct Company {
    core: Arc<Core>,
    port: CompletionPort,
    table: Table<Client<AtPort>, Notice>,
    lobby: Lobby,
    clock: Arc<Clock>,
    reach: Arc<ByPacket>,
}

impl Company {
    /// Associates the listeners with the port, and has everything else told by packets too: a stop, room at the door,
    /// timers, messages.
    pub(crate) fn new(core: &Arc<Core>, port: &CompletionPort, listeners: Vec<Listener>) -> Result<Company> {
        for (number, listener) in listeners.iter().enumerate() {
            port.associate(&listener.socket, number << 8 | LISTENER as usize)?;
        }
        let [at_stop, at_room, at_time] = [port.clone(), port.clone(), port.clone()];
        core.on_stop(move || {
            let _ = at_stop.post(0, 0, word::STOP);
        });
        core.door.on_room(move || {
            let _ = at_room.post(0, 0, word::ROOM);
        });
        Ok(Company {
            core: core.clone(),
            port: port.clone(),
            table: Table::new(),
            lobby: Lobby::new(core, &listeners, ACCEPTS),
            clock: Clock::new(move |key| {
                let _ = at_time.post(0, key, word::TIME);
            }),
            reach: Arc::new(ByPacket { port: port.clone(), core: Arc::downgrade(core) }),
        })
    }

    /// The number of the listener whose key this is.
    pub(crate) fn listener(key: Key) -> Option<usize> {
        (key.tag() == LISTENER).then_some(key.number() >> 8)
    }

    pub(crate) fn accept_ended(&self, listener: usize, completion: Completion, now: Instant) {
        self.lobby.accept_ended(listener, completion, now);
        self.let_in(now);
    }

    /// Lets in who has arrived, as far as there are places, and has the listeners accept more.
    pub(crate) fn let_in(&self, now: Instant) {
        self.lobby.let_in(&mut &*self, now);
    }

    /// Tells a client something: at once, or by whoever runs it now.
    pub(crate) fn tell(&self, key: Key, notice: Notice, now: Instant) {
        self.run(key, self.table.take_out(key, notice), now);
    }

    /// Runs a client until nothing more has come for it.
    fn run(&self, key: Key, mut turn: Option<(Box<Client<AtPort>>, Notice)>, mut now: Instant) {
        while let Some((mut client, notice)) = turn {
            client.hear(notice, now);
            if !self.end_turn(key, &mut client) {
                return;
            }
            turn = self.table.put_back(key, client);
            if turn.is_some() {
                now = Instant::now();
            }
        }
    }

    /// What a client needs after each turn. False when it is over, and gone.
    fn end_turn(&self, key: Key, client: &mut Client<AtPort>) -> bool {
        let go_on = || self.port.post(0, key.number(), word::GO_ON).is_ok();
        let ring_at = |deadline| self.clock.ring_at(deadline, key.number());
        let stays = client.end_turn(go_on, ring_at);
        if !stays {
            self.remove(key);
        }
        stays
    }

    fn remove(&self, key: Key) {
        self.table.remove(key);
        if self.core.phase() > Phase::Serving {
            self.close_if_empty();
        }
    }

    /// Nobody comes in any more, and every client hears of it: by a packet each, so that no handler keeps the others.
    pub(crate) fn stop(&self) {
        self.lobby.close();
        for key in self.table.keys() {
            let _ = self.port.post(0, key.number(), word::PHASE);
        }
        self.close_if_empty();
    }

    /// When the last client has gone the port is closed, which every worker notices.
    fn close_if_empty(&self) {
        if self.table.is_empty() {
            self.clock.stop();
            let _ = self.port.close();
        }
    }
}

impl Host for &Company {
    fn start_accept(&mut self, _number: usize, listener: &Socket, accept: &Socket) -> Result<()> {
        let started = listener.accept_ex(accept, Vec::<u8>::new(), ToPort);
        started.map(drop).map_err(|refused| refused.error)
    }

    fn try_again_at(&mut self, at: Instant) {
        self.clock.ring_at(at, LISTENER as usize);
    }

    fn open(&mut self, arrival: Arrival, place: Place, now: Instant) -> std::result::Result<(), TurnedAway> {
        let key = self.table.reserve();
        let carrier = AtPort { port: self.port.clone(), key };
        let peer =
            Peer::open(&self.core, place, arrival, key.number() as u64, (carrier, self.reach.clone()), now);
        match peer {
            Ok(peer) => {
                let mut client = Box::new(Client::new(peer));
                if self.end_turn(key, &mut client) {
                    self.run(key, self.table.put_back(key, client), now);
                }
            }
            // The connection has failed already, so there is nobody to talk to.
            Err(_) => self.remove(key),
        }
        Ok(())
    }
}

/// Starts operations that end as packets under a client's key.
struct AtPort {
    port: CompletionPort,
    key: Key,
}

impl Carrier for AtPort {
    fn adopt(&self, socket: &Socket, tag: u8) -> Result<()> {
        self.port.associate(socket, self.key.with_tag(tag).number())?;
        // What ends at once is gone on from at once; the peer sees to it that this has an end.
        socket.skip_completion_port_on_success()
    }

    fn receive(&self, socket: &Socket, _tag: u8, buffer: Vec<u8>) -> Begun {
        socket.recv_overlapped(buffer, Flags::NONE, ToPort)
    }

    fn send(&self, socket: &Socket, _tag: u8, buffer: Vec<u8>) -> Begun {
        socket.send_overlapped(buffer, ToPort)
    }

    fn connect(&self, socket: &Socket, _tag: u8, to: SocketAddr) -> Begun {
        socket.connect_ex(to, Vec::new(), ToPort)
    }
}

/// How handles reach a client: a packet under its key, which is its number.
struct ByPacket {
    port: CompletionPort,
    /// Weak, because the core keeps the bells to ring at a stop.
    core: Weak<Core>,
}

impl Reach for ByPacket {
    fn wake(&self, number: u64) {
        let _ = self.port.post(0, number as usize, word::POSTED);
    }

    fn stop_server(&self) {
        if let Some(core) = self.core.upgrade() {
            core.stop();
        }
    }
}
