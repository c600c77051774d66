//! `--markdown`: the tables for a page or a change that is offered.

use super::super::report::Report;
use super::super::verdicts::verdicts;
use super::columns::{Column, GROUPS, columns, connections, row};
use super::figures::counted;
use super::phrases;

pub(super) fn markdown(report: &Report) -> String {
    let mut text = format!(
        "{}.\n{}.\n",
        sentence(&phrases::load(&report.load)),
        escaped(&phrases::machine(&report.machine))
    );
    text += &format!("\n    {}\n", phrases::command(&report.command));
    for connections in connections(report) {
        text += &format!("\n### {}\n", counted(connections, "connection"));
        let cells = row(report, connections);
        let names: Vec<&str> = cells.iter().map(|cell| cell.subject.as_str()).collect();
        for group in GROUPS {
            text += &set(&names, &columns(&cells, group));
        }
        let verdicts = verdicts(report, connections);
        if !verdicts.is_empty() {
            text.push('\n');
        }
        verdicts.iter().for_each(|verdict| text += &format!("- {}\n", escaped(verdict)));
    }
    text += &format!("\n{}\n", phrases::legend(report));
    if !report.warnings.is_empty() {
        text += "\n### What weakens these figures\n\n";
    }
    for warning in &report.warnings {
        text += &format!(
            "- {} {} Try: {}\n",
            escaped(&warning.seen),
            escaped(&warning.why),
            escaped(&warning.remedy)
        );
    }
    text
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    escaped(&letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>())
}

/// Nothing if there is no column.
fn set(names: &[&str], columns: &[Column]) -> String {
    if columns.is_empty() {
        return String::new();
    }
    let line = |first: &str, cells: Vec<String>| format!("| {first} | {} |\n", cells.join(" | "));
    let head = |column: &Column| match column.unit.as_str() {
        "" => column.head.to_owned(),
        unit => format!("{} ({unit})", column.head),
    };
    let mut text = "\n".to_owned() + &line("", columns.iter().map(head).collect());
    text += &format!("|---|{}\n", "---:|".repeat(columns.len()));
    for (place, name) in names.iter().enumerate() {
        text += &line(&escaped(name), columns.iter().map(|column| column.cells[place].clone()).collect());
    }
    text
}

/// What would begin a cell, a tag or a style is written as a letter.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => escaped.push(' '),
            '|' | '<' | '>' | '&' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '~' => {
                escaped.extend(['\\', letter])
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;

    #[test]
    fn tables_for_a_page() {
        insta::assert_snapshot!(markdown(&fixture::report(&fixture::MODELS, &[64, 1000], 3)));
    }

    #[test]
    fn a_target_has_one_table() {
        insta::assert_snapshot!(markdown(&fixture::target()));
    }

    #[test]
    fn a_name_cannot_break_the_table() {
        let report = fixture::report(&["a | <b> `c`\n_d_"], &[64], 3);
        let text = markdown(&report);
        assert!(text.contains("\n| a \\| \\<b\\> \\`c\\` \\_d\\_ | "), "{text}");
    }
}
