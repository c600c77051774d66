//! Nothing is left for later: no `todo!`, no `unimplemented!`, no ignored test.

use super::Finding;
use crate::lexer::{behind_brackets, words};
use crate::tree::File;

pub(super) fn check(tree: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.iter().filter(|file| file.is_rust()) {
        let code = &file.code;
        for name in ["todo", "unimplemented"] {
            let calls = words(code, name).filter(|&at| code[at + name.len()..].trim_start().starts_with('!'));
            findings.extend(calls.map(|at| {
                Finding::at(
                    file,
                    at,
                    format!("'{name}!' is left in the code"),
                    "build it, or return an error that says so",
                )
            }));
        }
        let ignored = words(code, "ignore").filter(|&at| is_in_an_attribute(code, at));
        findings.extend(ignored.map(|at| {
            Finding::at(
                file,
                at,
                "an ignored test",
                "make it pass, or remove it; a known difference is declared and pinned",
            )
        }));
    }
    findings
}

/// Whether offset `at` lies between `#[` and its `]`.
fn is_in_an_attribute(code: &str, at: usize) -> bool {
    code[..at].rfind('#').is_some_and(|hash| {
        let open = hash + 1 + code[hash + 1..].find(|c: char| !c.is_whitespace()).unwrap_or(0);
        code[open..].starts_with('[') && behind_brackets(code, open) > at
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    fn findings(text: &str) -> usize {
        places(check, &[("crates/doorbell/src/x.rs", text)]).len()
    }

    #[test]
    fn what_is_left_open_is_found() {
        for text in [
            "fn f() { todo!() }",
            "fn f() { todo !(\"later\") }",
            "fn f() { std::unimplemented!() }",
            "#[test]\n#[ignore]\nfn f() {}",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
            "#[cfg_attr(x, ignore)] fn f() {}",
        ] {
            assert_eq!(findings(text), 1, "{text}");
        }
    }

    #[test]
    fn the_words_elsewhere_are_left_alone() {
        for text in [
            "// todo!()",
            "/// ```ignore\n/// ```\nfn f() {}",
            "const S: &str = \"todo!() #[ignore]\";",
            "fn todo() {} fn ignore(x: [u8; 1]) { todo(); ignore(x) }",
            "#[test] fn f() { ignore() }",
        ] {
            assert_eq!(findings(text), 0, "{text}");
        }
    }
}
