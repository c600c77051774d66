//! The overlapped model with completion routines: what is to happen at the end of an operation is said at its start.
//!
//! An echo server, and one page: `cargo run -p doorbell-winsock --example overlapped_routine -- 127.0.0.1:7007`.

use doorbell_winsock::host::Signals;
use doorbell_winsock::overlapped::ToRoutine;
use doorbell_winsock::routine::{Alertable, ThreadHandle, sleep_ex};
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{Completion, Error, Family, Kind, Result, Socket};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const BUFFER: usize = 16 * 1024;

/// Set by the stop.
static STOP: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether an accept is under way. Routines run on the thread that started their operation, so no lock is needed.
    static ACCEPTING: Cell<bool> = const { Cell::new(false) };
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;

    // 1. A listening socket.
    let listener = Socket::new(Family::of(&address), Kind::Stream)?;
    listener.set_exclusive_address()?;
    listener.bind(address)?;
    listener.listen(BACKLOG_MAX)?;

    // 2. The thread does nothing but sleep alertably; what wakes it from outside is a user APC.
    let signals = Signals::install()?;
    println!("listening on {}", listener.local_addr()?);
    let this = ThreadHandle::current()?;
    thread::spawn(move || {
        signals.wait();
        this.queue_apc(|| STOP.store(true, Ordering::Relaxed))
    });

    // 3. Routines run in this sleep and nowhere else: a thread that does not come back to it serves nobody. When the system
    //    refuses an accept it is asked again after a moment. What is under way at the stop ends with the thread.
    while !STOP.load(Ordering::Relaxed) {
        if !ACCEPTING.get() {
            told(accept(&listener));
        }
        let timeout = if ACCEPTING.get() { None } else { Some(Duration::from_millis(20)) };
        sleep_ex(timeout, Alertable::Yes)?;
    }
    Ok(())
}

/// 4. Starts an accept. Its routine starts the client's first receive; the next accept is started above.
fn accept(listener: &Socket) -> Result<()> {
    let socket = Socket::for_accept(Family::of(&listener.local_addr()?))?;
    let accepted = |mut ended: Completion| {
        ACCEPTING.set(false);
        match ended.result() {
            Ok(_) => {
                ended.take_accepted().into_iter().for_each(|client| told(receive(client, vec![0; BUFFER])))
            }
            // Out of descriptors, say: asking again at once would only spin.
            Err(error) => {
                told(Err(error));
                thread::sleep(Duration::from_millis(20));
            }
        }
    };
    listener.accept_ex(&socket, Vec::<u8>::new(), ToRoutine(accepted))?;
    ACCEPTING.set(true);
    Ok(())
}

/// 5. Starts a receive, whose routine sends back what it got. The routine owns the client: when nothing is started on it
///    any more it is dropped, and with it the connection closed.
fn receive(client: Socket, mut buffer: Vec<u8>) -> Result<()> {
    buffer.resize(BUFFER, 0);
    let socket = client.clone();
    let received = move |ended: Completion| told(echo(client, ended));
    socket.recv_overlapped(buffer, Flags::NONE, ToRoutine(received))?;
    Ok(())
}

/// 6. Nothing received is the client's end; it has been sent everything by now.
fn echo(client: Socket, mut ended: Completion) -> Result<()> {
    let received = ended.result()?;
    if received == 0 {
        return Ok(());
    }
    let mut buffer: Vec<u8> = ended.take_buffer().unwrap_or_default();
    buffer.truncate(received);
    let socket = client.clone();
    // 7. A send ends when all of it has been taken, however slow the client is (OV-11). Its routine never runs inside this
    //    call, also if it ends at once (CR-01): so this goes round without growing the stack.
    let sent = move |mut ended: Completion| {
        told(ended.result().and_then(|_| receive(client, ended.take_buffer().unwrap_or_default())));
    };
    socket.send_overlapped(buffer, ToRoutine(sent))?;
    Ok(())
}

/// An error is one client's matter, and no more than told of.
fn told(result: std::result::Result<(), Error>) {
    if let Err(error) = result {
        eprintln!("{error}");
    }
}
