//! `doorbell doctor`: what this system offers, what falls back and why, and what to do about it.

use crate::failure::Failure;
use crate::output::print;
use doorbell_winsock::host;
use doorbell_winsock::startup::{BackendChoice, choose_backend, fallback, report};
use std::fmt::Write;

/// Prints the report. What the environment forces and this system refuses is a failure.
pub(crate) fn doctor() -> Result<(), Failure> {
    let forced = forced()?;
    let chosen = choose_backend(forced);
    let mut lines = vec![("doorbell".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    lines.extend(report());
    lines.extend(raised().map(|limit| ("descriptors of serve".to_owned(), limit)));
    lines.push((
        "backend".to_owned(),
        match &chosen {
            Ok(backend) => format!("{backend} serves the models that need one ({})", why(forced)),
            Err(_) => format!("none ({})", why(forced)),
        },
    ));
    lines.push((
        "falls back".to_owned(),
        match (&chosen, fallback()) {
            (Ok(_), None) => "nothing".to_owned(),
            (Ok(backend), Some(refusal)) => {
                format!("to {backend}, because {}: {}", refusal.backend, refusal.cause)
            }
            (Err(_), _) => "nothing: a forced backend is not replaced".to_owned(),
        },
    ));
    if let Some(refusal) = chosen.as_ref().err().cloned().or_else(fallback) {
        lines.push(("what to do".to_owned(), refusal.remedy));
    }
    print(aligned(&lines))?;
    chosen.map(|_| ()).map_err(Failure::from)
}

fn forced() -> Result<BackendChoice, Failure> {
    let text = std::env::var("DOORBELL_BACKEND").unwrap_or_default();
    text.parse().map_err(|error| Failure::Usage(format!("DOORBELL_BACKEND: {error}")))
}

fn why(choice: BackendChoice) -> &'static str {
    match choice {
        BackendChoice::Auto => "chosen by itself: DOORBELL_BACKEND forces nothing",
        BackendChoice::Only(_) => "forced by DOORBELL_BACKEND",
    }
}

/// What `serve` makes of the limit of descriptors; nothing where there is none.
fn raised() -> Option<String> {
    let before = host::descriptor_limit()?.soft;
    let after = host::raise_descriptor_limit()?.soft;
    Some(match after > before {
        true => format!("{after}: it raises the limit by itself"),
        false => format!("{after}: as many as it may have"),
    })
}

fn aligned(lines: &[(String, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    lines.iter().fold(String::new(), |mut text, (name, what)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:width$}  {what}");
        text
    })
}
