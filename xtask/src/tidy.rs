//! The checks, one file each; a finding names the place, what is wrong there and what to do.

mod open_ends;
mod pages;
mod paths;
mod readme;
mod systems;
mod table;
mod unsafe_home;

use crate::tree::File;
use std::fmt;

/// All that the checks find, in the order of the files.
pub(crate) fn all(tree: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in [
        table::check,
        pages::check,
        systems::check,
        unsafe_home::check,
        paths::check,
        open_ends::check,
        readme::check,
    ] {
        findings.extend(check(tree));
    }
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    findings
}

/// Something that must not stay.
#[derive(Debug)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
    remedy: String,
}

impl Finding {
    /// A finding at byte `offset` of a file.
    fn at(file: &File, offset: usize, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding {
            path: file.path.clone(),
            line: file.line_of(offset),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// A finding about a file that is not there.
    fn missing(path: String, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { path, line: 1, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.path, self.line, self.what, self.remedy)
    }
}

/// What a check says about files that a test makes up, as `path:line`.
#[cfg(test)]
fn places(check: fn(&[File]) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    let tree: Vec<File> = files.iter().map(|(path, text)| File::new(path, text)).collect();
    check(&tree).iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
}
