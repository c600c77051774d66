//! A server under measurement: a process of its own, which ends with this one whatever happens.

use super::report::Server as Figures;
use doorbell_winsock::host::{self, OtherFigures, OtherProcess, SystemCalls};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server has to end by itself after its standard input did. It loses nothing when it is killed then.
const ENDS_WITHIN: Duration = Duration::from_millis(500);

/// How long the last words of a process that is gone may take. They are in the pipe, unless somebody else holds its end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How often a process is asked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Of what a server writes so much is kept, from the end.
const KEPT_BYTES: u64 = 16 << 10;

/// How to start it.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// The processors that it is kept to.
    pub(crate) processors: Option<Vec<usize>>,
}

/// A process that has said where it listens.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// The rest of its first line, `model=… threads=… backend=…`, as pairs.
    pub(crate) said: Vec<(String, String)>,
    process: Process,
    /// Nothing where the system does not let us look at it.
    other: Option<OtherProcess>,
    begun: Option<OtherFigures>,
}

impl Running {
    /// Starts it and waits for its line `listening on ADDR:PORT …`, or any other line with an address in it; no longer once
    /// `stop` is set.
    ///
    /// # Errors
    /// It cannot be started, ends before the line, or does not write it in time: with what it wrote.
    pub(crate) fn start(start: &Start, patience: Duration, stop: &AtomicBool) -> Result<Running, String> {
        let name = start.command.join(" ");
        let (mut process, lines) =
            Process::start(start).map_err(|error| format!("cannot start '{name}': {error}"))?;
        let other = OtherProcess::new(process.child.id()).ok();
        match process.first_line(&lines, patience, stop) {
            Ok((address, said)) => Ok(Running { address, said, process, other, begun: None }),
            Err(what) => {
                process.stop();
                let wrote = [process.output.to_the_end(), process.errors.to_the_end()].join("\n");
                let wrote = if wrote.trim().is_empty() { "nothing" } else { wrote.trim() };
                Err(format!("'{name}' {what}; it wrote: {wrote}"))
            }
        }
    }

    /// Memory of its own now, if this system tells.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        self.figures()?.memory_bytes
    }

    /// Begins to count for a run.
    pub(crate) fn begin(&mut self) {
        self.begun = self.figures();
    }

    /// What it took since [`begin`](Running::begin), if this system tells.
    pub(crate) fn end(&mut self) -> Option<Figures> {
        let now = self.figures()?;
        let taken = now.since(&self.begun.take()?);
        Some(Figures {
            cpu_user_us: taken.user.as_secs_f64() * 1e6,
            cpu_system_us: taken.system.as_secs_f64() * 1e6,
            switches_voluntary: taken.switches_voluntary,
            switches_involuntary: taken.switches_involuntary,
            system_calls: None,
            threads: taken.threads,
            memory_after_bytes: taken.memory_bytes,
            ..Figures::default()
        })
    }

    /// Begins to count its system calls, which slows it down, if this system lets us.
    pub(crate) fn count_system_calls(&self) -> Option<SystemCalls> {
        self.other.as_ref()?.count_system_calls().ok()
    }

    /// Ends the process, waits for it, and returns what it wrote to standard error.
    pub(crate) fn stop(mut self) -> String {
        self.process.stop();
        self.process.errors.to_the_end()
    }

    fn figures(&self) -> Option<OtherFigures> {
        self.other.as_ref()?.figures().ok()
    }
}

/// A child and its standard streams. It is gone when this is dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    output: Heard,
    errors: Heard,
}

impl Process {
    /// With the lines of its standard output.
    fn start(start: &Start) -> io::Result<(Process, Receiver<String>)> {
        let (program, arguments) = start.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        // Its standard input stays open as long as we live: the end of it is how a server learns that we are gone.
        command.args(arguments);
        // What is set for servers here would be one more variable: the flags say it all.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DOORBELL_"))
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match &start.processors {
            Some(processors) => host::spawn_pinned(&mut command, processors)?,
            None => command.spawn()?,
        };
        let (told, lines) = channel();
        let output = child.stdout.take().expect("it was asked for");
        let errors = child.stderr.take().expect("it was asked for");
        // Nobody wants the lines behind the first one, but they are read: a full pipe would stop the server.
        let output = Heard::from(output, move |line| drop(told.send(line.to_owned())));
        let errors = Heard::from(errors, |_| ());
        Ok((Process { child, output, errors }, lines))
    }

    /// The address in its first line that has one, and the pairs behind it.
    fn first_line(
        &mut self,
        lines: &Receiver<String>,
        patience: Duration,
        stop: &AtomicBool,
    ) -> Result<(SocketAddr, Vec<(String, String)>), String> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
            match lines.recv_timeout(LOOK_EVERY) {
                Ok(line) => {
                    if let Some(found) = address_in(&line) {
                        return Ok(found);
                    }
                }
                Err(_) => {
                    if let Some(status) = self.ended_within(LOOK_EVERY) {
                        return Err(format!("ended ({status}) before it said where it listens"));
                    }
                }
            }
        }
        Err(format!(
            "did not say within {patience:?} where it listens, by a line with ADDR:PORT on standard output"
        ))
    }

    /// Closes its input, gives it a moment, kills it, and waits for it.
    fn stop(&mut self) {
        drop(self.child.stdin.take());
        if self.ended_within(ENDS_WITHIN).is_none() {
            // One that has ended meanwhile cannot be killed, and need not be.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn ended_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => thread::sleep(LOOK_EVERY),
                outcome => return outcome.ok().flatten(),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came from a stream, which a thread of its own reads to the end.
#[derive(Debug)]
struct Heard {
    kept: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Heard {
    fn from(stream: impl Read + Send + 'static, each: impl Fn(&str) + Send + 'static) -> Heard {
        let (end, ended) = channel();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&kept);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            // A line without end comes in pieces.
            while matches!(stream.by_ref().take(KEPT_BYTES).read_until(b'\n', &mut line), Ok(1..)) {
                let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(&line);
                let too_many = kept.len().saturating_sub(KEPT_BYTES as usize);
                kept.drain(..too_many);
                drop(kept);
                each(&String::from_utf8_lossy(&line));
                line.clear();
            }
            drop(end);
        });
        Heard { kept, ended }
    }

    /// To its end, for which it waits a moment.
    fn to_the_end(&self) -> String {
        // An error either way: that nothing comes any more, or not now.
        let _ = self.ended.recv_timeout(LAST_WORDS);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).trim().to_owned()
    }
}

/// The first address in a line, where one can connect to it, and the pairs `name=value` behind it.
fn address_in(line: &str) -> Option<(SocketAddr, Vec<(String, String)>)> {
    let mut words = line.split_whitespace();
    let address = words.by_ref().find_map(address)?;
    let pairs = words.filter_map(|word| word.split_once('='));
    Some((address, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
}

/// Whatever punctuation is around it.
fn address(word: &str) -> Option<SocketAddr> {
    let word = word.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '[');
    let mut address: SocketAddr = word.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    (address.port() != 0).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn a_line_has_its_address_and_its_pairs() {
        for (line, expected) in [
            ("listening on 127.0.0.1:80 model=select threads=2", "127.0.0.1:80"),
            ("Listening on http://0.0.0.0:8080/", "127.0.0.1:8080"),
            ("ready (addr=[::]:7007).", "[::1]:7007"),
        ] {
            assert_eq!(address_in(line).unwrap().0, expected.parse().unwrap(), "{line}");
        }
        let (_, said) = address_in("listening on [::1]:80 model=select to threads=2\r\n").unwrap();
        assert_eq!(said, [("model".into(), "select".into()), ("threads".into(), "2".into())]);
        for none in ["", "listening", "version 1.2.3", "127.0.0.1", "127.0.0.1:0"] {
            assert_eq!(address_in(none), None, "{none}");
        }
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let start = Start { command: vec!["no-such-program".into(), "--flag".into()], processors: None };
        let error = Running::start(&start, SOON, &AtomicBool::new(false)).unwrap_err();
        assert!(error.starts_with("cannot start 'no-such-program --flag': "), "{error}");
    }

    #[test]
    fn one_that_ends_at_once_is_told_with_its_code_and_its_words() {
        let error = Running::start(&child("fails"), SOON, &AtomicBool::new(false)).unwrap_err();
        for part in ["what_a_child_does", "ended (exit", ": 3)", "no room here"] {
            assert!(error.contains(part), "'{part}' is missing in: {error}");
        }
    }

    #[test]
    fn one_that_does_not_say_where_it_listens_is_not_waited_for_longer() {
        let (mut process, lines) = Process::start(&child("mute")).unwrap();
        eventually_in(&process.output, "still thinking");
        let error =
            process.first_line(&lines, Duration::from_millis(50), &AtomicBool::new(false)).unwrap_err();
        assert!(error.contains("did not say within 50ms where it listens"), "{error}");
    }

    #[test]
    fn one_that_serves_has_figures_and_may_write_on() {
        let processors = host::processors_allowed();
        let start = Start { processors: Some(vec![processors[0]]), ..child("serves") };
        let mut running = Running::start(&start, SOON, &AtomicBool::new(false)).unwrap();
        assert_eq!(running.address, "127.0.0.1:7007".parse().unwrap());
        assert_eq!(running.said, [("threads".to_owned(), "1".to_owned())]);
        running.begin();
        eventually_in(&running.process.errors, "all written");
        assert!(running.memory_bytes().unwrap() > 0);
        let taken = running.end().unwrap();
        assert!(taken.threads.unwrap() > 0, "{taken:?}");
        assert!(taken.memory_after_bytes.unwrap() > 0, "{taken:?}");
        assert_eq!(running.end(), None, "nothing has begun");
        assert!(running.stop().contains("all written"));
    }

    #[test]
    fn one_that_does_not_end_by_itself_is_killed_by_a_stop_and_by_a_drop() {
        for stop in [true, false] {
            let running = Running::start(&child("stays"), SOON, &AtomicBool::new(false)).unwrap();
            let other = OtherProcess::new(running.process.child.id()).unwrap();
            assert!(other.figures().is_ok());
            match stop {
                true => assert!(running.stop().contains("I stay")),
                false => drop(running),
            }
            assert!(other.figures().is_err(), "it is there after a {}", if stop { "stop" } else { "drop" });
        }
    }

    #[track_caller]
    fn eventually_in(heard: &Heard, words: &str) {
        let deadline = Instant::now() + SOON;
        while !String::from_utf8_lossy(&heard.kept.lock().unwrap()).contains(words) {
            assert!(Instant::now() < deadline, "'{words}' does not come");
            thread::sleep(LOOK_EVERY);
        }
    }

    /// This test program once more, to do one thing.
    fn child(task: &str) -> Start {
        let program = std::env::current_exe().unwrap();
        let words = [
            &*program.to_string_lossy(),
            "--exact",
            "bench::server::tests::what_a_child_does",
            "--nocapture",
        ];
        // A last filter that names no test tells the child what to do.
        Start { command: words.into_iter().chain([task]).map(str::to_owned).collect(), processors: None }
    }

    /// Nothing, unless it is a child of the tests above.
    #[test]
    fn what_a_child_does() {
        match std::env::args().next_back().as_deref() {
            Some("fails") => {
                eprintln!("no room here");
                std::process::exit(3);
            }
            Some("mute") => {
                println!("still thinking");
                input_ends();
            }
            Some("serves") => {
                println!("listening on 127.0.0.1:7007 threads=1");
                // More than any pipe holds.
                io::stdout().write_all(&vec![b'x'; 1 << 20]).unwrap();
                eprintln!("all written");
                input_ends();
            }
            Some("stays") => {
                eprintln!("I stay");
                println!("listening on 127.0.0.1:7007");
                thread::sleep(Duration::from_secs(60));
            }
            _ => {}
        }
    }

    fn input_ends() {
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
    }
}
