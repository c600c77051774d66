//! A line a subject, named at its end.

use super::scale::{Scale, around, from_zero};
use super::svg::{Element, line, plot, short, text};
use super::{TEXT, colour, dash, fitted, mark, width_of};

/// A plot of lines.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    /// What it shows, for who cannot see it.
    pub(crate) label: String,
    pub(crate) lines: Vec<Line>,
    /// Where the grid stands across, and what is written there.
    pub(crate) across: Vec<(f64, String)>,
    /// Whether the distance across is in logarithms.
    pub(crate) across_logarithmic: bool,
    /// Whether heights are in logarithms; otherwise they begin at 0.
    pub(crate) up_logarithmic: bool,
    /// How a height is written at the axis.
    pub(crate) tick: fn(f64) -> String,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its number among the subjects: its colour, mark and dash.
    pub(crate) subject: usize,
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// A point of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) across: f64,
    pub(crate) up: f64,
    pub(crate) interval: Option<(f64, f64)>,
    /// Whether it has the subject's mark.
    pub(crate) marked: bool,
}

/// Between two names at the ends of lines.
const LEADING: f64 = 16.0;

impl Lines {
    /// Names stand at the ends of the lines if the plot is wide, below it if it is not.
    pub(crate) fn draw(&self, width: f64) -> String {
        let beside = width >= 600.0;
        let names = self.lines.iter().map(|line| width_of(&line.name)).fold(0.0, f64::max);
        let values: Vec<f64> = self.lines.iter().flat_map(Line::heights).collect();
        let (top, left) = (10.0, self.room_for_ticks(&values));
        let tall = if beside { (LEADING * self.lines.len() as f64).max(340.0) } else { 250.0 };
        let right = if beside { width - names.min(width * 0.3) - 34.0 } else { width - 12.0 };
        let below = if beside { 0.0 } else { self.legend_height(width, names) };
        let height = top + tall + TEXT + 14.0 + below;

        let up = match self.up_logarithmic {
            true => around(&values, top + tall, top),
            false => from_zero(values.iter().copied().fold(0.0, f64::max) * 1.04, top + tall, top),
        };
        let across = self.across((left + 8.0, right));
        let mut drawn = plot(width, height, &self.label);
        self.grid(&mut drawn, (&across, &up), (left, right));
        for line in &self.lines {
            line.draw(&mut drawn, &across, &up);
        }
        match beside {
            true => self.names_at_ends(&mut drawn, (&across, &up), right, width),
            false => self.legend(&mut drawn, top + tall + TEXT + 14.0, width, names),
        }
        drawn.write()
    }

    fn across(&self, (start, end): (f64, f64)) -> Scale {
        let all = self.across.iter().map(|(value, _)| *value);
        let all = all.chain(self.lines.iter().flat_map(|line| line.points.iter().map(|point| point.across)));
        let (from, to) = all.fold((f64::MAX, f64::MIN), |(from, to), value| (from.min(value), to.max(value)));
        Scale { from, to, start, end, logarithmic: self.across_logarithmic }
    }

    fn room_for_ticks(&self, values: &[f64]) -> f64 {
        let up = match self.up_logarithmic {
            true => around(values, 0.0, 1.0),
            false => from_zero(values.iter().copied().fold(0.0, f64::max), 0.0, 1.0),
        };
        up.ticks(8).into_iter().map(|tick| width_of(&(self.tick)(tick))).fold(0.0, f64::max) + 8.0
    }

    fn grid(&self, drawn: &mut Element, (across, up): (&Scale, &Scale), (left, right): (f64, f64)) {
        for tick in up.ticks(if self.up_logarithmic { 8 } else { 5 }) {
            let y = up.at(tick);
            drawn.push(line(if tick == 0.0 { "axis" } else { "grid" }, (left, y), (right, y)));
            drawn.push(text("tick", "end", (left - 8.0, y + TEXT * 0.34), &(self.tick)(tick)));
        }
        let mut free = f64::MIN;
        for (value, name) in &self.across {
            let x = across.at(*value);
            drawn.push(line("grid", (x, up.end), (x, up.start)));
            // A name that would touch the one before is left out; its line stays.
            let half = width_of(name) / 2.0;
            if x - half >= free {
                drawn.push(text("tick", "middle", (x, up.start + TEXT + 6.0), name));
                free = x + half + 6.0;
            }
        }
    }

    /// Each name at the height of its line's end, or as near as the others let it; a thread leads to it.
    fn names_at_ends(&self, drawn: &mut Element, (across, up): (&Scale, &Scale), right: f64, width: f64) {
        let mut ends: Vec<(f64, f64, &Line)> = self
            .lines
            .iter()
            .filter_map(|line| line.points.last().map(|last| (up.at(last.up), across.at(last.across), line)))
            .collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let heights = apart(&ends.iter().map(|end| end.0).collect::<Vec<_>>(), LEADING, (up.end, up.start));
        for ((height, x, line), y) in ends.iter().zip(heights) {
            let points =
                format!("{},{} {},{}", short(x + 7.0), short(*height), short(right + 14.0), short(y));
            drawn.push(Element::new("polyline").set("class", "thread").set("points", points));
            drawn.push(mark(line.subject, right + 20.0, y));
            let name = fitted(&line.name, width - right - 30.0);
            drawn.push(text("label", "start", (right + 30.0, y + TEXT * 0.34), &name));
        }
    }

    fn columns(&self, width: f64, names: f64) -> usize {
        ((width / (names + 36.0)) as usize).clamp(1, 3)
    }

    fn legend_height(&self, width: f64, names: f64) -> f64 {
        self.lines.len().div_ceil(self.columns(width, names)) as f64 * (LEADING + 4.0) + 8.0
    }

    fn legend(&self, drawn: &mut Element, top: f64, width: f64, names: f64) {
        let columns = self.columns(width, names);
        let rows = self.lines.len().div_ceil(columns).max(1);
        let step = width / columns as f64;
        for (place, of) in self.lines.iter().enumerate() {
            let (x, y) = ((place / rows) as f64 * step, top + 12.0 + (place % rows) as f64 * (LEADING + 4.0));
            drawn
                .push(of.stroke(Element::new("line").at("x1", x).at("y1", y).at("x2", x + 24.0).at("y2", y)));
            drawn.push(mark(of.subject, x + 12.0, y));
            drawn.push(text("label", "start", (x + 32.0, y + TEXT * 0.34), &fitted(&of.name, step - 34.0)));
        }
    }
}

impl Line {
    fn heights(&self) -> impl Iterator<Item = f64> {
        let ends = |point: &Point| point.interval.map_or([point.up; 2], |(low, high)| [low, high]);
        self.points.iter().flat_map(move |point| [point.up].into_iter().chain(ends(point)))
    }

    fn stroke(&self, element: Element) -> Element {
        let element = element.set("class", format!("line {}", colour(self.subject)));
        match dash(self.subject) {
            Some(dash) => element.set("stroke-dasharray", dash),
            None => element,
        }
    }

    fn draw(&self, drawn: &mut Element, across: &Scale, up: &Scale) {
        let at = |point: &Point| (across.at(point.across), up.at(point.up));
        let points: Vec<String> =
            self.points.iter().map(at).map(|(x, y)| format!("{},{}", short(x), short(y))).collect();
        drawn.push(self.stroke(Element::new("polyline").set("points", points.join(" "))));
        for point in &self.points {
            let (x, y) = at(point);
            if let Some((low, high)) = point.interval {
                let class = format!("line {}", colour(self.subject));
                drawn.push(line(&class, (x, up.at(low)), (x, up.at(high))));
            }
            if point.marked {
                drawn.push(mark(self.subject, x, y));
            }
        }
    }
}

/// Sorted heights moved as little as needed until they are so far apart, within the plot if there is room.
fn apart(heights: &[f64], distance: f64, (top, bottom): (f64, f64)) -> Vec<f64> {
    let mut moved = Vec::with_capacity(heights.len());
    let mut free = top;
    for height in heights {
        moved.push(height.max(free));
        free = height.max(free) + distance;
    }
    let mut free = bottom;
    for height in moved.iter_mut().rev() {
        *height = height.min(free);
        free = *height - distance;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(of: usize) -> Lines {
        let line = |subject: usize| Line {
            subject,
            name: format!("subject <{subject}>"),
            points: [1.0, 64.0, 1000.0]
                .into_iter()
                .map(|across: f64| {
                    let up = across.sqrt() * 100.0 + subject as f64;
                    Point { across, up, interval: Some((up * 0.9, up * 1.1)), marked: true }
                })
                .collect(),
        };
        Lines {
            label: "requests/s over connections".to_owned(),
            lines: (0..of).map(line).collect(),
            across: [1.0, 64.0, 1000.0].into_iter().map(|value| (value, value.to_string())).collect(),
            across_logarithmic: true,
            up_logarithmic: false,
            tick: |value| value.to_string(),
        }
    }

    #[test]
    fn named_at_their_ends() {
        insta::assert_snapshot!(lines(3).draw(920.0));
    }

    #[test]
    fn named_below() {
        insta::assert_snapshot!(lines(3).draw(400.0));
    }

    #[test]
    fn one_point_is_drawn_and_so_is_none() {
        let mut one = lines(1);
        one.lines[0].points.truncate(1);
        one.across.truncate(1);
        let none = Lines { lines: Vec::new(), ..one.clone() };
        for drawn in [one.draw(920.0), none.draw(400.0), none.draw(920.0)] {
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        }
    }

    #[test]
    fn names_do_not_touch_and_stay_within() {
        let moved = apart(&[10.0, 11.0, 12.0, 95.0, 99.0], 16.0, (0.0, 100.0));
        assert!(moved.windows(2).all(|pair| pair[1] - pair[0] >= 16.0 - 1e-9), "{moved:?}");
        assert!(moved[0] >= 0.0 && moved[4] <= 100.0, "{moved:?}");
        assert_eq!(apart(&[10.0, 50.0], 16.0, (0.0, 100.0)), [10.0, 50.0]);
    }
}
