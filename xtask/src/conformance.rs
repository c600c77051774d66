//! `cargo xtask conformance`: CONFORMANCE.md, made from what the conformance suite itself wrote down as it ran.
//!
//! 1. Each test that ends well adds a line to the record of its column: its name, and how the promise was kept.
//! 2. The lines are gathered by promise, through the id in the name of the test.
//! 3. The table is one row for each promise of `promises.txt`; an id without a test is an error, and so is a test without one.

mod record;
mod table;

use record::Record;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The folder into which the tests write their records; where it is set, they have run already.
const RECORDS: &str = "DOORBELL_CONFORMANCE_RECORD";
const PROMISES: &str = "crates/winsock/tests/conformance/promises.txt";
const DIFFERENCES: &str = "crates/winsock/DIFFERENCES.md";
const TABLE: &str = "crates/winsock/CONFORMANCE.md";
const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// A column of the table: the name of its record, which is the backend's, and its heading.
pub(crate) struct Column {
    backend: &'static str,
    heading: &'static str,
}

const COLUMNS: [Column; 3] = [
    Column { backend: "io_uring", heading: "Linux, io_uring" },
    Column { backend: "epoll", heading: "Linux, epoll" },
    Column { backend: "winsock", heading: "Windows (Wine 10)" },
];

/// Writes the table, or with `check` says how the one that stands there is out of date.
pub(crate) fn run(check: bool) -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the workspace has no folder")?;
    let records = match env::var_os(RECORDS) {
        Some(folder) => PathBuf::from(folder),
        None => test_all(root)?,
    };
    let read = |path: &str| fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"));
    let before = read(TABLE).unwrap_or_default();
    let columns = COLUMNS
        .iter()
        .map(|column| Record::read(&records.join(column.backend)))
        .collect::<Result<Vec<_>, _>>()?;
    let after = table::render(&read(PROMISES)?, &read(DIFFERENCES)?, &columns, &before)?;
    let absent = COLUMNS.iter().zip(&columns).filter(|(_, record)| record.is_none());
    let absent: String = absent.map(|(column, _)| format!("; not run: {}", column.heading)).collect();
    if !check {
        fs::write(root.join(TABLE), &after).map_err(|error| format!("{TABLE}: {error}"))?;
        return Ok(format!("{TABLE} is written{absent}"));
    }
    match before.lines().zip(after.lines()).find(|(before, after)| before != after) {
        Some((before, after)) => Err(format!(
            "{TABLE} is out of date; run `cargo xtask conformance` and commit it\n  it says:   {before}\n  should be: {after}"
        )),
        None if before != after => {
            Err(format!("{TABLE} is out of date; run `cargo xtask conformance` and commit it"))
        }
        None => Ok(format!("{TABLE} is up to date{absent}")),
    }
}

/// Runs the suite in each column that this machine has.
fn test_all(root: &Path) -> Result<PathBuf, String> {
    let records = root.join("target/conformance");
    let _ = fs::remove_dir_all(&records);
    for column in &COLUMNS {
        let on_windows = column.backend == "winsock";
        if on_windows && !target_is_there() {
            println!("conformance: the target {WINDOWS} is not installed; its column stays as it is");
            continue;
        }
        println!("conformance: {}", column.heading);
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["test", "--quiet", "--package", "doorbell-winsock", "--test", "conformance"]);
        if on_windows {
            cargo.args(["--target", WINDOWS]);
        } else {
            cargo.env("DOORBELL_BACKEND", column.backend);
        }
        let status = cargo.env(RECORDS, &records).current_dir(root).status();
        let status = status.map_err(|error| format!("cargo does not start: {error}"))?;
        if !status.success() {
            return Err(format!("the suite failed: {}", column.heading));
        }
    }
    Ok(records)
}

fn target_is_there() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libdir = Command::new(rustc).args(["--print", "target-libdir", "--target", WINDOWS]).output();
    libdir.is_ok_and(|out| Path::new(String::from_utf8_lossy(&out.stdout).trim()).is_dir())
}
