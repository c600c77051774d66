//! The plots: SVG of our own, for a page that needs nothing else. Colours are classes, which the page fills in for light
//! and dark; who is who is told by a mark and a dash as well, and by name.

pub(crate) mod bars;
pub(crate) mod lines;
mod scale;
pub(crate) mod svg;

use svg::Element;

/// Pixels of a letter's height; the page shows a plot about as large as it is drawn.
const TEXT: f64 = 13.0;

/// How many colours and marks there are before they come again, with another dash.
const MARKS: usize = 7;

/// About how wide a text is: system fonts differ, and this is a generous one.
fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * TEXT * 0.56
}

/// Cut to what fits, with a sign that it is cut.
fn fitted(text: &str, room: f64) -> String {
    let letters = (room / (TEXT * 0.56)) as usize;
    match text.chars().count() > letters {
        true => text.chars().take(letters.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// The class of a subject's colour.
fn colour(subject: usize) -> String {
    format!("s{}", subject % MARKS)
}

/// The dash of a subject's line; nothing for the first seven.
fn dash(subject: usize) -> Option<&'static str> {
    [None, Some("6 3"), Some("2 3")][(subject / MARKS).min(2)]
}

/// The mark of a subject: a shape of its own among seven.
fn mark(subject: usize, x: f64, y: f64) -> Element {
    let corners = |points: &[(f64, f64)]| {
        let points: Vec<String> = points
            .iter()
            .map(|(right, down)| format!("{},{}", svg::short(x + right), svg::short(y + down)))
            .collect();
        Element::new("polygon").set("points", points.join(" "))
    };
    let shape = match subject % MARKS {
        0 => Element::new("circle").at("cx", x).at("cy", y).at("r", 4.2),
        1 => corners(&[(-3.8, -3.8), (3.8, -3.8), (3.8, 3.8), (-3.8, 3.8)]),
        2 => corners(&[(0.0, -5.0), (4.7, 3.8), (-4.7, 3.8)]),
        3 => corners(&[(0.0, -5.4), (5.4, 0.0), (0.0, 5.4), (-5.4, 0.0)]),
        4 => corners(&[(0.0, 5.0), (4.7, -3.8), (-4.7, -3.8)]),
        5 => corners(&[
            (-1.7, -5.0),
            (1.7, -5.0),
            (1.7, -1.7),
            (5.0, -1.7),
            (5.0, 1.7),
            (1.7, 1.7),
            (1.7, 5.0),
            (-1.7, 5.0),
            (-1.7, 1.7),
            (-5.0, 1.7),
            (-5.0, -1.7),
            (-1.7, -1.7),
        ]),
        _ => corners(&[
            (0.0, -2.5),
            (3.2, -5.0),
            (5.0, -3.2),
            (2.5, 0.0),
            (5.0, 3.2),
            (3.2, 5.0),
            (0.0, 2.5),
            (-3.2, 5.0),
            (-5.0, 3.2),
            (-2.5, 0.0),
            (-5.0, -3.2),
            (-3.2, -5.0),
        ]),
    };
    shape.set("class", format!("mark {}", colour(subject)))
}
