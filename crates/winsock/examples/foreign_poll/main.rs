//! A loop that is not this crate's waits for a message queue and an event: `poll(2)`, or a pump of Windows.
//!
//! An echo server that could live in a GUI: `cargo run -p doorbell-winsock --example foreign_poll -- 127.0.0.1:7007`.
//! The loop stands in a file for each system, `linux.rs` and `windows.rs`; what it asks for is the same.

mod linux;
mod windows;

use doorbell_winsock::async_select::WM_USER;
use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::host::Signals;
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::{BACKLOG_MAX, SocketId};
use doorbell_winsock::{
    Event, Family, Kind, Message, MessageQueue, NetEvents, Result, Socket, Wait, Waitable, wait_any,
};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

const WM_SOCKET: u32 = WM_USER + 1;

/// The foreign loop, with what it waits for beside its own matters. On Windows it hears of the queue by itself.
struct ForeignLoop {
    event: Waitable,
    queue: Option<Waitable>,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;

    // 1. A listening socket, whose network events and those of its clients are messages of this thread.
    let listener = Socket::new(Family::of(&address), Kind::Stream)?;
    listener.set_exclusive_address()?;
    listener.bind(address)?;
    listener.listen(BACKLOG_MAX)?;
    let queue = MessageQueue::new()?;
    let events = NetEvents::ACCEPT | NetEvents::READ | NetEvents::WRITE | NetEvents::CLOSE;
    listener.async_select(&queue.window(), WM_SOCKET, events)?;

    // 2. An event that another thread sets at the stop. Manual-reset, so that on no system the wait unsets it.
    let stop = Event::new()?;
    let signals = Signals::install()?;
    println!("listening on {}", listener.local_addr()?);
    let ours = stop.clone();
    thread::spawn(move || {
        signals.wait();
        ours.set()
    });

    // 3. What is woken for is only a hint: both are asked until they find nothing, and only then the loop waits again.
    let foreign = ForeignLoop::new(&queue, &stop)?;
    let mut clients: HashMap<SocketId, Client> = HashMap::new();
    loop {
        while let Some(message) = queue.get(Some(Duration::ZERO))? {
            if let Message::Socket { socket, event, error, .. } = message {
                told(&listener, &mut clients, socket, event, error);
            }
        }
        let asked = wait_any(std::slice::from_ref(&stop), Some(Duration::ZERO), Alertable::No)?;
        if asked == Wait::Index(0) {
            return Ok(());
        }
        foreign.wait()?;
    }
}

/// 4. From here on all is as in the example `async_select`, where the traps are named.
struct Client {
    socket: Socket,
    unsent: Vec<u8>,
    readable: bool,
    closing: bool,
}

fn told(
    listener: &Socket,
    clients: &mut HashMap<SocketId, Client>,
    id: SocketId,
    event: NetEvents,
    error: i32,
) {
    if event == NetEvents::ACCEPT {
        match listener.accept() {
            Ok((socket, _)) => {
                let client = Client { socket, unsent: Vec::new(), readable: false, closing: false };
                clients.insert(client.socket.id(), client);
            }
            Err(error) if error.code() == WSAEWOULDBLOCK => {}
            Err(error) => {
                eprintln!("{error}");
                thread::sleep(Duration::from_millis(20));
            }
        }
    } else if let Some(client) = clients.get_mut(&id) {
        client.readable |= event == NetEvents::READ;
        client.closing |= event == NetEvents::CLOSE;
        let stays = error == 0 && echo(client).unwrap_or_else(|error| error.code() == WSAEWOULDBLOCK);
        if !stays {
            clients.remove(&id);
        }
    }
}

fn echo(client: &mut Client) -> Result<bool> {
    let mut buffer = [0; 16 * 1024];
    loop {
        while !client.unsent.is_empty() {
            let sent = client.socket.send(&client.unsent)?;
            client.unsent.drain(..sent);
        }
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
