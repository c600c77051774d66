//! What the test of every promise needs: connected pairs, deadlines, windows of silence, and the declarations of
//! what Wine does otherwise.
//!
//! A body runs in a thread of its own under a watchdog, so that a hung promise fails with its name instead of
//! stopping the suite. It is the same body for every system; only [`known_on_wine`] asks where it runs.

use doorbell_winsock::error::WAIT_TIMEOUT;
use doorbell_winsock::overlapped::{IoBuf, IoBufMut, OpId, Refused, Segment, Segments, ToPort};
use doorbell_winsock::routine::Alertable;
use doorbell_winsock::socket::{BACKLOG_MAX, Flags};
use doorbell_winsock::{
    Completion, CompletionPort, Error, Event, Family, FdSet, Kind, Packet, Result, Socket, Started, Wait,
    select, startup, wait_any,
};
use std::any::Any;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Upper bound for what must come: generous, since the machine may be busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// The window in which nothing may come.
pub(crate) const SILENCE: Duration = Duration::from_millis(150);
/// Long enough for a thread to have reached the wait it was started for, and for loopback to have delivered.
/// Where it is not enough the test tests less; it does not fail.
pub(crate) const SETTLE: Duration = Duration::from_millis(100);

/// The codes with which a call ends whose socket is closed meanwhile (BL-07).
pub(crate) const CLOSED_MEANWHILE: &[i32] = &[10004, 10053, 10038, 995, 10022];
/// The codes with which a pending operation ends whose socket is closed (CL-01); 676 is told as 995.
pub(crate) const CLOSED_PENDING: &[i32] = &[995, 10053, 10054];

const WATCHDOG: Duration = Duration::from_secs(30);

/// The buffer of an operation that has nothing to say: an accept for the connection alone, a plain connect.
pub(crate) const NOTHING: Vec<u8> = Vec::new();

enum Ended {
    Well,
    Badly(Box<dyn Any + Send>),
    Hung,
}

/// Runs the test of one promise under the watchdog.
pub(crate) fn promise(body: impl FnOnce() + Send + 'static) {
    match run(WATCHDOG, body) {
        Ended::Well => record("kept"),
        Ended::Badly(panic) => resume_unwind(panic),
        Ended::Hung => panic!("hung: not done after {WATCHDOG:?}"),
    }
}

/// A promise that Wine does not keep, under its number in WINDOWS.md or, where it has none, the statement's id.
/// Everywhere else it is a plain test. Under Wine it must fail; when it passes there, the declaration must go.
pub(crate) fn known_on_wine(number: &str, body: impl FnOnce() + Send + 'static) {
    if !on_wine() {
        return promise(body);
    }
    match run(Duration::from_secs(10), body) {
        Ended::Well => panic!("{number} has healed: this Wine keeps the promise, take the declaration out"),
        Ended::Badly(_) | Ended::Hung => {
            println!("{number}: Wine does otherwise here, as declared");
            record(number);
        }
    }
}

/// Writes down how this test ended, for the table that `cargo xtask conformance` makes.
fn record(how: &str) {
    let Some(folder) = std::env::var_os("DOORBELL_CONFORMANCE_RECORD") else { return };
    let thread = thread::current();
    let line = format!("{}\t{how}\n", thread.name().expect("the test's name"));
    fs::create_dir_all(&folder).expect("the folder of the records");
    let path = Path::new(&folder).join(startup::backend().to_string());
    // One write to the end of the file: the tests of several threads and processes do not mix.
    let mut file = File::options().create(true).append(true).open(path).expect("the record");
    file.write_all(line.as_bytes()).expect("room for the record");
}

pub(crate) fn on_wine() -> bool {
    static WINE: OnceLock<bool> = OnceLock::new();
    *WINE.get_or_init(|| startup::report().iter().any(|(key, _)| key == "wine"))
}

fn run(limit: Duration, body: impl FnOnce() + Send + 'static) -> Ended {
    let name = thread::current().name().unwrap_or("promise").to_owned();
    let (tell, told) = mpsc::channel();
    let body = move || {
        // The other end is gone only if the watchdog gave up, and then nobody wants to know.
        let _ = tell.send(catch_unwind(AssertUnwindSafe(body)));
    };
    let thread = thread::Builder::new().name(name).spawn(body).expect("a thread for the body");
    match told.recv_timeout(limit) {
        Ok(outcome) => {
            thread.join().expect("the body's thread catches its panics");
            outcome.map_or_else(Ended::Badly, |()| Ended::Well)
        }
        Err(_) => Ended::Hung,
    }
}

/// Runs one body in a process of its own: this binary again, with this test alone.
pub(crate) fn in_its_own_process(body: impl FnOnce() + Send + 'static) {
    const MARK: &str = "DOORBELL_CONFORMANCE_ALONE";
    let name = thread::current().name().expect("the test's name").to_owned();
    if std::env::var(MARK).is_ok_and(|alone| alone == name) {
        return promise(body);
    }
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(MARK, &name)
        .output()
        .expect("this binary runs again");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "alone it failed:\n{out}\n{err}");
}

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
        thread::sleep(Duration::from_millis(1));
    }
}

/// Runs `work` in a thread and gives what it returns, if that comes in time.
pub(crate) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(work()));
    told.recv_timeout(SOON).expect("the call did not return in time, or its thread panicked")
}

/// Burns the processor, as a thread does that computes.
pub(crate) fn compute(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

// What a call answers.

#[track_caller]
pub(crate) fn fails<T: Debug>(result: Result<T>, expected: &[i32]) -> Error {
    match result {
        Ok(value) => panic!("succeeded with {value:?}; expected {}", names(expected)),
        Err(error) => is_one_of(error, expected),
    }
}

#[track_caller]
pub(crate) fn refused<T: Debug, B>(result: std::result::Result<T, Refused<B>>, expected: &[i32]) -> B {
    match result {
        Ok(value) => panic!("was started as {value:?}; expected a refusal with {}", names(expected)),
        Err(refused) => {
            is_one_of(refused.error, expected);
            refused.buffer
        }
    }
}

#[track_caller]
pub(crate) fn is_one_of(error: Error, expected: &[i32]) -> Error {
    assert!(expected.contains(&error.code()), "got \"{error}\"; expected {}", names(expected));
    error
}

fn names(codes: &[i32]) -> String {
    let name = |code: &i32| format!("{} ({code})", Error::new("", *code).name());
    codes.iter().map(name).collect::<Vec<_>>().join(" or ")
}

// Sockets.

/// The families that this machine has: always IPv4, IPv6 if its loopback is there.
pub(crate) fn families() -> Vec<Family> {
    let has_v6 = Socket::new(Family::V6, Kind::Stream).is_ok_and(|s| s.bind(any(Family::V6)).is_ok());
    if has_v6 { vec![Family::V4, Family::V6] } else { vec![Family::V4] }
}

/// Loopback with a port of the system's choice.
pub(crate) fn any(family: Family) -> SocketAddr {
    match family {
        Family::V4 => (Ipv4Addr::LOCALHOST, 0).into(),
        Family::V6 => (Ipv6Addr::LOCALHOST, 0).into(),
    }
}

pub(crate) fn stream(family: Family) -> Socket {
    Socket::new(family, Kind::Stream).expect("a stream socket")
}

pub(crate) fn listener(family: Family) -> (Socket, SocketAddr) {
    let listener = stream(family);
    listener.bind(any(family)).expect("bind");
    listener.listen(BACKLOG_MAX).expect("listen");
    let address = listener.local_addr().expect("the listener's address");
    (listener, address)
}

/// A connected pair over IPv4, the connecting end first.
pub(crate) fn pair() -> (Socket, Socket) {
    pair_of(Family::V4)
}

/// A connected pair made through a real listener, the connecting end first.
pub(crate) fn pair_of(family: Family) -> (Socket, Socket) {
    let (listener, address) = listener(family);
    let client = stream(family);
    client.connect(address).expect("connect");
    let (server, from) = listener.accept().expect("accept");
    assert_eq!(from, client.local_addr().expect("the client's address"));
    (client, server)
}

/// More than the buffers of a [`narrow`] pair take, so that a send of it pends.
pub(crate) const LONG: usize = 2 << 20;

/// A connected pair that keeps little in its buffers.
pub(crate) fn narrow(family: Family) -> (Socket, Socket) {
    let (a, b) = pair_of(family);
    for socket in [&a, &b] {
        socket.set_send_buffer(65536).expect("the send buffer");
        socket.set_recv_buffer(65536).expect("the receive buffer");
    }
    (a, b)
}

/// A socket whose peer belongs to the standard library: nothing that the peer does drives an operation of ours.
pub(crate) fn foreign_pair() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = stream(Family::V4);
    socket.connect(listener.local_addr().unwrap()).unwrap();
    (socket, listener.accept().unwrap().0)
}

/// An address that refuses connections for as long as the socket is kept: bound, so nobody else gets its port, and
/// not listening.
pub(crate) fn refusing(family: Family) -> (Socket, SocketAddr) {
    let socket = stream(family);
    socket.bind(any(family)).expect("bind");
    let address = socket.local_addr().expect("the address");
    (socket, address)
}

/// Nobody listens there any more. The system may give the port to another test meanwhile, but not for long.
#[track_caller]
pub(crate) fn refuses(address: SocketAddr) {
    let refused = || stream(Family::of(&address)).connect(address).is_err_and(|error| error.code() == 10061);
    assert!(within(SOON, refused), "somebody still listens at {address}");
}

/// A non-blocking socket whose connect stays in progress: the listener's queue is full and nobody accepts. What
/// keeps it full comes along.
pub(crate) fn connecting() -> (Socket, SocketAddr, Vec<Socket>) {
    let listener = stream(Family::V4);
    listener.bind(any(Family::V4)).expect("bind");
    listener.listen(0).expect("listen");
    let address = listener.local_addr().expect("the address");
    let mut keep = vec![listener];
    // Linux takes one connection more than the backlog; some systems take a few.
    for _ in 0..32 {
        let socket = stream(Family::V4);
        socket.set_nonblocking(true).expect("non-blocking");
        fails(socket.connect(address), &[10035]);
        let mut write = FdSet::from_iter([&socket]);
        if select(None, Some(&mut write), None, Some(SILENCE)) == Ok(0) {
            return (socket, address, keep);
        }
        keep.push(socket);
    }
    panic!("every connect succeeded although nobody accepts");
}

/// Lets everybody in who wants to a full listener, until somebody there has said this.
#[track_caller]
pub(crate) fn let_in(listener: &Socket, said: &[u8]) {
    let (mut inside, mut heard) = (Vec::new(), vec![0; said.len()]);
    listener.set_nonblocking(true).expect("non-blocking");
    // Who found it full asks again after a second, and then after three.
    let came = within(2 * SOON, || {
        inside.extend(listener.accept().map(|(socket, _)| socket));
        let all_of_it = |socket: &&Socket| socket.bytes_available() == Ok(said.len());
        inside.iter().find(all_of_it).is_some_and(|socket| socket.recv(&mut heard) == Ok(said.len()))
    });
    assert!(came, "nobody of {} said it", inside.len());
    assert_eq!(heard, said);
}

pub(crate) fn datagram(family: Family) -> (Socket, SocketAddr) {
    let socket = Socket::new(family, Kind::Datagram).expect("a datagram socket");
    socket.bind(any(family)).expect("bind");
    let address = socket.local_addr().expect("the address");
    (socket, address)
}

/// Closes so that the peer sees a reset (CL-09).
pub(crate) fn reset(socket: &Socket) {
    socket.set_linger(Some(Duration::ZERO)).expect("linger");
    socket.close().expect("close");
}

/// Waits until `bytes` can be received at once.
#[track_caller]
pub(crate) fn arrived(socket: &Socket, bytes: usize) {
    assert!(
        within(SOON, || socket.bytes_available().expect("available") >= bytes),
        "{bytes} bytes did not arrive; {:?} are there",
        socket.bytes_available()
    );
}

/// Waits until a connect that was started is through.
#[track_caller]
pub(crate) fn connected(socket: &Socket) {
    let mut set = FdSet::from_iter([socket]);
    assert_eq!(select(None, Some(&mut set), None, Some(SOON)), Ok(1), "it never connected");
}

/// Waits until `select` finds the socket readable, whatever the reason.
#[track_caller]
pub(crate) fn readable(socket: &Socket) {
    let mut set = FdSet::from_iter([socket]);
    assert_eq!(select(Some(&mut set), None, None, Some(SOON)), Ok(1), "it never became readable");
}

/// Nothing comes: no data, no end, no reset.
#[track_caller]
pub(crate) fn quiet(socket: &Socket) {
    let mut set = FdSet::from_iter([socket]);
    assert_eq!(select(Some(&mut set), None, None, Some(SILENCE)), Ok(0), "something came");
}

/// Blocking receives until `len` bytes are there.
#[track_caller]
pub(crate) fn recv_exactly(socket: &Socket, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut got = 0;
    while got < len {
        match socket.recv(&mut bytes[got..]) {
            Ok(0) => panic!("the end came after {got} of {len} bytes"),
            Ok(n) => got += n,
            Err(error) => panic!("after {got} of {len} bytes: {error}"),
        }
    }
    bytes
}

/// Blocking receives until the graceful end.
#[track_caller]
pub(crate) fn recv_to_the_end(socket: &Socket) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 65536]);
    loop {
        match socket.recv(&mut piece) {
            Ok(0) => return bytes,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
            Err(error) => panic!("after {} bytes: {error}", bytes.len()),
        }
    }
}

/// Bytes that tell where in the stream they belong: no two stretches of a few hundred bytes are alike.
pub(crate) fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| ((i + seed).wrapping_mul(0x9E37_79B9) >> 13) as u8).collect()
}

/// Says where two long strings of bytes part instead of printing megabytes.
#[track_caller]
pub(crate) fn same_bytes(got: &[u8], expected: &[u8]) {
    // Byte by byte takes a hundred times as long without optimisation.
    if got == expected {
        return;
    }
    let parted = got.iter().zip(expected).position(|(a, b)| a != b);
    assert!(parted.is_none(), "the bytes differ from number {} on", parted.unwrap_or_default());
    assert_eq!(got.len(), expected.len(), "the number of bytes");
}

// Events.

pub(crate) fn event() -> Event {
    Event::new().expect("an event")
}

/// Whether it is set now. A look at an auto-reset event unsets it.
#[track_caller]
pub(crate) fn is_set(event: &Event) -> bool {
    let now = wait_any(std::slice::from_ref(event), Some(Duration::ZERO), Alertable::No);
    now.expect("a look at the event") == Wait::Index(0)
}

#[track_caller]
pub(crate) fn becomes_set(event: &Event) {
    let waited = wait_any(std::slice::from_ref(event), Some(SOON), Alertable::No);
    assert_eq!(waited, Ok(Wait::Index(0)), "the event was never set");
}

#[track_caller]
pub(crate) fn stays_unset(event: &Event) {
    let waited = wait_any(std::slice::from_ref(event), Some(SILENCE), Alertable::No);
    assert_eq!(waited, Ok(Wait::TimedOut), "the event was set");
}

// Ports and operations.

/// A port with these sockets under their keys.
pub(crate) fn port_with(sockets: &[(&Socket, usize)]) -> CompletionPort {
    let port = CompletionPort::new(0).expect("a port");
    for (socket, key) in sockets {
        port.associate(socket, *key).expect("associate");
    }
    port
}

/// The next packet, which is the end of an operation.
#[track_caller]
pub(crate) fn next_end(port: &CompletionPort) -> Completion {
    match port.get(Some(SOON)) {
        Ok(Packet::Io(completion)) => completion,
        Ok(posted) => panic!("expected the end of an operation, got {posted:?}"),
        Err(error) => panic!("expected the end of an operation, got \"{error}\""),
    }
}

/// The next packet, which somebody posted: its three values.
#[track_caller]
pub(crate) fn next_posted(port: &CompletionPort) -> (u32, usize, usize) {
    match port.get(Some(SOON)) {
        Ok(Packet::Posted { bytes, key, token }) => (bytes, key, token),
        Ok(io) => panic!("expected a posted packet, got {io:?}"),
        Err(error) => panic!("expected a posted packet, got \"{error}\""),
    }
}

/// No packet comes.
#[track_caller]
pub(crate) fn no_packet(port: &CompletionPort) {
    match port.get(Some(SILENCE)) {
        Ok(packet) => panic!("expected no packet, got {packet:?}"),
        Err(error) => assert_eq!(error.code(), WAIT_TIMEOUT, "{error}"),
    }
}

/// The id of an operation that was started, whether it pends or has its packet queued already (OV-17).
#[track_caller]
pub(crate) fn started<B>(result: std::result::Result<Started, Refused<B>>) -> OpId {
    match result {
        Ok(Started::Pending(id) | Started::Queued(id)) => id,
        other => panic!("expected a start that ends in a packet, got {other:?}"),
    }
}

/// The id of an operation that cannot have ended yet.
#[track_caller]
pub(crate) fn pending<B>(result: std::result::Result<Started, Refused<B>>) -> OpId {
    match result {
        Ok(Started::Pending(id)) => id,
        other => panic!("expected WSA_IO_PENDING, got {other:?}"),
    }
}

/// Starts a receive of `len` bytes that has nothing to take yet.
#[track_caller]
pub(crate) fn recv_pending(socket: &Socket, len: usize) -> OpId {
    pending(socket.recv_overlapped(vec![0; len], Flags::NONE, ToPort))
}

/// What a successful receive took.
#[track_caller]
pub(crate) fn received(mut completion: Completion) -> Vec<u8> {
    let bytes = completion.result().expect("the receive succeeds");
    let mut buffer: Vec<u8> = completion.take_buffer().expect("the buffer comes back");
    buffer.truncate(bytes);
    buffer
}

/// A buffer that counts how often it is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    bytes: Vec<u8>,
    drops: Arc<AtomicUsize>,
}

impl Counted {
    pub(crate) fn new(len: usize, drops: &Arc<AtomicUsize>) -> Counted {
        Counted { bytes: vec![0; len], drops: drops.clone() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: the bytes lie on the vector's heap and stay there when the value is moved.
unsafe impl IoBuf for Counted {
    fn segments(&mut self) -> Segments {
        Segments::One(Segment::new(self.bytes.as_mut_ptr(), self.bytes.len()))
    }
}
// SAFETY: they are the value's own, to be written.
unsafe impl IoBufMut for Counted {}
