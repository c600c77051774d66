//! The overlapped model with events: operations that own their buffers, each of which sets an event when it is done.
//!
//! An echo server, and one page: `cargo run -p doorbell-winsock --example overlapped_event -- 127.0.0.1:7007`. It has
//! one thread and so 62 clients at a time; further ones wait in the backlog. A server for more starts a thread for each 63.

use doorbell_winsock::event_select::WAIT_EVENTS_MAX;
use doorbell_winsock::host::Signals;
use doorbell_winsock::overlapped::{Op, Operation, ToEvent};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{Event, Family, Kind, Result, Socket, Wait, wait_any};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

/// The places of the stop's event and the accept's; those of the clients follow.
const STOP: usize = 0;
const ACCEPT: usize = 1;
const FIRST: usize = 2;

const BUFFER: usize = 16 * 1024;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:0").parse()?;

    // 1. A listening socket.
    let listener = Socket::new(Family::of(&address), Kind::Stream)?;
    listener.set_exclusive_address()?;
    listener.bind(address)?;
    listener.listen(BACKLOG_MAX)?;

    // 2. An event of its own by which the thread is stopped.
    let mut events = vec![Event::new()?, Event::new()?];
    let signals = Signals::install()?;
    println!("listening on {}", listener.local_addr()?);
    let stop = events[STOP].clone();
    thread::spawn(move || {
        signals.wait();
        stop.set()
    });

    // At place N - FIRST the client whose event is at place N, and its operation: a receive or a send, one at a time.
    let mut clients: Vec<(Socket, Op)> = Vec::new();
    let mut accepting: Option<Op> = None;
    let mut short = false;
    loop {
        // 3. One accept is under way, unless all places are taken: then clients wait in the backlog. When the system is
        //    short of something it is asked again after a moment.
        if accepting.is_none() && events.len() < WAIT_EVENTS_MAX && !short {
            accepting = told(accept(&listener, &events[ACCEPT]));
            short = accepting.is_none();
        }
        let timeout = short.then_some(Duration::from_millis(20));
        short = false;
        // 4. The wait names the lowest event that is set. Those above it are looked at as well, without waiting, before
        //    it is the lowest one's turn again: a busy client at place 2 does not keep place 63 waiting.
        let Wait::Index(first) = wait_any(&events, timeout, Alertable::No)? else { continue };
        for at in (first..events.len()).rev() {
            if wait_any(&events[at..=at], Some(Duration::ZERO), Alertable::No)? != Wait::Index(0) {
                continue;
            }
            if at == STOP {
                return Ok(());
            } else if at == ACCEPT {
                // 5. The accept has ended, well or not. No start may follow that would reset its event.
                events[ACCEPT].reset()?;
                let event = Event::new()?;
                match accepting.take().and_then(|accept| told(arrived(accept, &event))?) {
                    Some(client) => {
                        clients.push(client);
                        events.push(event);
                    }
                    None => short = true,
                }
            } else {
                // 6. The operation of a client has ended. Its place may go to the last one, who has had his turn.
                let (client, ended) = clients.swap_remove(at - FIRST);
                let event = events.swap_remove(at);
                if let Some(next) = told(go_on(&client, ended, &event)).flatten() {
                    clients.push((client, next));
                    events.push(event);
                }
            }
        }
    }
}

fn accept(listener: &Socket, event: &Event) -> Result<Op> {
    let socket = Socket::for_accept(Family::of(&listener.local_addr()?))?;
    Ok(listener.accept_ex(&socket, Vec::<u8>::new(), ToEvent(event))?)
}

/// 7. The connected socket comes back from the accept; its first operation is a receive.
fn arrived(accept: Op, event: &Event) -> Result<Option<(Socket, Op)>> {
    let mut ended = accept.take();
    ended.result()?;
    let Some(client) = ended.take_accepted() else { return Ok(None) };
    let receive = client.recv_overlapped(vec![0; BUFFER], Flags::NONE, ToEvent(event))?;
    Ok(Some((client, receive)))
}

/// 8. What was received is sent, what was sent makes room for the next receive; the buffer goes from one to the other. Each
///    start resets the event (OV-04), and the end sets it, also if it comes at once (OV-02). None when the client has
///    finished: it has been sent everything.
fn go_on(client: &Socket, ended: Op, event: &Event) -> Result<Option<Op>> {
    let mut ended = ended.take();
    let bytes = ended.result()?;
    let mut buffer: Vec<u8> = ended.take_buffer().unwrap_or_default();
    match ended.operation() {
        Operation::Receive if bytes == 0 => Ok(None),
        Operation::Receive => {
            buffer.truncate(bytes);
            // It ends when all of it has been taken (OV-11).
            Ok(Some(client.send_overlapped(buffer, ToEvent(event))?))
        }
        _ => {
            buffer.resize(BUFFER, 0);
            Ok(Some(client.recv_overlapped(buffer, Flags::NONE, ToEvent(event))?))
        }
    }
}

/// An error is one client's matter, and no more than told of.
fn told<T>(result: Result<T>) -> Option<T> {
    result.inspect_err(|error| eprintln!("{error}")).ok()
}
