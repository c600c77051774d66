//! The async-select model: network events come as messages of a window, one at a time, to one procedure.
//!
//! An echo server, and one page: `cargo run -p doorbell-winsock --example async_select -- 127.0.0.1:7007`.

use doorbell_winsock::async_select::WM_USER;
use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::host::Signals;
use doorbell_winsock::socket::{BACKLOG_MAX, SocketId};
use doorbell_winsock::{Family, Kind, Message, MessageQueue, NetEvents, Result, Socket};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

const WM_SOCKET: u32 = WM_USER + 1;
const WM_STOP: u32 = WM_USER + 2;

#[derive(Default)]
struct Client {
    /// What it has not been sent yet.
    unsent: Vec<u8>,
    /// FD_READ came, and no `recv` followed yet: it will not come again before one does.
    readable: bool,
    /// FD_CLOSE came. It comes once, and there may be something to receive before the end.
    closing: bool,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;

    // 1. A listening socket, and a window of this thread.
    let listener = Socket::new(Family::of(&address), Kind::Stream)?;
    listener.set_exclusive_address()?;
    listener.bind(address)?;
    listener.listen(BACKLOG_MAX)?;
    let queue = MessageQueue::new()?;

    // 2. Clients inherit what their listener selects (MO-07), so all of it is named here, and nothing can happen to a client
    //    between its accept and its selection. None of these sockets blocks from now on (MO-01).
    let events = NetEvents::ACCEPT | NetEvents::READ | NetEvents::WRITE | NetEvents::CLOSE;
    listener.async_select(&queue.window(), WM_SOCKET, events)?;

    // 3. A stop is a message as well.
    let signals = Signals::install()?;
    println!("listening on {}", listener.local_addr()?);
    let window = queue.window();
    thread::spawn(move || {
        signals.wait();
        window.post(WM_STOP, 0, 0)
    });

    // 4. The pump takes one message after the other. Whoever is left after a stop is closed by its drop.
    let mut clients: HashMap<SocketId, (Socket, Client)> = HashMap::new();
    queue.run(|message| {
        match message {
            Message::Posted { .. } => return ControlFlow::Break(()),
            // 5. One `accept` for each FD_ACCEPT, which is what lets the next one come, also if it fails: hence the pause.
            Message::Socket { event: NetEvents::ACCEPT, .. } => match listener.accept() {
                Ok((client, _)) => _ = clients.insert(client.id(), (client, Client::default())),
                Err(error) if error.code() == WSAEWOULDBLOCK => {}
                Err(error) => {
                    eprintln!("{error}");
                    thread::sleep(Duration::from_millis(20));
                }
            },
            // 6. An event of a client. A message may be stale, its client gone: it is dropped.
            Message::Socket { socket, event, error, .. } => {
                if let Some((connection, client)) = clients.get_mut(&socket) {
                    client.readable |= event == NetEvents::READ;
                    client.closing |= event == NetEvents::CLOSE;
                    let stays = error == 0
                        && echo(connection, client).unwrap_or_else(|error| error.code() == WSAEWOULDBLOCK);
                    if !stays {
                        clients.remove(&socket);
                    }
                }
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}

/// Sends what is unsent, then receives what was told of. False when the client has finished and has been sent everything.
fn echo(socket: &Socket, client: &mut Client) -> Result<bool> {
    let mut buffer = [0; 16 * 1024];
    loop {
        // 7. FD_WRITE comes at first, and then only after a `send` that found no room: so this goes on until one does.
        while !client.unsent.is_empty() {
            let sent = socket.send(&client.unsent)?;
            client.unsent.drain(..sent);
        }
        // 8. One `recv` for each FD_READ; if it leaves something behind, FD_READ comes again. After FD_CLOSE no more comes,
        //    so it goes on until the end. With something unsent this is not reached, and the event is remembered.
        if !client.readable && !client.closing {
            return Ok(true);
        }
        client.readable = false;
        let received = socket.recv(&mut buffer)?;
        if received == 0 {
            return Ok(false);
        }
        client.unsent.extend_from_slice(&buffer[..received]);
    }
}
