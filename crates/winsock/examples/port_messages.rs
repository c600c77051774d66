//! Porting a window's procedure: network events and the program's own messages, one after the other.

use doorbell_winsock::async_select::WM_USER;
use doorbell_winsock::error::WSAEWOULDBLOCK;
use doorbell_winsock::socket::BACKLOG_MAX;
use doorbell_winsock::{Family, Kind, Message, MessageQueue, NetEvents, Shutdown, Socket};
use std::error::Error;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::thread;

const WM_SOCKET: u32 = WM_USER + 1;
const WM_ANSWERED: u32 = WM_USER + 2;

fn main() -> Result<(), Box<dyn Error>> {
    // CreateWindowEx(…, HWND_MESSAGE, …): the queue is this thread's, and has one window.
    let queue = MessageQueue::new()?;
    let listener = Socket::new(Family::V4, Kind::Stream)?;
    listener.bind("127.0.0.1:0".parse()?)?;
    listener.listen(BACKLOG_MAX)?;

    // WSAAsyncSelect(listener, window, WM_SOCKET, …). Accepted sockets inherit it, so what they need is named here.
    let events = NetEvents::ACCEPT | NetEvents::READ | NetEvents::CLOSE;
    listener.async_select(&queue.window(), WM_SOCKET, events)?;

    // Any thread may PostMessage. The client does, when it has its answer.
    let (address, window) = (listener.local_addr()?, queue.window());
    let client = thread::spawn(move || {
        let answer = ask(address, b"ding dong")?;
        window.post(WM_ANSWERED, answer.len(), 0)?;
        doorbell_winsock::Result::Ok(answer)
    });

    // GetMessage and DispatchMessage until the procedure breaks, where PostQuitMessage stood.
    let mut connected: Option<Socket> = None;
    let mut answered = 0;
    queue.run(|message| {
        match message {
            // WSAGETSELECTEVENT and WSAGETSELECTERROR are fields.
            Message::Socket { event: NetEvents::ACCEPT, error: 0, .. } => {
                connected = listener.accept().ok().map(|(socket, _)| socket);
            }
            // wParam named a socket, which may be closed by now; here it is a number that is never given again.
            Message::Socket { socket, event, .. } => {
                // What is taken out is dropped, and so closed.
                connected.take_if(|client| client.id() == socket && !echo(client, event));
            }
            // A message of the program's own, as it was posted.
            Message::Posted { id: WM_ANSWERED, wparam, .. } => {
                answered = wparam;
                return ControlFlow::Break(());
            }
            Message::Posted { .. } => {}
        }
        ControlFlow::Continue(())
    })?;

    let answer = client.join().map_err(|_| "the client panicked")??;
    assert_eq!((answer.as_slice(), answered), (b"ding dong".as_slice(), 9));
    println!("the client was answered");
    Ok(())
}

/// FD_READ comes again only after a recv: one for each. FD_CLOSE comes once, and there may be data before the end: then as
/// many as it takes. False at the client's end.
fn echo(client: &Socket, event: NetEvents) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match client.recv(&mut buffer) {
            // A socket that does not block may take a part: a server keeps the rest until FD_WRITE.
            Ok(received @ 1..) => assert_eq!(client.send(&buffer[..received]), Ok(received)),
            Err(error) if error.code() == WSAEWOULDBLOCK => return true,
            Ok(_) | Err(_) => return false,
        }
        if event != NetEvents::CLOSE {
            return true;
        }
    }
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
