//! Starts a program and listens to what it says, with deadlines.

#![allow(dead_code, reason = "some of it is for one system only")]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once. A loaded machine is slow, a broken program never answers.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A program that runs; it is killed when this is dropped.
pub(crate) struct Program {
    pub(crate) child: Child,
    lines: Receiver<String>,
}

impl Program {
    /// Starts an example by its name.
    #[track_caller]
    pub(crate) fn start(name: &str) -> Program {
        let mut child = Command::new(path(name))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; cargo build --examples"));
        let (told, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("its output is piped"));
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        Program { child, lines }
    }

    /// The next line that it prints.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(SOON).expect("a line is printed")
    }

    /// The address in its line `listening on ADDR`.
    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        let line = self.line();
        let address = line.strip_prefix("listening on ").and_then(|address| address.parse().ok());
        address.unwrap_or_else(|| panic!("no address in: {line}"))
    }

    /// Its end, which must come, and the lines that were not asked for before.
    #[track_caller]
    pub(crate) fn end(&mut self) -> (ExitStatus, Vec<String>) {
        let status = eventually(|| self.child.try_wait().expect("it can be asked"));
        // What it printed has been passed on when its pipe has ended.
        (status, self.lines.iter().collect())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo puts a test into `deps`, and examples beside that.
fn path(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("this program has a path");
    let profile = this.parent().and_then(|deps| deps.parent()).expect("two folders above it");
    profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(SOON)).expect("it takes a time-out");
    stream.set_write_timeout(Some(SOON)).expect("it takes a time-out");
    stream
}

/// Waits until there is something.
#[track_caller]
pub(crate) fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        match look() {
            Some(seen) => return seen,
            None => assert!(Instant::now() < deadline, "it does not come"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}
