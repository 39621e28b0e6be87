//! Why calls are refused, and what is heard in spite of a lost answer.
use super::*;

#[test]
fn calls_that_make_no_sense_are_refused() {
    let cases: &[(&str, Beat)] = &[
        ("MemberId can't be empty.", enter("", &["t1"])),
        ("MemberId can't be empty.", Beat { has_own_id: false, ..alive("", 1) }),
        ("MemberId can't be empty.", Beat { has_own_id: false, ..alive("", LEAVE) }),
        ("InstanceId can't be empty.", of_instance(enter("a", &["t1"]), "")),
        ("RackId can't be empty.", Beat { rack_id: Some(String::new()), ..enter("a", &["t1"]) }),
        ("RebalanceTimeoutMs is invalid.", Beat { rebalance_timeout_ms: -2, ..enter("a", &["t1"]) }),
        ("MemberEpoch is invalid.", alive("a", -3)),
        (
            "RebalanceTimeoutMs must be provided in first request.",
            Beat { rebalance_timeout_ms: -1, ..enter("a", &["t1"]) },
        ),
        ("TopicPartitions must be empty when (re-)joining.", Beat { owned: None, ..enter("a", &["t1"]) }),
        (
            "TopicPartitions must be empty when (re-)joining.",
            Beat { owned: Some(places(&[("t1", &[0])])), ..enter("a", &["t1"]) },
        ),
        (
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
            Beat { names: None, ..enter("a", &[]) },
        ),
        ("InstanceId can't be null.", alive("a", AWAY)),
    ];
    let mut group = Setup::new(&[("t1", 1)]);
    for (why, beat) in cases {
        assert_eq!(group.beat(beat), Err(GroupError::InvalidCall(why)), "{beat:?}");
    }
    let sticky = Beat { assignor: Some("sticky".to_owned()), ..enter("a", &["t1"]) };
    assert_eq!(group.beat(&sticky), Err(GroupError::UnsupportedAssignor("sticky".to_owned())));
    assert!(!group.machine.take_changed());
}

#[test]
fn whoever_is_not_who_it_says_is_refused() {
    let mut group = Setup::new(&[("t1", 1)]);
    group.told(&of_instance(enter("a", &["t1"]), "i"));
    group.told(&enter("b", &["t1"]));
    let cases: &[(GroupError, Beat)] = &[
        (GroupError::UnknownMember, alive("x", 1)),
        (GroupError::UnknownMember, alive("x", LEAVE)),
        (GroupError::UnknownMember, of_instance(alive("a", 1), "j")),
        (GroupError::UnknownMember, of_instance(alive("a", LEAVE), "j")),
        (GroupError::UnknownMember, of_instance(alive("a", AWAY), "j")),
        (GroupError::FencedInstance, of_instance(alive("b", 2), "i")),
        (GroupError::FencedInstance, of_instance(alive("b", LEAVE), "i")),
        (GroupError::FencedInstance, of_instance(alive("b", AWAY), "i")),
        (GroupError::UnreleasedInstance, of_instance(enter("c", &["t1"]), "i")),
        (GroupError::FencedMemberEpoch, alive("b", 1)),
        (GroupError::FencedMemberEpoch, alive("b", 3)),
        (GroupError::FencedMemberEpoch, of_instance(alive("a", 2), "i")),
    ];
    group.machine.take_changed();
    for (error, beat) in cases {
        assert_eq!(group.beat(beat).as_ref(), Err(error), "{beat:?}");
    }
    assert!(!group.machine.take_changed());
}

#[test]
fn an_answer_that_was_lost_is_asked_for_once_more() {
    let mut group = Setup::new(&[("t1", 2)]);
    let all = places(&[("t1", &[0, 1])]);
    assert_eq!(group.told(&enter("a", &["t1"])), (1, Some(all.clone())));
    assert_eq!(group.told(&enter("a", &["t1"])), (1, Some(all.clone())), "it enters again");
    group.topics.put("t1", 3);
    let more = places(&[("t1", &[0, 1, 2])]);
    assert_eq!(group.told(&owns("a", 1, &all)), (2, Some(more.clone())));
    assert_eq!(group.beat(&alive("a", 1)), Err(GroupError::FencedMemberEpoch), "it does not say what it owns");
    let other = places(&[("t1", &[7])]);
    assert_eq!(group.beat(&owns("a", 1, &other)), Err(GroupError::FencedMemberEpoch), "it owns what it must not");
    assert_eq!(group.told(&owns("a", 1, &all)), (2, None));
    let full = Beat { names: Some(vec!["t1".to_owned()]), rebalance_timeout_ms: 1, ..owns("a", 1, &all) };
    assert_eq!(group.told(&full), (2, Some(more)), "who says everything is told everything");
}

#[test]
fn groups_have_as_many_members_and_bytes_as_they_may() {
    let mut group = Setup::new(&[("t1", 1)]);
    for member in ["a", "b", "c"] {
        group.told(&enter(member, &["t1"]));
    }
    group.told(&of_instance(enter("d", &["t1"]), "i"));
    assert_eq!(group.beat(&enter("e", &["t1"])), Err(GroupError::GroupFull));
    group.told(&of_instance(alive("d", AWAY), "i"));
    assert!(group.beat(&of_instance(enter("e", &["t1"]), "i")).is_ok(), "its place is its own");
    group.rules.max_bytes = 1;
    assert!(group.beat(&alive("e", 4)).is_ok());
    let names = Beat { names: Some(vec!["t2".to_owned()]), ..alive("e", 4) };
    assert!(matches!(group.beat(&names), Err(GroupError::GroupTooLarge { most: 1, .. })));
}

#[test]
fn a_member_of_version_0_is_given_an_id() {
    let mut group = Setup::new(&[("t1", 1)]);
    let beat = Beat { has_own_id: false, new_member_id: "fresh".to_owned(), ..enter("", &["t1"]) };
    assert_eq!(group.beat(&beat).unwrap().member_id, "fresh");
    assert!(group.machine.member("fresh").is_some());
}

#[test]
fn what_changes_nothing_is_not_written() {
    let mut group = Setup::new(&[("t1", 1)]);
    group.told(&enter("a", &["t1"]));
    assert!(group.machine.take_changed());
    let same = Beat { names: Some(vec!["t1".to_owned()]), rebalance_timeout_ms: 60_000, ..alive("a", 1) };
    for beat in [alive("a", 1), owns("a", 1, &places(&[("t1", &[0])])), same] {
        group.told(&beat);
        group.topics.put("t9", 1);
        assert!(!group.machine.take_changed(), "{beat:?}");
    }
    group.told(&Beat { rack_id: Some("r".to_owned()), ..alive("a", 1) });
    assert!(group.machine.take_changed());
}
