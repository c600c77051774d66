//! What is Linux's own here: waking by close, descriptors that come late or stay away, and the kernel's habits that
//! must not show. The promises of the calls stand in `tests/conformance`.

use crate::error::{
    WSAECONNREFUSED, WSAECONNRESET, WSAEINTR, WSAEISCONN, WSAEMFILE, WSAENOTCONN, WSAENOTSOCK, WSAESHUTDOWN,
    WSAETIMEDOUT, WSAEWOULDBLOCK,
};
use crate::event_select::Event;
use crate::overlapped::{Completion, ToEvent};
use crate::select::{FdSet, select};
use crate::socket::{BACKLOG_MAX, Family, Flags, Kind, Shutdown, Socket};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn stream() -> Socket {
    Socket::new(Family::V4, Kind::Stream).unwrap()
}

fn listener() -> (Socket, SocketAddr) {
    let listener = stream();
    listener.bind(any_port()).unwrap();
    listener.listen(BACKLOG_MAX).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn pair() -> (Socket, Socket) {
    let (listener, address) = listener();
    let client = stream();
    client.connect(address).unwrap();
    (client, listener.accept().unwrap().0)
}

fn nobody() -> SocketAddr {
    let (listener, address) = listener();
    listener.close().unwrap();
    address
}

fn code<T: std::fmt::Debug>(result: crate::Result<T>) -> i32 {
    result.unwrap_err().code()
}

/// Waits until a thread of this process sleeps in a call on the socket, then closes it.
fn close_under(socket: &Socket, waiting: impl FnOnce(Socket) -> i32 + Send + 'static) -> i32 {
    let core = std::sync::Arc::clone(socket.sys.core().unwrap());
    let other = socket.clone();
    let thread = thread::spawn(move || waiting(other));
    let start = Instant::now();
    while core.calls_in_progress() == 0 && start.elapsed() < SOON {
        thread::yield_now();
    }
    thread::sleep(Duration::from_millis(20));
    socket.close().unwrap();
    while !thread.is_finished() {
        assert!(start.elapsed() < SOON, "the call was not woken");
        thread::sleep(Duration::from_millis(1));
    }
    thread.join().unwrap()
}

#[test]
fn close_wakes_every_kind_of_waiting_call() {
    let (client, _server) = pair();
    assert_eq!(close_under(&client, |s| code(s.recv(&mut [0; 8]))), WSAEINTR);
    let (listener, _) = listener();
    assert_eq!(close_under(&listener, |s| code(s.accept())), WSAEINTR);
    let (client, _server) = pair();
    assert_eq!(close_under(&client, |s| code(s.send(&vec![0; 64 << 20]))), WSAEINTR);
    let datagrams = Socket::new(Family::V4, Kind::Datagram).unwrap();
    datagrams.bind(any_port()).unwrap();
    assert_eq!(close_under(&datagrams, |s| code(s.recv_from(&mut [0; 8]))), WSAEINTR);
}

#[test]
fn close_wakes_a_blocked_connect() {
    let full = stream();
    full.bind(any_port()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    // One connection fills the queue of a listener with backlog 0; the next hangs.
    let first = stream();
    first.connect(address).unwrap();
    let hanging = stream();
    assert_eq!(close_under(&hanging, move |s| code(s.connect(address))), WSAEINTR);
}

#[test]
fn close_with_linger_zero_resets_although_a_call_waits() {
    let (client, server) = pair();
    client.set_linger(Some(Duration::ZERO)).unwrap();
    assert_eq!(close_under(&client, |s| code(s.recv(&mut [0; 8]))), WSAEINTR);
    assert_eq!(code(server.recv(&mut [0; 8])), WSAECONNRESET);
    assert_eq!(code(server.recv(&mut [0; 8])), WSAECONNRESET);
    assert_eq!(code(server.send(b"x")), WSAECONNRESET);
}

fn selecting(set: usize) -> impl FnOnce(Socket) -> i32 + Send + 'static {
    move |socket| {
        let mut sets = [FdSet::new(), FdSet::new(), FdSet::new()];
        sets[set].insert(&socket);
        let [read, write, except] = &mut sets;
        match select(Some(read), Some(write), Some(except), None) {
            Ok(count) => count as i32,
            Err(error) => error.code(),
        }
    }
}

#[test]
fn close_wakes_select_on_connected_and_on_fresh_sockets() {
    let (client, _server) = pair();
    assert_eq!(close_under(&client, selecting(0)), 1);
    assert_eq!(close_under(&stream(), selecting(0)), 1);
    let (client, _server) = pair();
    assert_eq!(close_under(&client, selecting(2)), WSAENOTSOCK);
    assert_eq!(close_under(&stream(), selecting(1)), WSAENOTSOCK);
}

#[test]
fn a_closed_socket_gives_its_descriptor_back_although_clones_live() {
    let socket = stream();
    let clone = socket.clone();
    let core = std::sync::Arc::clone(socket.sys.core().unwrap());
    assert!(core.raw_fd() >= 0);
    socket.close().unwrap();
    assert_eq!(core.raw_fd(), -1);
    assert_eq!(code(clone.recv(&mut [0])), WSAENOTSOCK);
    assert_eq!(code(clone.close()), WSAENOTSOCK);
}

#[test]
fn a_socket_for_accept_has_no_descriptor_until_one_is_needed() {
    let socket = Socket::for_accept(Family::V4).unwrap();
    let core = std::sync::Arc::clone(socket.sys.core().unwrap());
    assert_eq!(code(socket.recv(&mut [0])), WSAENOTCONN);
    assert_eq!(core.raw_fd(), -1);
    socket.bind(any_port()).unwrap();
    assert!(core.raw_fd() >= 0);
}

#[test]
fn adopting_a_connection_makes_either_kind_of_fresh_socket_its_end() {
    for fresh in [Socket::for_accept(Family::V4).unwrap(), stream()] {
        let (listener, address) = listener();
        let client = stream();
        client.connect(address).unwrap();
        let of = std::sync::Arc::clone(listener.sys.core().unwrap());
        let (fd, peer) = of.try_accept().unwrap();
        assert_eq!(of.try_accept().unwrap_err(), WSAEWOULDBLOCK);
        fresh.sys.core().unwrap().adopt(fd, peer, &of).unwrap();
        client.send(b"hello").unwrap();
        assert_eq!(fresh.recv(&mut [0; 8]).unwrap(), 5);
        assert_eq!(fresh.peer_addr().unwrap(), client.local_addr().unwrap());
        assert_eq!(fresh.local_addr().unwrap(), address);
    }
}

#[test]
fn a_blocking_accept_waits_although_the_kernel_was_told_not_to() {
    let (listener, address) = listener();
    assert_eq!(listener.sys.core().unwrap().try_accept().unwrap_err(), WSAEWOULDBLOCK);
    let thread = thread::spawn(move || listener.accept().map(|(socket, _)| socket));
    let client = stream();
    client.connect(address).unwrap();
    let server = thread.join().unwrap().unwrap();
    server.set_recv_timeout(Some(Duration::from_millis(50))).unwrap();
    let start = Instant::now();
    assert_eq!(code(server.recv(&mut [0; 8])), WSAETIMEDOUT);
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[test]
fn a_refused_connect_is_told_once_by_select_and_again_by_asking() {
    for nonblocking in [false, true] {
        let socket = stream();
        socket.set_nonblocking(nonblocking).unwrap();
        let first = code(socket.connect(nobody()));
        assert_eq!(first, if nonblocking { WSAEWOULDBLOCK } else { WSAECONNREFUSED });
        let mut sets = [FdSet::new(), FdSet::new()];
        sets.iter_mut().for_each(|set| set.insert(&socket));
        let [write, except] = &mut sets;
        assert_eq!(select(None, Some(write), Some(except), Some(SOON)).unwrap(), 1);
        assert!(except.contains(&socket) && !write.contains(&socket));
        assert_eq!(socket.socket_error().unwrap(), WSAECONNREFUSED);
        assert_eq!(socket.socket_error().unwrap(), WSAECONNREFUSED);
        let (listener, address) = listener();
        socket.set_nonblocking(false).unwrap();
        socket.connect(address).unwrap();
        assert_eq!(code(socket.connect(address)), WSAEISCONN);
        assert_eq!(socket.socket_error().unwrap(), 0);
        drop(listener);
    }
}

#[test]
fn a_nonblocking_connect_is_noticed_without_select() {
    let (listener, address) = listener();
    let client = stream();
    client.set_nonblocking(true).unwrap();
    assert_eq!(code(client.connect(address)), WSAEWOULDBLOCK);
    let server = listener.accept().unwrap().0;
    let start = Instant::now();
    while client.send(b"x").is_err() {
        assert!(start.elapsed() < SOON, "the connect was not noticed");
    }
    assert_eq!(server.recv(&mut [0; 8]).unwrap(), 1);
    assert_eq!(code(client.recv(&mut [0; 8])), WSAEWOULDBLOCK);
    client.set_nonblocking(false).unwrap();
    server.send(b"later").unwrap();
    assert_eq!(client.recv(&mut [0; 8]).unwrap(), 5);
}

#[test]
fn options_of_the_listener_are_those_of_the_accepted_socket() {
    let (listener, address) = listener();
    listener.set_keepalive(true).unwrap();
    listener.set_nodelay(true).unwrap();
    listener.set_linger(Some(Duration::from_secs(3))).unwrap();
    listener.set_oob_inline(true).unwrap();
    listener.set_recv_timeout(Some(Duration::from_millis(4321))).unwrap();
    listener.set_send_timeout(Some(Duration::from_millis(1234))).unwrap();
    let client = stream();
    client.connect(address).unwrap();
    let server = listener.accept().unwrap().0;
    assert!(server.keepalive().unwrap() && server.nodelay().unwrap() && server.oob_inline().unwrap());
    assert_eq!(server.linger().unwrap(), Some(Duration::from_secs(3)));
    assert_eq!(server.recv_timeout().unwrap(), Some(Duration::from_millis(4321)));
    assert_eq!(server.send_timeout().unwrap(), Some(Duration::from_millis(1234)));
    let fd = server.sys.core().unwrap().enter().unwrap();
    let fd = fd.fd().unwrap();
    use rustix::net::sockopt::{Timeout, socket_oobinline, socket_timeout};
    assert!(socket_timeout(fd, Timeout::Recv).unwrap().unwrap() >= Duration::from_millis(4321));
    assert!(socket_oobinline(fd).unwrap());
}

#[test]
fn a_listeners_receive_timeout_is_not_for_accept() {
    let (listener, address) = listener();
    listener.set_recv_timeout(Some(Duration::from_millis(10))).unwrap();
    let thread = thread::spawn(move || listener.accept().map(|_| ()));
    thread::sleep(Duration::from_millis(100));
    assert!(!thread.is_finished());
    stream().connect(address).unwrap();
    thread.join().unwrap().unwrap();
}

#[test]
fn addresses_are_known_when_the_peer_is_gone() {
    let (client, server) = pair();
    let (local, peer) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    server.set_linger(Some(Duration::ZERO)).unwrap();
    server.close().unwrap();
    assert_eq!(code(client.recv(&mut [0])), WSAECONNRESET);
    assert_eq!((client.local_addr().unwrap(), client.peer_addr().unwrap()), (local, peer));
}

#[test]
fn a_receive_that_waits_outlives_shut_receive() {
    let (client, server) = pair();
    let core = std::sync::Arc::clone(client.sys.core().unwrap());
    let waiting = client.clone();
    let thread = thread::spawn(move || waiting.recv(&mut [0; 8]));
    while core.calls_in_progress() == 0 {
        thread::yield_now();
    }
    thread::sleep(Duration::from_millis(20));
    client.shutdown(Shutdown::Receive).unwrap();
    assert_eq!(code(client.recv(&mut [0; 8])), WSAESHUTDOWN);
    server.send(b"still").unwrap();
    assert_eq!(thread.join().unwrap().unwrap(), 5);
}

#[test]
fn datagrams_to_nobody_disturb_neither_receive_nor_select() {
    let owner = Socket::new(Family::V4, Kind::Datagram).unwrap();
    owner.bind(any_port()).unwrap();
    let gone = owner.local_addr().unwrap();
    owner.close().unwrap();
    let socket = Socket::new(Family::V4, Kind::Datagram).unwrap();
    socket.connect(gone).unwrap();
    for _ in 0..5 {
        assert_eq!(socket.send(b"hello?").unwrap(), 6);
    }
    let mut read: FdSet = [&socket].into_iter().collect();
    assert_eq!(select(Some(&mut read), None, None, Some(Duration::from_millis(100))).unwrap(), 0);
    socket.send(b"hello?").unwrap();
    socket.set_nonblocking(true).unwrap();
    assert_eq!(code(socket.recv(&mut [0; 8])), WSAEWOULDBLOCK);
}

#[test]
fn select_in_one_thread_sees_a_connect_of_another() {
    let (_listener, address) = listener();
    let socket = stream();
    let other = socket.clone();
    let core = std::sync::Arc::clone(socket.sys.core().unwrap());
    let thread = thread::spawn(move || selecting(1)(other));
    while core.calls_in_progress() == 0 {
        thread::yield_now();
    }
    socket.connect(address).unwrap();
    assert_eq!(thread.join().unwrap(), 1);
}

fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn a_broken_member_that_the_set_does_not_report_makes_no_spin() {
    let (client, server) = pair();
    server.set_linger(Some(Duration::ZERO)).unwrap();
    server.close().unwrap();
    let mut except: FdSet = [&client].into_iter().collect();
    let before = thread_time();
    let start = Instant::now();
    assert_eq!(select(None, None, Some(&mut except), Some(Duration::from_millis(150))).unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_millis(150));
    // A spin would use the whole time.
    assert!(thread_time() - before < Duration::from_millis(75));
}

#[test]
fn urgent_data_is_received_on_its_own_and_waited_for() {
    let (client, server) = pair();
    server.set_nonblocking(true).unwrap();
    assert_eq!(code(server.recv_with(&mut [0], Flags::OUT_OF_BAND)), WSAEWOULDBLOCK);
    server.set_nonblocking(false).unwrap();
    let thread = thread::spawn(move || {
        let mut byte = [0];
        server.recv_with(&mut byte, Flags::OUT_OF_BAND).map(|_| byte[0])
    });
    // Mostly it waits by now.
    thread::sleep(Duration::from_millis(20));
    client.send_with(b"!", Flags::OUT_OF_BAND).unwrap();
    assert_eq!(thread.join().unwrap().unwrap(), b'!');
}

/// Set in the environment of a process that may have few descriptors.
const FEW: &str = "DOORBELL_TEST_FEW_DESCRIPTORS";

// ER-01: Windows has no limit that a test could come to.
#[test]
fn without_a_descriptor_left_calls_and_accepts_say_wsaemfile() {
    if std::env::var_os(FEW).is_some() {
        return with_few_descriptors();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([
        "--exact",
        "sys::linux::socket::tests::without_a_descriptor_left_calls_and_accepts_say_wsaemfile",
    ]);
    child.env(FEW, "1");
    // SAFETY: between fork and exec nothing but a system call with an argument on the stack.
    unsafe {
        child.pre_exec(|| {
            let few = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few) == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
    let output = child.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn with_few_descriptors() {
    let (listener, address) = listener();
    let event = Event::new().unwrap();
    // What a refused start says at once and what is told at the end are the same here.
    let accept = || -> (i32, Option<Completion>) {
        match listener.accept_ex(&Socket::for_accept(Family::V4).unwrap(), Vec::<u8>::new(), ToEvent(&event))
        {
            Ok(op) => {
                let end = op.take();
                (end.result().err().map_or(0, |error| error.code()), Some(end))
            }
            Err(refused) => (refused.error.code(), None),
        }
    };
    // What the engine needs for itself it has from here on.
    let first = stream();
    first.connect(address).unwrap();
    let (code_of_first, kept) = accept();
    assert_eq!(code_of_first, 0);
    let clients = [stream(), stream()];
    let mut taken = Vec::new();
    let refused = loop {
        match Socket::new(Family::V4, Kind::Stream) {
            Ok(socket) => taken.push(socket),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code(), WSAEMFILE);
    for client in &clients {
        client.connect(address).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(code(listener.accept()), WSAEMFILE);
        assert_eq!(accept().0, WSAEMFILE);
    }
    // The connections have waited, and go to those who have a descriptor for them.
    taken.truncate(taken.len() - 2);
    assert_eq!(listener.accept().unwrap().1, clients[0].local_addr().unwrap());
    let (well, end) = accept();
    assert_eq!((well, end.unwrap().remote_addr()), (0, clients[1].local_addr().ok()));
    drop(kept);
}
