use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::coordinator::items::Item;

const PLACE: TopicPartition = TopicPartition { topic: Uuid([1; 16]), partition: 0 };
const OTHER: TopicPartition = TopicPartition { topic: Uuid([2; 16]), partition: 7 };

fn at(offset: i64) -> Committed {
    Committed { offset, leader_epoch: -1, metadata: String::new(), commit_ms: 1_000, expire_ms: None }
}

fn done(offsets: &mut Offsets, plan: Plan) -> Changes {
    let changes = plan.changes.clone();
    offsets.begin(&plan);
    offsets.finish(plan);
    changes
}

fn visible(offsets: &Offsets, place: TopicPartition) -> Option<i64> {
    offsets.get(place, false).unwrap().map(|committed| committed.offset)
}

fn keys(changes: &Changes) -> Vec<(&str, bool)> {
    changes.iter().map(|(key, value)| (key.as_str(), value.is_some())).collect()
}

#[test]
fn a_commit_is_seen_when_it_is_finished() {
    let mut offsets = Offsets::default();
    let plan = offsets.commit("g", vec![(PLACE, at(5))]);
    assert_eq!(keys(&plan.changes), [("offset/AQEBAQEBAQEBAQEBAQEBAQ/0/g", true)]);
    offsets.begin(&plan);
    assert_eq!((visible(&offsets, PLACE), offsets.is_empty()), (None, false));
    offsets.finish(plan);
    assert_eq!(visible(&offsets, PLACE), Some(5));
    assert_eq!(offsets.places().collect::<Vec<_>>(), [PLACE]);
}

#[test]
fn a_removal_takes_what_is_still_being_written_with_it() {
    let mut offsets = Offsets::default();
    let commit = offsets.commit("g", vec![(PLACE, at(5))]);
    offsets.begin(&commit);
    let removal = offsets.remove_topics("g", |_| true);
    assert_eq!(keys(&removal.changes), [("offset/AQEBAQEBAQEBAQEBAQEBAQ/0/g", false)]);
    offsets.begin(&removal);
    offsets.finish(commit);
    offsets.finish(removal);
    assert!(offsets.is_empty());
    assert!(offsets.remove("g", [OTHER]).is_empty());
}

#[test]
fn offsets_of_a_transaction_count_when_it_is_committed() {
    for commit in [true, false] {
        let mut offsets = Offsets::default();
        let plan = offsets.commit("g", vec![(PLACE, at(5))]);
        done(&mut offsets, plan);
        let plan = offsets.commit_pending("g", 9, vec![(PLACE, at(8)), (OTHER, at(3))]);
        done(&mut offsets, plan);
        assert_eq!(visible(&offsets, PLACE), Some(5));
        assert_eq!(offsets.get(PLACE, true), Err(GroupError::UnstableOffset));
        assert_eq!(offsets.get(OTHER, true), Err(GroupError::UnstableOffset));
        assert!(offsets.end("g", 10, true).is_empty());
        let plan = offsets.end("g", 9, commit);
        let changes = done(&mut offsets, plan);
        assert_eq!(changes.len(), if commit { 4 } else { 2 });
        assert_eq!(visible(&offsets, PLACE), Some(if commit { 8 } else { 5 }));
        assert_eq!(visible(&offsets, OTHER), commit.then_some(3));
        assert!(offsets.get(PLACE, true).is_ok() && !offsets.has_pending());
    }
}

#[test]
fn of_two_commits_the_later_one_counts_whatever_ends_first() {
    // A plain commit after a pending one.
    let mut offsets = Offsets::default();
    let plan = offsets.commit_pending("g", 9, vec![(PLACE, at(8))]);
    done(&mut offsets, plan);
    let plan = offsets.commit("g", vec![(PLACE, at(20))]);
    assert_eq!(plan.changes.len(), 2, "the pending one is gone for good, also after a restart");
    done(&mut offsets, plan);
    let plan = offsets.end("g", 9, true);
    done(&mut offsets, plan);
    assert_eq!(visible(&offsets, PLACE), Some(20));
    // Two transactions.
    for (first, second) in [(1, 2), (2, 1)] {
        let mut offsets = Offsets::default();
        for producer in [1, 2] {
            let plan = offsets.commit_pending("g", producer, vec![(PLACE, at(producer))]);
            done(&mut offsets, plan);
        }
        for producer in [first, second] {
            let plan = offsets.end("g", producer, true);
            done(&mut offsets, plan);
        }
        assert_eq!((visible(&offsets, PLACE), offsets.has_pending()), (Some(2), false), "{first} ends first");
    }
}

#[test]
fn an_offset_is_unstable_until_what_decides_it_is_durable() {
    let mut offsets = Offsets::default();
    let first = offsets.commit("g", vec![(PLACE, at(5))]);
    done(&mut offsets, first);
    let decided: [fn(&Offsets) -> Plan; 4] = [
        |offsets| offsets.end("g", 9, true),
        |offsets| offsets.end("g", 9, false),
        |offsets| offsets.commit("g", vec![(PLACE, at(9))]),
        |offsets| offsets.remove("g", [PLACE]),
    ];
    for (decide, then) in decided.into_iter().zip([Some(8), Some(8), Some(9), None]) {
        let pending = offsets.commit_pending("g", 9, vec![(PLACE, at(8))]);
        done(&mut offsets, pending);
        let plan = decide(&offsets);
        offsets.begin(&plan);
        assert_eq!(
            offsets.get(PLACE, true),
            Err(GroupError::UnstableOffset),
            "whoever read on would do so from before it"
        );
        offsets.finish(plan);
        assert_eq!(offsets.get(PLACE, true).unwrap().map(|committed| committed.offset), then);
    }
    assert!(offsets.is_empty());
}

#[test]
fn removal_and_recovery_know_pending_offsets() {
    let mut offsets = Offsets::default();
    offsets.restore(PLACE, at(1));
    offsets.restore_pending(9, PLACE, at(2));
    offsets.restore_pending(9, OTHER, at(3));
    assert_eq!(offsets.get(PLACE, true), Err(GroupError::UnstableOffset));
    let plan = offsets.remove_topics("g", |topic| topic == OTHER.topic);
    assert_eq!(keys(&done(&mut offsets, plan)), [("pending/9/AgICAgICAgICAgICAgICAg/7/g", false)]);
    let plan = offsets.end("g", 9, true);
    done(&mut offsets, plan);
    assert_eq!((visible(&offsets, PLACE), visible(&offsets, OTHER)), (Some(2), None));
}

#[test]
fn offsets_expire_by_their_commit_or_by_the_time_when_the_group_became_empty() {
    let mut offsets = Offsets::default();
    offsets.restore(PLACE, at(1));
    offsets.restore(OTHER, Committed { expire_ms: Some(5_000), ..at(1) });
    let expired = |since, now, subscribed: Option<Uuid>| {
        let plan = offsets.expire("g", since, (now, 100), |topic| Some(topic) == subscribed);
        plan.visible.iter().map(|(place, _)| *place).collect::<Vec<_>>()
    };
    assert_eq!(expired(UnusedSince::Commit, 1_099, None), []);
    assert_eq!(expired(UnusedSince::Commit, 1_100, None), [PLACE]);
    assert_eq!(expired(UnusedSince::Commit, 1_100, Some(PLACE.topic)), []);
    assert_eq!(expired(UnusedSince::At(2_000), 2_099, None), []);
    assert_eq!(expired(UnusedSince::At(2_000), 2_100, None), [PLACE]);
    assert_eq!(expired(UnusedSince::At(1_000_000), 5_000, None), [OTHER], "it has a time of its own");
    let plan = offsets.commit("g", vec![(PLACE, at(2))]);
    offsets.begin(&plan);
    let plan = offsets.expire("g", UnusedSince::Commit, (1_100, 100), |_| false);
    assert!(plan.is_empty(), "a commit is on its way");
    let mut pending = Offsets::default();
    pending.restore(PLACE, at(1));
    pending.restore_pending(9, PLACE, at(2));
    assert!(pending.expire("g", UnusedSince::Commit, (9_000, 100), |_| false).is_empty());
}

/// What a restart makes of these changes, in their order.
fn restarted(all: &[Changes]) -> Offsets {
    let mut items = BTreeMap::new();
    for (key, value) in all.iter().flatten() {
        match value {
            Some(value) => drop(items.insert(key.clone(), value.clone())),
            None => drop(items.remove(key)),
        }
    }
    let mut offsets = Offsets::default();
    for (key, value) in items {
        match Item::read(&key, &value).unwrap().unwrap() {
            Item::Offsets(_, topic, all) => {
                all.into_iter().for_each(|(partition, at)| offsets.restore(TopicPartition { topic, partition }, at));
            }
            Item::Pending(_, producer_id, place, at) => offsets.restore_pending(producer_id, place, at),
            other => panic!("{other:?}"),
        }
    }
    offsets
}

proptest! {
    /// Partitions that share an item do not take each other's offsets along, whatever is still on its way.
    #[test]
    fn what_the_items_say_is_what_readers_see_however_changes_overlap(
        steps in prop::collection::vec((0..6u8, 0..4usize, 0..3i64), 1..60),
    ) {
        let places = [(1, 0), (1, 63), (1, 64), (2, 0)];
        let places = places.map(|(topic, partition)| TopicPartition { topic: Uuid([topic; 16]), partition });
        let (mut offsets, mut journal, mut on_its_way) = (Offsets::default(), Vec::new(), VecDeque::new());
        for (number, (what, at, producer)) in (1..).zip(steps) {
            let place = places[at];
            let committed = Committed { commit_ms: number, ..self::at(number) };
            let plan = match what {
                0 | 1 => offsets.commit("g", vec![(place, committed)]),
                2 => offsets.commit_pending("g", producer, vec![(place, committed)]),
                3 => offsets.end("g", producer, number % 3 > 0),
                4 => offsets.remove("g", [place]),
                _ => {
                    if let Some(plan) = on_its_way.pop_front() {
                        offsets.finish(plan);
                    }
                    continue;
                }
            };
            journal.push(plan.changes.clone());
            offsets.begin(&plan);
            on_its_way.push_back(plan);
        }
        on_its_way.into_iter().for_each(|plan| offsets.finish(plan));
        let after = restarted(&journal);
        for place in places {
            prop_assert_eq!(visible(&after, place), visible(&offsets, place));
            prop_assert_eq!(after.get(place, true).is_ok(), offsets.get(place, true).is_ok());
        }
    }
}

#[test]
fn metadata_for_which_an_item_has_no_room_is_refused_before_a_transaction_would_have_to_write_it() {
    let place = |partition| TopicPartition { topic: PLACE.topic, partition };
    let long = |partition, length| (place(partition), Committed { metadata: "m".repeat(length), ..at(1) });
    let mut offsets = Offsets::default();
    for partition in 0..14 {
        let plan = offsets.commit("g", vec![long(partition, 4_000)]);
        done(&mut offsets, plan);
    }
    assert_eq!(offsets.without_room(&[long(3, 4_000)], false), [], "it takes the place of what is there");
    assert_eq!(offsets.without_room(&[long(15, 4_000), (place(16), at(1)), long(64, 4_000)], false), [place(15)]);
    let alone: Vec<_> = (14..64).map(|partition| (place(partition), at(i64::MAX))).collect();
    let plan = offsets.commit("g", alone);
    done(&mut offsets, plan);
    assert_eq!(offsets.without_room(&[long(15, 1_500)], true), []);
    let plan = offsets.commit_pending("g", 9, vec![long(15, 1_500)]);
    done(&mut offsets, plan);
    assert_eq!(
        offsets.without_room(&[long(16, 1_500)], true),
        [place(16)],
        "the other transaction may be committed, too"
    );
    let plan = offsets.end("g", 9, true);
    assert!(plan.changes.iter().filter_map(|(_, value)| value.as_ref()).all(|value| value.len() <= 64 << 10));
}
