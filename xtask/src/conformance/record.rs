//! What the tests of one column wrote down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The tests of one column, by the id of their promise.
#[derive(Debug, Default)]
pub(crate) struct Record {
    promises: BTreeMap<String, Kept>,
}

/// How one promise was kept in one column.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The names of the tests that ended well.
    pub(crate) well: BTreeSet<String>,
    /// The names of those that failed as declared, and under which numbers.
    pub(crate) otherwise: BTreeSet<String>,
    pub(crate) numbers: BTreeSet<String>,
}

impl Record {
    /// None if this column was not run.
    pub(crate) fn read(path: &Path) -> Result<Option<Record>, String> {
        match fs::read_to_string(path) {
            Ok(text) => Record::parse(&text).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Lines of a test's name, a tab, and "kept" or the number of the declared difference.
    pub(crate) fn parse(text: &str) -> Result<Record, String> {
        let mut record = Record::default();
        for line in text.lines() {
            let (test, how) =
                line.split_once('\t').ok_or_else(|| format!("not a line of a record: {line}"))?;
            // A test without an id checks the suite or the crate's own additions.
            let Some(id) = id_of(test) else { continue };
            let kept = record.promises.entry(id).or_default();
            if how == "kept" {
                kept.well.insert(test.to_owned());
            } else {
                kept.otherwise.insert(test.to_owned());
                kept.numbers.insert(how.to_owned());
            }
        }
        Ok(record)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Kept> {
        self.promises.get(id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.promises.keys().map(String::as_str)
    }
}

/// `port::cp_19_waiting_threads_…` is a test of CP-19.
fn id_of(test: &str) -> Option<String> {
    test.split("::").find_map(|part| match part.as_bytes() {
        [a, b, b'_', c, d, b'_', ..]
            if a.is_ascii_lowercase()
                && b.is_ascii_lowercase()
                && c.is_ascii_digit()
                && d.is_ascii_digit() =>
        {
            Some(format!("{}-{}", part[..2].to_ascii_uppercase(), &part[3..5]))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Record, id_of};

    #[test]
    fn the_id_stands_in_any_part_of_the_name() {
        assert_eq!(id_of("port::release::cp_19_last_in").as_deref(), Some("CP-19"));
        assert_eq!(id_of("event_select::ne_04_data::by_message").as_deref(), Some("NE-04"));
        assert_eq!(id_of("startup::startup_may_be_called"), None);
        assert_eq!(id_of("port::cp_1_"), None);
    }

    #[test]
    fn a_line_is_a_test_however_often_it_ran() {
        let record = Record::parse("a::bl_01_x\tkept\na::bl_01_x\tkept\na::bl_01_y\tD3\n").unwrap();
        let kept = record.get("BL-01").unwrap();
        assert_eq!((kept.well.len(), kept.otherwise.len()), (1, 1));
        assert!(kept.numbers.contains("D3"));
        assert!(Record::parse("nothing to split").is_err());
    }
}
