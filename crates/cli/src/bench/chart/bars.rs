//! A bar a subject: its value at its end, the interval over it, what it is made of within.

use super::scale::{Scale, from_zero};
use super::svg::{Element, line, plot, short, text};
use super::{TEXT, fitted, mark, width_of};

/// A plot of bars from 0.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    /// What it shows, for who cannot see it.
    pub(crate) label: String,
    /// The names of the parts, if a bar has several.
    pub(crate) parts: Vec<&'static str>,
    pub(crate) bars: Vec<Bar>,
    /// How a value is written at the axis.
    pub(crate) tick: fn(f64) -> String,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// Its number among the subjects: its mark.
    pub(crate) subject: usize,
    pub(crate) name: String,
    /// Its parts, from 0 on.
    pub(crate) values: Vec<f64>,
    /// The interval of their sum, if it is more than a point.
    pub(crate) interval: Option<(f64, f64)>,
    /// Each run, if they are shown.
    pub(crate) runs: Vec<f64>,
    /// What stands at its end.
    pub(crate) text: String,
}

const THICK: f64 = 12.0;

impl Bars {
    /// Names stand at the left if the plot is wide, above their bars if it is not.
    pub(crate) fn draw(&self, width: f64) -> String {
        let beside = width >= 600.0;
        let names = self.bars.iter().map(|bar| width_of(&bar.name)).fold(0.0, f64::max).min(width * 0.32);
        let ends = self.bars.iter().map(|bar| width_of(&bar.text)).fold(0.0, f64::max) + 10.0;
        let left = if beside { names + 28.0 } else { 1.0 };
        let row = if beside { THICK + 14.0 } else { THICK + TEXT + 18.0 };
        let top = if self.parts.is_empty() { 6.0 } else { 26.0 };
        let bottom = top + row * self.bars.len() as f64;
        let height = bottom + TEXT + 10.0;
        let largest = self.bars.iter().map(Bar::reaches).fold(0.0, f64::max);
        let scale = from_zero(largest, left, (width - ends).max(left + 60.0));

        let mut drawn = plot(width, height, &self.label);
        self.grid(&mut drawn, &scale, (top, bottom));
        self.legend(&mut drawn, left);
        for (place, bar) in self.bars.iter().enumerate() {
            let y = top + row * place as f64;
            let middle = if beside { y + row / 2.0 } else { y + TEXT + 8.0 + THICK / 2.0 };
            if beside {
                drawn.push(mark(bar.subject, 8.0, middle));
                drawn.push(named(&bar.name, (20.0, middle + TEXT * 0.34), names));
            } else {
                drawn.push(mark(bar.subject, 8.0, y + TEXT * 0.66));
                drawn.push(named(&bar.name, (20.0, y + TEXT), width - 20.0));
            }
            bar.draw(&mut drawn, &scale, middle);
        }
        drawn.write()
    }

    fn grid(&self, drawn: &mut Element, scale: &Scale, (top, bottom): (f64, f64)) {
        let ticks = scale.ticks(if scale.end - scale.start > 400.0 { 5 } else { 3 });
        for tick in ticks {
            let x = scale.at(tick);
            drawn.push(line(if tick == 0.0 { "axis" } else { "grid" }, (x, top - 2.0), (x, bottom)));
            let anchor = if tick == 0.0 { "start" } else { "middle" };
            drawn.push(text("tick", anchor, (x, bottom + TEXT + 4.0), &(self.tick)(tick)));
        }
    }

    fn legend(&self, drawn: &mut Element, left: f64) {
        let mut x = left;
        for (place, name) in self.parts.iter().enumerate() {
            drawn.push(rectangle(&part(place), (x, 2.0), (12.0, 10.0)));
            drawn.push(text("label", "start", (x + 18.0, 11.5), name));
            x += 18.0 + width_of(name) + 22.0;
        }
    }
}

impl Bar {
    fn reaches(&self) -> f64 {
        let most = self.interval.map_or(0.0, |(_, high)| high);
        self.runs.iter().copied().fold(self.values.iter().sum::<f64>().max(most), f64::max)
    }

    fn draw(&self, drawn: &mut Element, scale: &Scale, middle: f64) {
        let mut from = 0.0;
        for (place, value) in self.values.iter().enumerate() {
            let (left, right) = (scale.at(from), scale.at(from + value));
            let class = if self.values.len() == 1 { "bar".to_owned() } else { part(place) };
            drawn.push(rectangle(&class, (left, middle - THICK / 2.0), ((right - left).max(0.5), THICK)));
            from += value;
        }
        for run in &self.runs {
            drawn.push(line("run", (scale.at(*run), middle - 3.0), (scale.at(*run), middle + 3.0)));
        }
        if let Some((low, high)) = self.interval {
            let (low, high) = (scale.at(low), scale.at(high));
            drawn.push(line("whisker", (low, middle), (high, middle)));
            for end in [low, high] {
                drawn.push(line("whisker", (end, middle - 4.0), (end, middle + 4.0)));
            }
        }
        let end = scale.at(self.reaches()) + 8.0;
        drawn.push(text("value", "start", (end, middle + TEXT * 0.34), &self.text));
    }
}

/// A name, cut to its room; whole when it is pointed at.
fn named(name: &str, at: (f64, f64), room: f64) -> Element {
    let shown = fitted(name, room);
    match shown == name {
        true => text("label", "start", at, name),
        false => {
            Element::new("g").with(Element::new("title").text(name)).with(text("label", "start", at, &shown))
        }
    }
}

fn part(place: usize) -> String {
    format!("part{place}")
}

fn rectangle(class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) -> Element {
    let rectangle = Element::new("rect").set("class", class).at("x", x).at("y", y);
    rectangle.set("width", short(width)).at("height", height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars() -> Bars {
        let bar = |subject, name: &str, values: &[f64], text: &str| Bar {
            subject,
            name: name.to_owned(),
            values: values.to_vec(),
            interval: Some((values.iter().sum::<f64>() * 0.9, values.iter().sum::<f64>() * 1.1)),
            runs: vec![values.iter().sum::<f64>()],
            text: text.to_owned(),
        };
        Bars {
            label: "CPU a request".to_owned(),
            parts: vec!["user", "system"],
            bars: vec![
                bar(0, "select", &[10.0, 30.0], "40.0 µs"),
                bar(
                    1,
                    "a name <that> is far too long to be shown in a plot of this width & more",
                    &[5.0, 5.0],
                    "10.0 µs",
                ),
            ],
            tick: |value| value.to_string(),
        }
    }

    #[test]
    fn beside_their_names() {
        insta::assert_snapshot!(bars().draw(920.0));
    }

    #[test]
    fn below_their_names() {
        insta::assert_snapshot!(bars().draw(400.0));
    }

    #[test]
    fn nothing_to_draw_is_drawn() {
        let zero = Bar {
            subject: 0,
            name: String::new(),
            values: vec![0.0],
            interval: None,
            runs: Vec::new(),
            text: "0".into(),
        };
        let drawn = Bars { parts: Vec::new(), bars: vec![zero], ..bars() }.draw(400.0);
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    }
}
