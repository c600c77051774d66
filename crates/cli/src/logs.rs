//! Logs: on standard error, compact, one line each.

use crate::arguments::Verbosity;
use std::io::{self, IsTerminal};
use tracing::Level;

/// From now on what is worth a line is written to standard error.
pub(crate) fn start(verbosity: &Verbosity) {
    let level = match i16::from(verbosity.verbose) - i16::from(verbosity.quiet) {
        ..=-2 => Level::ERROR,
        -1 => Level::WARN,
        0 => Level::INFO,
        1 => Level::DEBUG,
        2.. => Level::TRACE,
    };
    // https://no-color.org: any value but an empty one.
    let colors = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .compact()
        .with_target(false)
        .with_max_level(level)
        .with_ansi(colors && io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}
