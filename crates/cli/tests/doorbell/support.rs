//! Starts the command and listens to it, with deadlines.

#![allow(dead_code, reason = "some of it is for one system only")]

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once. A loaded machine is slow, a broken program never answers.
pub(crate) const AT_MOST: Duration = Duration::from_secs(20);

/// The models, in the order of the table.
pub(crate) const SEVEN: [&str; 7] = [
    "blocking",
    "select",
    "async-select",
    "event-select",
    "overlapped-event",
    "overlapped-routine",
    "completion-port",
];

/// The command, with no setting from this environment but the backend, which the whole suite may be run under.
pub(crate) fn doorbell(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorbell"));
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("DOORBELL_") && name != "DOORBELL_BACKEND")
    {
        command.env_remove(name);
    }
    command.args(arguments).env("NO_COLOR", "1");
    command
}

/// Runs a command that ends by itself.
#[track_caller]
pub(crate) fn run(mut command: Command) -> Ended {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (told, tells) = channel();
    thread::spawn(move || told.send(child.wait_with_output().unwrap()));
    let Output { status, stdout, stderr } = tells.recv_timeout(AT_MOST).expect("the command does not end");
    Ended {
        code: status.code().expect("it was killed"),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// What a command that has ended left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Checks the exit code, and that it says all of these on standard error.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for part in said {
            assert!(self.err.contains(part), "'{part}' is missing in: {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

/// A server that runs; it is killed when this is dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
}

impl Served {
    /// Starts a server on a free port.
    #[track_caller]
    pub(crate) fn start(arguments: &[&str]) -> Served {
        Served::spawn(doorbell(&[&["serve"], arguments, &["--listen", "127.0.0.1:0"]].concat()))
    }

    /// Starts whatever the command says.
    #[track_caller]
    pub(crate) fn spawn(command: Command) -> Served {
        Served::spawn_with(command, Stdio::null())
    }

    /// Starts whatever the command says, with this standard input.
    #[track_caller]
    pub(crate) fn spawn_with(mut command: Command, input: Stdio) -> Served {
        let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (told, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        let log = Arc::new(Mutex::new(String::new()));
        let (err, kept) = (BufReader::new(child.stderr.take().unwrap()), log.clone());
        thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                *kept.lock().unwrap() += &(line + "\n");
            }
        });
        Served { child, lines, log }
    }

    /// The next line on standard output.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(AT_MOST).unwrap_or_else(|_| panic!("no line comes; the log: {}", self.log()))
    }

    /// The address in the next line.
    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        address_in(&self.line())
    }

    /// A connection to the address in the next line.
    #[track_caller]
    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address())
    }

    /// What it has written to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its end, which must come.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        eventually(|| self.child.try_wait().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `listening on ADDR:PORT model=…`: the address.
#[track_caller]
pub(crate) fn address_in(line: &str) -> SocketAddr {
    line.split(' ')
        .nth(2)
        .and_then(|address| address.parse().ok())
        .unwrap_or_else(|| panic!("no address in: {line}"))
}

/// A client.
#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(AT_MOST)).unwrap();
    stream
}

/// The next `length` bytes.
#[track_caller]
pub(crate) fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Waits until there is something.
#[track_caller]
pub(crate) fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + AT_MOST;
    loop {
        match look() {
            Some(seen) => return seen,
            None => assert!(Instant::now() < deadline, "it does not come"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A file with this text, in the folder that cargo keeps for tests.
pub(crate) fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}
