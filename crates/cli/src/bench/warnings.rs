//! What weakens the figures: seen, why it matters, what to try.

use super::report::{Report, Warning};

/// All that the report itself shows.
pub(crate) fn warnings(report: &Report) -> Vec<Warning> {
    let _ = report;
    Vec::new()
}
