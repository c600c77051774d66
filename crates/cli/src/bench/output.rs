//! The report, for each reader.

mod columns;
mod csv;
pub(crate) mod figures;
mod html;
mod json;
mod markdown;
mod phrases;
mod table;

use super::report::Report;

/// The table at the end, for a terminal `columns` wide or for a pipe (`None`), with its comparisons and warnings. May hold
/// escape sequences; `output::print_styled` leaves them out where they are not wanted.
pub(crate) fn table(report: &Report, columns: Option<u16>) -> String {
    table::table(report, columns)
}

/// `--json`.
pub(crate) fn json(report: &Report) -> String {
    json::json(report)
}

/// `--csv`: a line a run.
pub(crate) fn csv(report: &Report) -> String {
    csv::csv(report)
}

/// `--markdown`.
pub(crate) fn markdown(report: &Report) -> String {
    markdown::markdown(report)
}

/// `--html`: one page that needs nothing else.
pub(crate) fn html(report: &Report) -> String {
    html::html(report)
}

/// What has changed since the baseline: old, new, and the ratio, a line a cell and metric.
pub(crate) fn changes(report: &Report, baseline: &Report) -> String {
    table::changes(report, baseline)
}
