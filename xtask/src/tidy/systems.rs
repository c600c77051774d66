//! A difference between systems has one address: `crates/winsock/src/sys/mod.rs`.
//!
//! Tests ask `doorbell_winsock::backend()` while they run. A file of tests, or of an example, that has no meaning on another
//! system says so for the whole file, in its first attribute: `#![cfg(target_os = "linux")]`; nothing finer is let through.

use super::Finding;
use crate::lexer::{behind_brackets, words};
use crate::tree::File;

const HOME: &str = "crates/winsock/src/sys/mod.rs";
const MANIFEST: &str = "crates/winsock/Cargo.toml";
const REMEDY: &str = "give the difference a name in every column of crates/winsock/src/sys";

pub(super) fn check(tree: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree {
        if file.is_rust() && file.path != HOME {
            findings.extend(conditions(file));
        }
        if file.path.ends_with("Cargo.toml") && file.path != MANIFEST {
            findings.extend(manifest(file));
        }
    }
    findings
}

fn conditions(file: &File) -> Vec<Finding> {
    let code = &file.code;
    let mut findings = Vec::new();
    for asking in ["cfg", "cfg_attr"] {
        for at in words(code, asking) {
            let behind = &code[at + asking.len()..];
            let behind = behind.trim_start().strip_prefix('!').unwrap_or(behind).trim_start();
            if !behind.starts_with('(') {
                continue;
            }
            let open = code.len() - behind.len();
            let condition = &code[open..behind_brackets(code, open)];
            let system = ["target_os", "target_family", "target_vendor", "unix", "windows"]
                .into_iter()
                .find(|system| words(condition, system).next().is_some());
            if let Some(system) = system.filter(|_| !is_for_a_whole_file(file, at)) {
                let what = format!("a system is asked for ('{system}') outside {HOME}");
                findings.push(Finding::at(file, at, what, REMEDY));
            }
        }
    }
    for at in words(code, "consts").filter(|&at| code[at..].starts_with("consts::OS")) {
        findings.push(Finding::at(file, at, format!("a system is asked for outside {HOME}"), REMEDY));
    }
    findings
}

fn is_for_a_whole_file(file: &File, at: usize) -> bool {
    (file.path.contains("/tests/") || file.path.contains("/examples/")) && file.code[..at].trim() == "#!["
}

/// Dependencies for one system belong to `winsock`; for tests they may stand elsewhere.
fn manifest(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut offset = 0;
    for line in file.text.split_inclusive('\n') {
        if line.starts_with("[target.") && !line.contains(".dev-dependencies]") {
            let what = format!("a dependency for one system outside {MANIFEST}");
            findings.push(Finding::at(file, offset, what, REMEDY));
        }
        offset += line.len();
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    fn findings(path: &str, text: &str) -> usize {
        places(check, &[(path, text)]).len()
    }

    #[test]
    fn every_way_of_asking_is_found() {
        for text in [
            "#[cfg(target_os = \"linux\")] fn f() {}",
            "#[cfg(not(unix))] fn f() {}",
            "#[cfg(any(test, all(windows)))] fn f() {}",
            "fn f() -> bool { cfg!(windows) }",
            "fn f() -> bool { cfg! (target_family = \"unix\") }",
            "#[cfg_attr(unix, path = \"x.rs\")] mod x;",
            "#[cfg (\n    target_os = \"linux\"\n)] fn f() {}",
            "fn f() -> &'static str { std::env::consts::OS }",
            "#![cfg(target_os = \"linux\")]",
        ] {
            assert_eq!(findings("crates/doorbell/src/x.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn the_line_is_the_right_one() {
        let text = "// first\n\n#[cfg(unix)]\nfn f() {}\n";
        assert_eq!(places(check, &[("crates/service/src/lib.rs", text)]), ["crates/service/src/lib.rs:3"]);
    }

    #[test]
    fn what_asks_for_no_system_is_left_alone() {
        for text in [
            "#[cfg(test)] mod tests {}",
            "#[cfg(loom)] fn f() {}",
            "// #[cfg(unix)]",
            "/// cfg!(windows)\nfn f() {}",
            "const S: &str = \"#[cfg(target_os)]\";",
            "fn cfg() {} fn unix(windows: u8) { cfg() }",
            "#[cfg(feature = \"unix\")] fn f() {}",
        ] {
            assert_eq!(findings("crates/doorbell/src/x.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn it_may_be_asked_at_home_and_for_a_whole_file() {
        assert_eq!(findings(HOME, "#[cfg(target_os = \"linux\")] mod linux;"), 0);
        let whole = "#![cfg(target_os = \"linux\")]\n//! Doc.\n";
        assert_eq!(findings("crates/cli/tests/linux.rs", whole), 0);
        assert_eq!(findings("crates/winsock/examples/loop/linux.rs", whole), 0);
        assert_eq!(findings("crates/cli/tests/linux.rs", "fn f() {}\n#[cfg(unix)]\nfn g() {}"), 1);
        assert_eq!(findings("crates/cli/src/linux.rs", whole), 1);
    }

    #[test]
    fn a_dependency_for_one_system_is_winsocks() {
        let manifest = "[dependencies]\n[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n";
        assert_eq!(places(check, &[("crates/cli/Cargo.toml", manifest)]), ["crates/cli/Cargo.toml:2"]);
        assert_eq!(findings(MANIFEST, manifest), 0);
        assert_eq!(findings("crates/cli/Cargo.toml", "[target.'cfg(unix)'.dev-dependencies]\n"), 0);
    }
}
