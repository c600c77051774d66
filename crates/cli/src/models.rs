//! `doorbell models`: the seven, as the registry has them.

use crate::failure::Failure;
use crate::output::print;
use comfy_table::{ContentArrangement, Table, presets};
use doorbell::Model;
use std::io::{self, IsTerminal};

/// The width of the table on a terminal. For a pipe no cell is broken, so that a line is a model.
const COLUMNS: u16 = 120;

/// Prints the table.
pub(crate) fn models() -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(COLUMNS);
    }
    table.set_header(["model", "waits on", "known limit", "is here"]);
    for model in Model::ALL {
        table.add_row([model.name(), model.waits_on(), model.limit(), model.maps_to()]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    print(table.trim_fmt() + "\n")
}
