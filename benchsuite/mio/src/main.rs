//! mio: one poll a thread, edges, and a buffer that all connections of a thread receive into.

#![forbid(unsafe_code)]

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use peer::{BUFFER_BYTES, Conversation, Options, Service, burn, refused};
use slab::Slab;
use std::io::{self, ErrorKind, Read, Write};
use std::thread;

const LISTENER: Token = Token(usize::MAX);

/// Events taken at once.
const EVENTS_MAX: usize = 1024;

fn main() -> io::Result<()> {
    let options = Options::parse(&[]);
    let listeners = options.listeners()?;
    options.say(listeners[0].local_addr()?, "mio", "epoll");
    let service = options.service;
    let threads: Vec<_> =
        listeners.into_iter().map(|listener| thread::spawn(move || run(listener, service))).collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("no loop panics"))
}

struct Connection {
    stream: TcpStream,
    conversation: Conversation,
    /// What the socket did not take yet. While there is some nothing is received.
    rest: Vec<u8>,
}

/// Whether a connection goes on.
enum Next {
    Wait,
    Close,
}

fn run(listener: std::net::TcpListener, service: Service) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut connections = Slab::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, poll.registry(), &mut connections, service)?;
                continue;
            }
            let key = event.token().0;
            let Some(connection) = connections.get_mut(key) else { continue };
            let next = connection.drive(&mut buffer, event.is_read_closed() || event.is_error());
            if !matches!(next, Ok(Next::Wait)) {
                // Closing the descriptor takes it out of the poll.
                connections.remove(key);
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    registry: &Registry,
    connections: &mut Slab<Connection>,
    service: Service,
) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                let place = connections.vacant_entry();
                let interest = Interest::READABLE | Interest::WRITABLE;
                registry.register(&mut stream, Token(place.key()), interest)?;
                place.insert(Connection {
                    stream,
                    conversation: Conversation::new(service),
                    rest: Vec::new(),
                });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => refused(error),
        }
    }
}

impl Connection {
    /// Sends and receives until the socket has no more to give or to take.
    fn drive(&mut self, buffer: &mut [u8], to_the_end: bool) -> io::Result<Next> {
        loop {
            if !self.rest.is_empty() {
                match retried(|| self.stream.write(&self.rest))? {
                    None => return Ok(Next::Wait),
                    Some(count) => drop(self.rest.drain(..count)),
                }
                continue;
            }
            let received = match retried(|| self.stream.read(buffer))? {
                None => return Ok(Next::Wait),
                Some(0) => return Ok(Next::Close),
                Some(count) => &buffer[..count],
            };
            burn(self.conversation.rounds(received));
            let sent = retried(|| self.stream.write(received))?.unwrap_or(0);
            self.rest.extend_from_slice(&received[sent..]);
            // A receive that did not fill the buffer has emptied the socket: the next bytes are a new edge, and so is the
            // end, unless this edge has told it already.
            if self.rest.is_empty() && received.len() < buffer.len() && !to_the_end {
                return Ok(Next::Wait);
            }
        }
    }
}

/// `None` where the socket would block.
fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
