//! `doorbell bench`, from outside: what it measures, what it catches, what it writes, how it ends.

use crate::support::{Ended, SEVEN, doorbell, run};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

/// Four connections, for a short time.
const FEW: [&str; 4] = ["--warm-up", "50ms", "--conns", "4"];

fn bench(arguments: &[&str]) -> Ended {
    bench_with_patience("15s", arguments)
}

fn bench_with_patience(patience: &str, arguments: &[&str]) -> Ended {
    run(doorbell(&[&["bench", "--duration", "300ms", "--patience", patience], &FEW[..], arguments].concat()))
}

/// What a bench writes as JSON in which every run has its requests: on a machine that is busy with other tests that takes
/// a longer one.
#[track_caller]
fn measured(name: &str, arguments: &[&str]) -> (Ended, Value) {
    let file = fresh(name);
    for duration in ["300ms", "1s", "2s"] {
        let to = ["bench", "--duration", duration, "--patience", "15s", "--json", file.to_str().unwrap()];
        let ended = run(doorbell(&[&to, &FEW[..], arguments].concat()));
        ended.expect(0, &[]);
        let report = json(&file);
        let mut runs =
            report["cells"].as_array().unwrap().iter().flat_map(|cell| cell["runs"].as_array().unwrap());
        if runs.all(|run| run["requests"].as_u64().unwrap() > 0) {
            return (ended, report);
        }
    }
    panic!("nothing is answered: {}", fs::read_to_string(file).unwrap());
}

/// A path of its own for each test, where nothing lies yet.
fn fresh(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What a server does with a piece that came; `false` ends the connection.
type Answer = fn(&mut [u8], &mut TcpStream) -> bool;

/// A server of one thread a connection.
fn server(answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut piece) {
                    if !answer(&mut piece[..count], &mut stream) {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn echo(piece: &mut [u8], stream: &mut TcpStream) -> bool {
    stream.write_all(piece).is_ok()
}

#[test]
fn all_seven_are_measured_and_told_in_every_shape() {
    let [to_csv, to_markdown, to_html] = ["bench.csv", "bench.md", "bench.html"].map(fresh);
    let (ended, report) = measured(
        "bench.json",
        &[
            "--runs",
            "1",
            "--csv",
            to_csv.to_str().unwrap(),
            "--markdown",
            to_markdown.to_str().unwrap(),
            "--html",
            to_html.to_str().unwrap(),
        ],
    );
    for (at, model) in SEVEN.iter().enumerate() {
        assert!(ended.out.contains(model), "{}", ended.out);
        let cell = &report["cells"][at];
        assert_eq!(cell["subject"], *model);
        let run = &cell["runs"][0];
        assert!(run["server"]["cpu_user_us"].as_f64().unwrap() >= 0.0, "{run}");
        assert!(run["server"]["memory_connected_bytes"].as_u64().unwrap() > 0, "{run}");
        assert!(cell["summary"]["requests_per_s"]["median"].as_f64().unwrap() > 0.0, "{cell}");
    }
    for file in [to_csv, to_markdown, to_html] {
        let text = fs::read_to_string(&file).unwrap();
        assert!(SEVEN.iter().all(|model| text.contains(model)), "{}: {text}", file.display());
    }
}

#[test]
fn each_kind_of_load_is_measured() {
    for kind in [
        &["--load", "idle", "--active", "2"][..],
        &["--load", "churn"],
        &["--load", "slow-reader", "--active", "2"],
        &["--load", "skew", "--skew-share", "20%", "--skew-cost", "1ms"],
        &["--rate", "200", "--size", "1-2k", "--depth", "4"],
    ] {
        let models = ["--models", "select,completion-port", "--runs", "1"];
        let (_, report) = measured(&format!("bench-{}.json", kind[1]), &[&models, kind].concat());
        assert_eq!(report["cells"].as_array().unwrap().len(), 2, "{kind:?}");
    }
}

#[test]
fn a_server_that_is_there_already_is_measured_as_well() {
    let address = server(echo).to_string();
    let (_, report) = measured("bench-target.json", &["--target", &address, "--runs", "1"]);
    assert!(report["cells"][0]["runs"][0]["server"].is_null(), "its process is not known");
}

#[test]
fn another_server_stands_beside_the_models() {
    let file = fresh("bench-other.json");
    let command =
        format!("mine='{}' serve echo --model blocking --listen 127.0.0.1:0", env!("CARGO_BIN_EXE_doorbell"));
    bench(&["--models", "select", "--server", &command, "--runs", "1", "--json", file.to_str().unwrap()])
        .expect(0, &[]);
    let report = json(&file);
    assert_eq!(report["subjects"][1]["name"], "mine");
    assert!(report["cells"][1]["runs"][0]["server"]["threads"].as_u64().unwrap() > 0);
}

#[test]
fn a_server_that_does_wrong_is_caught_and_named() {
    let wrong: [(&str, Answer); 3] = [
        ("changed", |piece, stream| {
            let middle = piece.len() / 2;
            piece[middle] ^= 1;
            echo(piece, stream)
        }),
        ("closed", |piece, stream| {
            let _ = stream.write_all(&piece[..piece.len() - 1]);
            false
        }),
        ("missing", |piece, stream| stream.write_all(&piece[1..]).is_ok()),
    ];
    for (said, answer) in wrong {
        let address = server(answer).to_string();
        let ended = bench_with_patience("1s", &["--target", &address, "--runs", "1"]);
        ended.expect(1, &[&address, said]);
    }
}

#[test]
fn a_server_that_cannot_be_measured_is_named_with_what_it_says() {
    let ended = bench(&["--models", "none", "--server", "gone=/no/such/program"]);
    ended.expect(1, &["gone", "/no/such/program"]);
    let mute = format!("mute='{}' models", env!("CARGO_BIN_EXE_doorbell"));
    let ended = bench(&["--models", "none", "--server", &mute]);
    ended.expect(1, &["mute"]);
}

#[test]
fn a_crossed_threshold_ends_with_99_and_its_line() {
    let file = fresh("bench-gate.json");
    let few = ["--models", "select", "--runs", "1"];
    let ended =
        bench(&[&few[..], &["--fail-if", "requests_per_s<1000M", "--json", file.to_str().unwrap()]].concat());
    ended.expect(99, &["requests_per_s<1000M", "select"]);
    assert!(file.exists(), "what crossed is on paper");
    bench(&[&few[..], &["--fail-if", "p99>10000s"]].concat()).expect(0, &[]);
}

#[test]
fn a_baseline_is_compared_with() {
    let file = fresh("bench-baseline.json");
    let few = ["--models", "select", "--runs", "1"];
    bench(&[&few[..], &["--json", file.to_str().unwrap()]].concat()).expect(0, &[]);
    // Everything may be wholly worse, so that nothing is: a rate cannot fall by more than all of it.
    let ended = bench(&[&few[..], &["--baseline", file.to_str().unwrap()]].concat());
    ended.expect(0, &[]);
    // A baseline that nobody can reach.
    let mut report = json(&file);
    for figure in ["low", "median", "high"] {
        report["cells"][0]["summary"]["requests_per_s"][figure] = 1e12.into();
    }
    fs::write(&file, report.to_string()).unwrap();
    let ended = bench(&[&few[..], &["--baseline", file.to_str().unwrap(), "--max-regress", "50%"]].concat());
    ended.expect(99, &["select", "requests"]);
}

#[test]
fn what_cannot_work_is_said_before_anything_is_measured() {
    let wrong: [(&[&str], &str); 12] = [
        (&["--json", "/no/such/folder/a.json"], "/no/such/folder/a.json"),
        (&["--baseline", "/no/such/file"], "/no/such/file"),
        (&["--conns", "0"], "connection"),
        (&["--conns", "100000000"], "1000000"),
        (&["--size", "0"], "zero"),
        (&["--rate", "fast"], "80k"),
        (&["--fail-if", "beauty>3"], "beauty"),
        (&["--max-regress", "5%"], "--baseline"),
        (&["--load", "idle", "--active", "99"], "--active 99"),
        (&["--load", "churn", "--rate", "5"], "--rate"),
        (&["--server", "nameless"], "NAME=COMMAND"),
        (&["--models", "none"], "--server"),
    ];
    for (flags, said) in wrong {
        // Not `bench`: a flag twice would be the mistake then.
        let ended = run(doorbell(&[&["bench"], flags].concat()));
        ended.expect(2, &[said]);
    }
}
