//! What every server of the suite does alike: its flags, its listening sockets, its first line, its end, and the cost of a
//! request. How it waits is its own.

#![forbid(unsafe_code)]

mod service;

pub use service::{Conversation, Service, burn};

use socket2::{Domain, Protocol, Socket, Type};
use std::fmt::Display;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::{env, fs, process, thread};

/// Bytes of the buffer that each server receives into: as many as those of Doorbell receive at once at most.
pub const BUFFER_BYTES: usize = 64 * 1024;

/// Clients that may wait to be accepted. The system takes its own limit if that is lower.
const BACKLOG: i32 = 4096;

/// What the command line asks for.
#[derive(Debug)]
pub struct Options {
    pub listen: SocketAddr,
    pub threads: usize,
    pub service: Service,
    /// Flags that one server alone knows, with their values.
    own: Vec<(String, String)>,
}

impl Options {
    /// Reads the command line: `--listen ADDR`, `--threads N`, `--service echo|burn`, and of `own` a flag with its values,
    /// the first of which is the default. What it does not know ends the process.
    pub fn parse(own: &[(&str, &[&str])]) -> Options {
        let mut options = Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            threads: 1,
            service: Service::Echo,
            own: own.iter().map(|(flag, values)| (flag.to_string(), values[0].to_owned())).collect(),
        };
        let mut words = env::args().skip(1);
        while let Some(flag) = words.next() {
            let value = words.next().unwrap_or_else(|| give_up(format!("{flag} needs a value")));
            options.set(&flag, &value, own).unwrap_or_else(|error| give_up(error));
        }
        end_with_stdin();
        options
    }

    fn set(&mut self, flag: &str, value: &str, own: &[(&str, &[&str])]) -> Result<(), String> {
        let wrong = |error: &dyn Display| format!("{flag} {value}: {error}");
        match flag {
            "--listen" => self.listen = value.parse().map_err(|error| wrong(&error))?,
            "--threads" => self.threads = value.parse().map_err(|error| wrong(&error))?,
            "--service" if value == "echo" => self.service = Service::Echo,
            "--service" if value == "burn" => self.service = Service::Burn,
            _ => {
                let known = own.iter().position(|(name, values)| *name == flag && values.contains(&value));
                let at = known.ok_or_else(|| wrong(&"not known"))?;
                self.own[at].1 = value.to_owned();
            }
        }
        match self.threads {
            0 => Err(wrong(&"at least one")),
            _ => Ok(()),
        }
    }

    /// What a flag of the server's own was set to.
    pub fn own(&self, flag: &str) -> &str {
        let found = self.own.iter().find(|(name, _)| name == flag);
        &found.expect("every flag that is asked for was named to parse()").1
    }

    /// As many listening sockets on one address as there are threads, among which the system deals the clients out.
    pub fn listeners(&self) -> io::Result<Vec<TcpListener>> {
        let first = listening(self.listen, self.threads > 1)?;
        let address = first.local_addr()?;
        let others = (1..self.threads).map(|_| listening(address, true));
        [Ok(first)].into_iter().chain(others).collect()
    }

    /// One listening socket.
    pub fn listener(&self) -> io::Result<TcpListener> {
        listening(self.listen, false)
    }

    /// An address with a port that stays free for sockets which share it, as long as the socket lives.
    pub fn reserve(&self) -> io::Result<(Socket, SocketAddr)> {
        let socket = bound(self.listen, true)?;
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok((socket, address))
    }

    /// The line that scripts wait for.
    pub fn say(&self, address: SocketAddr, model: &str, backend: &str) {
        println!("listening on {address} model={model} threads={} backend={backend}", self.threads);
    }
}

/// For what `accept` reports. A client that left before it was accepted is no matter; anything else ends the process with a
/// word, since a server that accepts no more is not worth measuring.
pub fn refused(error: impl Into<io::Error>) {
    let error = error.into();
    if error.kind() != io::ErrorKind::ConnectionAborted {
        give_up(format!("accept: {error}"));
    }
}

/// Ends the process with a word on standard error.
pub fn give_up(why: impl Display) -> ! {
    eprintln!("{why}");
    process::exit(1);
}

fn listening(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = bound(address, shared)?;
    // Before it listens, for what it accepts to be born with it: one call less a connection for everybody.
    socket.set_tcp_nodelay(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bound(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Whoever started the server holds the other end of a pipe: when that goes, the server goes. Without a pipe it stays.
fn end_with_stdin() {
    if !fs::metadata("/proc/self/fd/0").is_ok_and(|stdin| stdin.file_type().is_fifo()) {
        return;
    }
    thread::spawn(|| {
        while matches!(io::stdin().read(&mut [0; 64]), Ok(count) if count > 0) {}
        process::exit(0);
    });
}
