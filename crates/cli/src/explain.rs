//! `doorbell explain`: a model's page, and what its calls are here. A pipe gets it as it is written, in Markdown; a terminal
//! gets it set to its width.

use crate::failure::Failure;
use crate::output::{print, print_styled};
use doorbell::Model;
use std::io::{self, IsTerminal};

/// Lines longer than this are hard to read, however wide the terminal is.
const COLUMNS_MAX: usize = 100;

/// Prints the page.
pub(crate) fn explain(model: Model) -> Result<(), Failure> {
    let page =
        format!("{}\n**On this system** (backend={}): {}.\n", model.page(), model.backend(), model.maps_to());
    if !io::stdout().is_terminal() {
        return print(page);
    }
    let columns = terminal_size::terminal_size().map_or(COLUMNS_MAX, |(width, _)| usize::from(width.0));
    print_styled(&set(&page, columns.min(COLUMNS_MAX)))
}

/// The page in lines of so many columns, with escape sequences for what Markdown makes bold or code.
fn set(page: &str, columns: usize) -> String {
    let mut text = String::new();
    for block in blocks(page) {
        // What begins with a number hangs behind it.
        let indent = number(&block).map_or(0, |number| number.len() + 2);
        match block.strip_prefix("# ") {
            Some(heading) => text += &format!("{BOLD}{}{PLAIN}", wrapped(heading, columns, 0)),
            None => text += &styled(&wrapped(&block, columns, indent)),
        }
        text.push('\n');
    }
    text
}

/// Headings, paragraphs and items, each in one line, and the empty lines between them.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    for line in page.lines().map(str::trim) {
        let begins = line.is_empty() || number(line).is_some();
        match blocks.last_mut() {
            Some(block) if !(begins || block.is_empty()) => {
                block.push(' ');
                block.push_str(line);
            }
            _ => blocks.push(line.to_owned()),
        }
    }
    blocks
}

/// The number of a step.
fn number(line: &str) -> Option<&str> {
    line.split_once(". ").map(|(number, _)| number).filter(|number| number.parse::<u32>().is_ok())
}

/// The words in lines of so many columns, those behind the first indented. The marks of Markdown take no room: they will
/// not be seen.
fn wrapped(block: &str, columns: usize, indent: usize) -> String {
    let mut text = String::new();
    let mut used = 0;
    for word in block.split(' ') {
        let width = word.replace("**", "").replace('`', "").chars().count();
        if used > 0 && used + 1 + width > columns {
            text += "\n";
            text += &" ".repeat(indent);
            used = indent;
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        text += word;
        used += width;
    }
    text
}

const BOLD: &str = "\x1b[1m";
const CODE: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// With `**bold**` in bold and `code` in a colour.
fn styled(text: &str) -> String {
    let marked = |text: &str, mark: &str, style: &str| {
        let mut styled = String::new();
        for (number, piece) in text.split(mark).enumerate() {
            match number % 2 {
                0 => styled += piece,
                _ => styled += &format!("{style}{piece}{PLAIN}"),
            }
        }
        styled
    };
    marked(&marked(text, "**", BOLD), "`", CODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_set_to_the_width_of_the_terminal() {
        let page = "# box: a story\n\nHe goes\ndown to `box` and back.\n\n1. One step\n   and more.\n2. Two.\n\n**The end:** it is.\n";
        let expected = format!(
            "{BOLD}box: a story{PLAIN}\n\nHe goes down\nto {CODE}box{PLAIN} and\nback.\n\n1. One step\n   and more.\n2. Two.\n\n\
             {BOLD}The end:{PLAIN} it\nis.\n"
        );
        assert_eq!(set(page, 12), expected);
    }

    #[test]
    fn every_page_fits_and_keeps_its_words() {
        for model in Model::ALL {
            let set = anstream::adapter::strip_str(&set(model.page(), 60)).to_string();
            for line in set.lines() {
                assert!(line.chars().count() <= 60 || !line.trim().contains(' '), "{model}: {line}");
            }
            let words = |text: &str| {
                text.replace("**", "")
                    .replace(['`', '#'], "")
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            assert_eq!(words(&set), words(model.page()), "{model}");
        }
    }
}
