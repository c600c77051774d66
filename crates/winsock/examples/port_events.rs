//! Porting event objects: network events, and the event of an overlapped operation, in one wait.

use doorbell_winsock::overlapped::{Op, ToEvent};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{Event, Family, Kind, NetEvents, Shutdown, Socket, Wait, wait_any};
use std::error::Error;
use std::net::SocketAddr;
use std::thread;

const LISTENER: usize = 0;
const RECEIVE: usize = 1;

fn main() -> Result<(), Box<dyn Error>> {
    let listener = Socket::new(Family::V4, Kind::Stream)?;
    listener.bind("127.0.0.1:0".parse()?)?;
    listener.listen(BACKLOG_MAX)?;

    // WSACreateEvent, and WSAEventSelect(listener, event, FD_ACCEPT), after which the socket does not block.
    let events = [Event::new()?, Event::new()?];
    listener.event_select(Some(&events[LISTENER]), NetEvents::ACCEPT)?;

    let address = listener.local_addr()?;
    let client = thread::spawn(move || ask(address, b"ding dong"));
    let mut connected: Option<(Socket, Op)> = None;
    loop {
        // WSAWaitForMultipleEvents(2, events, FALSE, WSA_INFINITE, FALSE): the lowest that is set.
        match wait_any(&events, None, Alertable::No)? {
            Wait::Index(LISTENER) => {
                // WSAEnumNetworkEvents takes the record and resets the event in one step.
                let record = listener.enum_network_events(Some(&events[LISTENER]))?;
                if !record.contains(NetEvents::ACCEPT) {
                    continue;
                }
                let (socket, _) = listener.accept()?;
                // It inherited the selection: WSAEventSelect(socket, NULL, 0) ends it. It still does not block.
                socket.event_select(None, NetEvents::NONE)?;
                // WSARecv with OVERLAPPED.hEvent, which the start resets. The `Op` stands for the OVERLAPPED.
                let receive =
                    socket.recv_overlapped(vec![0; 4096], Flags::NONE, ToEvent(&events[RECEIVE]))?;
                connected = Some((socket, receive));
            }
            Wait::Index(RECEIVE) => {
                let Some((socket, ended)) = connected.take() else { continue };
                // WSAGetOverlappedResult, and the buffer.
                let mut done = ended.take();
                let bytes = done.result()?;
                if bytes == 0 {
                    break;
                }
                let mut buffer: Vec<u8> = done.take_buffer().ok_or("a buffer comes back")?;
                buffer.truncate(bytes);
                // WSAGetOverlappedResult with fWait TRUE: waits for this one send, whoever else is ready.
                let sent = Event::new()?;
                let mut done = socket.send_overlapped(buffer, ToEvent(&sent))?.take();
                assert_eq!(done.result()?, bytes);
                let mut buffer: Vec<u8> = done.take_buffer().ok_or("a buffer comes back")?;
                buffer.resize(4096, 0);
                let receive = socket.recv_overlapped(buffer, Flags::NONE, ToEvent(&events[RECEIVE]))?;
                connected = Some((socket, receive));
            }
            other => return Err(format!("a wait without end or routines ended with {other:?}").into()),
        }
    }

    let answer = client.join().map_err(|_| "the client panicked")??;
    assert_eq!(answer, b"ding dong");
    println!("the client was answered");
    Ok(())
}

/// The client, with blocking calls: says something, finishes, and returns what it was answered.
fn ask(address: SocketAddr, text: &[u8]) -> doorbell_winsock::Result<Vec<u8>> {
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
