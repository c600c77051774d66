//! `cargo xtask miri`: the parts of `winsock` without system calls, under Miri on nightly.

use std::env;
use std::path::Path;
use std::process::Command;

/// What asks the system nothing: the records of `semantics`, the codes, and what an operation owns.
const PURE: [&str; 3] = ["semantics::", "error::", "overlapped::buffer::"];
/// Random histories a test. Miri is some hundred times slower.
const CASES: (&str, &str) = ("PROPTEST_CASES", "2");

pub(crate) fn run() -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the workspace has no folder")?;
    let mut test = Command::new("rustup");
    test.args(["run", "nightly", "cargo", "miri", "test", "--package", "doorbell-winsock", "--lib", "--"])
        .args(PURE)
        .current_dir(root)
        // proptest asks where it is, for the file of its failures.
        .env("MIRIFLAGS", "-Zmiri-disable-isolation");
    if env::var_os(CASES.0).is_none() {
        test.env(CASES.0, CASES.1);
    }
    let status = test.status().map_err(|error| format!("Miri needs rustup and nightly: {error}"))?;
    if !status.success() {
        return Err("it failed, or is not there: `rustup component add miri --toolchain nightly`".into());
    }
    Ok(format!("nothing found in {}", PURE.join(", ")))
}
