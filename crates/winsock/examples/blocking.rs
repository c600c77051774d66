//! The blocking model: a thread for each client, which stands in `recv` until there is something.
//!
//! An echo server, and one page: `cargo run -p doorbell-winsock --example blocking -- 127.0.0.1:7007`.

use doorbell_winsock::host::Signals;
use doorbell_winsock::socket::BACKLOG_MAX;
use doorbell_winsock::{Family, Kind, Result, Socket};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The clients that are connected, so that a stop can reach them.
static CLIENTS: Mutex<Vec<Socket>> = Mutex::new(Vec::new());

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;

    // 1. A listening socket. Its backlog takes clients from here on.
    let listener = Socket::new(Family::of(&address), Kind::Stream)?;
    listener.set_exclusive_address()?;
    listener.bind(address)?;
    listener.listen(BACKLOG_MAX)?;

    // 2. Nothing reaches a thread that stands in `accept`, except that its socket is closed under it: on Ctrl-C it is.
    let signals = Signals::install()?;
    println!("listening on {}", listener.local_addr()?);
    let ours = listener.clone();
    thread::spawn(move || {
        signals.wait();
        ours.close()
    });

    thread::scope(|scope| {
        // 3. This thread stands in `accept`. What fails is one client's matter, or passes: it never ends the server.
        loop {
            let client = match listener.accept() {
                Ok((client, _)) => client,
                Err(_) if listener.local_addr().is_err() => break,
                Err(error) => {
                    eprintln!("{error}");
                    // Out of descriptors, say: the client stays in the backlog, and asking at once would only spin.
                    thread::sleep(Duration::from_millis(20));
                    continue;
                }
            };

            // 4. A thread of its own for each client. If there is none to be had, the client is closed.
            with_clients(|clients| clients.push(client.clone()));
            let one = client.clone();
            let started = thread::Builder::new().spawn_scoped(scope, move || {
                if let Err(error) = echo(&one) {
                    eprintln!("{error}");
                }
                leave(&one);
            });
            if started.is_err() {
                leave(&client);
            }
        }

        // 6. After the stop those who are left are closed under their threads, and the scope waits for these.
        with_clients(|clients| clients.iter().for_each(|client| _ = client.close()));
    });
    Ok(())
}

/// 5. Receives and sends back, until the client finishes or breaks off.
fn echo(client: &Socket) -> Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        // A stream has no messages: this is what has arrived so far. Nothing at all is the client's end; it may still
        // listen, and has been sent everything by now.
        let received = client.recv(&mut buffer)?;
        if received == 0 {
            return Ok(());
        }
        // A blocking socket takes all of it before it returns, however slow the client is (BL-04).
        client.send(&buffer[..received])?;
    }
}

/// Closing is graceful: what was sent is delivered first. An error says that a stop was quicker.
fn leave(client: &Socket) {
    with_clients(|clients| clients.retain(|other| other != client));
    let _ = client.close();
}

fn with_clients<R>(act: impl FnOnce(&mut Vec<Socket>) -> R) -> R {
    act(&mut CLIENTS.lock().unwrap_or_else(PoisonError::into_inner))
}
