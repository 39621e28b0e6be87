//! Points of a log as users write them: `earliest`, `latest`, an offset, a time, or how long ago.
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::units;

/// Where to begin or to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The first offset that may be read.
    Earliest,
    /// The end as of now.
    Latest,
    /// This offset.
    Offset(i64),
    /// The first record at or after this time, in ms since 1970 (UTC).
    Time(i64),
    /// The first record at or after the time that was so many ms ago.
    Ago(u64),
}

/// A text that is none of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a point of a log: write earliest, latest, an offset (42), a time (2026-01-31, 2026-01-31T12:00, \
     2026-01-31T12:00:00+01:00; UTC where no zone is given) or how long ago (-90s, -1h30m, -7d)"
)]
pub struct BadPoint(String);

impl FromStr for Point {
    type Err = BadPoint;

    fn from_str(text: &str) -> Result<Self, BadPoint> {
        let point = match text {
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            _ if text.starts_with('-') => units::units_ms(&text[1..]).map(Self::Ago),
            _ if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok().map(Self::Offset),
            _ => time_ms(text).map(Self::Time),
        };
        point.ok_or_else(|| BadPoint(text.to_owned()))
    }
}

/// Milliseconds of a date, a date and time, or one with a zone.
fn time_ms(text: &str) -> Option<i64> {
    let time = match text.parse::<Timestamp>() {
        Ok(time) => time,
        Err(_) => text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
    };
    Some(time.as_millisecond())
}

/// A timestamp of a record for people: RFC 3339 in UTC with milliseconds; `-` where there is none.
pub fn show_ms(ms: Option<i64>) -> String {
    match ms.map(Timestamp::from_millisecond) {
        None => "-".to_owned(),
        Some(Ok(time)) => format!("{time:.3}"),
        Some(Err(_)) => format!("{}ms", ms.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn every_way_to_write_a_point_is_understood() {
        for (text, point) in [
            ("earliest", Point::Earliest),
            ("latest", Point::Latest),
            ("0", Point::Offset(0)),
            ("9223372036854775807", Point::Offset(i64::MAX)),
            ("-1h", Point::Ago(3_600_000)),
            ("-1h30m", Point::Ago(5_400_000)),
            ("-250ms", Point::Ago(250)),
            ("1970-01-02", Point::Time(DAY)),
            ("1970-01-02T01:00", Point::Time(DAY + 3_600_000)),
            ("1970-01-02 01:00:00.5", Point::Time(DAY + 3_600_500)),
            ("1970-01-02T01:00:00Z", Point::Time(DAY + 3_600_000)),
            ("1970-01-02T01:00:00+01:00", Point::Time(DAY)),
            ("1969-12-31", Point::Time(-DAY)),
        ] {
            assert_eq!(text.parse(), Ok(point), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "-", "-5", "-1x", "+1h", "1h", "yesterday", "2026-13-01", "2026-02-30", "99999999999999999999"]
        {
            assert_eq!(text.parse::<Point>(), Err(BadPoint(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn times_are_shown_as_they_can_be_typed() {
        assert_eq!(show_ms(Some(DAY + 1)), "1970-01-02T00:00:00.001Z");
        assert_eq!(show_ms(Some(DAY + 1)).parse(), Ok(Point::Time(DAY + 1)));
        assert_eq!(show_ms(None), "-");
        assert_eq!(show_ms(Some(i64::MAX)), "9223372036854775807ms");
    }
}
