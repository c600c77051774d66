//! Elements, their attributes and their text, escaped.

use std::fmt::Write;

/// An element; it may hold others, or text.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    inside: String,
}

impl Element {
    pub(crate) fn new(name: &'static str) -> Element {
        Element { name, attributes: Vec::new(), inside: String::new() }
    }

    /// With an attribute.
    pub(crate) fn set(mut self, name: &'static str, value: impl AsRef<str>) -> Element {
        self.attributes.push((name, escaped(value.as_ref())));
        self
    }

    /// With a number as attribute.
    pub(crate) fn at(self, name: &'static str, value: f64) -> Element {
        self.set(name, short(value))
    }

    /// With text inside.
    pub(crate) fn text(mut self, text: &str) -> Element {
        self.inside += &escaped(text);
        self
    }

    /// With another element inside.
    pub(crate) fn with(mut self, element: Element) -> Element {
        self.push(element);
        self
    }

    /// Puts another element inside.
    pub(crate) fn push(&mut self, element: Element) {
        self.inside.push('\n');
        self.inside += &element.write();
    }

    /// As text.
    pub(crate) fn write(&self) -> String {
        let mut text = format!("<{}", self.name);
        for (name, value) in &self.attributes {
            // Writing to a string cannot fail.
            let _ = write!(text, " {name}=\"{value}\"");
        }
        match self.inside.is_empty() {
            true => text + "/>",
            false if self.inside.starts_with('\n') => format!("{text}>{}\n</{}>", self.inside, self.name),
            false => format!("{text}>{}</{}>", self.inside, self.name),
        }
    }
}

/// A plot of that size, with what it shows for who cannot see it.
pub(crate) fn plot(width: f64, height: f64, label: &str) -> Element {
    Element::new("svg")
        .set("viewBox", format!("0 0 {} {}", short(width), short(height)))
        .set("role", "img")
        .set("aria-label", label)
}

/// A straight line.
pub(crate) fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Element {
    let line = Element::new("line").set("class", class).at("x1", from.0).at("y1", from.1);
    line.at("x2", to.0).at("y2", to.1)
}

/// Text that begins, is centred or ends there.
pub(crate) fn text(class: &str, anchor: &'static str, at: (f64, f64), text: &str) -> Element {
    let element = Element::new("text").set("class", class).at("x", at.0).at("y", at.1);
    match anchor {
        "start" => element.text(text),
        _ => element.set("text-anchor", anchor).text(text),
    }
}

/// To a tenth of a pixel.
pub(crate) fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// For an attribute and for text; what no document may hold is left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\n' | '\t' => escaped.push(' '),
            letter if letter.is_control() => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_hold_elements_or_text() {
        let element = plot(100.0, 20.25, "a \"b\"").with(line("grid", (0.0, 1.0), (2.04, -0.01)));
        assert_eq!(
            element.with(text("label", "end", (1.0, 2.0), "x < y")).write(),
            "<svg viewBox=\"0 0 100 20.2\" role=\"img\" aria-label=\"a &quot;b&quot;\">\n\
             <line class=\"grid\" x1=\"0\" y1=\"1\" x2=\"2\" y2=\"0\"/>\n\
             <text class=\"label\" x=\"1\" y=\"2\" text-anchor=\"end\">x &lt; y</text>\n</svg>"
        );
    }

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escaped("</text><script>\u{0}'&\u{1b}[1m"), "&lt;/text&gt;&lt;script&gt;&#39;&amp;[1m");
    }
}
