//! Numbers and units as every table, sentence and axis has them: three significant digits, and a unit that suits them.

use super::super::metric::{Metric, Quantity};

/// A unit: how many of the metric's own (microseconds, bytes) it is, and what it is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Unit {
    pub(crate) size: f64,
    pub(crate) name: &'static str,
}

const RATE: [Unit; 1] = [unit(1.0, "")];
const SHORT_RATE: [Unit; 3] = [unit(1.0, ""), unit(1e3, "k"), unit(1e6, "M")];
const TIME: [Unit; 3] = [unit(1.0, "µs"), unit(1e3, "ms"), unit(1e6, "s")];
const BYTES: [Unit; 4] =
    [unit(1.0, "B"), unit(1024.0, "KiB"), unit(1_048_576.0, "MiB"), unit(1_073_741_824.0, "GiB")];

const fn unit(size: f64, name: &'static str) -> Unit {
    Unit { size, name }
}

impl Unit {
    /// The one in which the value has its first digit before the point. Rates keep all their digits.
    pub(crate) fn of(quantity: Quantity, value: f64) -> Unit {
        largest(if quantity == Quantity::Time { &TIME } else { units(quantity) }, value)
    }

    /// The one for all values of a column or an axis.
    pub(crate) fn of_all(quantity: Quantity, values: impl IntoIterator<Item = f64>) -> Unit {
        let positive = values.into_iter().filter(|value| *value > 0.0);
        let (least, most) =
            positive.fold((f64::MAX, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
        Unit::of(quantity, if most > 0.0 { (least * most).sqrt() } else { 0.0 })
    }
}

fn units(quantity: Quantity) -> &'static [Unit] {
    match quantity {
        Quantity::Rate | Quantity::Count => &RATE,
        Quantity::Time => &TIME,
        Quantity::Bytes => &BYTES,
    }
}

fn largest(units: &[Unit], value: f64) -> Unit {
    units.iter().rev().find(|unit| value >= unit.size).copied().unwrap_or(units[0])
}

/// A value with its unit: `84,200`, `1.23 ms`, `9.77 KiB`.
pub(crate) fn figure(metric: Metric, value: f64) -> String {
    let unit = Unit::of(metric.quantity(), value);
    let number = number(metric, value / unit.size);
    if unit.name.is_empty() { number } else { format!("{number} {}", unit.name) }
}

/// A value in a unit that is said elsewhere. A number of threads is a whole one.
pub(crate) fn number(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Threads if value.fract() == 0.0 => grouped(value as u64),
        _ => significant(value),
    }
}

/// As short as it can be, for an axis or a label: `84.2k`, `64`.
pub(crate) fn short(value: f64) -> String {
    let unit = largest(&SHORT_RATE, value.abs());
    let number = significant(value / unit.size);
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => &number,
    };
    format!("{number}{}", unit.name)
}

/// With three significant digits, or all that stand before the point as zeros: `0.0412`, `1.20`, `84,200`.
pub(crate) fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // 9.996 is 10.0: the digits are counted after it is rounded.
    let magnitude = |value: f64| value.abs().log10().floor() as i32;
    let step = 10_f64.powi(magnitude(value) - 2);
    let rounded = (value / step).round() * step;
    let decimals = 2 - magnitude(rounded * (1.0 + f64::EPSILON));
    match usize::try_from(decimals) {
        Ok(decimals) if decimals > 0 => format!("{rounded:.decimals$}"),
        _ if rounded < 0.0 => format!("-{}", grouped(rounded.abs().round() as u64)),
        _ => grouped(rounded.round() as u64),
    }
}

/// `84,200`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 connection`, `1,000 connections`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number as u64), if number == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed<Name: AsRef<str>>(names: &[Name]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [before @ .., last] => {
            let before: Vec<&str> = before.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", before.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_say_enough() {
        let texts = [
            (0.0, "0"),
            (0.041_23, "0.0412"),
            (0.999_6, "1.00"),
            (1.2, "1.20"),
            (9.996, "10.0"),
            (99.95, "100"),
            (84.25, "84.3"),
            (999.6, "1,000"),
            (84_231.0, "84,200"),
            (1_234_567.0, "1,230,000"),
            (-1.234, "-1.23"),
            (-12_345.0, "-12,300"),
        ];
        for (value, text) in texts {
            assert_eq!(significant(value), text);
        }
    }

    #[test]
    fn units_suit_the_value() {
        assert_eq!(figure(Metric::P99Us, 87.25), "87.3 µs");
        assert_eq!(figure(Metric::P99Us, 6_200.0), "6.20 ms");
        assert_eq!(figure(Metric::MaxUs, 2_500_000.0), "2.50 s");
        assert_eq!(figure(Metric::MemoryBytes, 10_000.0), "9.77 KiB");
        assert_eq!(figure(Metric::RequestsPerS, 84_231.0), "84,200");
        assert_eq!(figure(Metric::Threads, 5.0), "5");
        assert_eq!(figure(Metric::SystemCalls, 1.0), "1.00");
        assert_eq!(Unit::of_all(Quantity::Time, [90.0, 40_000.0]).name, "ms");
        assert_eq!(Unit::of_all(Quantity::Time, [90.0, 4_000.0, 0.0]).name, "µs");
        assert_eq!(Unit::of_all(Quantity::Time, []).name, "µs");
        assert_eq!(
            [short(80_000.0), short(1_500_000.0), short(0.5), short(0.0)],
            ["80k", "1.5M", "0.5", "0"]
        );
    }

    #[test]
    fn lists_read_as_a_sentence() {
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
        assert_eq!((listed(&["a"]), listed::<&str>(&[])), ("a".to_owned(), String::new()));
        assert_eq!((counted(1, "run"), counted(1000, "run")), ("1 run".to_owned(), "1,000 runs".to_owned()));
    }
}
