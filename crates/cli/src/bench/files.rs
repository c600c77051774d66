//! The files of a bench. They are opened before the first run: minutes of measuring do not end at a wrong path.

use super::arguments::Bench;
use super::output;
use super::report::{Report, SCHEMA};
use crate::failure::Failure;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What will be written, and what was read.
#[derive(Debug)]
pub(crate) struct Files {
    outputs: Vec<Output>,
    baseline: Option<Report>,
}

/// A report, for one kind of reader.
type Shape = fn(&Report) -> String;

#[derive(Debug)]
struct Output {
    path: PathBuf,
    file: File,
    text: Shape,
}

impl Files {
    /// Reads the baseline and opens the others. What stands in them stays until there is something to write.
    pub(crate) fn open(options: &Bench) -> Result<Files, Failure> {
        let baseline = options.baseline.as_deref().map(read).transpose()?;
        let shapes: [(&Option<PathBuf>, Shape); 4] = [
            (&options.json, output::json),
            (&options.csv, output::csv),
            (&options.markdown, output::markdown),
            (&options.html, output::html),
        ];
        let outputs = shapes
            .into_iter()
            .filter_map(|(path, text)| path.as_deref().map(|path| open(path, text)))
            .collect::<Result<_, _>>()?;
        Ok(Files { outputs, baseline })
    }

    /// The report of `--baseline`.
    pub(crate) fn baseline(&self) -> Option<&Report> {
        self.baseline.as_ref()
    }

    /// Writes them all.
    pub(crate) fn write(&self, report: &Report) -> Result<(), Failure> {
        for output in &self.outputs {
            let mut file = &output.file;
            // A pipe or a terminal has no length to set.
            let _ = file.set_len(0);
            file.write_all((output.text)(report).as_bytes())
                .map_err(|error| cannot("write", &output.path, &error))?;
        }
        Ok(())
    }
}

fn open(path: &Path, text: Shape) -> Result<Output, Failure> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file =
        file.map_err(|error| Failure::Usage(format!("cannot write to {}: {error}", path.display())))?;
    Ok(Output { path: path.to_owned(), file, text })
}

fn read(path: &Path) -> Result<Report, Failure> {
    let wrong = |what: String| Failure::Usage(format!("the baseline {}: {what}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let report: Report = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("is not what --json writes ({SCHEMA}): {error}")))?;
    match report.schema == SCHEMA {
        true => Ok(report),
        false => Err(wrong(format!("has the schema {}, this command reads {SCHEMA}", report.schema))),
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::Running(format!("cannot {what} {}: {error}", path.display()))
}
