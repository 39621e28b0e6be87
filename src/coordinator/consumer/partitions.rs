//! Sets of partitions, and how they are written in items: `{"<topic id>": "0-5,7"}`.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::Uuid;
use crate::coordinator::items::TopicPartition;

/// Partitions of any topics, in order.
pub type Partitions = BTreeSet<TopicPartition>;

/// Partitions that one range may have: more than any topic has, and few enough to be read from a damaged item.
const RANGE_MAX: i32 = 1_000_000;

/// The partitions of each topic.
pub fn by_topic(partitions: &Partitions) -> BTreeMap<Uuid, Vec<i32>> {
    let mut topics = BTreeMap::<Uuid, Vec<i32>>::new();
    for place in partitions {
        topics.entry(place.topic).or_default().push(place.partition);
    }
    topics
}

/// Writes a set, for `#[serde(with = ...)]`.
pub fn serialize<S: Serializer>(partitions: &Partitions, to: S) -> Result<S::Ok, S::Error> {
    let topics: BTreeMap<Uuid, String> =
        by_topic(partitions).into_iter().map(|(topic, numbers)| (topic, ranges(&numbers))).collect();
    topics.serialize(to)
}

/// Reads a set, for `#[serde(with = ...)]`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Partitions, D::Error> {
    let mut partitions = Partitions::new();
    for (topic, text) in BTreeMap::<Uuid, String>::deserialize(from)? {
        for range in text.split(',') {
            let (first, last) = parse(range).ok_or_else(|| D::Error::custom(format!("'{range}' is no range")))?;
            partitions.extend((first..=last).map(|partition| TopicPartition { topic, partition }));
        }
    }
    Ok(partitions)
}

fn ranges(numbers: &[i32]) -> String {
    let mut text = String::new();
    for run in numbers.chunk_by(|a, b| a + 1 == *b) {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = match (run, run.len()) {
            ([only], _) => write!(text, "{comma}{only}"),
            (run, length) => write!(text, "{comma}{}-{}", run[0], run[length - 1]),
        };
    }
    text
}

fn parse(range: &str) -> Option<(i32, i32)> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (i32, i32) = (first.parse().ok()?, last.parse().ok()?);
    (0 <= first && first <= last && last - first < RANGE_MAX).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_written_as_ranges_and_what_is_no_range_is_refused() {
        let topic = Uuid([7; 16]);
        let place = |partition| TopicPartition { topic, partition };
        for (numbers, text) in
            [(vec![0], "0"), (vec![0, 1], "0-1"), (vec![0, 1, 2, 4, 6, 7], "0-2,4,6-7"), (vec![3, 9], "3,9")]
        {
            let set: Partitions = numbers.into_iter().map(place).collect();
            let value = serialize(&set, serde_json::value::Serializer).expect("serializes");
            assert_eq!(value, serde_json::json!({ topic.to_string(): text }));
            assert_eq!(deserialize(value).expect("reads"), set);
        }
        for bad in ["", "a", "-1", "1-", "2-1", "1-2-3", "0-1000000"] {
            assert!(deserialize(serde_json::json!({ topic.to_string(): bad })).is_err(), "{bad}");
        }
    }
}
