//! What the command says, and its exit codes, without a server that runs.

use crate::support::{SEVEN, doorbell, eventually, file, run};
use doorbell::Model;
use doorbell_winsock::Backend;
use std::net::TcpListener;
use std::process::Stdio;

/// A backend that belongs to the other system.
fn foreign_backend() -> &'static str {
    if doorbell_winsock::startup::backend() == Backend::Winsock { "io_uring" } else { "winsock" }
}

#[test]
fn models_lists_the_seven() {
    let ended = run(doorbell(&["models"]));
    ended.expect(0, &[]);
    let listed: Vec<_> =
        ended.out.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, SEVEN);
}

#[test]
fn explain_prints_the_page_and_what_the_calls_are_here() {
    for name in SEVEN {
        let ended = run(doorbell(&["explain", name]));
        ended.expect(0, &[]);
        let model: Model = name.parse().unwrap();
        let here =
            ended.out.strip_prefix(model.page()).unwrap_or_else(|| panic!("another page: {}", ended.out));
        assert_eq!(
            here,
            format!("\n**On this system** (backend={}): {}.\n", model.backend(), model.maps_to()),
            "{name}"
        );
    }
}

#[test]
fn a_model_that_is_not_there_cannot_be_explained() {
    let ended = run(doorbell(&["explain", "iocp"]));
    ended.expect(2, &["'iocp'"]);
    ended.expect(2, &SEVEN);
    // Not a model, but a way to choose one.
    run(doorbell(&["explain", "auto"])).expect(2, &["'auto'"]);
    let ended = run(doorbell(&["explain"]));
    // The program is called doorbell.exe on Windows.
    ended.expect(2, &["Usage: doorbell", " explain [OPTIONS] <MODEL>"]);
    ended.expect(2, &SEVEN);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    for arguments in [
        ["models"].as_slice(),
        &["explain", "select"],
        &["doctor"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ] {
        let mut command = doorbell(arguments);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let status = eventually(|| child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn an_unknown_model_is_answered_with_the_seven_and_auto() {
    let ended = run(doorbell(&["serve", "echo", "--model", "iocp"]));
    ended.expect(2, &["'iocp'", "--model", "auto"]);
    ended.expect(2, &SEVEN);
}

#[test]
fn a_backend_of_another_system_is_not_available() {
    let arguments = ["serve", "echo", "--listen", "127.0.0.1:0", "--backend", foreign_backend()];
    run(doorbell(&arguments)).expect(4, &[foreign_backend(), "not available"]);
}

#[test]
fn doctor_tells_of_the_backend_and_fails_only_for_a_forced_one() {
    let mut command = doorbell(&["doctor"]);
    command.env_remove("DOORBELL_BACKEND");
    let ended = run(command);
    ended.expect(0, &[]);
    for line in ["doorbell ", "processors ", "backend ", "falls back "] {
        assert!(ended.out.lines().any(|told| told.starts_with(line)), "no '{line}' in: {}", ended.out);
    }
    let mut command = doorbell(&["doctor"]);
    command.env("DOORBELL_BACKEND", foreign_backend());
    let ended = run(command);
    ended.expect(4, &[foreign_backend(), "not available"]);
    assert!(ended.out.contains("forced by DOORBELL_BACKEND"), "{}", ended.out);
    let mut command = doorbell(&["doctor"]);
    command.env("DOORBELL_BACKEND", "kqueue");
    run(command).expect(2, &["'kqueue'", "DOORBELL_BACKEND"]);
}

#[test]
fn mistakes_on_the_command_line_are_usage() {
    run(doorbell(&[])).expect(2, &["Usage"]);
    run(doorbell(&["serve"])).expect(2, &["<SERVICE>"]);
    run(doorbell(&["serve", "chat"])).expect(2, &["'chat'", "echo", "discard", "chargen"]);
    for address in ["nowhere", "127.0.0.1", "127.0.0.1:65536", "::1:7007", ":7007"] {
        run(doorbell(&["serve", "echo", "--listen", address]))
            .expect(2, &[address, "IP:PORT", "127.0.0.1:7007"]);
    }
    for (flag, value) in [
        ("--threads", "0"),
        ("--max-connections", "0"),
        ("--idle-timeout", "0s"),
        ("--idle-timeout", "30"),
        ("--grace", "long"),
        ("--write-high-water", "0"),
        ("--backend", "kqueue"),
    ] {
        run(doorbell(&["serve", "echo", flag, value])).expect(2, &[flag, value]);
    }
}

#[test]
fn a_variable_is_checked_like_its_flag() {
    let mut command = doorbell(&["serve", "echo"]);
    command.env("DOORBELL_GRACE", "long");
    run(command).expect(2, &["--grace", "long"]);
}

#[test]
fn mistakes_in_a_file_of_settings_name_the_file_and_the_mistake() {
    for (number, (text, said)) in [
        ("treads = 2\n", "no setting 'treads'"),
        ("threads = 0\n", "--threads"),
        ("threads = \n", "line 1"),
        ("threads = true\n", "'threads' must be"),
        ("model = \"iocp\"\n", "overlapped-routine"),
        ("config = \"other.toml\"\n", "no setting 'config'"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("mistake-{number}.toml");
        let path = file(&name, text);
        run(doorbell(&["serve", "echo", "--config", path.to_str().unwrap()])).expect(2, &[&name, said]);
    }
    run(doorbell(&["serve", "echo", "--config", "missing.toml"])).expect(2, &["missing.toml"]);
}

#[test]
fn a_port_in_use_says_so_and_what_to_do() {
    let owner = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = owner.local_addr().unwrap().to_string();
    for model in SEVEN {
        let ended = run(doorbell(&["serve", "echo", "--model", model, "--listen", &address]));
        ended.expect(3, &[&address, "WSAEADDRINUSE (10048)", "another port", "port 0"]);
        assert_eq!(ended.out, "", "nothing listens, so nothing is said");
    }
}

#[test]
fn an_address_of_another_machine_cannot_be_bound() {
    // 192.0.2.0/24 is for documentation: no machine has it.
    run(doorbell(&["serve", "echo", "--listen", "192.0.2.1:0"]))
        .expect(3, &["192.0.2.1:0", "WSAEADDRNOTAVAIL (10049)"]);
}

#[test]
fn help_has_examples_and_the_exit_codes() {
    let ended = run(doorbell(&["serve", "--help"]));
    ended.expect(0, &[]);
    for part in [
        "Examples:",
        "doorbell serve echo",
        "Exit codes:",
        "DOORBELL_MODEL",
        "127.0.0.1:7007",
        "idle-timeout = ",
    ] {
        assert!(ended.out.contains(part), "'{part}' is missing in: {}", ended.out);
    }
}

#[test]
fn a_shell_and_man_can_be_told() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = run(doorbell(&["completions", shell]));
        ended.expect(0, &[]);
        for word in ["max-connections", "explain"] {
            assert!(ended.out.contains(word), "{shell}: {word}");
        }
        // The others complete no values.
        assert!(
            ended.out.contains("overlapped-routine") || ["elvish", "powershell"].contains(&shell),
            "{shell}"
        );
    }
    let page = run(doorbell(&["man"])).out;
    assert!(page.contains(".TH doorbell 1"), "{page}");
    let page = run(doorbell(&["man", "serve"])).out;
    assert!(page.contains("write\\-high\\-water"), "{page}");
    let page = run(doorbell(&["man", "explain"])).out;
    assert!(page.contains("overlapped\\-routine"), "{page}");
    run(doorbell(&["man", "chat"])).expect(2, &["'chat'"]);
}

#[test]
fn the_readmes_know_every_model_and_every_flag_of_serve() {
    let help = run(doorbell(&["serve", "--help"])).out;
    let flags: Vec<_> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--")?.split_whitespace().next())
        .map(|flag| format!("| `--{flag}"))
        .collect();
    assert_eq!(flags.len(), 11, "{flags:?}");
    for readme in [include_str!("../../../../README.md"), include_str!("../../../../README.zh-CN.md")] {
        for flag in &flags {
            // With a value behind it, or without.
            let is_row = |end| readme.contains(&format!("{flag}{end}"));
            assert!(is_row(" ") || is_row("`"), "'{flag}' is missing");
        }
        for model in SEVEN {
            let is_row = |line: &str| line.starts_with("| ") && line.contains(&format!(" | `{model}`"));
            assert!(readme.lines().any(is_row), "{model} has no row");
            assert!(
                readme.contains(&format!("[{model}](crates/doorbell/src/models/")),
                "{model} has no link"
            );
        }
    }
}
