#![cfg(target_os = "linux")]
//! What only a Linux process can be shown here: signals by number, and a limit of descriptors that is reached.

use crate::program::{Program, connect, eventually};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

/// So long a server that waits for room is watched.
const SILENCE: Duration = Duration::from_millis(400);

const SERVERS: [&str; 8] = [
    "blocking",
    "select",
    "async_select",
    "event_select",
    "overlapped_event",
    "overlapped_routine",
    "completion_port",
    "foreign_poll",
];

#[test]
fn a_signal_ends_each_server_cleanly() {
    for name in SERVERS {
        for signal in [Signal::INT, Signal::TERM] {
            let mut server = Program::start(name);
            let mut client = connect(server.address());
            ask(&mut client);
            kill_process(Pid::from_child(&server.child), signal).unwrap();
            assert_eq!(server.end().0.code(), Some(0), "{name}");
            assert_eq!(client.read(&mut [0; 4]).expect("closed, not cut off"), 0, "{name}");
        }
    }
}

/// Those for whom there is no descriptor wait in the backlog. Meanwhile the server neither ends nor spins, and serves the
/// others; they come in when others leave.
#[test]
fn no_descriptor_left_is_no_end() {
    const ROOM: usize = 5;
    for name in SERVERS {
        let server = Program::start(name);
        let address = server.address();
        ask(&mut connect(address));
        let pid = Pid::from_child(&server.child);
        // What the one client had is free again.
        let open = eventually(|| Some(descriptors(pid)).filter(|open| *open == descriptors(pid)));
        let limit = Some((open + ROOM) as u64);
        prlimit(Some(pid), Resource::Nofile, Rlimit { current: limit, maximum: limit }).unwrap();

        let mut clients: Vec<TcpStream> = (0..3 * ROOM).map(|_| connect(address)).collect();
        clients.iter_mut().for_each(|client| client.write_all(b"ding").unwrap());
        eventually(|| (descriptors(pid) >= open + ROOM).then_some(()));
        let before = processor_time(pid);
        thread::sleep(SILENCE);
        let spent = processor_time(pid) - before;
        assert!(spent < SILENCE / 4, "{name} spends {spent:?} of {SILENCE:?} on nothing");
        for client in &mut clients {
            // Whoever has been answered makes room for one who waits.
            client.read_exact(&mut [0; 4]).unwrap_or_else(|error| panic!("{name}: {error}"));
            client.shutdown(Shutdown::Both).unwrap();
        }
        ask(&mut connect(address));
    }
}

#[track_caller]
fn ask(client: &mut TcpStream) {
    client.write_all(b"ding").unwrap();
    client.read_exact(&mut [0; 4]).expect("it is answered");
}

fn descriptors(pid: Pid) -> usize {
    fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).unwrap().count()
}

/// In hundredths of a second, which is what the system counts it in.
fn processor_time(pid: Pid) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    let figures: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = figures[11].parse::<u64>().unwrap() + figures[12].parse::<u64>().unwrap();
    Duration::from_millis(10 * ticks)
}
