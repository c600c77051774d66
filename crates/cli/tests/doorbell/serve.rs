//! A server that runs: its first lines, its services, where its settings come from.

use crate::support::{SEVEN, Served, address_in, connect, doorbell, eventually, file, read};
use doorbell_winsock::Backend;
use doorbell_winsock::startup::backend;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};

/// What the first line must say of the backend, which this process settles as the command does.
fn backend_of(model: &str) -> &'static str {
    match (backend(), model) {
        (Backend::Winsock, _) => "winsock",
        (_, "blocking" | "select") => "none",
        (_, "async-select" | "event-select") => "epoll",
        (engine, _) => engine.name(),
    }
}

#[test]
fn the_first_line_is_exactly_as_promised() {
    for model in SEVEN {
        let served = Served::start(&["echo", "--model", model, "--threads", "3"]);
        let line = served.line();
        let address = address_in(&line);
        assert_ne!(address.port(), 0, "the port that it got");
        let start = format!("listening on {address} model={model} threads=");
        let rest = line.strip_prefix(&start).unwrap_or_else(|| panic!("{line}"));
        let (threads, rest) = rest.split_once(' ').unwrap();
        assert!(threads.parse::<u32>().unwrap() > 0, "{line}");
        assert_eq!(rest, format!("backend={}", backend_of(model)));
    }
}

#[test]
fn the_default_is_a_completion_port() {
    assert!(Served::start(&["echo"]).line().contains(" model=completion-port "));
}

#[test]
fn auto_chooses_a_model_and_says_why_once() {
    for (flags, model, why) in [
        ([].as_slice(), "completion-port", "any number may be connected"),
        (&["--max-connections", "3", "--threads", "3"], "blocking", "no more than 3 may be connected"),
        (&["--max-connections", "3", "--threads", "2"], "completion-port", "3 may be connected"),
        (&["--max-connections", "1", "--concurrency", "1"], "completion-port", "1 may be connected"),
    ] {
        let served = Served::start(&[&["echo", "--model", "auto"], flags].concat());
        let line = served.line();
        assert!(line.contains(&format!(" model={model} ")), "{flags:?}: {line}");
        let said = format!("the model is {model}, since {why}");
        eventually(|| served.log().contains(&said).then_some(()));
        assert_eq!(served.log().matches("the model is").count(), 1, "{}", served.log());
        let mut client = connect(address_in(&line));
        client.write_all(b"ding dong").unwrap();
        assert_eq!(read(&mut client, 9), b"ding dong");
    }
}

#[test]
fn auto_may_come_from_the_environment_or_the_file_and_can_be_silenced() {
    let mut command = doorbell(&["serve", "echo", "--listen", "127.0.0.1:0", "-q"]);
    command.env("DOORBELL_MODEL", "auto");
    let served = Served::spawn(command);
    assert!(served.line().contains(" model=completion-port "));
    assert!(!served.log().contains("the model is"), "{}", served.log());
    let path = file("auto.toml", "model = \"auto\"\nmax-connections = 1\n");
    assert!(Served::start(&["echo", "--config", path.to_str().unwrap()]).line().contains(" model=blocking "));
}

#[test]
fn every_address_has_its_line_and_answers() {
    let six = TcpListener::bind("[::1]:0").is_ok();
    for model in SEVEN {
        let mut arguments =
            vec!["serve", "echo", "--model", model, "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
        if six {
            arguments.extend(["--listen", "[::1]:0"]);
        }
        let served = Served::spawn(doorbell(&arguments));
        for number in 0..if six { 3 } else { 2 } {
            let line = served.line();
            if number == 2 {
                assert!(line.starts_with("listening on [::1]:"), "{line}");
            }
            let mut client = connect(address_in(&line));
            client.write_all(b"ding dong").unwrap();
            assert_eq!(read(&mut client, 9), b"ding dong", "{model}: {line}");
        }
    }
}

#[test]
fn discard_says_nothing_and_ends_with_its_peer() {
    for model in SEVEN {
        let served = Served::start(&["discard", "--model", model]);
        let mut client = served.connect();
        client.write_all(&[7; 100_000]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"", "{model}");
    }
}

#[test]
fn chargen_sends_its_lines() {
    for model in SEVEN {
        let served = Served::start(&["chargen", "--model", model]);
        let text = read(&mut served.connect(), 74 * 1000);
        assert!(text.starts_with(b" !\"#$%&'()*+,-./0123456789"), "{model}");
        assert!(text.chunks(74).all(|line| line.ends_with(b"\r\n")), "{model}");
    }
}

#[test]
fn an_idle_connection_is_closed_after_the_time_out() {
    for model in SEVEN {
        let served = Served::start(&["echo", "--model", model, "--idle-timeout", "100ms"]);
        let mut answer = Vec::new();
        served.connect().read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"", "{model}");
    }
}

#[test]
fn flags_outrank_the_environment_and_that_the_file() {
    let path = file(
        "precedence.toml",
        "model = \"blocking\"\nlisten = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\nthreads = 1\n",
    );
    let with_file = |flags: &[&str], variable: Option<&str>| {
        let mut command = doorbell(&[&["serve", "echo", "--config", path.to_str().unwrap()], flags].concat());
        command.envs(variable.map(|model| ("DOORBELL_MODEL", model)));
        let served = Served::spawn(command);
        (served.line(), served)
    };

    let (line, served) = with_file(&[], None);
    assert!(line.contains(" model=blocking "), "{line}");
    assert!(served.line().contains(" model=blocking "), "the file names two addresses");

    let (line, _) = with_file(&[], Some("select"));
    assert!(line.contains(" model=select "), "{line}");

    let (line, _) = with_file(&["--model", "completion-port"], Some("select"));
    assert!(line.contains(" model=completion-port "), "{line}");
}

#[test]
fn the_file_may_be_named_by_the_environment() {
    let path = file("named.toml", "model = \"select\"\nlisten = \"127.0.0.1:0\"\n");
    let mut command = doorbell(&["serve", "echo"]);
    command.env("DOORBELL_CONFIG", path);
    assert!(Served::spawn(command).line().contains(" model=select "));
}

#[test]
fn the_environment_may_name_several_addresses() {
    let mut command = doorbell(&["serve", "echo"]);
    command.env("DOORBELL_LISTEN", "127.0.0.1:0,127.0.0.1:0");
    let served = Served::spawn(command);
    assert_ne!(served.address(), served.address());
}

#[test]
fn logs_go_to_standard_error_and_can_be_silenced() {
    let noisy = Served::start(&["echo"]);
    noisy.line();
    let silent = Served::start(&["echo", "-qq"]);
    let mut client = silent.connect();
    client.write_all(b"ding dong").unwrap();
    assert_eq!(read(&mut client, 9), b"ding dong");
    eventually(|| (!noisy.log().is_empty()).then_some(()));
    assert_eq!(silent.log(), "");
}

#[test]
fn until_eof_it_serves_and_then_ends_at_once_with_0() {
    for model in SEVEN {
        // A peer that never reads and an hour of grace: only a stop at once ends this.
        let flags = ["serve", "chargen", "--model", model, "--listen", "127.0.0.1:0", "--grace", "1h"];
        let mut command = doorbell(&flags);
        command.arg("--until-eof");
        let mut served = Served::spawn_with(command, Stdio::piped());
        let mut client = served.connect();
        read(&mut client, 74);
        assert!(served.child.try_wait().unwrap().is_none(), "{model} ends before its input does");
        drop(served.child.stdin.take());
        assert_eq!(served.end().code(), Some(0), "{model}: {}", served.log());
        assert!(served.log().contains("standard input has ended"), "{}", served.log());
    }
}

#[test]
fn until_eof_may_come_from_the_environment_and_without_it_input_is_nothing_to_it() {
    for (value, ends) in [("1", true), ("false", false)] {
        let mut command = doorbell(&["serve", "echo", "--listen", "127.0.0.1:0"]);
        command.env("DOORBELL_UNTIL_EOF", value);
        // Its input has ended before it begins.
        let mut served = Served::spawn(command);
        let address = served.address();
        if ends {
            assert_eq!(served.end().code(), Some(0));
        } else {
            let mut client = connect(address);
            client.write_all(b"ding dong").unwrap();
            assert_eq!(read(&mut client, 9), b"ding dong");
            assert!(!served.log().contains("standard input"), "{}", served.log());
        }
    }
}

/// Set in the parent of `a_parent_that_is_killed_leaves_no_server_behind`.
const A_PARENT: &str = "HOST_OF_A_SERVER";

#[test]
fn a_parent_that_is_killed_leaves_no_server_behind() {
    let mut parent = Command::new(std::env::current_exe().unwrap());
    parent.args(["--exact", "serve::what_the_parent_does", "--nocapture"]).env(A_PARENT, "1");
    let mut parent = Served::spawn_with(parent, Stdio::piped());
    let line = std::iter::repeat_with(|| parent.line()).find(|line| line.contains("listening on")).unwrap();
    let address = address_in(&line[line.find("listening").unwrap()..]);
    let mut client = connect(address);
    client.write_all(b"ding dong").unwrap();
    assert_eq!(read(&mut client, 9), b"ding dong");
    parent.child.kill().unwrap();
    parent.child.wait().unwrap();
    assert!(matches!(client.read(&mut [0; 16]), Ok(0) | Err(_)), "nothing more is said");
    eventually(|| TcpStream::connect(address).err());
}

/// Nothing, unless it is the parent of the test above: then it starts a server and waits to be killed.
#[test]
fn what_the_parent_does() {
    if std::env::var_os(A_PARENT).is_some() {
        let mut command = doorbell(&["serve", "echo", "--listen", "127.0.0.1:0", "--until-eof"]);
        let mut server = command.stdin(Stdio::piped()).spawn().unwrap();
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }
}
