#![cfg(target_os = "linux")]
//! Signals by number, which only a Linux process can be sent here.

use crate::program::{Program, connect};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};

#[test]
fn a_signal_ends_each_server_cleanly() {
    for name in [
        "blocking",
        "select",
        "async_select",
        "event_select",
        "overlapped_event",
        "overlapped_routine",
        "completion_port",
        "foreign_poll",
    ] {
        for signal in [Signal::INT, Signal::TERM] {
            let mut server = Program::start(name);
            let mut client = connect(server.address());
            client.write_all(b"ding").unwrap();
            client.read_exact(&mut [0; 4]).unwrap();
            kill_process(Pid::from_child(&server.child), signal).unwrap();
            assert_eq!(server.end().0.code(), Some(0), "{name}");
            assert_eq!(client.read(&mut [0; 4]).expect("closed, not cut off"), 0, "{name}");
        }
    }
}
