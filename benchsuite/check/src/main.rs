//! Whether a server is one to measure: `check NAME COMMAND [ARGUMENTS…]` starts it and puts what the suite asks for to it.

#![forbid(unsafe_code)]

use socket2::SockRef;
use std::error::Error;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, iter};

type Checked = Result<(), Box<dyn Error>>;

/// For anything that must come soon. Generous, for machines under load.
const PATIENCE: Duration = Duration::from_secs(20);

/// More than both sockets' buffers hold: a server that receives on while its answers are not taken must hold it itself.
const FLOOD_BYTES: usize = 24 << 20;

/// Odd, so that pieces and buffers never end together.
const PIECES: [usize; 7] = [1, 61, 4099, 3, 65_537, 17, 1021];

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let (Some(name), Some(program)) = (words.next(), words.next()) else {
        eprintln!("check NAME COMMAND [ARGUMENTS…]");
        return ExitCode::from(2);
    };
    let arguments: Vec<String> = words.collect();
    let mut good = true;
    for service in ["echo", "burn"] {
        let mut command = Command::new(&program);
        command.args(&arguments).args(["--listen", "127.0.0.1:0", "--service", service]);
        match check(command, service == "burn") {
            Ok(()) => println!("{name} {service}: good"),
            Err(error) => {
                println!("{name} {service}: {error}");
                good = false;
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(mut command: Command, burns: bool) -> Checked {
    let mut server = Server(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    let address = server.first_line()?;
    step("1 MiB in odd pieces, then half a close", || whole(address, 1 << 20, burns))?;
    step("a client that reads late", || late(address, burns))?;
    step("clients that reset", || resets(address, burns))?;
    step("100 clients at once", || crowd(address, burns))?;
    step("ends with standard input", || server.end())
}

fn step(name: &str, run: impl FnOnce() -> Checked) -> Checked {
    run().map_err(|error| format!("{name}: {error}").into())
}

struct Server(Child);

impl Server {
    fn first_line(&mut self) -> Result<SocketAddr, Box<dyn Error>> {
        let mut line = String::new();
        BufReader::new(self.0.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
        let mut words = line.strip_prefix("listening on ").ok_or("no first line")?.split_whitespace();
        let address = words.next().ok_or("no address")?.parse()?;
        for key in ["model=", "threads=", "backend="] {
            words.next().filter(|word| word.starts_with(key)).ok_or_else(|| format!("{key} is missing"))?;
        }
        Ok(address)
    }

    fn end(&mut self) -> Checked {
        drop(self.0.stdin.take());
        let began = Instant::now();
        loop {
            match self.0.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(status.to_string().into()),
                None if began.elapsed() > PATIENCE => return Err("it did not".into()),
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bytes that repeat only after a length which no buffer has; for `burn` as requests, whose heads are cut anywhere too.
fn bytes(count: usize, burns: bool) -> Vec<u8> {
    let noise =
        iter::successors(Some(1_u32), |last| Some(last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)));
    let mut bytes: Vec<u8> = noise.map(|word| (word >> 24) as u8).take(count).collect();
    if burns {
        let mut rest = &mut bytes[..];
        for length in (1..).map(|step| step * 37 % 1009) {
            if rest.len() < 8 + length {
                break;
            }
            let (request, behind) = rest.split_at_mut(8 + length);
            request[..4].copy_from_slice(&(length as u32).to_be_bytes());
            request[4..8].copy_from_slice(&10_u32.to_be_bytes());
            rest = behind;
        }
        // What is left is the head of no request and must come back all the same.
        rest.fill(0);
    }
    bytes
}

fn connect(address: SocketAddr) -> Result<TcpStream, Box<dyn Error>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Everything comes back, then the end.
fn whole(address: SocketAddr, count: usize, burns: bool) -> Checked {
    let sent = bytes(count, burns);
    let mut stream = connect(address)?;
    let mut sender = stream.try_clone()?;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut rest = &sent[..];
            for piece in PIECES.iter().cycle() {
                let (now, later) = rest.split_at((*piece).min(rest.len()));
                // What fails here is missed by the reader.
                if now.is_empty() || sender.write_all(now).is_err() {
                    break;
                }
                rest = later;
            }
            let _ = sender.shutdown(Shutdown::Write);
        });
        compare(&mut stream, &sent)
    })
}

fn compare(stream: &mut TcpStream, sent: &[u8]) -> Checked {
    let mut back = Vec::with_capacity(sent.len() + 1);
    stream.read_to_end(&mut back).map_err(|error| format!("{error} after {} bytes", back.len()))?;
    match back.iter().zip(sent).position(|(back, sent)| back != sent) {
        Some(at) => Err(format!("byte {at} is not the one that was sent").into()),
        None if back.len() != sent.len() => {
            Err(format!("{} bytes came back of {}", back.len(), sent.len()).into())
        }
        None => Ok(()),
    }
}

/// Sends until the server takes no more, reads nothing meanwhile, then everything.
fn late(address: SocketAddr, burns: bool) -> Checked {
    let sent = bytes(FLOOD_BYTES, burns);
    let mut stream = connect(address)?;
    stream.set_nonblocking(true)?;
    let (mut count, mut last) = (0, Instant::now());
    while last.elapsed() < Duration::from_millis(300) {
        match stream.write(&sent[count..]) {
            Ok(more) => (count, last) = (count + more, Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(error.into()),
        }
        if count == sent.len() {
            return Err(format!("{count} bytes were taken from a client that reads nothing").into());
        }
    }
    stream.set_nonblocking(false)?;
    let mut sender = stream.try_clone()?;
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = sender.write_all(&sent[count..]);
            let _ = sender.shutdown(Shutdown::Write);
        });
        compare(&mut stream, &sent)
    })
}

/// With answers under way, at once, and while the server may be sending.
fn resets(address: SocketAddr, burns: bool) -> Checked {
    for count in [0, 1, 100_000, 3_000_000] {
        for _ in 0..20 {
            let mut stream = connect(address)?;
            stream.set_nonblocking(true)?;
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            // Whether all of it was taken is no matter.
            let _ = stream.write(&vec![0; count]);
        }
    }
    whole(address, 1000, burns)
}

fn crowd(address: SocketAddr, burns: bool) -> Checked {
    let clients: Vec<_> = (0..100)
        .map(|client| {
            thread::spawn(move || whole(address, 30_000 + client, burns).map_err(|error| error.to_string()))
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| "a client panicked")??;
    }
    Ok(())
}
