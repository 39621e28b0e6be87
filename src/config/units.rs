//! Sizes and times as people write them: `512MiB`, `7d`, `1h30m`. Whole numbers only, so that nothing is rounded.
use std::time::Duration;

/// A text that is not a size or a time, with what would be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUnit {
    /// Not a number of bytes.
    #[error("'{0}' is not a size: write a whole number of bytes, or one with KiB, MiB, GiB, TiB (or kB, MB, GB, TB)")]
    Size(String),
    /// Not a length of time.
    #[error("'{0}' is not a time: write a whole number of milliseconds, or one with ms, s, m, h, d, w (as in 1h30m)")]
    Time(String),
}

const SIZES: [(&str, u64); 13] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
];

const TIMES: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// Bytes out of `1048576`, `64MiB`, `64 MiB`, `1GB`; case does not matter.
pub fn size(text: &str) -> Result<u64, BadUnit> {
    let bad = || BadUnit::Size(text.to_owned());
    let (number, unit) = split_number(text.trim()).ok_or_else(bad)?;
    let unit = unit.trim().to_ascii_lowercase();
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    number.checked_mul(*factor).ok_or_else(bad)
}

/// Milliseconds out of `60000` or a sum of numbers with units, as in `7d` or `1h30m`.
pub fn time_ms(text: &str) -> Result<u64, BadUnit> {
    match split_number(text.trim()) {
        Some((number, "")) => Ok(number),
        _ => units_ms(text).ok_or_else(|| BadUnit::Time(text.to_owned())),
    }
}

/// As [`time_ms`], as a [`Duration`].
pub fn time(text: &str) -> Result<Duration, BadUnit> {
    time_ms(text).map(Duration::from_millis)
}

/// Milliseconds out of numbers that each have a unit: `1h30m`, never a bare `90`. None where it is anything else.
pub fn units_ms(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (_, factor) = TIMES.iter().find(|(name, _)| *name == &after[..end])?;
        total = total.checked_add(number.checked_mul(*factor)?)?;
        rest = &after[end..];
    }
    Some(total)
}

/// The leading digits as a number, and what follows them.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// `1.5 GiB` for people; exact below 1 KiB.
pub fn show_size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_both_systems_and_never_rounded() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            ("64M", 64 << 20),
            ("1GB", 1_000_000_000),
            ("2tib", 2 << 40),
            (" 7b ", 7),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "1 PiBs", "99999999999999999999", "20000000TiB"] {
            assert_eq!(size(text), Err(BadUnit::Size(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn times_are_milliseconds_or_numbers_with_units() {
        for (text, ms) in
            [("0", 0), ("60000", 60_000), ("1s", 1_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("1w", 604_800_000)]
        {
            assert_eq!(time_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "h", "1x", "1h30", "-1h", "1.5h", "99999999999999w"] {
            assert_eq!(time_ms(text), Err(BadUnit::Time(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn sizes_for_people_name_their_unit() {
        assert_eq!(show_size(512), "512 B");
        assert_eq!(show_size(1536 << 10), "1.5 MiB");
    }
}
