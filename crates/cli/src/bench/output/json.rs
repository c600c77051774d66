//! `--json`: the report as it is.

use super::super::report::Report;

pub(super) fn json(report: &Report) -> String {
    let text = serde_json::to_string_pretty(report);
    text.expect("a report has nothing that JSON cannot say") + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;

    #[test]
    fn what_is_written_is_read_again_as_the_same() {
        for report in fixture::each_kind() {
            let again: Report = serde_json::from_str(&json(&report)).unwrap();
            assert!(again == report);
        }
    }

    #[test]
    fn a_figure_that_is_not_known_is_null_or_absent_and_never_zero() {
        let text: serde_json::Value = serde_json::from_str(&json(&fixture::target())).unwrap();
        let cell = &text["cells"][0];
        assert!(cell["runs"][0]["server"].is_null());
        assert!(cell["summary"]["p99.9_us"]["median"].is_number() && cell["summary"].get("cpu_us").is_none());
    }
}
