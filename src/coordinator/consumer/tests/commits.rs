//! Who may commit, and for which partitions.
use super::*;
use crate::coordinator::calls::MemberRef;
use crate::coordinator::consumer::Group;

/// Whether a member may commit an offset of a partition of `t1` under an epoch.
fn may(setup: &Setup, member: &str, generation: i32, partition: i32) -> Result<(), GroupError> {
    let member = MemberRef { id: member.to_owned(), instance_id: None, generation };
    let place = TopicPartition { topic: id("t1"), partition };
    let group = setup.group();
    group.check_commit(&member, false).and_then(|()| group.check_place(&member, place, false))
}

impl Setup {
    fn group(&self) -> Group {
        Group::restore("g", self.machine.item().clone(), &self.rules, self.now_ms)
    }
}

const STALE: Result<(), GroupError> = Err(GroupError::StaleMemberEpoch);

#[test]
fn a_late_commit_counts_for_what_its_member_has_had_since_then() {
    let mut group = Setup::new(&[("t1", 2)]);
    let (all, half) = (places(&[("t1", &[0, 1])]), places(&[("t1", &[0])]));
    group.told(&enter("a", &["t1"]));
    group.told(&enter("b", &["t1"]));
    group.told(&owns("a", 1, &all));
    group.restart();
    assert_eq!([may(&group, "a", 1, 0), may(&group, "a", 1, 1)], [Ok(()), Ok(())], "not given up yet");
    group.told(&owns("a", 1, &half));
    group.told(&alive("b", 2));
    // Both are at epoch 2, and each has one.
    for (member, epoch, partition, expected) in [
        ("a", 0, 0, STALE),
        ("a", 1, 0, Ok(())),
        ("a", 1, 1, STALE),
        ("a", 2, 1, Ok(())),
        ("a", 3, 0, STALE),
        ("b", 1, 1, STALE),
        ("b", 2, 1, Ok(())),
    ] {
        assert_eq!(may(&group, member, epoch, partition), expected, "{member} of {epoch} for {partition}");
    }
    // What it gets back it has had since then only.
    group.told(&alive("b", LEAVE));
    assert_eq!(group.told(&owns("a", 2, &half)), (3, Some(all)));
    let late = [may(&group, "a", 1, 0), may(&group, "a", 2, 1), may(&group, "a", 3, 1)];
    assert_eq!(late, [Ok(()), STALE, Ok(())]);
    assert_eq!(may(&group, "b", 2, 1), Err(GroupError::UnknownMember));
}

/// A group of which `a`, known as `i`, is away at epoch 2 with the one partition, and `b` has the other.
fn with_one_away() -> (Setup, Partitions) {
    let mut group = Setup::new(&[("t1", 2)]);
    let half = places(&[("t1", &[0])]);
    group.told(&of_instance(enter("a", &["t1"]), "i"));
    group.told(&enter("b", &["t1"]));
    group.told(&of_instance(alive("a", 1), "i"));
    group.told(&of_instance(owns("a", 1, &half), "i"));
    group.told(&of_instance(alive("a", AWAY), "i"));
    (group, half)
}

#[test]
fn a_static_member_that_comes_back_has_had_its_partitions_all_the_time() {
    let (mut group, half) = with_one_away();
    assert_eq!([may(&group, "a", 1, 0), may(&group, "a", 2, 0)], [STALE, STALE], "it is away");
    group.restart();
    assert_eq!(group.told(&of_instance(enter("a", &["t1"]), "i")), (2, Some(half)));
    assert_eq!([may(&group, "a", 0, 0), may(&group, "a", 1, 0), may(&group, "a", 1, 1)], [Ok(()), Ok(()), STALE]);
}

#[test]
fn a_member_that_takes_a_name_over_has_had_its_partitions_since_then_only() {
    let (mut group, half) = with_one_away();
    assert_eq!(group.told(&of_instance(enter("c", &["t1"]), "i")), (2, Some(half.clone())));
    assert_eq!([may(&group, "c", 1, 0), may(&group, "c", 2, 0)], [STALE, Ok(())]);
    assert_eq!(may(&group, "a", 2, 0), Err(GroupError::UnknownMember));
    group.told(&alive("b", LEAVE));
    group.told(&of_instance(owns("c", 2, &half), "i"));
    assert_eq!([may(&group, "c", 1, 0), may(&group, "c", 2, 0), may(&group, "c", 2, 1)], [STALE, Ok(()), STALE]);
}

#[test]
fn a_transaction_of_a_client_that_does_not_say_who_it_is_may_commit() {
    let mut group = Setup::new(&[("t1", 1)]);
    group.told(&enter("a", &["t1"]));
    let (group, nobody) = (group.group(), MemberRef::default());
    assert_eq!(group.check_commit(&nobody, true), Ok(()));
    assert_eq!(group.check_commit(&nobody, false), Err(GroupError::UnknownMember));
    let ahead = MemberRef { id: "a".to_owned(), generation: 7, ..nobody };
    assert_eq!(group.check_commit(&ahead, true), Err(GroupError::IllegalGeneration));
    assert_eq!(group.check_commit(&ahead, false), STALE);
}

#[test]
fn what_a_member_has_not_given_up_yet_is_described_as_its_own() {
    let mut group = Setup::new(&[("t1", 2)]);
    group.told(&enter("a", &["t1"]));
    group.told(&enter("b", &["t1"]));
    group.told(&alive("a", 1));
    let described = group.group().described(&group.rules);
    let all = places(&[("t1", &[0, 1])]);
    assert_eq!((&described.members[0].assigned, &described.members[1].assigned), (&all, &Partitions::new()));
}
