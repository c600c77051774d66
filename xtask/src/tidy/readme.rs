//! The service that a README shows is the one that is compiled.

use super::Finding;
use crate::tree::File;

const EXAMPLE: &str = "crates/doorbell/examples/echo.rs";
const FENCE: &str = "```rust\n";

pub(super) fn check(tree: &[File]) -> Vec<Finding> {
    let Some(example) = tree.iter().find(|file| file.path == EXAMPLE) else {
        return vec![Finding::missing(
            EXAMPLE.to_owned(),
            "there is no example",
            "the READMEs show it: bring it back",
        )];
    };
    let readmes = tree.iter().filter(|file| file.path.starts_with("README") && file.path.ends_with(".md"));
    readmes.filter_map(|readme| differs(readme, example)).collect()
}

fn differs(readme: &File, example: &File) -> Option<Finding> {
    let shown = readme.text.find(FENCE).map(|at| (at, &readme.text[at + FENCE.len()..]));
    let remedy = format!("copy {EXAMPLE} between the lines ```rust and ```");
    match shown {
        None => Some(Finding::at(readme, 0, "there is no service here", remedy)),
        Some((at, text)) if text.split("```\n").next() != Some(&example.text) => {
            Some(Finding::at(readme, at, format!("this is not {EXAMPLE}"), remedy))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    #[test]
    fn a_readme_must_show_the_example_as_it_is() {
        let code = "fn main() {}\n";
        let shows = |text: &str| places(check, &[(EXAMPLE, code), ("README.md", text)]);
        assert!(shows("# Title\n\n```sh\nx\n```\n\n```rust\nfn main() {}\n```\n\nMore.\n").is_empty());
        assert_eq!(shows("# Title\n\n```rust\nfn main() { }\n```\n"), ["README.md:3"]);
        assert_eq!(shows("# Title\n"), ["README.md:1"]);
    }

    #[test]
    fn the_example_must_be_there() {
        assert_eq!(places(check, &[("README.md", "")]), [format!("{EXAMPLE}:1")]);
    }
}
