//! As many partitions for everybody as possible, and as few of them moved as possible; the former counts more.
//!
//! Members that are all subscribed to the same topics get quotas, which differ by one at most; those who have most get the
//! larger ones, so no assignment that is as balanced moves less. Otherwise partitions without an owner go to their least
//! loaded subscriber, and then each topic's partitions move from its most loaded to its least loaded subscriber while that
//! helps. That ends balanced within each topic; partitions that would have to move through several members to balance all
//! of them stay where they are, as in Kafka.
use std::collections::{BTreeMap, BTreeSet};

use super::{Partitions, Subscriber};
use crate::base::Uuid;
use crate::coordinator::items::TopicPartition;

/// Rounds over all topics. Each about halves what is left to balance; most groups need one.
const ROUNDS_MAX: usize = 16;

pub fn assign(members: &[Subscriber<'_>], topics: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
    let Some(first) = members.first() else { return Vec::new() };
    let mut plan = Plan::keeping(members, topics);
    if members.iter().all(|member| member.topics == first.topics) {
        plan.fill_quotas();
    } else {
        plan.fill_by_load();
        plan.balance();
    }
    plan.assigned
}

struct Plan {
    /// What each member gets.
    assigned: Vec<Partitions>,
    /// What nobody has.
    free: BTreeMap<Uuid, Vec<TopicPartition>>,
    /// Who is subscribed.
    subscribers: BTreeMap<Uuid, Vec<usize>>,
    /// Topics, those first that have most partitions for each of their subscribers.
    order: Vec<Uuid>,
}

impl Plan {
    /// Everybody keeps what it had, if it is still subscribed to it and it is still there. If two had the same, one keeps it.
    fn keeping(members: &[Subscriber<'_>], topics: &BTreeMap<Uuid, i32>) -> Self {
        let partitions = |topic: &Uuid| topics.get(topic).copied().unwrap_or(0);
        let mut subscribers = BTreeMap::<Uuid, Vec<usize>>::new();
        for (at, member) in members.iter().enumerate() {
            member.topics.iter().for_each(|topic| subscribers.entry(*topic).or_default().push(at));
        }
        let mut taken = Partitions::new();
        let mut assigned = vec![Partitions::new(); members.len()];
        for (member, assigned) in members.iter().zip(&mut assigned) {
            let keeps = |place: &&TopicPartition| {
                member.topics.contains(&place.topic) && place.partition < partitions(&place.topic)
            };
            assigned.extend(member.had.iter().filter(keeps).filter(|place| taken.insert(**place)));
        }
        let all = |topic: &Uuid| {
            let topic = *topic;
            (0..partitions(&topic)).map(move |partition| TopicPartition { topic, partition })
        };
        let free = |topic: &Uuid| all(topic).filter(|place| !taken.contains(place)).collect::<Vec<_>>();
        let free = subscribers.keys().map(|topic| (*topic, free(topic))).collect();
        let mut order: Vec<Uuid> = subscribers.keys().copied().collect();
        order.sort_by(|a, b| {
            let count = |topic: &Uuid| subscribers[topic].len();
            // a/x > b/y as a*y > b*x: whole numbers have no rounding.
            let share = |topic: &Uuid, other: &Uuid| i64::from(partitions(topic)) * count(other) as i64;
            share(b, a).cmp(&share(a, b)).then_with(|| count(a).cmp(&count(b))).then_with(|| a.cmp(b))
        });
        Self { assigned, free, subscribers, order }
    }

    /// All members are subscribed to the same: each gets its quota.
    fn fill_quotas(&mut self) {
        let members = self.assigned.len();
        let mut free: Vec<TopicPartition> = std::mem::take(&mut self.free).into_values().flatten().collect();
        let total = free.len() + self.assigned.iter().map(BTreeSet::len).sum::<usize>();
        let (least, larger) = (total / members, total % members);
        let mut order: Vec<usize> = (0..members).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(self.assigned[at].len()));
        let quotas: Vec<(usize, usize)> =
            order.into_iter().enumerate().map(|(rank, at)| (at, least + usize::from(rank < larger))).collect();
        for &(at, quota) in &quotas {
            while self.assigned[at].len() > quota {
                free.extend(self.assigned[at].pop_last());
            }
        }
        free.sort();
        let mut free = free.into_iter();
        for &(at, quota) in &quotas {
            let missing = quota - self.assigned[at].len().min(quota);
            self.assigned[at].extend(free.by_ref().take(missing));
        }
    }

    /// What nobody has goes to whoever has least.
    fn fill_by_load(&mut self) {
        for topic in self.order.clone() {
            let mut by_load = self.by_load(topic);
            for place in self.free.remove(&topic).unwrap_or_default() {
                let Some((load, at)) = by_load.pop_first() else { break };
                self.assigned[at].insert(place);
                by_load.insert((load + 1, at));
            }
        }
    }

    fn balance(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let moved: usize = self.order.clone().into_iter().map(|topic| self.balance_topic(topic)).sum();
            if moved == 0 {
                return;
            }
        }
    }

    /// Moves partitions of a topic from its most loaded to its least loaded subscriber; returns how many.
    fn balance_topic(&mut self, topic: Uuid) -> usize {
        let mut by_load = self.by_load(topic);
        let own =
            |assigned: &Partitions| -> Vec<TopicPartition> { assigned.range(places_of(topic)).copied().collect() };
        let mut owned: BTreeMap<usize, Vec<TopicPartition>> =
            by_load.iter().map(|(_, at)| (*at, own(&self.assigned[*at]))).collect();
        let mut givers: BTreeSet<(usize, usize)> =
            by_load.iter().filter(|(_, at)| !owned[at].is_empty()).copied().collect();
        let mut moved = 0;
        while let (Some(&(most, from)), Some(&(least, to))) = (givers.last(), by_load.first()) {
            if most - least <= 1 {
                break;
            }
            givers.pop_last();
            let Some(place) = owned.get_mut(&from).and_then(Vec::pop) else { continue };
            self.assigned[from].remove(&place);
            self.assigned[to].insert(place);
            by_load.remove(&(most, from));
            by_load.insert((most - 1, from));
            by_load.remove(&(least, to));
            by_load.insert((least + 1, to));
            if !owned[&from].is_empty() {
                givers.insert((most - 1, from));
            }
            // Whoever got one gives none: it would be the one that it got.
            if givers.remove(&(least, to)) {
                givers.insert((least + 1, to));
            }
            moved += 1;
        }
        moved
    }

    fn by_load(&self, topic: Uuid) -> BTreeSet<(usize, usize)> {
        self.subscribers[&topic].iter().map(|&at| (self.assigned[at].len(), at)).collect()
    }
}

fn places_of(topic: Uuid) -> std::ops::RangeInclusive<TopicPartition> {
    TopicPartition { topic, partition: 0 }..=TopicPartition { topic, partition: i32::MAX }
}
