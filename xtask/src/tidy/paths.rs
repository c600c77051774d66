//! No file names a folder of the machine it was written on.

use super::Finding;
use crate::tree::File;

/// The first folders of such paths, without their slash, so that this file is not one of the findings.
const FOLDERS: [&str; 3] = ["work", "root", "home"];

pub(super) fn check(tree: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree {
        for folder in FOLDERS {
            let path = format!("/{folder}");
            let places = file.text.match_indices(&path).map(|(at, _)| at);
            findings.extend(places.filter(|&at| is_absolute(&file.text, at, path.len())).map(|at| {
                let what = format!("an absolute path of a machine ('{path}')");
                Finding::at(file, at, what, "say it relative to the root of the workspace")
            }));
        }
    }
    findings
}

/// Whether a path begins here, and the folder's name ends where ours does.
fn is_absolute(text: &str, at: usize, length: usize) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let before = text[..at].chars().next_back();
    let after = text[at + length..].chars().next();
    !before.is_some_and(|c| goes_on(c) || matches!(c, '~' | '}' | ')'))
        && !after.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    fn findings(text: &str) -> usize {
        places(check, &[("README.md", text)]).len()
    }

    #[test]
    fn a_path_of_a_machine_is_found_wherever_it_stands() {
        for folder in FOLDERS {
            for text in ["cd /X/main", "\"/X\"", "see /X.", "(/X/a)", "PATH=/X/bin", "a:/X/b"] {
                assert_eq!(findings(&text.replace('X', folder)), 1, "{text}");
            }
        }
        let second_line = format!("a\ncd /{}/x\n", FOLDERS[0]);
        assert_eq!(places(check, &[("x.toml", &second_line)]), ["x.toml:2"]);
    }

    #[test]
    fn other_paths_are_left_alone() {
        for folder in FOLDERS {
            for text in [
                "docs/X/a",
                "../X",
                "https://example.org/X/",
                "/Xspace/a",
                "$HOME/X",
                "~/X",
                "${A}/X",
                "/X-flow",
            ] {
                assert_eq!(findings(&text.replace('X', folder)), 0, "{text}");
            }
        }
    }
}
