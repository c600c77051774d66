//! `cargo xtask sanitize`: the stress test of `winsock` under AddressSanitizer and ThreadSanitizer, on nightly.
//!
//! The memory that a ring shares with the kernel is written by the kernel, which ThreadSanitizer does not see: what it says of io_uring
//! is of the threads of the process alone.

use std::env;
use std::path::Path;
use std::process::Command;

/// A sanitizer makes everything some ten times slower. Enough that all calls meet, in half a minute for each backend.
const OPERATIONS: (&str, &str) = ("DOORBELL_STRESS_OPERATIONS", "40000");
const BACKENDS: [&str; 2] = ["io_uring", "epoll"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sanitizer {
    Address,
    Thread,
}

impl Sanitizer {
    pub(crate) const ALL: [Sanitizer; 2] = [Sanitizer::Address, Sanitizer::Thread];

    fn name(self) -> &'static str {
        match self {
            Sanitizer::Address => "address",
            Sanitizer::Thread => "thread",
        }
    }

    /// Locks of a standard library that is not built with it would be unknown to ThreadSanitizer: every lock a data race.
    fn wants_std_built(self) -> bool {
        self == Sanitizer::Thread
    }
}

/// Runs the stress test under each of them, on each backend.
pub(crate) fn run(sanitizers: &[Sanitizer]) -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the workspace has no folder")?;
    let host = nightly("--print=host-tuple")?;
    let source = Path::new(&nightly("--print=sysroot")?).join("lib/rustlib/src/rust/library/Cargo.lock");
    for sanitizer in sanitizers {
        if sanitizer.wants_std_built() && !source.exists() {
            return Err("nightly has no sources of the standard library: \
                 `rustup component add rust-src --toolchain nightly`"
                .into());
        }
        for backend in BACKENDS {
            println!("=== {} on {backend}", sanitizer.name());
            let mut test = Command::new("rustup");
            test.args([
                "run",
                "nightly",
                "cargo",
                "test",
                "--package",
                "doorbell-winsock",
                "--test",
                "stress",
            ])
            .args(["--target", &host, "--target-dir"])
            .arg(root.join("target").join(sanitizer.name()))
            .current_dir(root)
            .env("RUSTFLAGS", format!("-Zsanitizer={}", sanitizer.name()))
            .env("ASAN_OPTIONS", "detect_leaks=1")
            .env("DOORBELL_BACKEND", backend);
            if sanitizer.wants_std_built() {
                test.arg("-Zbuild-std");
            }
            if env::var_os(OPERATIONS.0).is_none() {
                test.env(OPERATIONS.0, OPERATIONS.1);
            }
            let status = test.status().map_err(|error| format!("cargo on nightly: {error}"))?;
            if !status.success() {
                return Err(format!("the stress test failed under {} on {backend}", sanitizer.name()));
            }
        }
    }
    let names: Vec<_> = sanitizers.iter().map(|sanitizer| sanitizer.name()).collect();
    Ok(format!("nothing found ({}; {})", names.join(", "), BACKENDS.join(", ")))
}

/// What the compiler of nightly answers.
fn nightly(question: &str) -> Result<String, String> {
    let rustc = Command::new("rustup").args(["run", "nightly", "rustc", question]).output();
    let answer = rustc.map_err(|error| format!("sanitizers need rustup and nightly: {error}"))?;
    if !answer.status.success() {
        return Err("sanitizers are nightly's: `rustup toolchain install nightly`".into());
    }
    Ok(String::from_utf8_lossy(&answer.stdout).trim().into())
}
