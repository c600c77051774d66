//! Where settings come from: flags over the environment over a TOML file.
//!
//! A line `idle-timeout = "30s"` of the file is the flag `--idle-timeout=30s`, put on the command line unless the flag or
//! its variable is there already. So whatever is true of a flag is true of its line, and is said once, in `arguments.rs`.

use crate::arguments::Arguments;
use crate::failure::Failure;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The arguments of this process, completed by the file of settings if they name one.
pub(crate) fn arguments(mut line: Vec<OsString>) -> Result<Arguments, Failure> {
    let command = Arguments::command();
    let mut matches = command.clone().try_get_matches_from(&line)?;
    if let Some((name, given)) = matches.subcommand()
        && let Some(subcommand) = command.find_subcommand(name)
        && let Ok(Some(path)) = given.try_get_one::<PathBuf>("config")
    {
        // Right behind the command's name: what is before it takes no value, and behind it there may be a `--`.
        let behind = 1 + line.iter().position(|word| word == name).unwrap_or(0);
        let flags = flags_of(path, subcommand, given)?;
        line.splice(behind..behind, flags);
        // The line was right without the file, so what is wrong now the file has said.
        matches = command.try_get_matches_from(&line).map_err(|error| in_file(path, &error))?;
    }
    Ok(Arguments::from_arg_matches(&matches)?)
}

/// The settings of a file as flags, without those that outrank it.
fn flags_of(path: &Path, command: &Command, given: &ArgMatches) -> Result<Vec<OsString>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read the settings {}: {error}", path.display())))?;
    let table: Table = text.parse().map_err(|error| in_file(path, &error))?;
    let mut flags = Vec::new();
    for (name, value) in &table {
        let Some(flag) =
            command.get_arguments().find(|flag| flag.get_long() == Some(name) && is_setting(flag))
        else {
            let known: Vec<_> = command
                .get_arguments()
                .filter(|flag| is_setting(flag))
                .filter_map(clap::Arg::get_long)
                .collect();
            return Err(in_file(
                path,
                &format!("there is no setting '{name}'; there are {}", known.join(", ")),
            ));
        };
        let outranked = matches!(
            given.value_source(flag.get_id().as_str()),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        );
        if !outranked {
            let values = words(value).ok_or_else(|| {
                in_file(path, &format!("'{name}' must be a text, a whole number or a list of them"))
            })?;
            flags.extend(values.into_iter().map(|value| format!("--{name}={value}").into()));
        }
    }
    Ok(flags)
}

/// Whether a flag may stand in a file: it has a value, and does not itself name a file of settings.
fn is_setting(flag: &clap::Arg) -> bool {
    flag.get_long().is_some() && flag.get_action().takes_values() && flag.get_id() != "config"
}

fn words(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Integer(number) => Some(vec![number.to_string()]),
        Value::Array(values) => Some(values.iter().map(words).collect::<Option<Vec<_>>>()?.concat()),
        _ => None,
    }
}

/// The mistake, without what clap writes around it for a command line.
fn in_file(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    let error = error.to_string();
    let error = error.strip_prefix("error: ").unwrap_or(&error);
    let error = error.split_once("\n\nFor more").map_or(error, |(what, _)| what);
    Failure::Usage(format!("in {}: {}", path.display(), error.trim_end()))
}
