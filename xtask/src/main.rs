#![forbid(unsafe_code)]
//! What this workspace needs beside its compiler: `cargo xtask tidy` checks the tracked files, `cargo xtask conformance`
//! makes the table of promises, `cargo xtask sanitize` runs the stress test under the sanitizers.

mod conformance;
mod lexer;
mod miri;
mod sanitize;
mod tidy;
mod tree;

use sanitize::Sanitizer;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => tidy(),
        ["conformance"] => said("conformance", conformance::run(false)),
        ["conformance", "--check"] => said("conformance", conformance::run(true)),
        ["miri"] => said("miri", miri::run()),
        ["sanitize"] => said("sanitize", sanitize::run(&Sanitizer::ALL)),
        ["sanitize", "address"] => said("sanitize", sanitize::run(&[Sanitizer::Address])),
        ["sanitize", "thread"] => said("sanitize", sanitize::run(&[Sanitizer::Thread])),
        _ => {
            eprintln!("usage: cargo xtask tidy | conformance [--check] | miri | sanitize [address|thread]");
            ExitCode::from(2)
        }
    }
}

fn tidy() -> ExitCode {
    let tree = match tree::tracked() {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("tidy: cannot read the tree: {error}");
            return ExitCode::FAILURE;
        }
    };
    let findings = tidy::all(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: {} files, nothing to say", tree.len());
        return ExitCode::SUCCESS;
    }
    println!("tidy: {} findings", findings.len());
    ExitCode::FAILURE
}

fn said(task: &str, outcome: Result<String, String>) -> ExitCode {
    match outcome {
        Ok(what) => {
            println!("{task}: {what}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{task}: {why}");
            ExitCode::FAILURE
        }
    }
}
