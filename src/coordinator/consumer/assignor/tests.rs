//! Tables of what Kafka's assignors say, and what must hold whatever the group looks like.
use proptest::prelude::*;

use super::*;
use crate::coordinator::items::TopicPartition;

#[derive(Debug, Clone)]
struct Someone {
    id: String,
    instance: Option<String>,
    topics: BTreeSet<Uuid>,
    had: Partitions,
}

fn topic(number: u8) -> Uuid {
    Uuid([number; 16])
}

fn places(of: &[(u8, &[i32])]) -> Partitions {
    of.iter()
        .flat_map(|(t, numbers)| numbers.iter().map(|&partition| TopicPartition { topic: topic(*t), partition }))
        .collect()
}

fn someone(id: &str, topics: &[u8], had: &[(u8, &[i32])]) -> Someone {
    Someone { id: id.to_owned(), instance: None, topics: topics.iter().copied().map(topic).collect(), had: places(had) }
}

fn assign(assignor: Assignor, group: &[Someone], topics: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
    let subscriber = |one: &'_ Someone| -> (String, Option<String>) { (one.id.clone(), one.instance.clone()) };
    let names: Vec<_> = group.iter().map(subscriber).collect();
    let members: Vec<Subscriber<'_>> = group
        .iter()
        .zip(&names)
        .map(|(one, (id, instance))| Subscriber {
            id,
            instance_id: instance.as_deref(),
            topics: &one.topics,
            had: &one.had,
        })
        .collect();
    assignor.assign(&members, topics)
}

fn sizes(of: &[(u8, i32)]) -> BTreeMap<Uuid, i32> {
    of.iter().map(|(number, partitions)| (topic(*number), *partitions)).collect()
}

#[test]
fn range_cuts_each_topic_so_that_equal_numbers_meet() {
    let topics = sizes(&[(1, 3), (2, 3)]);
    let group = [someone("a", &[1, 2], &[]), someone("b", &[1, 2], &[])];
    let expected = vec![places(&[(1, &[0, 1]), (2, &[0, 1])]), places(&[(1, &[2]), (2, &[2])])];
    assert_eq!(assign(Assignor::Range, &group, &topics), expected);

    // Not everybody wants everything.
    let group = [someone("a", &[1], &[]), someone("b", &[1, 2], &[]), someone("c", &[2], &[])];
    let expected = vec![places(&[(1, &[0, 1])]), places(&[(1, &[2]), (2, &[0, 1])]), places(&[(2, &[2])])];
    assert_eq!(assign(Assignor::Range, &group, &topics), expected);

    // More members than partitions.
    let group = ["a", "b", "c", "d"].map(|id| someone(id, &[1], &[]));
    let counts: Vec<_> = assign(Assignor::Range, &group, &topics).iter().map(BTreeSet::len).collect();
    assert_eq!(counts, [1, 1, 1, 0]);
}

#[test]
fn range_gives_static_members_the_same_ranges_under_new_ids() {
    let topics = sizes(&[(1, 3)]);
    let named = |id: &str, instance: &str| Someone { instance: Some(instance.to_owned()), ..someone(id, &[1], &[]) };
    let before = assign(Assignor::Range, &[someone("0", &[1], &[]), named("x", "i"), named("y", "j")], &topics);
    let after = assign(Assignor::Range, &[someone("0", &[1], &[]), named("z", "i"), named("w", "j")], &topics);
    assert_eq!(before, after);
    assert_eq!(before[1], places(&[(1, &[0])]), "static members come first");
}

#[test]
fn uniform_is_balanced_over_all_topics_and_keeps_what_it_can() {
    let topics = sizes(&[(1, 3), (2, 2)]);
    // Who had more keeps more.
    let group = [someone("a", &[1, 2], &[(1, &[0])]), someone("b", &[1, 2], &[(1, &[1, 2]), (2, &[0, 1])])];
    let expected = vec![places(&[(1, &[0]), (2, &[1])]), places(&[(1, &[1, 2]), (2, &[0])])];
    assert_eq!(assign(Assignor::Uniform, &group, &topics), expected);

    // A third member takes one from whoever has most, and nothing else moves.
    let group = [
        someone("a", &[1, 2], &[(1, &[0]), (2, &[1])]),
        someone("b", &[1, 2], &[(1, &[1, 2]), (2, &[0])]),
        someone("c", &[1, 2], &[]),
    ];
    let assigned = assign(Assignor::Uniform, &group, &topics);
    assert_eq!(assigned.iter().map(BTreeSet::len).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!((assigned[0].clone(), assigned[2].len()), (group[0].had.clone(), 1));

    // Topics and partitions that are gone, and subscriptions that ended.
    let group = [someone("a", &[1], &[(1, &[0, 7]), (3, &[0])]), someone("b", &[1], &[(2, &[0]), (1, &[1])])];
    let expected = vec![places(&[(1, &[0, 2])]), places(&[(1, &[1])])];
    assert_eq!(assign(Assignor::Uniform, &group, &topics), expected);
}

#[test]
fn uniform_balances_subscriptions_that_differ() {
    let topics = sizes(&[(1, 6), (2, 2)]);
    let group = [someone("a", &[1, 2], &[(1, &[0, 1, 2, 3, 4, 5])]), someone("b", &[1], &[]), someone("c", &[2], &[])];
    let assigned = assign(Assignor::Uniform, &group, &topics);
    let counts: Vec<_> = assigned.iter().map(BTreeSet::len).collect();
    assert_eq!(counts, [3, 3, 2]);
    assert!(assigned[0].is_subset(&group[0].had));
}

#[test]
fn nobody_and_nothing() {
    for assignor in Assignor::ALL {
        assert_eq!(assign(assignor, &[], &sizes(&[(1, 3)])), Vec::<Partitions>::new());
        assert_eq!(assign(assignor, &[someone("a", &[], &[])], &BTreeMap::new()), vec![Partitions::new()]);
        assert_eq!(Assignor::named(assignor.name()), Some(assignor));
    }
    assert_eq!(Assignor::named("sticky"), None);
}

const TOPICS: u8 = 4;

fn group(same: bool) -> impl Strategy<Value = (Vec<Someone>, BTreeMap<Uuid, i32>)> {
    let sizes = proptest::collection::vec(0..8, usize::from(TOPICS));
    let wants = proptest::collection::vec(proptest::bits::u8::between(0, usize::from(TOPICS)), 1..7);
    // Who had each partition: nobody, somebody, or somebody who has gone.
    let owners = proptest::collection::vec(0..9_usize, 64);
    (sizes, wants, owners).prop_map(move |(sizes, wants, owners)| {
        let topics: BTreeMap<Uuid, i32> = (1..=TOPICS).zip(sizes).map(|(number, size)| (topic(number), size)).collect();
        let mut group: Vec<_> = Vec::new();
        for (at, mask) in wants.iter().enumerate() {
            let mask = if same { wants[0] } else { *mask };
            let wanted: Vec<u8> = (0..TOPICS).filter(|bit| mask & (1 << bit) != 0).map(|bit| bit + 1).collect();
            let mut one = someone(&format!("m{at}"), &wanted, &[]);
            one.instance = (at % 3 == 2).then(|| format!("i{at}"));
            group.push(one);
        }
        let mut owners = owners.into_iter();
        for (id, size) in &topics {
            // One more than there are: partitions of a topic that was made again with fewer.
            for (partition, owner) in (0..=*size).zip(owners.by_ref()) {
                if let Some(one) = group.get_mut(owner) {
                    one.had.insert(TopicPartition { topic: *id, partition });
                }
            }
        }
        (group, topics)
    })
}

/// Every partition that somebody wants has one owner, who wants it; nobody has anything else.
fn check_owners(group: &[Someone], topics: &BTreeMap<Uuid, i32>, assigned: &[Partitions]) {
    let mut owned = Partitions::new();
    for (one, partitions) in group.iter().zip(assigned) {
        for place in partitions {
            assert!(one.topics.contains(&place.topic), "{} has {place:?}", one.id);
            assert!(owned.insert(*place), "{place:?} twice");
        }
    }
    let wanted: BTreeSet<Uuid> = group.iter().flat_map(|one| one.topics.iter().copied()).collect();
    let all: Partitions = wanted
        .iter()
        .flat_map(|topic| (0..topics[topic]).map(|partition| TopicPartition { topic: *topic, partition }))
        .collect();
    assert_eq!(owned, all);
}

fn had_and_may_keep(one: &Someone, topics: &BTreeMap<Uuid, i32>) -> Partitions {
    let stays = |place: &&TopicPartition| one.topics.contains(&place.topic) && place.partition < topics[&place.topic];
    one.had.iter().filter(stays).copied().collect()
}

fn kept(group: &[Someone], assigned: &[Partitions]) -> usize {
    group.iter().zip(assigned).map(|(one, now)| one.had.intersection(now).count()).sum()
}

fn with(group: &[Someone], assigned: &[Partitions]) -> Vec<Someone> {
    group.iter().zip(assigned).map(|(one, had)| Someone { had: had.clone(), ..one.clone() }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 400 } else { 4_000 }))]

    #[test]
    fn everything_has_one_owner((group, topics) in prop_oneof![group(true), group(false)]) {
        for assignor in Assignor::ALL {
            let assigned = assign(assignor, &group, &topics);
            check_owners(&group, &topics, &assigned);
            // Nothing moves when nothing has changed.
            prop_assert_eq!(assign(assignor, &with(&group, &assigned), &topics), assigned);
        }
    }

    /// Balanced to one, and no assignment that is moves less: everybody keeps all that its quota allows.
    #[test]
    fn uniform_moves_as_little_as_balance_allows((group, topics) in group(true)) {
        let assigned = assign(Assignor::Uniform, &group, &topics);
        let counts: Vec<usize> = assigned.iter().map(BTreeSet::len).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        prop_assert!(most - least <= 1, "{:?}", counts);
        let total: usize = counts.iter().sum();
        let (quota, mut larger) = (total / group.len(), total % group.len());
        let mut had: Vec<usize> = group.iter().map(|one| had_and_may_keep(one, &topics).len()).collect();
        had.sort_by_key(|count| std::cmp::Reverse(*count));
        let mut possible = 0;
        for count in had {
            possible += count.min(quota + usize::from(larger > 0));
            larger = larger.saturating_sub(1);
        }
        prop_assert_eq!(kept(&group, &assigned), possible);
    }

    /// Among the subscribers of a topic, whoever has something of it has at most one more than whoever has least.
    #[test]
    fn uniform_is_balanced_within_each_topic((group, topics) in group(false)) {
        let assigned = assign(Assignor::Uniform, &group, &topics);
        for topic in topics.keys() {
            let subscribers: Vec<usize> = (0..group.len()).filter(|&at| group[at].topics.contains(topic)).collect();
            let Some(least) = subscribers.iter().map(|&at| assigned[at].len()).min() else { continue };
            for at in subscribers {
                if assigned[at].iter().any(|place| place.topic == *topic) {
                    prop_assert!(assigned[at].len() <= least + 1, "{:?}", assigned);
                }
            }
        }
    }

    /// A member that leaves a balanced group costs the others nothing; one that enters takes its share and no more.
    #[test]
    fn uniform_is_sticky_when_members_come_and_go((group, topics) in group(true), at in 0..7_usize) {
        prop_assume!(group.len() > 1);
        let group = with(&group, &assign(Assignor::Uniform, &group, &topics));
        let mut left = group.clone();
        left.remove(at % group.len());
        let after = assign(Assignor::Uniform, &left, &topics);
        let owned: usize = left.iter().map(|one| one.had.len()).sum();
        prop_assert_eq!(kept(&left, &after), owned);
        let mut more = group.clone();
        more.push(Someone { id: "z".to_owned(), had: Partitions::new(), ..group[0].clone() });
        let after = assign(Assignor::Uniform, &more, &topics);
        let owned: usize = group.iter().map(|one| one.had.len()).sum();
        prop_assert_eq!(kept(&more, &after), owned - after.last().unwrap().len());
    }
}
