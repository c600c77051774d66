#![forbid(unsafe_code)]
//! Checks of this workspace that no compiler makes. `cargo xtask tidy` runs them over the tracked files.

mod lexer;
mod tidy;
mod tree;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => tidy(),
        _ => {
            eprintln!("usage: cargo xtask tidy");
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
