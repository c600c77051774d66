#![cfg(target_os = "linux")]
//! What only a Linux process can be shown: signals by number, a refused io_uring, the states of its connections.

use crate::support::{SEVEN, Served, address_in, connect, doorbell, eventually, read, run};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

fn signal(served: &Served, signal: Signal) {
    kill_process(Pid::from_child(&served.child), signal).unwrap();
}

/// A peer that never reads, so that its connection cannot end by itself. It has been served: a byte came.
fn held_connection(served: &Served) -> (SocketAddr, TcpStream) {
    let address = served.address();
    let mut client = connect(address);
    read(&mut client, 1);
    (address, client)
}

#[test]
fn one_signal_ends_an_idle_server_with_0() {
    for model in SEVEN {
        for one in [Signal::INT, Signal::TERM] {
            let mut served = Served::start(&["echo", "--model", model]);
            let mut client = served.connect();
            client.write_all(b"ding dong").unwrap();
            read(&mut client, 9);
            signal(&served, one);
            assert_eq!(served.end().code(), Some(0), "{model} {one:?}: {}", served.log());
            // Closed, not cut off.
            assert_eq!(client.read(&mut [0; 16]).unwrap(), 0, "{model} {one:?}");
        }
    }
}

#[test]
fn after_the_first_signal_nobody_new_is_served_and_the_second_stops_at_once() {
    for model in SEVEN {
        let mut served = Served::start(&["chargen", "--model", model, "--grace", "1h"]);
        let (address, mut client) = held_connection(&served);
        signal(&served, Signal::INT);
        eventually(|| {
            TcpStream::connect(address).err().filter(|error| error.kind() == ErrorKind::ConnectionRefused)
        });
        // It still has something to say to the peer that does not read.
        thread::sleep(Duration::from_millis(200));
        assert!(served.child.try_wait().unwrap().is_none(), "{model} does not wait for its connections");
        signal(&served, Signal::INT);
        assert_eq!(served.end().code(), Some(0), "{model}: {}", served.log());
        assert!(served.log().contains("stopping at once"), "{}", served.log());
        while matches!(client.read(&mut [0; 65536]), Ok(1..)) {}
    }
}

#[test]
fn the_grace_ends_what_does_not_end_by_itself() {
    for model in SEVEN {
        let grace = Duration::from_millis(300);
        let mut served = Served::start(&["chargen", "--model", model, "--grace", "300ms"]);
        let (_, _client) = held_connection(&served);
        let from = Instant::now();
        signal(&served, Signal::TERM);
        assert_eq!(served.end().code(), Some(0), "{model}: {}", served.log());
        assert!(from.elapsed() >= grace, "{model} ended after {:?}", from.elapsed());
    }
}

/// Whether the kernel remembers a closed connection of this port: state 06 of /proc/net/tcp.
fn is_in_time_wait(port: u16) -> bool {
    let local = format!(":{port:04X}");
    fs::read_to_string("/proc/net/tcp").unwrap().lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next().is_some_and(|address| address.ends_with(&local)) && words.nth(1) == Some("06")
    })
}

#[test]
fn a_restart_binds_while_old_connections_are_in_time_wait() {
    for model in SEVEN {
        // The side that closes first keeps the memory of the connection: here that is the server.
        let mut first = Served::start(&["echo", "--model", model, "--idle-timeout", "50ms"]);
        let address = first.address();
        let mut client = connect(address);
        assert_eq!(client.read(&mut [0; 16]).unwrap(), 0);
        drop(client);
        eventually(|| is_in_time_wait(address.port()).then_some(()));
        signal(&first, Signal::TERM);
        assert_eq!(first.end().code(), Some(0), "{model}: {}", first.log());

        let second =
            Served::spawn(doorbell(&["serve", "echo", "--model", model, "--listen", &address.to_string()]));
        let mut client = second.connect();
        client.write_all(b"ding dong").unwrap();
        assert_eq!(read(&mut client, 9), b"ding dong", "{model}");
    }
}

/// Does something on a thread, whose children are refused an io_uring with EPERM, as Docker's default profile does.
fn without_io_uring<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    // The same number on every architecture, as for all system calls of its age.
    const IO_URING_SETUP: i64 = 425;
    const EPERM: u32 = 1;
    let refused = BTreeMap::from([(IO_URING_SETUP, Vec::new())]);
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter =
        SeccompFilter::new(refused, SeccompAction::Allow, SeccompAction::Errno(EPERM), architecture).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    // A filter is for ever, but for this thread and its children alone.
    let guarded = thread::spawn(move || {
        seccompiler::apply_filter(&program).unwrap();
        act()
    });
    guarded.join().unwrap()
}

fn by_itself(arguments: &[&str]) -> Command {
    let mut command = doorbell(arguments);
    command.env_remove("DOORBELL_BACKEND");
    command
}

#[test]
fn a_refused_io_uring_is_named_with_cause_and_remedy() {
    let ended = without_io_uring(|| {
        run(by_itself(&["serve", "echo", "--listen", "127.0.0.1:0", "--backend", "io_uring"]))
    });
    ended.expect(4, &["io_uring is not available", "seccomp", "EPERM", "allow io_uring_setup"]);
    assert_eq!(ended.out, "");
}

#[test]
fn by_itself_it_falls_back_to_epoll_and_says_so_once() {
    let mut served =
        without_io_uring(|| Served::spawn(by_itself(&["serve", "echo", "--listen", "127.0.0.1:0"])));
    let line = served.line();
    assert!(line.ends_with(" backend=epoll"), "{line}");
    let mut client = connect(address_in(&line));
    client.write_all(b"ding dong").unwrap();
    assert_eq!(read(&mut client, 9), b"ding dong");
    signal(&served, Signal::TERM);
    assert_eq!(served.end().code(), Some(0));
    let log = served.log();
    assert_eq!(log.matches("io_uring is not available").count(), 1, "{log}");
    for part in ["seccomp", "EPERM", "allow io_uring_setup"] {
        assert!(log.contains(part), "'{part}' is missing in: {log}");
    }
}

#[test]
fn doctor_tells_what_falls_back_and_why() {
    let ended = without_io_uring(|| run(by_itself(&["doctor"])));
    ended.expect(0, &[]);
    let line = |name: &str| ended.out.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(line("backend ").contains("epoll"), "{}", ended.out);
    assert!(
        line("falls back ").contains("to epoll") && line("falls back ").contains("EPERM"),
        "{}",
        ended.out
    );
    assert!(line("what to do ").contains("allow io_uring_setup"), "{}", ended.out);

    let ended = without_io_uring(|| {
        let mut command = by_itself(&["doctor"]);
        command.env("DOORBELL_BACKEND", "io_uring");
        run(command)
    });
    ended.expect(4, &["io_uring is not available"]);
}

#[test]
fn the_soft_limit_of_descriptors_is_raised() {
    let mut command = Command::new("sh");
    let serve = doorbell(&[]);
    let program = serve.get_program();
    command.args(["-c", "ulimit -S -n 64; exec \"$0\" serve echo --listen 127.0.0.1:0"]).arg(program);
    let served = Served::spawn(command);
    served.line();
    let limits = fs::read_to_string(format!("/proc/{}/limits", served.child.id())).unwrap();
    let open = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let [soft, hard] = open.split_whitespace().take(2).collect::<Vec<_>>()[..] else { panic!("{open}") };
    assert_eq!(soft, hard);
    assert_ne!(soft, "64");
}

/// The processes whose parent this one is.
fn children(of: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

fn is_there(process: u32) -> bool {
    fs::exists(format!("/proc/{process}")).unwrap()
}

/// A bench that would take an hour, once it has a server, and that server.
fn long_bench(more: &[&str]) -> (Served, u32) {
    let flags =
        ["bench", "--models", "select,blocking", "--conns", "4", "--warm-up", "10ms", "--runs", "1000"];
    let mut command = doorbell(&[&flags, more].concat());
    command.process_group(0);
    let served = Served::spawn(command);
    let server = eventually(|| children(served.child.id()).first().copied());
    (served, server)
}

#[test]
fn a_bench_that_is_broken_off_prints_what_it_has_and_leaves_no_server() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-broken-off.json");
    let (mut served, first) = long_bench(&["--duration", "200ms", "--json", file.to_str().unwrap()]);
    // A second server: the first one's run is complete.
    let second = eventually(|| children(served.child.id()).into_iter().find(|&id| id != first));
    // As a terminal does: the server has it too, and may be gone first.
    kill_process_group(Pid::from_child(&served.child), Signal::INT).unwrap();
    assert_eq!(served.end().code(), Some(130), "{}", served.log());
    eventually(|| served.log().contains("interrupted").then_some(()));
    while !served.line().contains("select") {}
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(report["interrupted"], true);
    assert!(report["cells"][0]["runs"][0]["requests"].is_u64());
    assert!(![first, second].into_iter().any(is_there), "a server is left");
}

#[test]
fn a_bench_that_is_killed_leaves_no_server() {
    let (mut served, server) = long_bench(&["--duration", "1h"]);
    signal(&served, Signal::KILL);
    served.end();
    eventually(|| (!is_there(server)).then_some(()));
}

#[test]
fn a_bench_whose_server_never_listens_is_broken_off_too() {
    let mut served = Served::spawn(doorbell(&["bench", "--models", "none", "--server", "mute=sleep 3600"]));
    let server = eventually(|| children(served.child.id()).first().copied());
    signal(&served, Signal::INT);
    assert_eq!(served.end().code(), Some(130), "{}", served.log());
    assert!(!is_there(server), "it is left");
}
