//! The tree is a table: every row of `winsock` has its public file and its file in every column.

use super::Finding;
use crate::tree::File;
use std::collections::BTreeSet;

const PUBLIC: &str = "crates/winsock/src";
const SYS: &str = "crates/winsock/src/sys";

const ROWS: [&str; 10] = [
    "error",
    "startup",
    "socket",
    "select",
    "async_select",
    "event_select",
    "overlapped",
    "routine",
    "port",
    "host",
];

/// The columns that must be there; another folder under `sys` is a column too.
const COLUMNS: [&str; 3] = ["stub", "linux", "windows"];

pub(super) fn check(tree: &[File]) -> Vec<Finding> {
    let paths: BTreeSet<&str> = tree.iter().map(|file| file.path.as_str()).collect();
    let has = |row: &str| {
        paths.contains(format!("{row}.rs").as_str()) || paths.contains(format!("{row}/mod.rs").as_str())
    };
    let mut findings = Vec::new();
    for row in ROWS {
        let public = format!("{PUBLIC}/{row}");
        if !has(&public) {
            findings.push(Finding::missing(
                format!("{public}.rs"),
                format!("the row '{row}' has no public file"),
                "write down what it promises",
            ));
        }
        for column in columns(tree) {
            let cell = format!("{SYS}/{column}/{row}");
            if !has(&cell) {
                findings.push(Finding::missing(
                    format!("{cell}.rs"),
                    format!("a hole in the table: the row '{row}' is missing in the column '{column}'"),
                    format!("start with a copy of {SYS}/stub/{row}.rs"),
                ));
            }
        }
    }
    findings
}

fn columns(tree: &[File]) -> BTreeSet<&str> {
    let folders = tree
        .iter()
        .filter_map(|file| file.path.strip_prefix(SYS)?.strip_prefix('/')?.split_once('/'))
        .map(|(column, _)| column);
    COLUMNS.into_iter().chain(folders).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(columns: &[&str]) -> Vec<File> {
        let mut tree = Vec::new();
        for row in ROWS {
            tree.push(File::new(&format!("{PUBLIC}/{row}.rs"), ""));
            tree.extend(columns.iter().map(|column| File::new(&format!("{SYS}/{column}/{row}.rs"), "")));
        }
        tree
    }

    #[test]
    fn a_full_table_has_no_hole() {
        assert!(check(&full(&COLUMNS)).is_empty());
    }

    #[test]
    fn a_row_may_be_a_folder() {
        let mut tree = full(&COLUMNS);
        for file in &mut tree {
            if file.path == format!("{SYS}/linux/port.rs") {
                file.path = format!("{SYS}/linux/port/mod.rs");
            }
        }
        assert!(check(&tree).is_empty());
    }

    #[test]
    fn every_single_hole_is_found() {
        for gone in 0..full(&COLUMNS).len() {
            let mut tree = full(&COLUMNS);
            let path = tree.remove(gone).path;
            let findings = check(&tree);
            assert_eq!(findings.len(), 1, "without {path}");
            assert_eq!(findings[0].path, path);
        }
    }

    #[test]
    fn a_missing_column_is_a_hole_in_every_row() {
        assert_eq!(check(&full(&["stub", "linux"])).len(), ROWS.len());
    }

    #[test]
    fn a_new_column_must_have_every_row() {
        let mut tree = full(&COLUMNS);
        tree.push(File::new(&format!("{SYS}/macos/error.rs"), ""));
        assert_eq!(check(&tree).len(), ROWS.len() - 1);
    }
}
