//! What a server and its measurement need of their host and Winsock does not have: limits, console signals, figures of
//! this process and of others, the choice of processors.

use crate::sys;
use std::io;
use std::process::{Child, Command};
use std::time::Duration;

/// How many descriptors (sockets, files) this process may have open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    /// What holds now.
    pub soft: u64,
    /// What the process may raise it to by itself.
    pub hard: u64,
}

/// The limit of descriptors; `None` where the system has no such limit.
pub fn descriptor_limit() -> Option<DescriptorLimit> {
    sys::host::descriptor_limit()
}

/// Raises the soft limit of descriptors to the hard one and returns what holds then; `None` where there is no limit.
pub fn raise_descriptor_limit() -> Option<DescriptorLimit> {
    sys::host::raise_descriptor_limit()
}

/// How many descriptors (on Windows: handles) this process has open now.
pub fn descriptors_open() -> usize {
    sys::host::descriptors_open()
}

/// How many processors this process may run on.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The numbers of the processors that the calling thread may run on, ascending; a new thread and a child inherit them.
pub fn processors_allowed() -> Vec<usize> {
    sys::host::processors_allowed()
}

/// Keeps the calling thread, and the threads that it makes from now on, to these processors.
///
/// # Errors
/// InvalidInput when none of them exists or is allowed here.
pub fn pin_current_thread(processors: &[usize]) -> io::Result<()> {
    sys::host::pin_current_thread(processors)
}

/// Starts a process that is kept to these processors, with every thread that it makes. The caller stays where it is.
///
/// # Errors
/// Those of `Command::spawn`, and InvalidInput as [`pin_current_thread`].
pub fn spawn_pinned(command: &mut Command, processors: &[usize]) -> io::Result<Child> {
    sys::host::spawn_pinned(command, processors)
}

/// Processor time and memory of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessFigures {
    /// Time spent in the program.
    pub user: Duration,
    /// Time spent in the system on its behalf.
    pub system: Duration,
    /// Memory in use now, in bytes.
    pub resident_bytes: u64,
    /// Threads now.
    pub threads: usize,
}

/// The figures of this process as of now.
pub fn process_figures() -> ProcessFigures {
    sys::host::process_figures()
}

/// Another process, looked at from outside.
#[derive(Debug)]
pub struct OtherProcess {
    sys: sys::host::OtherProcess,
}

impl OtherProcess {
    /// The process with this id. Best a child that has not been waited for, whose id cannot become another's.
    ///
    /// # Errors
    /// There is none, or the system does not let us look at it.
    pub fn new(id: u32) -> io::Result<OtherProcess> {
        sys::host::OtherProcess::new(id).map(|sys| OtherProcess { sys })
    }

    /// Its figures as of now. Takes some microseconds for each of its threads.
    ///
    /// # Errors
    /// It is gone.
    pub fn figures(&self) -> io::Result<OtherFigures> {
        self.sys.figures()
    }

    /// Begins to count the system calls of the threads that it has now, and of all that they make from now on.
    ///
    /// # Errors
    /// This system does not count them, or not for us: on Linux that takes `CAP_PERFMON`, or root.
    pub fn count_system_calls(&self) -> io::Result<SystemCalls> {
        self.sys.count_system_calls().map(|sys| SystemCalls { sys })
    }
}

/// The system calls of another process are counted as long as this lives. That takes a part of a microsecond a call.
#[derive(Debug)]
pub struct SystemCalls {
    sys: sys::host::SystemCalls,
}

impl SystemCalls {
    /// How many there were since this was made.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn count(&self) -> io::Result<u64> {
        self.sys.count()
    }
}

/// What another process has taken since it began and holds now. What this system does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtherFigures {
    /// Time spent in the program, by all its threads, those that have ended too.
    pub user: Duration,
    /// Time spent in the system on its behalf, in the kernel's own workers for it too (io_uring's on Linux). The sum
    /// of the two is exact; on Linux the system samples how it divides.
    pub system: Duration,
    /// How often a thread gave its processor up because it had to wait. Of the threads that live: what an ended thread
    /// counted is gone.
    pub switches_voluntary: Option<u64>,
    /// How often a thread had its processor taken away, likewise.
    pub switches_involuntary: Option<u64>,
    /// Threads now.
    pub threads: Option<usize>,
    /// Memory of its own, in bytes: on Linux the anonymous pages in memory, on Windows what is committed for it alone.
    /// Not the program's code, which comes into memory as it is first run and would be counted to the first client.
    pub memory_bytes: Option<u64>,
    /// Processor time of threads that have ended.
    pub(crate) ended: Duration,
}

impl OtherFigures {
    /// What was taken between `before` and now; what is held is as of now.
    ///
    /// Context switches are `None` when threads that ended in between had more than a twentieth of the processor time:
    /// what was left of the count would mislead.
    pub fn since(&self, before: &OtherFigures) -> OtherFigures {
        let user = self.user.saturating_sub(before.user);
        let system = self.system.saturating_sub(before.system);
        let ended = self.ended.saturating_sub(before.ended);
        let whole = ended <= (user + system) / 20;
        let counted = |now: Option<u64>, then: Option<u64>| now?.checked_sub(then?).filter(|_| whole);
        OtherFigures {
            user,
            system,
            switches_voluntary: counted(self.switches_voluntary, before.switches_voluntary),
            switches_involuntary: counted(self.switches_involuntary, before.switches_involuntary),
            ended,
            ..*self
        }
    }
}

/// Somebody asks the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM; on Windows Ctrl-Break or the console being closed.
    Terminate,
}

/// From now on Ctrl-C and its like no longer end the process but are told by [`Signals::wait`].
///
/// A server gives it to a thread that waits there and then does what ends the server's own wait: sets an event, posts a
/// message or a packet, closes a socket.
#[doc(alias = "SetConsoleCtrlHandler")]
#[derive(Debug)]
pub struct Signals {
    sys: sys::host::Signals,
}

impl Signals {
    /// Takes the signals over. One per process.
    ///
    /// # Errors
    /// When they are taken over already, or the system refuses.
    pub fn install() -> io::Result<Signals> {
        sys::host::Signals::install().map(|sys| Signals { sys })
    }

    /// Blocks until the next signal comes. Not alertable.
    pub fn wait(&self) -> Signal {
        self.sys.wait()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::process::{ChildStdin, ExitStatus, Stdio};
    use std::time::Instant;

    const SOON: Duration = Duration::from_secs(20);
    /// Set in a child of these tests: what it is to do.
    const TASK: &str = "DOORBELL_HOST_TEST_TASK";

    #[test]
    fn a_pinned_thread_runs_on_that_processor_alone_and_so_do_its_threads() {
        let last = *processors_allowed().last().unwrap();
        std::thread::spawn(move || {
            pin_current_thread(&[last]).unwrap();
            assert_eq!(processors_allowed(), [last]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn processors_that_do_not_exist_are_refused() {
        let before = processors_allowed();
        for none in [&[][..], &[100_000]] {
            let error = pin_current_thread(none).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{none:?}");
        }
        assert_eq!(processors_allowed(), before);
    }

    #[test]
    fn a_child_is_kept_to_its_processors_and_its_parent_is_not() {
        let before = processors_allowed();
        let last = *before.last().unwrap();
        let child = Task::start("one processor", Some(&[last]));
        assert_eq!(processors_allowed(), before);
        assert!(child.end().success(), "the child may run elsewhere than on {last}");
    }

    #[test]
    fn the_figures_of_a_child_that_computes_and_waits_grow() {
        let child = Task::start("compute", None);
        let other = OtherProcess::new(child.child.id()).unwrap();
        let before = other.figures().unwrap();
        let deadline = Instant::now() + SOON;
        loop {
            let now = other.figures().unwrap();
            let taken = now.since(&before);
            let computed = taken.user + taken.system > Duration::from_millis(50);
            let waited = taken.switches_voluntary.is_none_or(|switches| switches > 10);
            let holds_80_mib = now.memory_bytes.unwrap() > 64 << 20;
            if computed && waited && holds_80_mib && now.threads.unwrap() >= 2 {
                break;
            }
            assert!(Instant::now() < deadline, "{now:?}, of it since the beginning {taken:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.end();
    }

    #[test]
    fn the_system_calls_of_every_thread_are_counted_where_that_may_be() {
        let mut child = Task::start("calls", None);
        let other = OtherProcess::new(child.child.id()).unwrap();
        match other.count_system_calls() {
            Ok(calls) => {
                // A byte makes a thread that sleeps a thousand times.
                child.input.write_all(&[b'\n'; 4]).unwrap();
                let deadline = Instant::now() + SOON;
                while calls.count().unwrap() < 4000 {
                    assert!(Instant::now() < deadline, "only {}", calls.count().unwrap());
                    std::thread::sleep(Duration::from_millis(5));
                }
                assert!(calls.count().unwrap() < 8000, "{}", calls.count().unwrap());
            }
            // Which systems do is written down for each; one that may not says why.
            Err(error) => assert!(
                matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied),
                "{error}"
            ),
        }
        child.end();
    }

    #[test]
    fn switches_are_not_told_when_threads_that_had_them_have_ended() {
        let before = OtherFigures { switches_voluntary: Some(10), ..OtherFigures::default() };
        let second = Duration::from_secs(1);
        let mut now = OtherFigures { user: second, switches_voluntary: Some(30), ..before };
        assert_eq!(now.since(&before).switches_voluntary, Some(20));
        now.ended = second / 2;
        assert_eq!(now.since(&before).switches_voluntary, None);
        assert_eq!(now.since(&before).user, second);
    }

    #[test]
    fn a_process_that_does_not_exist_has_no_figures() {
        let child = Task::start("compute", None);
        let id = child.child.id();
        child.end();
        // A process that nobody has waited for keeps its id: this one has been.
        assert!(OtherProcess::new(id).and_then(|other| other.figures()).is_err());
    }

    /// This test program once more, to do one thing in a process of its own until its input ends.
    struct Task {
        child: Child,
        input: ChildStdin,
    }

    impl Task {
        fn start(task: &str, processors: Option<&[usize]>) -> Task {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "host::tests::what_a_child_does", "--nocapture"]).env(TASK, task);
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            let mut child = match processors {
                Some(processors) => spawn_pinned(&mut command, processors),
                None => command.spawn(),
            }
            .unwrap();
            let input = child.stdin.take().unwrap();
            Task { child, input }
        }

        fn end(mut self) -> ExitStatus {
            drop(self.input);
            self.child.wait().unwrap()
        }
    }

    /// Nothing, unless it is a child of the tests above.
    #[test]
    fn what_a_child_does() {
        match std::env::var(TASK).as_deref() {
            Ok("one processor") => {
                assert_eq!(processors_allowed().len(), 1);
            }
            Ok("compute") => {
                let memory = std::hint::black_box(vec![1_u8; 80 << 20]);
                std::thread::spawn(|| {
                    loop {
                        let begun = Instant::now();
                        while begun.elapsed() < Duration::from_millis(3) {}
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
                input_ends();
                drop(memory);
            }
            Ok("calls") => {
                for byte in io::stdin().lock().bytes() {
                    byte.unwrap();
                    std::thread::spawn(|| {
                        (0..1000).for_each(|_| std::thread::sleep(Duration::from_micros(1)))
                    });
                }
            }
            _ => {}
        }
    }

    fn input_ends() {
        std::io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
    }
}
