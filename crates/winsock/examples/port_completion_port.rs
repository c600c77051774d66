//! Porting a completion port: one client is accepted, echoed, and goes.

use doorbell_winsock::overlapped::{Operation, ToPort};
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{CompletionPort, Family, Kind, Packet, Shutdown, Socket};
use std::error::Error;
use std::net::SocketAddr;
use std::thread;

const LISTENER: usize = 1;
const CLIENT: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    // CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0), and once more to associate the listening socket.
    let port = CompletionPort::new(0)?;
    let listener = Socket::new(Family::V4, Kind::Stream)?;
    listener.bind("127.0.0.1:0".parse()?)?;
    listener.listen(BACKLOG_MAX)?;
    port.associate(&listener, LISTENER)?;

    // AcceptEx with dwReceiveDataLength 0: an empty buffer.
    let socket = Socket::for_accept(Family::V4)?;
    listener.accept_ex(&socket, Vec::<u8>::new(), ToPort)?;

    let address = listener.local_addr()?;
    let client = thread::spawn(move || ask(address, b"ding dong"));
    loop {
        // GetQueuedCompletionStatus(port, …, INFINITE). An operation that failed is a packet too, not an error here.
        let Packet::Io(mut done) = port.get(None)? else { continue };
        let bytes = done.result()?;
        match (done.key(), done.operation()) {
            (LISTENER, _) => {
                // The socket is connected. No SO_UPDATE_ACCEPT_CONTEXT: it has been done.
                port.associate(&socket, CLIENT)?;
                // WSARecv. The buffer goes in by value and comes back in the packet: no structure around an OVERLAPPED.
                socket.recv_overlapped(vec![0; 4096], Flags::NONE, ToPort)?;
            }
            (_, Operation::Receive) if bytes == 0 => {
                // The client has finished. closesocket; the drop of the last clone would do the same.
                socket.close()?;
                break;
            }
            (_, Operation::Receive) => {
                let mut buffer: Vec<u8> = done.take_buffer().ok_or("a buffer comes back")?;
                buffer.truncate(bytes);
                // WSASend: it ends when all of it has been taken.
                socket.send_overlapped(buffer, ToPort)?;
            }
            _ => {
                let mut buffer: Vec<u8> = done.take_buffer().ok_or("a buffer comes back")?;
                buffer.resize(4096, 0);
                socket.recv_overlapped(buffer, Flags::NONE, ToPort)?;
            }
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
