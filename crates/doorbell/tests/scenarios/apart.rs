//! An echo server in a process of its own, this binary again: its descriptors and its processor time are its alone.
//!
//! It is told its model by an environment variable, prints its address, answers each line on its standard input with
//! its figures, and drains when that input ends.

use crate::harness::{Client, SOON, anywhere, in_time};
use doorbell::{Model, Server};
use doorbell_service::Echo;
use doorbell_winsock::host;
use std::env;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

const MARK: &str = "DOORBELL_SCENARIO_SERVER";

/// As the test sees it.
pub(crate) struct Apart {
    child: Child,
    pipes: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
    pub(crate) address: SocketAddr,
}

/// What it says of itself.
#[derive(Debug)]
pub(crate) struct ApartFigures {
    pub(crate) open: usize,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) descriptors: usize,
    pub(crate) processor_time: Duration,
}

impl Apart {
    pub(crate) fn new(model: Model) -> Apart {
        Apart::start(model, Command::new(this_binary()))
    }

    /// With so few descriptors that some clients find none. Only for systems that have such a limit.
    pub(crate) fn with_descriptors(model: Model, descriptors_max: usize) -> Apart {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {descriptors_max} && exec \"$0\"")).arg(this_binary());
        Apart::start(model, shell)
    }

    fn start(model: Model, mut command: Command) -> Apart {
        command.env(MARK, model.name()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server's process starts");
        let input = child.stdin.take().expect("its input");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let address = line(&mut output).parse().expect("its address");
        Apart { child, pipes: Mutex::new(Some((input, output))), address }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn figures(&self) -> ApartFigures {
        let mut pipes = self.pipes.lock().expect("the pipes");
        let (input, output) = pipes.as_mut().expect("it was not ended");
        input.write_all(b"figures\n").expect("it listens");
        let line = line(output);
        let mut numbers = line.split(' ').map(|number| number.parse::<u64>().expect("a number"));
        let mut next = || numbers.next().expect("five numbers");
        ApartFigures {
            open: next() as usize,
            accepted: next(),
            refused: next(),
            descriptors: next() as usize,
            processor_time: Duration::from_micros(next()),
        }
    }

    /// The processor time that it takes for so long.
    pub(crate) fn processor_time_in(&self, time: Duration) -> Duration {
        let before = self.figures().processor_time;
        std::thread::sleep(time);
        self.figures().processor_time - before
    }

    /// Has it drain, and waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) {
        drop(self.pipes.lock().expect("the pipes").take());
        let waited = crate::harness::within(2 * SOON, || self.child.try_wait().expect("its end").is_some());
        assert!(waited, "the server's process did not end");
        assert!(self.child.wait().expect("its end").success(), "the server's process failed");
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // Ended already, unless the scenario failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn this_binary() -> std::path::PathBuf {
    env::current_exe().expect("this binary")
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).expect("it answers");
    line.trim_end().to_owned()
}

/// Whether this process is such a server.
pub(crate) fn is_wanted() -> bool {
    env::var_os(MARK).is_some()
}

/// As the server's process sees it.
pub(crate) fn serve() {
    let model: Model = env::var(MARK).expect("a model").parse().expect("a model's name");
    let running = Server::builder(Echo).model(model).listen(anywhere()).start().expect("the server starts");
    println!("{}", running.addresses()[0]);
    let handle = running.handle();
    for _ in stdin().lines() {
        let (server, process) = (handle.figures(), host::process_figures());
        let processor_time = (process.user + process.system).as_micros();
        let descriptors = host::descriptors_open();
        println!("{} {} {} {descriptors} {processor_time}", server.open, server.accepted, server.refused);
        stdout().flush().expect("the output");
    }
    handle.stop();
    in_time("the server ends", 2 * SOON, || running.wait()).expect("it ends well");
}
