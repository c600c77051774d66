use super::*;
use crate::bench::fixture;
use std::collections::BTreeSet;

/// Everything that opens is closed, in its order, and no two have the same id.
fn well_formed(page: &str) {
    let (mut open, mut ids) = (Vec::new(), BTreeSet::new());
    let body = page.strip_prefix("<!DOCTYPE html>").unwrap();
    let mut rest = body;
    while let Some(start) = rest.find('<') {
        assert!(
            !rest[..start].contains('>') || open.last() == Some(&"style"),
            "a stray > before {}",
            &rest[start..]
        );
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        if let Some((_, id)) = tag.split_once(" id=\"") {
            assert!(ids.insert(id.split_once('"').unwrap().0), "the id of <{tag}> is there twice");
        }
        if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap());
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn every_page_is_well_formed_and_needs_nothing_else() {
    for report in fixture::each_kind() {
        let page = html(&report);
        well_formed(&page);
        for outside in ["http", "//", "src=", "href=", "url(", "@import", "<script", "<link", "NaN", "inf\""]
        {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}

#[test]
fn the_check_itself_sees_what_is_wrong() {
    for wrong in ["<p>", "<p></b>", "<p id=\"a\"></p><p id=\"a\"></p>", "<p>a > b</p>", "<p class=\"a></p>"] {
        let page = format!("<!DOCTYPE html>{wrong}");
        assert!(std::panic::catch_unwind(|| well_formed(&page)).is_err(), "{wrong}");
    }
}

#[test]
fn names_and_commands_of_users_are_text() {
    let evil = "</svg><script>alert(\"1\")</script> & 'more'";
    let mut report = fixture::report(&[evil, "b"], &[1, 64], 5);
    report.command = vec![evil.to_owned()];
    report.machine.cpu = Some(evil.to_owned());
    let report = fixture::summed_up(report);
    let page = html(&report);
    well_formed(&page);
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
}

#[test]
fn a_page_has_what_was_found() {
    let page = html(&fixture::report(&fixture::MODELS, &[1, 64, 1000], 5));
    for part in [
        "Requests a second",
        "Latency by percentile",
        "Processor time",
        "Context switches",
        "Memory a connection",
        "System calls",
        "Over the number of connections",
        "Most requests/s: completion-port and overlapped-routine (no difference seen)",
        "A thread of these waits for 63 connections",
        "Example Processor 3000",
        "doorbell bench --models all",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let target = html(&fixture::target());
    assert!(!target.contains("Processor time") && !target.contains("Over the number"));
}
