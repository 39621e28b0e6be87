//! Sets of partitions, and how they are written in items: `{"<topic id>": "0-5,7"}`.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::Uuid;
use crate::coordinator::items::TopicPartition;

/// Partitions of any topics, in order.
pub type Partitions = BTreeSet<TopicPartition>;

/// In which epoch a member was given each of its partitions, the oldest first. Partitions that it has no more may be in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Given(Vec<(i32, In)>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct In(#[serde(serialize_with = "serialize", deserialize_with = "deserialize")] Partitions);

impl Given {
    /// All of them in one epoch.
    pub fn all_in(epoch: i32, partitions: &Partitions) -> Self {
        let mut given = Self::default();
        given.add(epoch, partitions);
        given
    }

    /// Adds partitions that are given in an epoch.
    pub fn add(&mut self, epoch: i32, partitions: &Partitions) {
        if !partitions.is_empty() {
            self.0.push((epoch, In(partitions.clone())));
        }
    }

    /// Forgets all but these.
    pub fn keep(&mut self, partitions: &Partitions) {
        self.0.iter_mut().for_each(|(_, In(given))| given.retain(|place| partitions.contains(place)));
        self.0.retain(|(_, In(given))| !given.is_empty());
    }

    /// The epoch in which a partition was given last.
    pub fn epoch_of(&self, place: &TopicPartition) -> Option<i32> {
        self.0.iter().rev().find(|(_, In(given))| given.contains(place)).map(|(epoch, _)| *epoch)
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many partitions are in it.
    pub fn len(&self) -> usize {
        self.0.iter().map(|(_, In(given))| given.len()).sum()
    }
}

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
    fn the_epoch_of_a_partition_is_the_one_in_which_it_was_given_last() {
        let place = |partition| TopicPartition { topic: Uuid([7; 16]), partition };
        let set = |numbers: &[i32]| numbers.iter().copied().map(place).collect::<Partitions>();
        let mut given = Given::all_in(3, &set(&[0, 1, 2]));
        given.keep(&set(&[0, 2, 5]));
        given.add(4, &Partitions::new());
        given.add(7, &set(&[1, 2]));
        let epochs = |given: &Given| (0..4).map(|partition| given.epoch_of(&place(partition))).collect::<Vec<_>>();
        assert_eq!(epochs(&given), [Some(3), Some(7), Some(7), None]);
        let value = serde_json::to_value(&given).expect("serializes");
        let topic = place(0).topic.to_string();
        assert_eq!(value, serde_json::json!([[3, { &topic: "0,2" }], [7, { &topic: "1-2" }]]));
        assert_eq!(serde_json::from_value::<Given>(value).expect("reads"), given);
        given.keep(&set(&[0]));
        assert_eq!((epochs(&given), given.len()), (vec![Some(3), None, None, None], 1));
    }

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
