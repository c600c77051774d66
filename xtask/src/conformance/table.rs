//! The page: a table for each group of promises, a row for each promise, a column for each record.

use super::COLUMNS;
use super::record::{Kept, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const INTRODUCTION: &str = "\
<!-- Made by `cargo xtask conformance` from a run of the suite: do not edit. -->
# What is kept where

Each row is a promise of Winsock under the id that this crate's pages and tests use. *Kept* means that each of its tests passes in that column;
`cargo test -p doorbell-winsock --test conformance cp_19` runs those of CP-19.
*Kept, see there* points to [DIFFERENCES.md](DIFFERENCES.md), which says what is kept in its own way. A code such as *D11* or *BF-07* says that
tests fail as declared under that number, also there.
";

/// The page, or what is wrong with the tests. A column without a record keeps the cells of the page as it was `before`.
pub(crate) fn render(
    promises: &str,
    differences: &str,
    columns: &[Option<Record>],
    before: &str,
) -> Result<String, String> {
    let own_way = in_its_own_way(differences);
    let old = cells_of(before);
    let mut page = INTRODUCTION.to_owned();
    let mut known = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in promises.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        if let Some(group) = line.strip_prefix("## ") {
            let headings = COLUMNS.map(|column| column.heading).join(" | ");
            let _ = write!(
                page,
                "\n## {group}\n\n| id | promise | tests | {headings} |\n|---|---|---|---|---|---|\n"
            );
            continue;
        }
        let (id, promise) = line.split_once(' ').ok_or_else(|| format!("not a promise: {line}"))?;
        known.insert(id);
        let (promise, why) = match promise.split_once(" [not testable: ") {
            Some((promise, why)) => (promise, Some(why.trim_end_matches(']'))),
            None => (promise, None),
        };
        let carried = old.get(id);
        let mut tests = carried.map_or("0", |cells| cells[0]).to_owned();
        let mut cells = String::new();
        for (at, (column, record)) in COLUMNS.iter().zip(columns).enumerate() {
            let kept = record.as_ref().map(|record| record.get(id));
            let cell = match (kept, why) {
                (Some(Some(_)), Some(_)) => {
                    wrong.push(format!("{id} is said to be not testable and has a test"));
                    String::new()
                }
                (_, Some(why)) => format!("not testable: {why}"),
                (Some(Some(kept)), None) => {
                    tests = (kept.well.len() + kept.otherwise.len()).to_string();
                    cell(kept, column.backend != "winsock" && own_way.contains(id))
                }
                (Some(None), None) => {
                    wrong.push(format!("{id} has no test in the column {}", column.heading));
                    String::new()
                }
                (None, None) => carried.map_or("not run", |cells| cells[1 + at]).to_owned(),
            };
            let _ = write!(cells, " {cell} |");
        }
        let _ = writeln!(page, "| {id} | {promise} | {tests} |{cells}");
    }
    for record in columns.iter().flatten() {
        wrong.extend(
            record.ids().filter(|id| !known.contains(id)).map(|id| format!("no promise is called {id}")),
        );
    }
    if wrong.is_empty() { Ok(page) } else { Err(wrong.join("\n")) }
}

fn cell(kept: &Kept, in_its_own_way: bool) -> String {
    let numbers = kept.numbers.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match (kept.otherwise.len(), kept.well.len()) {
        (0, _) if in_its_own_way => "kept, see there".to_owned(),
        (0, _) => "kept".to_owned(),
        (_, 0) => format!("not kept: {numbers}"),
        (some, well) => format!("kept but in {some} of {} tests: {numbers}", some + well),
    }
}

/// The ids in the first column of the Linux table of DIFFERENCES.md.
fn in_its_own_way(differences: &str) -> BTreeSet<&str> {
    let linux =
        differences.split("\n## ").find(|part| part.starts_with("The Linux column")).unwrap_or_default();
    let rows = linux.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.flat_map(|ids| ids.split(", ")).collect()
}

/// The cells behind the promise, by id, of a page as it stands.
fn cells_of(page: &str) -> BTreeMap<&str, Vec<&str>> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    rows.filter(|cells| cells.len() == 3 + COLUMNS.len())
        .map(|cells| (cells[0], cells[2..].to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::conformance::record::Record;

    const PROMISES: &str =
        "# what\n\n## BL Blocking\nBL-01 Waits.\nBL-02 Ends. [not testable: nobody sees it]\n";
    const DIFFERENCES: &str =
        "# D\n\n## The Linux column\n\n| id | a |\n|---|---|\n| BL-01, XX-01 | so |\n\n## Wine\n";

    fn record(text: &str) -> Option<Record> {
        Some(Record::parse(text).unwrap())
    }

    #[test]
    fn each_column_says_how_it_keeps_a_promise() {
        let columns = [
            record("m::bl_01_a\tkept\n"),
            record("m::bl_01_a\tkept\n"),
            record("m::bl_01_a\tD1\nm::bl_01_b\tkept\n"),
        ];
        let page = render(PROMISES, "", &columns, "").unwrap();
        assert!(
            page.contains("| BL-01 | Waits. | 2 | kept | kept | kept but in 1 of 2 tests: D1 |\n"),
            "{page}"
        );
        assert!(page.contains("| BL-02 | Ends. | 0 | not testable: nobody sees it |"), "{page}");
        let page = render(PROMISES, DIFFERENCES, &columns, "").unwrap();
        assert!(page.contains("| kept, see there | kept, see there | kept but"), "{page}");
    }

    #[test]
    fn a_column_that_was_not_run_keeps_its_cells() {
        let all = || record("m::bl_01_a\tkept\n");
        let before = render(PROMISES, "", &[all(), all(), record("m::bl_01_a\tD1\n")], "").unwrap();
        let after = render(PROMISES, "", &[all(), all(), None], &before).unwrap();
        assert_eq!(before, after);
    }

    #[test]
    fn no_promise_without_a_test_and_no_test_without_a_promise() {
        let wrong = render(PROMISES, "", &[record("m::bl_03_a\tkept\n"), None, None], "").unwrap_err();
        assert!(wrong.contains("BL-01 has no test"), "{wrong}");
        assert!(wrong.contains("no promise is called BL-03"), "{wrong}");
    }
}
