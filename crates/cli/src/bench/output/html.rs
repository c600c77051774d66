//! `--html`: one page that needs nothing else: no network, no script, its plots within.

mod figures;
mod plots;

use super::super::chart::svg::escaped;
use super::super::report::{Report, Warning};
use super::super::verdicts::verdicts;
use super::columns::connections;
use super::figures::{counted, grouped};
use super::phrases;
use figures::Figure;

const STYLE: &str = include_str!("html/page.css");

pub(super) fn html(report: &Report) -> String {
    let title = title(report);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{title} – doorbell bench</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
    );
    page += &format!("<header>\n<p class=\"over\">doorbell bench</p>\n<h1>{title}</h1>\n");
    page += &format!("<p class=\"lead\">{}.</p>\n", escaped(&sentence(&phrases::load(&report.load))));
    page += &format!("<p class=\"soft\">{}</p>\n", escaped(&where_and_when(report)));
    page += &format!(
        "<code class=\"command\">{}</code>\n</header>\n",
        escaped(&phrases::command(&report.command))
    );
    page += &warnings(&report.warnings);
    let connections = connections(report);
    if connections.len() > 1 {
        page += &section("scaling", "Over the number of connections", "", &plots::scaling(report));
    }
    for connections in connections {
        let verdicts = list(&verdicts(report, connections));
        let heading = counted(connections, "connection");
        page += &section(&format!("c{connections}"), &heading, &verdicts, &plots::cells(report, connections));
    }
    page += &facts(report);
    page += &format!(
        "<footer class=\"soft\"><p>{}</p></footer>\n</body>\n</html>\n",
        escaped(&phrases::legend(report))
    );
    page
}

/// `7 servers under echo: 64 to 1,000 connections`.
fn title(report: &Report) -> String {
    let servers = match report.subjects.as_slice() {
        [only] => only.name.clone(),
        all => counted(all.len(), "server"),
    };
    let numbers = &report.load.connections;
    let connections = match (numbers.iter().min(), numbers.iter().max()) {
        (Some(least), Some(most)) if least < most => {
            format!("{} to {}", grouped(*least as u64), counted(*most, "connection"))
        }
        (_, most) => counted(most.copied().unwrap_or(0), "connection"),
    };
    escaped(&sentence(&format!("{servers} under {}: {connections}", report.load.kind)))
}

fn where_and_when(report: &Report) -> String {
    format!("{}. Begun {}, doorbell {}.", phrases::machine(&report.machine), report.started, report.doorbell)
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn section(id: &str, heading: &str, before: &str, figures: &[Figure]) -> String {
    let figures: String = figures::set(figures);
    format!("<section id=\"{id}\">\n<h2>{}</h2>\n{before}{figures}</section>\n", escaped(heading))
}

fn list(verdicts: &[String]) -> String {
    if verdicts.is_empty() {
        return String::new();
    }
    let items: String = verdicts.iter().map(|verdict| format!("<li>{}</li>\n", escaped(verdict))).collect();
    format!("<ul class=\"verdicts\">\n{items}</ul>\n")
}

fn warnings(warnings: &[Warning]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let item = |warning: &Warning| {
        let (seen, why) = (escaped(&warning.seen), escaped(&warning.why));
        format!("<li><b>{seen}</b>{why} <span class=\"soft\">Try: {}</span></li>\n", escaped(&warning.remedy))
    };
    let items: String = warnings.iter().map(item).collect();
    format!(
        "<section id=\"warnings\">\n<h2>What weakens these figures</h2>\n<ul class=\"warnings\">\n{items}</ul>\n</section>\n"
    )
}

fn facts(report: &Report) -> String {
    let pair = |(name, value): (&str, String)| format!("<dt>{name}</dt><dd>{}</dd>\n", escaped(&value));
    let facts: String = phrases::facts(report).into_iter().map(pair).collect();
    format!("<section id=\"machine\">\n<h2>Machine and load</h2>\n<dl>\n{facts}</dl>\n</section>\n")
}

#[cfg(test)]
mod tests;
