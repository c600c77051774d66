//! A model is a page: `models/X.rs` and `models/X.md` stand together and number the same steps.

use super::Finding;
use crate::tree::File;
use std::collections::BTreeSet;

const MODELS: &str = "crates/doorbell/src/models/";

pub(super) fn check(tree: &[File]) -> Vec<Finding> {
    let named = |name: &str, ending: &str| {
        let path = format!("{MODELS}{name}.{ending}");
        tree.iter().find(|file| file.path == path)
    };
    let mut findings = Vec::new();
    for file in tree {
        let Some((name, ending)) = file.path.strip_prefix(MODELS).and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        match (ending, named(name, "rs"), named(name, "md")) {
            ("rs", _, None) if name != "mod" => findings.push(Finding::at(
                file,
                0,
                format!("the model '{name}' has no page"),
                format!("write {MODELS}{name}.md: the story, the numbered steps, the limit"),
            )),
            ("md", None, _) => findings.push(Finding::at(
                file,
                0,
                format!("the page '{name}' has no model"),
                format!("write {MODELS}{name}.rs, or remove the page"),
            )),
            ("md", Some(model), _) => findings.extend(compare(model, file)),
            _ => {}
        }
    }
    findings
}

fn compare(model: &File, page: &File) -> Vec<Finding> {
    let in_page = steps_of_page(&page.text);
    let in_code = steps_of_code(model);
    if in_page.is_empty() {
        return vec![Finding::at(
            page,
            0,
            "the page has no numbered steps",
            "number them as in the model's file",
        )];
    }
    let mut findings = Vec::new();
    for step in in_page.difference(&in_code) {
        let what = format!("step {step} of the page is not in the code");
        findings.push(Finding::at(model, 0, what, format!("write '// {step}.' where it happens")));
    }
    for step in in_code.difference(&in_page) {
        let what = format!("step {step} of the code is not in the page");
        findings.push(Finding::at(page, 0, what, format!("write the line '{step}. …'")));
    }
    findings
}

/// The numbers of the lines `N. …`, outside fenced examples.
fn steps_of_page(text: &str) -> BTreeSet<u32> {
    let mut fenced = false;
    let mut steps = BTreeSet::new();
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            steps.extend(step(line));
        }
    }
    steps
}

/// The numbers of the comments `// N. …` (or `///`, for a step that is a function), alone on a line or behind code.
fn steps_of_code(model: &File) -> BTreeSet<u32> {
    let mut steps = BTreeSet::new();
    for (line, code) in model.text.lines().zip(model.code.lines()) {
        // Where the code ends the comment begins, so an address in a string is not taken for one.
        let comment = line.get(code.trim_end().len()..).unwrap_or("").trim_start();
        let said = comment.strip_prefix("/// ").or_else(|| comment.strip_prefix("// "));
        steps.extend(said.and_then(step));
    }
    steps
}

fn step(line: &str) -> Option<u32> {
    let (number, rest) = line.split_once('.')?;
    if !(rest.is_empty() || rest.starts_with(' ')) {
        return None;
    }
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    const CODE: &str = "//! Page.\n/// 1. Begin.\nfn f() {\n    // 2. Listen.\n    g(); // 3. Accept.\n}\n";
    const PAGE: &str = "Story.\n\n1. Begin.\n2. Listen.\n3. Accept.\n";

    fn findings(code: &str, page: &str) -> Vec<String> {
        let (rs, md) = (format!("{MODELS}x.rs"), format!("{MODELS}x.md"));
        places(check, &[(&rs, code), (&md, page)])
    }

    #[test]
    fn the_same_steps_on_both_sides_are_right() {
        assert!(findings(CODE, PAGE).is_empty());
    }

    #[test]
    fn the_module_of_the_models_needs_no_page() {
        assert!(places(check, &[(&format!("{MODELS}mod.rs"), "")]).is_empty());
    }

    #[test]
    fn a_model_without_a_page_and_a_page_without_a_model_are_found() {
        let (rs, md) = (format!("{MODELS}x.rs"), format!("{MODELS}x.md"));
        assert_eq!(places(check, &[(&rs, CODE)]), [format!("{rs}:1")]);
        assert_eq!(places(check, &[(&md, PAGE)]), [format!("{md}:1")]);
    }

    #[test]
    fn a_page_without_steps_is_found() {
        assert_eq!(findings(CODE, "Story.\n"), [format!("{MODELS}x.md:1")]);
        assert_eq!(findings("", "Story.\n"), [format!("{MODELS}x.md:1")]);
    }

    #[test]
    fn a_step_on_one_side_only_is_found() {
        assert_eq!(
            findings(CODE, "1. Begin.\n2. Listen.\n3. Accept.\n4. Receive.\n"),
            [format!("{MODELS}x.rs:1")]
        );
        assert_eq!(findings(CODE, "1. Begin.\n2. Listen.\n"), [format!("{MODELS}x.md:1")]);
    }

    #[test]
    fn numbers_in_examples_strings_and_sentences_are_no_steps() {
        let page = format!("{PAGE}```text\n7. no step\n```\n1.85 is a version, 2024. is a year\n");
        assert!(findings(&format!("{CODE}const S: &str = \"// 9. no\";\n"), &page).is_empty());
    }
}
