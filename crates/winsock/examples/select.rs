//! The select model: one thread looks after all clients, by an array that it hands in and that comes back shorter.
//!
//! An echo server, and one page: `cargo run -p doorbell-winsock --example select -- 127.0.0.1:7007`.

use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::host::Signals;
use doorbell_winsock::socket::{BACKLOG_MAX, SocketId};
use doorbell_winsock::{Family, FdSet, Kind, Result, Socket, select};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

struct Client {
    socket: Socket,
    /// What it has not been sent yet.
    unsent: Vec<u8>,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;

    // 1. A listening socket that does not block: who was ready may be gone when `accept` is called.
    let listener = Socket::new(Family::of(&address), Kind::Stream)?;
    listener.set_exclusive_address()?;
    listener.bind(address)?;
    listener.listen(BACKLOG_MAX)?;
    listener.set_nonblocking(true)?;

    // 2. `select` can be woken by sockets alone, so for a stop there is one: a datagram that the thread sends to itself.
    let bell = Socket::new(Family::V4, Kind::Datagram)?;
    bell.bind("127.0.0.1:0".parse()?)?;
    let signals = Signals::install()?;
    println!("listening on {}", listener.local_addr()?);
    let ours = bell.clone();
    thread::spawn(move || {
        signals.wait();
        ours.send_to(b"stop", ours.local_addr()?)
    });

    let mut clients: HashMap<SocketId, Client> = HashMap::new();
    let (mut read, mut write) = (FdSet::new(), FdSet::new());
    let mut pause = false;
    loop {
        // 3. `select` leaves only the ready ones, so the sets are filled anew each time. Who has something left to be
        //    sent stands in the write set and is not listened to meanwhile: this is the whole of back pressure. All
        //    others would be writable at any time, and `select` would never wait.
        read.clear();
        write.clear();
        read.insert(&bell);
        if !pause {
            read.insert(&listener);
        }
        for client in clients.values() {
            if client.unsent.is_empty() { read.insert(&client.socket) } else { write.insert(&client.socket) }
        }

        // 4. The wait. After a failed accept the listening socket, which stays ready, is left out for a moment.
        select(Some(&mut read), Some(&mut write), None, pause.then_some(Duration::from_millis(20)))?;
        pause = false;

        // 5. What is left in the sets is ready: each gets one call.
        for socket in read.iter().chain(write.iter()) {
            if *socket == bell {
                // 6. The stop. Whoever is left is closed when its socket is dropped.
                return Ok(());
            } else if *socket == listener {
                match listener.accept() {
                    // It does not block either: it has the listener's mode (MO-07).
                    Ok((socket, _)) => _ = clients.insert(socket.id(), Client { socket, unsent: Vec::new() }),
                    Err(error) if error.code() == WSAEWOULDBLOCK => {}
                    Err(error) => {
                        eprintln!("{error}");
                        pause = true;
                    }
                }
            } else if let Some(client) = clients.get_mut(&socket.id()) {
                let stays = echo(client).unwrap_or_else(|error| error.code() == WSAEWOULDBLOCK);
                if !stays {
                    clients.remove(&socket.id());
                }
            }
        }
    }
}

/// Receives if nothing is unsent, and sends as much as there is room for. False when the client has finished; it has
/// then been sent everything, as it is only listened to with nothing unsent.
fn echo(client: &mut Client) -> Result<bool> {
    if client.unsent.is_empty() {
        let mut buffer = [0; 16 * 1024];
        let received = client.socket.recv(&mut buffer)?;
        if received == 0 {
            return Ok(false);
        }
        client.unsent.extend_from_slice(&buffer[..received]);
    }
    // A part may go and the rest not (MO-08).
    let sent = client.socket.send(&client.unsent)?;
    client.unsent.drain(..sent);
    Ok(true)
}
