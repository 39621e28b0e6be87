//! Ranges of each topic. Static members come first, by their instance ids, so that they keep their ranges over restarts.
use std::collections::BTreeMap;

use super::{Partitions, Subscriber};
use crate::base::Uuid;
use crate::coordinator::items::TopicPartition;

/// How a topic is cut.
struct Cut {
    partitions: i32,
    least: i32,
    /// How many subscribers get one more.
    larger: i32,
    next: i32,
}

impl Cut {
    fn new(partitions: i32, subscribers: usize) -> Self {
        let subscribers = i32::try_from(subscribers).unwrap_or(i32::MAX).max(1);
        Self { partitions, least: partitions / subscribers, larger: partitions % subscribers, next: 0 }
    }

    fn next_range(&mut self) -> std::ops::Range<i32> {
        let extra = i32::from(self.larger > 0);
        self.larger -= extra;
        let start = self.next;
        self.next = (start + self.least + extra).min(self.partitions);
        start..self.next
    }
}

pub fn assign(members: &[Subscriber<'_>], topics: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
    let mut subscribers = BTreeMap::<Uuid, usize>::new();
    for topic in members.iter().flat_map(|member| member.topics) {
        *subscribers.entry(*topic).or_default() += 1;
    }
    let partitions = |topic: &Uuid| topics.get(topic).copied().unwrap_or(0);
    let mut cuts: BTreeMap<Uuid, Cut> =
        subscribers.iter().map(|(topic, count)| (*topic, Cut::new(partitions(topic), *count))).collect();

    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|&at| {
        let Subscriber { id, instance_id, .. } = members[at];
        (instance_id.is_none(), instance_id.unwrap_or(id))
    });
    let mut assigned = vec![Partitions::new(); members.len()];
    for at in order {
        for topic in members[at].topics {
            let range = cuts.get_mut(topic).map_or(0..0, Cut::next_range);
            assigned[at].extend(range.map(|partition| TopicPartition { topic: *topic, partition }));
        }
    }
    assigned
}
