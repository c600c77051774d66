//! From values to pixels, and where the lines of the grid are.

/// A range of values on a range of pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) logarithmic: bool,
}

impl Scale {
    /// Where a value is; outside the range at its nearer end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let place = |value: f64| if self.logarithmic { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let (from, to) = (place(self.from), place(self.to));
        let share = if to > from { ((place(value) - from) / (to - from)).clamp(0.0, 1.0) } else { 0.5 };
        self.start + share * (self.end - self.start)
    }

    /// Round values within the range, about as many as asked for.
    pub(crate) fn ticks(&self, about: usize) -> Vec<f64> {
        match self.logarithmic {
            true => decades(self.from, self.to, about),
            false => steps(self.from, self.to, about),
        }
    }
}

/// From 0 to the next round value above the largest, with a little room.
pub(crate) fn from_zero(largest: f64, start: f64, end: f64) -> Scale {
    let to = if largest > 0.0 { largest } else { 1.0 };
    Scale { from: 0.0, to, start, end, logarithmic: false }
}

/// Around the values, with a little room at both ends. Zero has no logarithm: it is left out.
pub(crate) fn around(values: &[f64], start: f64, end: f64) -> Scale {
    let positive = values.iter().copied().filter(|value| *value > 0.0);
    let (least, most) =
        positive.fold((f64::MAX, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
    let (from, to) = if most > 0.0 { (least / 1.15, most * 1.15) } else { (1.0, 10.0) };
    Scale { from, to, start, end, logarithmic: true }
}

fn steps(from: f64, to: f64, about: usize) -> Vec<f64> {
    let rough = (to - from) / about.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(power * 10.0);
    let first = (from / step).ceil() as i64;
    let last = (to / step * (1.0 + 1e-9)).floor() as i64;
    (first..=last).map(|place| place as f64 * step).collect()
}

/// 1, 2, 5 of each power of ten; 1 alone if those are too many; the range's own ends if there would be fewer than two.
fn decades(from: f64, to: f64, about: usize) -> Vec<f64> {
    let powers = (from.log10().floor() as i32)..=(to.log10().ceil() as i32);
    let at = |steps: &[f64]| -> Vec<f64> {
        let all = powers.clone().flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
        all.filter(|value| (from..=to).contains(value)).collect()
    };
    let choices = [at(&[1.0, 2.0, 5.0]), at(&[1.0, 3.0]), at(&[1.0])];
    let fitting = choices.into_iter().find(|ticks| ticks.len() <= about).unwrap_or_default();
    if fitting.len() < 2 { steps(from, to, 3) } else { fitting }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_place() {
        let scale = from_zero(100.0, 10.0, 210.0);
        assert_eq!(
            [scale.at(0.0), scale.at(50.0), scale.at(100.0), scale.at(1e9)],
            [10.0, 110.0, 210.0, 210.0]
        );
        let scale = Scale { from: 1.0, to: 100.0, start: 200.0, end: 0.0, logarithmic: true };
        assert!((scale.at(10.0) - 100.0).abs() < 1e-9 && (scale.at(0.0) - 200.0).abs() < 1e-9);
        let point = Scale { from: 5.0, to: 5.0, start: 0.0, end: 10.0, logarithmic: false };
        assert_eq!(point.at(5.0), 5.0);
    }

    #[test]
    fn the_grid_stands_at_round_values() {
        assert_eq!(from_zero(143_000.0, 0.0, 1.0).ticks(4), [0.0, 50_000.0, 100_000.0]);
        assert_eq!(from_zero(0.7, 0.0, 1.0).ticks(4).len(), 4);
        assert_eq!(from_zero(0.0, 0.0, 1.0).ticks(2), [0.0, 0.5, 1.0]);
        let log = |from, to, about| Scale { from, to, start: 0.0, end: 1.0, logarithmic: true }.ticks(about);
        assert_eq!(log(90.0, 1_100.0, 6), [100.0, 200.0, 500.0, 1_000.0]);
        assert_eq!(log(1.0, 1e6, 8), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]);
        assert!(log(110.0, 140.0, 6).len() >= 2, "within no power of ten there are lines too");
    }
}
