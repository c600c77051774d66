//! A plot with its title above and its table beneath.

use super::super::columns::Column;
use crate::bench::chart::svg::escaped;

/// One of them.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) title: String,
    /// Units, and how to read it.
    pub(super) note: String,
    pub(super) plot: Plot,
    /// The subjects, a line each.
    pub(super) names: Vec<String>,
    pub(super) columns: Vec<Column>,
}

/// A plot as large as the page, drawn for both sizes of it; or one of two side by side.
#[derive(Debug)]
pub(super) enum Plot {
    Wide { wide: String, narrow: String },
    Half(String),
}

/// One after the other, halves in pairs.
pub(super) fn set(figures: &[Figure]) -> String {
    let mut text = String::new();
    let mut open = false;
    for figure in figures {
        let half = matches!(figure.plot, Plot::Half(_));
        if half != open {
            text += if half { "<div class=\"pair\">\n" } else { "</div>\n" };
            open = half;
        }
        text += &figure.write();
    }
    text + if open { "</div>\n" } else { "" }
}

impl Figure {
    fn write(&self) -> String {
        let plot = match &self.plot {
            Plot::Wide { wide, narrow } => {
                format!("<div class=\"wide\">{wide}</div>\n<div class=\"narrow\">{narrow}</div>\n")
            }
            Plot::Half(plot) => format!("<div>{plot}</div>\n"),
        };
        let (title, note) = (escaped(&self.title), escaped(&self.note));
        format!(
            "<figure>\n<figcaption><h3>{title}</h3><p>{note}</p></figcaption>\n{plot}{}</figure>\n",
            table(&self.names, &self.columns)
        )
    }
}

fn table(names: &[String], columns: &[Column]) -> String {
    let head = |column: &Column| {
        let unit = if column.unit.is_empty() {
            String::new()
        } else {
            format!("<small>{}</small>", escaped(&column.unit))
        };
        format!("<th scope=\"col\">{}{unit}</th>", escaped(column.head))
    };
    let heads: String = columns.iter().map(head).collect();
    let mut rows = String::new();
    for (place, name) in names.iter().enumerate() {
        let cells: String =
            columns.iter().map(|column| format!("<td>{}</td>", escaped(&column.cells[place]))).collect();
        rows += &format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escaped(name));
    }
    format!(
        "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\"></th>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}
