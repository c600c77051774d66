//! Times and sizes as people write them: `30s`, `256k`.

use std::time::Duration;

/// `500ms`, `30s`, `2m`, `1h`: a whole number and its unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text).ok_or("expected a number and its unit, as 500ms, 30s, 2m or 1h")?;
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "" => return Err(format!("{number} of what? Say {number}s, {number}ms or {number}m")),
        other => return Err(format!("'{other}' is no unit of time: ms, s, m or h")),
    };
    number
        .checked_mul(milliseconds)
        .map(Duration::from_millis)
        .ok_or_else(|| "this is for ever; say none".into())
}

/// A time, or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeout(pub(crate) Option<Duration>);

/// A [`duration`] above zero, or `none` for no limit.
pub(crate) fn timeout(text: &str) -> Result<Timeout, String> {
    match text {
        "none" => Ok(Timeout(None)),
        _ => match duration(text)? {
            Duration::ZERO => Err("zero would close every connection at once; say none for no limit".into()),
            time => Ok(Timeout(Some(time))),
        },
    }
}

/// `65536`, `256k`, `1M`: bytes, in powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text).ok_or("expected a number of bytes, as 65536, 256k or 1M")?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "k" | "K" | "KiB" => 1 << 10,
        "m" | "M" | "MiB" => 1 << 20,
        "g" | "G" | "GiB" => 1 << 30,
        other => return Err(format!("'{other}' is no unit of size: k, M or G")),
    };
    let bytes = number.checked_mul(factor).and_then(|bytes| usize::try_from(bytes).ok());
    match bytes {
        Some(0) => Err("zero bytes would let nobody send".into()),
        Some(bytes) => Ok(bytes),
        None => Err("this is more than there is memory to name".into()),
    }
}

/// The leading digits as a number, and what follows them.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("30 s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for wrong in
            ["", "s", "30", "-1s", "1.5s", "30 seconds", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(duration("30").unwrap_err().contains("30s"), "the message says what was meant");
    }

    #[test]
    fn a_timeout_may_be_none_but_not_zero() {
        assert_eq!(timeout("none"), Ok(Timeout(None)));
        assert_eq!(timeout("30s"), Ok(Timeout(Some(Duration::from_secs(30)))));
        assert!(timeout("0s").is_err());
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(bytes("65536"), Ok(65536));
        assert_eq!(bytes("256k"), Ok(256 * 1024));
        assert_eq!(bytes("256KiB"), Ok(256 * 1024));
        assert_eq!(bytes("1M"), Ok(1 << 20));
        for wrong in
            ["", "k", "0", "0k", "-1", "1.5k", "1kB", "99999999999999999999", "18446744073709551615G"]
        {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
