//! What `esker group reset` makes of a group's offsets (pure): which partitions are meant, and where each goes.
use std::collections::BTreeMap;
use std::str::FromStr;

use crate::kafka::client::groups::Place;

/// A topic, or some of its partitions: `t`, `t:0`, `t:0,3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Name of the topic.
    pub topic: String,
    /// Its partitions; none for all.
    pub partitions: Option<Vec<i32>>,
}

impl FromStr for Chosen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (topic, partitions) = match text.split_once(':') {
            None => (text, None),
            Some((topic, list)) => {
                let numbers = list.split(',').map(|number| number.trim().parse::<i32>().ok().filter(|n| *n >= 0));
                (topic, Some(numbers.collect::<Option<Vec<i32>>>()))
            }
        };
        match (topic, partitions) {
            ("", _) | (_, Some(None)) => {
                Err("expected a topic, or a topic and some of its partitions, as in orders:0,3".to_owned())
            }
            (topic, partitions) => Ok(Self { topic: topic.to_owned(), partitions: partitions.flatten() }),
        }
    }
}

/// Where an offset shall go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// To this offset.
    To(i64),
    /// To the first record at or after a time, which is here; none if there is no such record.
    AtTime(Option<i64>),
    /// So far from where it is.
    Shift(i64),
}

/// What becomes of an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The partition.
    pub place: Place,
    /// Where it is; none if nothing was committed.
    pub old: Option<i64>,
    /// Where it goes.
    pub new: i64,
    /// What differs from what was asked for.
    pub note: Option<String>,
}

/// Moves one offset within `start..=end` of its log. None: there is nothing to move.
pub fn plan(place: Place, old: Option<i64>, (start, end): (i64, i64), goal: Goal) -> Option<Move> {
    let wanted = match goal {
        Goal::To(offset) => offset,
        Goal::AtTime(found) => found.unwrap_or(end),
        Goal::Shift(by) => old?.saturating_add(by),
    };
    let new = wanted.clamp(start, end.max(start));
    let note = match goal {
        Goal::AtTime(None) => Some("no record is that young: the end".to_owned()),
        _ if wanted < start => Some(format!("not {wanted}: the log begins at {start}")),
        _ if wanted > end => Some(format!("not {wanted}: the log ends at {end}")),
        _ => None,
    };
    Some(Move { place, old, new, note })
}

/// Reads offsets as `--format csv` writes them, one partition a line: `topic,partition,offset`. Empty lines and those that
/// begin with `#` are passed over; quotes around the topic, as Kafka's tool writes them, are taken off.
pub fn offsets(text: &str) -> Result<BTreeMap<Place, i64>, String> {
    let mut offsets = BTreeMap::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = || format!("line {number}, '{line}': expected topic,partition,offset, as in orders,0,42");
        let mut fields = line.split(',').map(str::trim);
        let (Some(topic), Some(partition), Some(offset), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(bad());
        };
        let topic = topic.trim_matches('"').to_owned();
        let partition = partition.parse().ok().filter(|partition: &i32| *partition >= 0).ok_or_else(bad)?;
        let offset = offset.parse().ok().filter(|offset: &i64| *offset >= 0).ok_or_else(bad)?;
        let place = Place { topic, partition };
        if offsets.insert(place, offset).is_some() {
            return Err(format!("line {number}, '{line}': the partition stands there twice"));
        }
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { topic: "t".to_owned(), partition: 3 }
    }

    #[test]
    fn offsets_go_where_they_shall_but_not_beyond_the_log() {
        for (old, goal, new, note) in [
            (None, Goal::To(10), 10, ""),
            (Some(15), Goal::To(20), 20, ""),
            (Some(15), Goal::To(3), 10, "not 3: the log begins at 10"),
            (Some(15), Goal::To(99), 20, "not 99: the log ends at 20"),
            (Some(15), Goal::Shift(-2), 13, ""),
            (Some(15), Goal::Shift(-6), 10, "not 9: the log begins at 10"),
            (Some(15), Goal::Shift(i64::MAX), 20, "the log ends at 20"),
            (Some(15), Goal::AtTime(Some(12)), 12, ""),
            (Some(15), Goal::AtTime(None), 20, "no record is that young"),
        ] {
            let planned = plan(place(), old, (10, 20), goal).unwrap();
            assert_eq!((planned.old, planned.new), (old, new), "{goal:?}");
            assert!(planned.note.clone().unwrap_or_default().contains(note), "{planned:?}");
            assert_eq!(planned.note.is_some(), !note.is_empty(), "{planned:?}");
        }
        assert_eq!(plan(place(), None, (10, 20), Goal::Shift(1)), None);
        assert_eq!(plan(place(), None, (5, 5), Goal::To(0)).unwrap().new, 5);
    }

    #[test]
    fn topics_are_chosen_whole_or_by_partition() {
        let chosen = |topic: &str, partitions: Option<&[i32]>| {
            Ok(Chosen { topic: topic.to_owned(), partitions: partitions.map(<[i32]>::to_vec) })
        };
        assert_eq!("t".parse(), chosen("t", None));
        assert_eq!("t:0".parse(), chosen("t", Some(&[0])));
        assert_eq!("a.b-c:0, 12".parse(), chosen("a.b-c", Some(&[0, 12])));
        for bad in ["", ":1", "t:", "t:x", "t:1,", "t:-1", "t:1:2"] {
            assert!(bad.parse::<Chosen>().is_err(), "{bad}");
        }
    }

    #[test]
    fn files_hold_a_partition_a_line() {
        let read = offsets("# saved\nt,3,42\n\n \"u\", 0 ,7\r\n").unwrap();
        assert_eq!(read, [(place(), 42), (Place { topic: "u".to_owned(), partition: 0 }, 7)].into());
        for (bad, says) in [("t,3", "line 1"), ("t,3,-1", "expected"), ("\nt,x,1", "line 2"), ("t,3,1\nt,3,2", "twice")]
        {
            let error = offsets(bad).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
