//! Porting completion routines: closures in place of function pointers, run in alertable waits.

use doorbell_winsock::overlapped::ToRoutine;
use doorbell_winsock::routine::{Alertable, ThreadHandle, sleep_ex};
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{Completion, Family, Kind, Result, Shutdown, Socket};
use std::cell::Cell;
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let listener = Socket::new(Family::V4, Kind::Stream)?;
    listener.bind("127.0.0.1:0".parse()?)?;
    listener.listen(BACKLOG_MAX)?;

    // OpenThread and QueueUserAPC become a handle and a closure: the client queues one when it has its answer.
    let (address, this) = (listener.local_addr()?, ThreadHandle::current()?);
    let client = thread::spawn(move || {
        let answer = ask(address, b"ding dong")?;
        this.queue_apc(|| println!("the client was answered"))?;
        Result::Ok(answer)
    });

    // A blocking accept would run APCs as well, while it has to wait. Then the first receive.
    let (socket, _) = listener.accept()?;
    let over = Rc::new(Cell::new(false));
    receive(socket, vec![0; 4096], over.clone())?;

    // SleepEx(INFINITE, TRUE). Routines run here, on the thread that started their operation, and nowhere else.
    while !over.get() {
        sleep_ex(None, Alertable::Yes)?;
    }
    // The APC may have run already, and be what ended a sleep above; what is left of it runs in this one.
    let answer = client.join().map_err(|_| "the client panicked")??;
    sleep_ex(Some(std::time::Duration::ZERO), Alertable::Yes)?;
    assert_eq!(answer, b"ding dong");
    Ok(())
}

/// WSARecv(…, routine). What hung on a structure around the OVERLAPPED is captured by the closure, which needs no lock
/// and no `Send`, as it never leaves its thread.
fn receive(socket: Socket, buffer: Vec<u8>, over: Rc<Cell<bool>>) -> Result<()> {
    let handle = socket.clone();
    let routine = move |done: Completion| {
        // dwError was the system's code; this is Winsock's. An error of `echo` is one client's matter.
        if !echo(&socket, done, &over).unwrap_or(false) {
            over.set(true);
        }
    };
    handle.recv_overlapped(buffer, Flags::NONE, ToRoutine(routine))?;
    Ok(())
}

/// Sends what was received; the routine of that starts the next receive. False at the client's end.
fn echo(socket: &Socket, mut done: Completion, over: &Rc<Cell<bool>>) -> Result<bool> {
    let received = done.result()?;
    if received == 0 {
        return Ok(false);
    }
    let mut buffer: Vec<u8> = done.take_buffer().unwrap_or_default();
    buffer.truncate(received);
    let (client, over) = (socket.clone(), over.clone());
    let routine = move |mut done: Completion| {
        let mut buffer: Vec<u8> = done.take_buffer().unwrap_or_default();
        buffer.resize(4096, 0);
        let next = done.result().and_then(|_| receive(client, buffer, over.clone()));
        if next.is_err() {
            over.set(true);
        }
    };
    // Also if it ends at once the routine does not run inside this call.
    socket.send_overlapped(buffer, ToRoutine(routine))?;
    Ok(true)
}

/// The client, with blocking calls: says something, finishes, and returns what it was answered.
fn ask(address: SocketAddr, text: &[u8]) -> Result<Vec<u8>> {
    let socket = Socket::new(Family::V4, Kind::Stream)?;
    socket.connect(address)?;
    socket.send(text)?;
    socket.shutdown(Shutdown::Send)?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 64]);
    loop {
        match socket.recv(&mut buffer)? {
            0 => return Ok(answer),
            received => answer.extend_from_slice(&buffer[..received]),
        }
    }
}
