#![forbid(unsafe_code)]
//! The `doorbell` command. Results go to standard output, logs and errors to standard error; what the exit codes mean
//! stands in `failure.rs`.

mod arguments;
mod bench;
mod config;
mod doctor;
mod explain;
mod failure;
mod logs;
mod models;
mod output;
mod serve;
mod shell;
mod units;

use arguments::{Arguments, Command};
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn run() -> Result<(), Failure> {
    let Arguments { verbosity, command } = config::arguments(std::env::args_os().collect())?;
    match command {
        Command::Serve(options) => {
            logs::start(&verbosity);
            serve::serve(&options)
        }
        Command::Bench(options) => bench::bench(&options),
        Command::Models => models::models(),
        Command::Explain { model } => explain::explain(model),
        Command::Doctor => doctor::doctor(),
        Command::Completions { shell } => shell::completions(shell),
        Command::Man { command } => shell::man(command.as_deref()),
    }
}
