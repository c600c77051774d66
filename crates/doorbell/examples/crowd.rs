//! A crowd of clients for an echo server in another process: how long it takes to let all of them in, and to answer all
//! of them once. With the server's process number also what it needs for that, where there is a /proc.
//!
//! ```sh
//! target/release/doorbell serve echo --model select &
//! cargo run --release --example crowd -- 127.0.0.1:7007 9000 $!
//! ```

use doorbell_winsock::host;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

/// What fits into the shortest queue that a system keeps of those who wait to be accepted.
const BUNCH: usize = 100;
/// For how long a client waits for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
const USAGE: &str = "usage: crowd IP:PORT CLIENTS [PROCESS]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crowd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (address, count, process) = match &arguments[..] {
        [address, count] => (address.parse()?, count.parse()?, None),
        [address, count, process] => (address.parse()?, count.parse()?, Some(process)),
        _ => return Err(USAGE.into()),
    };
    may_have(count)?;

    let begun = Instant::now();
    let mut clients: Vec<TcpStream> = Vec::with_capacity(count);
    while clients.len() < count {
        let first = clients.len();
        for number in first..count.min(first + BUNCH) {
            clients.push(connect(address).map_err(|error| explained(number, &error))?);
        }
        echo_through(&mut clients[first..], 1)?;
    }
    println!("{count} clients are in, and each was answered: {:.2} s", begun.elapsed().as_secs_f64());

    let begun = Instant::now();
    echo_through(&mut clients, 64)?;
    println!("one echo of 64 bytes through all of them: {:.3} s", begun.elapsed().as_secs_f64());

    if let Some(process) = process {
        println!("the server meanwhile: {}", figures(process)?);
    }
    Ok(())
}

/// Makes sure of the descriptors: one for each client, and a few.
fn may_have(count: usize) -> Result<(), String> {
    match host::raise_descriptor_limit() {
        Some(limit) if limit.soft < count as u64 + 16 => Err(format!(
            "{count} clients need more than the {} descriptors that this process may have: ulimit -Hn",
            limit.soft
        )),
        _ => Ok(()),
    }
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let client = TcpStream::connect_timeout(&address, PATIENCE)?;
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    Ok(client)
}

fn explained(number: usize, error: &std::io::Error) -> String {
    let remedy = match error.kind() {
        ErrorKind::ConnectionRefused => ": is the server there?",
        ErrorKind::AddrNotAvailable => {
            ": no port is left; wait for a minute, or give the server another address"
        }
        _ => "",
    };
    format!("client {number} cannot connect: {error}{remedy}")
}

/// All say something, each something of its own; then all must hear the same.
fn echo_through(clients: &mut [TcpStream], length: usize) -> Result<(), String> {
    let word = |number: usize| (0..length).map(|place| (number * 31 + place * 7) as u8).collect::<Vec<u8>>();
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(&word(number)).map_err(|error| format!("client {number} cannot send: {error}"))?;
    }
    let mut heard = vec![0; length];
    for (number, client) in clients.iter_mut().enumerate() {
        client.read_exact(&mut heard).map_err(|error| format!("client {number} is not answered: {error}"))?;
        if heard != word(number) {
            return Err(format!("client {number} was answered something else"));
        }
    }
    Ok(())
}

/// The threads and the memory of a process.
fn figures(process: &str) -> Result<String, String> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let figure = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?").trim();
    Ok(format!("{} threads, {} resident", figure("Threads:"), figure("VmRSS:")))
}
