//! The event-select model: an event object for each socket, and one wait for up to 64 of them.
//!
//! An echo server, and one page: `cargo run -p doorbell-winsock --example event_select -- 127.0.0.1:7007`. It has one
//! thread and so 62 clients at a time; further ones wait in the backlog. A server for more starts a thread for each 63.

use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::event_select::WAIT_EVENTS_MAX;
use doorbell_winsock::host::Signals;
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::BACKLOG_MAX;
use doorbell_winsock::{Event, Family, Kind, NetEvents, Result, Socket, Wait, wait_any};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

/// The places of the stop's event and the listening socket's; those of the clients follow.
const STOP: usize = 0;
const LISTENER: usize = 1;
const FIRST: usize = 2;

struct Client {
    socket: Socket,
    /// What it has not been sent yet.
    unsent: Vec<u8>,
    /// FD_READ was recorded, and no `recv` followed yet: it is not recorded again before one does.
    readable: bool,
    /// FD_CLOSE was recorded. It is so once, and there may be something to receive before the end.
    closing: bool,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;

    // 1. A listening socket, whose event is set when somebody is there. It does not block from now on (MO-01).
    let listener = Socket::new(Family::of(&address), Kind::Stream)?;
    listener.set_exclusive_address()?;
    listener.bind(address)?;
    listener.listen(BACKLOG_MAX)?;
    let mut events = vec![Event::new()?, Event::new()?];
    listener.event_select(Some(&events[LISTENER]), NetEvents::ACCEPT)?;

    // 2. An event of its own by which the thread is stopped.
    let signals = Signals::install()?;
    println!("listening on {}", listener.local_addr()?);
    let stop = events[STOP].clone();
    thread::spawn(move || {
        signals.wait();
        stop.set()
    });

    // The client at place N of the events is at place N - FIRST here.
    let mut clients: Vec<Client> = Vec::new();
    let mut somebody = false;
    loop {
        // 3. The wait names the lowest event that is set. Those above it are looked at as well, without waiting, before
        //    it is the lowest one's turn again: a busy client at place 2 does not keep place 63 waiting.
        let Wait::Index(first) = wait_any(&events, None, Alertable::No)? else { continue };
        for at in (first..events.len()).rev() {
            if wait_any(&events[at..=at], Some(Duration::ZERO), Alertable::No)? != Wait::Index(0) {
                continue;
            }
            match at {
                STOP => return Ok(()),
                // 4. FD_ACCEPT does not come again before `accept` is called; with all places taken it is remembered.
                LISTENER => {
                    listener.enum_network_events(Some(&events[LISTENER]))?;
                    somebody = true;
                }
                // 5. The record is taken and the event reset in one step. Going down, the last may take a free place.
                _ => {
                    let stays = echo(&mut clients[at - FIRST], &events[at]);
                    if !stays.unwrap_or_else(|error| error.code() == WSAEWOULDBLOCK) {
                        clients.swap_remove(at - FIRST);
                        events.swap_remove(at);
                    }
                }
            }
        }
        // 6. `accept` until nobody is left, or no place.
        while somebody && events.len() < WAIT_EVENTS_MAX {
            match accept(&listener) {
                Ok((client, event)) => {
                    clients.push(client);
                    events.push(event);
                }
                Err(error) => {
                    somebody = false;
                    if error.code() != WSAEWOULDBLOCK {
                        // It lets FD_ACCEPT be recorded again at once: hence the pause.
                        eprintln!("{error}");
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            }
        }
    }
}

/// 7. A client and its event. It inherited the listener's selection (MO-07), which this one replaces; what has happened by
///    now is recorded at once (ES-06).
fn accept(listener: &Socket) -> Result<(Client, Event)> {
    let (socket, _) = listener.accept()?;
    let event = Event::new()?;
    socket.event_select(Some(&event), NetEvents::READ | NetEvents::WRITE | NetEvents::CLOSE)?;
    Ok((Client { socket, unsent: Vec::new(), readable: false, closing: false }, event))
}

/// 8. Takes what was recorded of a client, sends what is unsent, and receives what was told of. False when the client has
///    finished and has been sent everything.
fn echo(client: &mut Client, event: &Event) -> Result<bool> {
    let record = client.socket.enum_network_events(Some(event))?;
    client.readable |= record.contains(NetEvents::READ);
    client.closing |= record.contains(NetEvents::CLOSE);
    if record.error(NetEvents::CLOSE) != 0 {
        return Ok(false);
    }
    let mut buffer = [0; 16 * 1024];
    loop {
        // 9. FD_WRITE comes at first, and then only after a `send` that found no room: so this goes on until one does.
        while !client.unsent.is_empty() {
            let sent = client.socket.send(&client.unsent)?;
            client.unsent.drain(..sent);
        }
        // 10. One `recv` for each FD_READ; if it leaves something behind, FD_READ is recorded again. After FD_CLOSE nothing
        //     is, so it goes on until the end. With something unsent this is not reached, and the event is remembered.
        if !client.readable && !client.closing {
            return Ok(true);
        }
        client.readable = false;
        let received = client.socket.recv(&mut buffer)?;
        if received == 0 {
            return Ok(false);
        }
        client.unsent.extend_from_slice(&buffer[..received]);
    }
}
