//! `doorbell bench`: one service, one load, equal buffers; the way of waiting is the one variable.

pub(crate) mod arguments;
pub(crate) mod gate;
mod load;
mod machine;
mod metric;
mod output;
mod plan;
mod progress;
mod report;
mod server;
mod statistics;
mod warnings;

use crate::failure::Failure;

/// Measures, and says what it found.
pub(crate) fn bench(options: &arguments::Bench) -> Result<(), Failure> {
    Err(Failure::Running(format!("not there yet: {options:?}")))
}
