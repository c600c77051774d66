//! `unsafe` has one home: `crates/winsock`, and there not in `semantics`. The other crates forbid it in their roots.

use super::Finding;
use crate::lexer::words;
use crate::tree::File;

const HOME: &str = "crates/winsock/";
const PURE: &str = "crates/winsock/src/semantics/";

pub(super) fn check(tree: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.iter().filter(|file| file.is_rust()) {
        let at_home = file.path.starts_with(HOME) && !file.path.starts_with(PURE);
        if !at_home {
            findings.extend(words(&file.code, "unsafe").map(|at| {
                let what = format!("'unsafe' outside {HOME} or in its semantics");
                Finding::at(file, at, what, "move it behind a safe call of winsock")
            }));
        }
        if is_root(&file.path) && !file.path.starts_with(HOME) && !forbids(&file.code) {
            let what = "the root of a crate does not forbid unsafe code";
            findings.push(Finding::at(file, 0, what, "write #![forbid(unsafe_code)] there"));
        }
    }
    findings
}

fn is_root(path: &str) -> bool {
    path.ends_with("src/lib.rs") || path.ends_with("src/main.rs") || path.contains("src/bin/")
}

fn forbids(code: &str) -> bool {
    let tight: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    tight.contains("#![forbid(unsafe_code)]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    fn findings(path: &str, text: &str) -> usize {
        places(check, &[(path, text)]).len()
    }

    #[test]
    fn it_is_found_everywhere_else() {
        for text in [
            "fn f() { unsafe { g() } }",
            "unsafe fn f() {}",
            "unsafe impl Send for X {}",
            "#[unsafe(no_mangle)]",
        ] {
            for path in
                ["crates/doorbell/src/x.rs", "crates/cli/tests/x.rs", "crates/winsock/src/semantics/x.rs"]
            {
                assert_eq!(findings(path, text), 1, "{path}: {text}");
            }
            assert_eq!(findings("crates/winsock/src/sys/linux/x.rs", text), 0, "{text}");
            assert_eq!(findings("crates/winsock/tests/x.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn the_word_in_a_sentence_or_in_a_name_is_left_alone() {
        for text in ["// unsafe", "const S: &str = \"unsafe\";", "#![deny(unsafe_op_in_unsafe_fn)]"] {
            assert_eq!(findings("crates/doorbell/src/x.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn a_root_must_forbid_it() {
        for path in ["crates/doorbell/src/lib.rs", "crates/cli/src/main.rs", "xtask/src/main.rs"] {
            assert_eq!(findings(path, "//! Doc.\n// #![forbid(unsafe_code)]\n"), 1, "{path}");
            assert_eq!(findings(path, "//! Doc.\n#![forbid(unsafe_code)]\n"), 0, "{path}");
        }
        assert_eq!(findings("crates/winsock/src/lib.rs", ""), 0);
    }
}
