//! The table at the end, with who is ahead and what weakens the figures.

use super::super::baseline::{self, Change};
use super::super::metric::Metric;
use super::super::report::{Cell, Report};
use super::super::verdicts::{span, verdicts};
use super::columns::{Column, GROUPS, columns, connections, row};
use super::figures::{counted, figure, significant};
use super::phrases;
use comfy_table::{CellAlignment, Table, presets};

/// Sentences are no longer than this on any terminal, and in a pipe.
const PROSE: usize = 100;

const BOLD: &str = "\x1b[1m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

pub(super) fn table(report: &Report, width: Option<u16>) -> String {
    let width = width.map(usize::from);
    let prose = width.unwrap_or(PROSE).min(PROSE);
    let mut text = format!("{BOLD}{}{PLAIN}\n", phrases::wrapped(&phrases::load(&report.load), prose, 0));
    text += &format!("{}\n", phrases::wrapped(&phrases::machine(&report.machine), prose, 0));
    for connections in connections(report) {
        text += &format!("\n{BOLD}{}{PLAIN}\n\n", counted(connections, "connection"));
        let cells = row(report, connections);
        let parts = parts(&cells, width);
        text += &parts.iter().map(|part| set(&names(&cells), part)).collect::<Vec<_>>().join("\n");
        for (place, verdict) in verdicts(report, connections).iter().enumerate() {
            text += if place == 0 { "\n" } else { "" };
            text += &format!("{}\n", phrases::wrapped(verdict, prose, 2));
        }
    }
    text += &format!("\n{}\n", phrases::wrapped(&phrases::legend(report), prose, 0));
    for warning in &report.warnings {
        text += &format!("\n{YELLOW}warning:{PLAIN} {}\n", phrases::wrapped(&warning.seen, prose - 9, 2));
        text += &format!("  {}\n", phrases::wrapped(&warning.why, prose - 2, 2));
        text += &format!("  {}\n", phrases::wrapped(&format!("Try: {}", warning.remedy), prose - 2, 2));
    }
    text
}

fn names(cells: &[&Cell]) -> Vec<String> {
    cells.iter().map(|cell| cell.subject.clone()).collect()
}

/// All columns side by side if they fit; otherwise what clients see and what the server takes each begin a table, and
/// each has as many columns as fit.
fn parts(cells: &[&Cell], width: Option<usize>) -> Vec<Vec<Column>> {
    let groups = GROUPS.map(|metrics| columns(cells, metrics));
    let names = cells.iter().map(|cell| cell.subject.chars().count()).max().unwrap_or(0);
    let Some(room) = width.map(|width| width.saturating_sub(names)) else {
        return vec![groups.into_iter().flatten().collect()];
    };
    if groups.iter().flatten().map(taken).sum::<usize>() <= room {
        return vec![groups.into_iter().flatten().collect()];
    }
    groups.into_iter().flat_map(|group| broken(group, room)).collect()
}

fn broken(columns: Vec<Column>, room: usize) -> Vec<Vec<Column>> {
    let (mut parts, mut used) = (Vec::<Vec<Column>>::new(), 0);
    for column in columns {
        used += taken(&column);
        match parts.last_mut().filter(|_| used <= room) {
            Some(part) => part.push(column),
            None => {
                used = taken(&column);
                parts.push(vec![column]);
            }
        }
    }
    parts
}

/// How wide a column is, with the gap before it.
fn taken(column: &Column) -> usize {
    let texts = column.cells.iter().map(String::as_str).chain([column.head, column.unit.as_str()]);
    texts.map(|text| text.chars().count()).max().unwrap_or(0) + GAP
}

const GAP: usize = 2;

/// Sets one table: a line a subject under the heads and their units.
fn set(names: &[String], columns: &[Column]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let head = columns.iter().map(|column| column.head.to_owned());
    table.add_row(std::iter::once(String::new()).chain(head));
    if columns.iter().any(|column| !column.unit.is_empty()) {
        table.add_row(std::iter::once(String::new()).chain(columns.iter().map(|column| column.unit.clone())));
    }
    for (line, name) in names.iter().enumerate() {
        let figures = columns.iter().map(|column| column.cells[line].clone());
        table.add_row(std::iter::once(name.clone()).chain(figures));
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if place == 0 { 0 } else { GAP as u16 }, 0));
        column.set_cell_alignment(if place == 0 { CellAlignment::Left } else { CellAlignment::Right });
    }
    table.trim_fmt() + "\n"
}

/// `--baseline`: old, new, and the ratio, a line a cell and metric.
pub(super) fn changes(report: &Report, earlier: &Report) -> String {
    let mut text = format!("\n{BOLD}since the baseline of {}{PLAIN}\n", earlier.started);
    if let Some(other) = baseline::other_load(report, earlier) {
        return text + &format!("nothing is compared: {other}\n");
    }
    for other in baseline::other_machine(report, earlier) {
        text += &format!("{YELLOW}warning:{PLAIN} another machine: {other}\n");
    }
    let changes = baseline::changes(report, earlier);
    if changes.is_empty() {
        return text + "nothing is compared: it has no subject of this bench\n";
    }
    for connections in connections(report) {
        for metric in Metric::RANKING {
            let here: Vec<&Change<'_>> = changes
                .iter()
                .filter(|change| change.cell.connections == connections && change.metric == metric)
                .collect();
            if !here.is_empty() {
                let connections = counted(connections, "connection");
                text += &format!("\n{}, {connections}\n", metric.label());
                text += &set(
                    &here.iter().map(|change| change.cell.subject.clone()).collect::<Vec<_>>(),
                    &changed(&here),
                );
            }
        }
    }
    text
}

fn changed(changes: &[&Change<'_>]) -> Vec<Column> {
    let column = |head, of: &dyn Fn(&Change<'_>) -> String| Column {
        head,
        unit: String::new(),
        cells: changes.iter().map(|change| of(change)).collect(),
    };
    vec![
        column("old", &|change| figure(change.metric, change.old.median)),
        column("new", &|change| figure(change.metric, change.new.median)),
        column("change", &|change| {
            let share = (change.ratio().median - 1.0) * 100.0;
            format!(
                "{}{} %",
                if share > 0.0 { "+" } else { "" },
                if share.abs() < 0.05 { "0".to_owned() } else { significant(share) }
            )
        }),
        column("times", &|change| span(&change.ratio())),
        column("", &|change| if change.decided() { "" } else { "no difference seen" }.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;

    fn plain(text: &str) -> String {
        [BOLD, YELLOW, PLAIN].into_iter().fold(text.to_owned(), |text, escape| text.replace(escape, ""))
    }

    #[test]
    fn seven_models_wide() {
        insta::assert_snapshot!(plain(&table(&fixture::report(&fixture::MODELS, &[64, 1000], 5), None)));
    }

    #[test]
    fn seven_models_at_80_columns() {
        let text = plain(&table(&fixture::report(&fixture::MODELS, &[64], 5), Some(80)));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn an_open_loop_that_was_broken_off() {
        let mut report = fixture::open_loop(&["select", "completion-port"], &[64], 2);
        report.interrupted = true;
        report.cells[1].runs.pop();
        insta::assert_snapshot!(plain(&table(&fixture::summed_up(report), Some(100))));
    }

    #[test]
    fn a_target_has_what_its_clients_see() {
        insta::assert_snapshot!(plain(&table(&fixture::target(), Some(80))));
    }

    #[test]
    fn no_width_is_too_small_and_no_figure_is_left_out() {
        for report in fixture::each_kind() {
            let figures = |text: String| {
                let mut all: Vec<String> = plain(&text).split_whitespace().map(str::to_owned).collect();
                all.sort_unstable();
                all.dedup();
                all
            };
            assert_eq!(figures(table(&report, Some(20))), figures(table(&report, None)));
        }
    }

    #[test]
    fn changes_since_a_baseline() {
        let old = fixture::report(&["select", "completion-port"], &[64], 5);
        let mut new = old.clone();
        for run in &mut new.cells[0].runs {
            run.requests = run.requests * 9 / 10;
        }
        new.machine.processors = 4;
        insta::assert_snapshot!(plain(&changes(&fixture::summed_up(new.clone()), &old)));
        new.load.depth = 2;
        assert!(changes(&new, &old).contains("nothing is compared"));
    }
}
