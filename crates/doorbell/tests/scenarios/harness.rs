//! What every scenario needs: the watchdog, a server under the model in question, clients with deadlines, bytes that
//! tell where they belong, and the declarations of what Wine does otherwise.

use doorbell::{Builder, Figures, Model, Running, Server, ServerHandle};
use doorbell_service::Service;
use doorbell_winsock::socket::{Family, Kind, Socket};
use doorbell_winsock::startup;
use std::any::Any;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// Upper bound for what must come: generous, since the machine may be busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// The window in which nothing may come.
pub(crate) const SILENCE: Duration = Duration::from_millis(150);
/// Longer than any scenario takes where a processor is shared by several runs.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What fails under Wine now and then, not each time: so it cannot be declared as what must fail, and nothing can tell when
/// Wine heals. It runs all the same, and a failure is told. DIFFERENCES.md says what is known of each.
const UNSTEADY_ON_WINE: &[(&str, Model)] = &[
    ("a_busy_peer_beside_a_quiet_one", Model::AsyncSelect),
    ("a_busy_peer_beside_a_quiet_one_on_one_thread", Model::AsyncSelect),
    ("a_peer_that_never_reads_while_16_mib_are_offered", Model::AsyncSelect),
    ("a_reset_in_the_middle", Model::CompletionPort),
    ("a_reset_in_the_middle", Model::OverlappedEvent),
    ("a_reset_in_the_middle", Model::OverlappedRoutine),
    ("a_slow_reader_behind_a_proxy_holds_little", Model::Blocking),
    ("a_slow_reader_behind_a_proxy_holds_little", Model::Select),
    ("every_byte_of_64_connections_comes_back_in_order", Model::AsyncSelect),
    ("every_byte_of_64_connections_comes_back_in_order", Model::EventSelect),
];

/// One body, under every model.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    body: fn(Model),
}

impl Scenario {
    pub(crate) const fn new(name: &'static str, body: fn(Model)) -> Scenario {
        Scenario { name, body }
    }
}

/// The scenarios of a theme, named as their functions are.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        pub(crate) const SCENARIOS: &[crate::harness::Scenario] =
            &[$(crate::harness::Scenario::new(stringify!($name), $name)),*];
    };
}
pub(crate) use scenarios;

/// How often a scenario may run under Wine before it counts as failed.
const RUNS_ON_WINE: u32 = 3;

/// Runs a scenario under a model and says how it failed, if it did. Under Wine a failure is told and tried again, since Wine loses
/// bytes of non-blocking sends now and then (D18 in DIFFERENCES.md), which hits any scenario: what fails each time is a failure.
pub(crate) fn run(name: &str, scenario: &Scenario, model: Model) -> Result<(), String> {
    let mut outcome = watch(name, scenario.body, model);
    for run in 1..RUNS_ON_WINE {
        let (Err(how), true) = (&outcome, on_wine()) else { return outcome };
        println!("{name}: run {run} of {RUNS_ON_WINE} failed under Wine: {how}");
        outcome = watch(name, scenario.body, model);
    }
    match outcome {
        Err(how) if UNSTEADY_ON_WINE.contains(&(scenario.name, model)) => {
            println!("{name}: failed each time, as it does under Wine now and then: {how}");
            Ok(())
        }
        outcome => outcome,
    }
}

fn watch(name: &str, body: fn(Model), model: Model) -> Result<(), String> {
    let (tell, told) = mpsc::channel();
    let body = move || {
        // The other end is gone only if the watchdog gave up, and then nobody wants to know.
        let _ = tell.send(catch_unwind(AssertUnwindSafe(|| body(model))));
    };
    thread::Builder::new().name(name.to_owned()).spawn(body).expect("a thread for the scenario");
    match told.recv_timeout(WATCHDOG) {
        Ok(outcome) => outcome.map_err(|panic| message_of(panic.as_ref())),
        Err(_) => Err(format!("{name} hung: not done after {WATCHDOG:?}")),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

pub(crate) fn on_wine() -> bool {
    static WINE: OnceLock<bool> = OnceLock::new();
    *WINE.get_or_init(|| startup::report().iter().any(|(key, _)| key == "wine"))
}

// The server.

/// A server of a scenario. Ends with [`end`](Served::end); when a scenario fails before that, its thread is cut off.
pub(crate) struct Served {
    running: Option<Running>,
    handle: ServerHandle,
    pub(crate) address: SocketAddr,
}

impl Served {
    pub(crate) fn new(model: Model, service: impl Service) -> Served {
        Served::with(model, service, |builder| builder)
    }

    pub(crate) fn with(model: Model, service: impl Service, set: impl FnOnce(Builder) -> Builder) -> Served {
        Served::start(set(Server::builder(service).model(model).listen(anywhere())))
    }

    pub(crate) fn start(builder: Builder) -> Served {
        Served::of(builder.start().expect("the server starts"))
    }

    pub(crate) fn of(running: Running) -> Served {
        Served { handle: running.handle(), address: running.addresses()[0], running: Some(running) }
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().expect("it was not ended")
    }

    pub(crate) fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    pub(crate) fn figures(&self) -> Figures {
        self.handle.figures()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn connect_many(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| self.connect()).collect()
    }

    /// Waits until the figures are as they should be.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut(&Figures) -> bool) {
        assert!(within(SOON, || is_so(&self.figures())), "in time: {what}; but {:?}", self.figures());
    }

    /// Stops it and waits for its end, where nothing may be left.
    #[track_caller]
    pub(crate) fn end(mut self) -> Figures {
        self.handle.stop();
        self.wait()
    }

    /// Waits for the end that somebody has asked for.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Figures {
        let running = self.running.take().expect("it was not ended");
        let figures = in_time("the server ends", 2 * SOON, || running.wait()).expect("it ends well");
        assert_eq!((figures.open, figures.bytes_held), (0, 0), "something is left: {figures:?}");
        figures
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.handle.stop_now();
        }
    }
}

/// Loopback with a port of the system's choice.
pub(crate) fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

// Clients.

/// A plain socket of the standard library, each of whose calls ends in time.
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::of(TcpStream::connect_timeout(&address, SOON).expect("the client connects"))
    }

    pub(crate) fn of(stream: TcpStream) -> Client {
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(2 * SOON)).expect("a read time-out");
        stream.set_write_timeout(Some(2 * SOON)).expect("a write time-out");
        Client { stream }
    }

    /// The same connection, for another thread.
    pub(crate) fn again(&self) -> Client {
        Client { stream: self.stream.try_clone().expect("a second handle") }
    }

    #[track_caller]
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the client sends");
    }

    /// Sends nothing more.
    #[track_caller]
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the client finishes");
    }

    #[track_caller]
    pub(crate) fn hear(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut got = 0;
        while got < len {
            match self.read(&mut bytes[got..]) {
                Ok(0) => panic!("the end came after {got} of {len} bytes"),
                Ok(count) => got += count,
                Err(error) => panic!("after {got} of {len} bytes: {error}"),
            }
        }
        bytes
    }

    /// One read of whatever is there.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        uninterrupted(|| self.stream.read(buffer))
    }

    /// One write of whatever fits.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        uninterrupted(|| self.stream.write(bytes))
    }

    /// Everything up to the graceful end.
    #[track_caller]
    pub(crate) fn hear_all(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut bytes) {
            panic!("after {} bytes, instead of the end: {error}", bytes.len());
        }
        bytes
    }

    /// The line up to the next line feed, without it.
    #[track_caller]
    pub(crate) fn hear_line(&mut self) -> String {
        let mut line = Vec::new();
        loop {
            match self.hear(1)[0] {
                b'\n' => return String::from_utf8(line).expect("a line of text"),
                byte => line.push(byte),
            }
        }
    }

    /// Says something and hears the same.
    #[track_caller]
    pub(crate) fn echoes(&mut self, bytes: &[u8]) {
        self.say(bytes);
        same_bytes(&self.hear(bytes.len()), bytes);
    }

    /// Nothing comes for a while: no data, no end, no reset.
    #[track_caller]
    pub(crate) fn hears_nothing(&mut self) {
        self.stream.set_read_timeout(Some(SILENCE)).expect("a short time-out");
        let read = self.read(&mut [0]);
        self.stream.set_read_timeout(Some(2 * SOON)).expect("the time-out again");
        match read {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            other => panic!("expected nothing, got {other:?}"),
        }
    }

    /// Reads on until the connection is over, gracefully or not, and says how many bytes came before.
    #[track_caller]
    pub(crate) fn is_over_after(&mut self) -> usize {
        let (mut got, mut piece) = (0, vec![0; 65536]);
        loop {
            match self.read(&mut piece) {
                Ok(0) => return got,
                Ok(count) => got += count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("after {got} bytes there is neither more nor an end")
                }
                Err(_) => return got,
            }
        }
    }
}

/// Makes a call again that was interrupted, as the standard library asks of whoever reads or writes once. It happens
/// to the thread that started a server: on Linux an io_uring interrupts the thread that began an operation.
fn uninterrupted<T>(mut call: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// A client of our own kind, for what the standard library does not offer: it can reset.
#[track_caller]
pub(crate) fn rude_client(address: SocketAddr) -> Socket {
    let socket = Socket::new(Family::of(&address), Kind::Stream).expect("a socket");
    socket.set_recv_timeout(Some(SOON)).expect("a receive time-out");
    socket.set_send_timeout(Some(SOON)).expect("a send time-out");
    socket.connect(address).expect("the rude client connects");
    socket
}

/// Closes so that the server sees a reset.
pub(crate) fn reset(socket: &Socket) {
    socket.set_linger(Some(Duration::ZERO)).expect("linger");
    socket.close().expect("close");
}

// Time.

/// Whether `condition` came true in time.
pub(crate) fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Runs `work` in a thread and gives what it returns, if that comes in time.
#[track_caller]
pub(crate) fn in_time<T: Send + 'static>(
    what: &str,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(work()));
    match told.recv_timeout(limit) {
        Ok(value) => value,
        Err(_) => panic!("in time: {what}; but not after {limit:?}"),
    }
}

/// Waits for the threads of a scenario's clients; the first panic among them is the scenario's.
#[track_caller]
pub(crate) fn all_done<T>(threads: Vec<JoinHandle<T>>) -> Vec<T> {
    let ended: Vec<_> = threads.into_iter().map(JoinHandle::join).collect();
    ended
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|panic| panic!("{}", message_of(panic.as_ref()))))
        .collect()
}

// Bytes.

/// Bytes that tell where in the stream they belong: no two stretches of a few hundred bytes are alike.
pub(crate) fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| ((i + seed).wrapping_mul(0x9E37_79B9) >> 13) as u8).collect()
}

/// Says where two long strings of bytes part instead of printing megabytes.
#[track_caller]
pub(crate) fn same_bytes(got: &[u8], expected: &[u8]) {
    let parted = got.iter().zip(expected).position(|(a, b)| a != b);
    assert!(parted.is_none(), "the bytes differ from number {} on", parted.unwrap_or_default());
    assert_eq!(got.len(), expected.len(), "the number of bytes");
}

/// Names the seed to repeat a run with.
pub(crate) const SEED: &str = "DOORBELL_SCENARIO_SEED";

/// The seed of this run: given, or of the moment.
pub(crate) fn seed() -> u64 {
    static CHOSEN: OnceLock<u64> = OnceLock::new();
    let of_the_moment = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_micros() as u64);
    *CHOSEN.get_or_init(|| {
        std::env::var(SEED).ok().and_then(|text| text.parse().ok()).unwrap_or_else(of_the_moment)
    })
}

/// Numbers without a pattern, the same for the same seed (xorshift).
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of one stream of this run.
    pub(crate) fn new(stream: usize) -> Random {
        Random((seed() ^ (stream as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1))
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
