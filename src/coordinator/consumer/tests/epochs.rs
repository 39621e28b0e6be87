//! Members, epochs and partitions, step by step.
use super::*;

#[test]
fn a_partition_is_given_up_before_another_member_gets_it() {
    let mut group = Setup::new(&[("t1", 2)]);
    let all = places(&[("t1", &[0, 1])]);
    assert_eq!(group.told(&enter("a", &["t1"])), (1, Some(all.clone())));
    assert_eq!(group.told(&owns("a", 1, &all)), (1, None));
    // The second one enters: it is at the new epoch, and waits.
    assert_eq!(group.told(&enter("b", &["t1"])), (2, Some(Partitions::new())));
    assert_eq!(group.state("b"), MemberState::Unreleased);
    // The first one is told to give one up, and stays at its epoch until it has.
    let half = places(&[("t1", &[0])]);
    assert_eq!(group.told(&alive("a", 1)), (1, Some(half.clone())));
    assert_eq!(group.state("a"), MemberState::Unrevoked);
    assert_eq!(group.told(&alive("b", 2)), (2, None));
    assert_eq!(group.told(&owns("a", 1, &all)), (1, None), "it still owns both");
    assert_eq!(group.told(&alive("b", 2)), (2, None));
    assert_eq!(group.told(&owns("a", 1, &half)), (2, None));
    assert_eq!(group.state("a"), MemberState::Stable);
    assert_eq!(group.told(&alive("b", 2)), (2, Some(places(&[("t1", &[1])]))));
    assert_eq!(group.state("b"), MemberState::Stable);
}

#[test]
fn whoever_leaves_or_is_silent_gives_everything_up() {
    let mut group = Setup::new(&[("t1", 2)]);
    let all = places(&[("t1", &[0, 1])]);
    group.told(&enter("a", &["t1"]));
    group.told(&enter("b", &["t1"]));
    assert_eq!(group.told(&alive("a", LEAVE)), (LEAVE, None));
    assert_eq!(group.told(&alive("b", 2)), (3, Some(all.clone())));
    assert_eq!(group.beat(&alive("a", LEAVE)), Err(GroupError::UnknownMember));

    group.told(&enter("a", &["t1"]));
    group.pass(44_999);
    group.told(&alive("b", 3));
    assert!(group.machine.member("a").is_some());
    group.pass(1);
    assert!(group.machine.member("a").is_none());
    let half = places(&[("t1", &[0])]);
    assert_eq!(group.told(&owns("b", 3, &half)), (5, Some(all)));
    assert_eq!(group.beat(&alive("a", 4)), Err(GroupError::UnknownMember));
}

#[test]
fn whoever_enters_again_is_taken_back_whatever_its_epoch_was() {
    let mut group = Setup::new(&[("t1", 2), ("t2", 1)]);
    let all = places(&[("t1", &[0, 1])]);
    group.told(&enter("a", &["t1"]));
    for epoch in 2..5 {
        // Its last answer was lost, or it was told that it is fenced: it has nothing, and wants something else.
        let (topic, owned) = if epoch % 2 == 0 { ("t2", places(&[("t2", &[0])])) } else { ("t1", all.clone()) };
        assert_eq!(group.told(&enter("a", &[topic])), (epoch, Some(owned)));
    }
}

#[test]
fn an_answer_that_was_lost_is_given_again_also_when_it_ended_a_revocation() {
    let mut group = Setup::new(&[("t1", 2)]);
    let (all, half) = (places(&[("t1", &[0, 1])]), places(&[("t1", &[0])]));
    group.told(&enter("a", &["t1"]));
    group.told(&enter("b", &["t1"]));
    assert_eq!(group.told(&owns("a", 1, &all)), (1, Some(half.clone())));
    for _ in 0..2 {
        assert_eq!(group.told(&owns("a", 1, &half)).0, 2, "its client has not heard of the new epoch");
    }
    assert_eq!(group.beat(&owns("a", 1, &all)), Err(GroupError::FencedMemberEpoch), "it owns more than it may");
}

#[test]
fn what_a_member_does_not_want_any_more_is_added_to_what_it_gives_up() {
    let mut group = Setup::new(&[("t1", 2), ("t2", 1), ("t3", 1)]);
    let all = places(&[("t1", &[0, 1]), ("t2", &[0]), ("t3", &[0])]);
    let wants = |names: &[&str], owned: &Partitions| Beat { epoch: 1, owned: Some(owned.clone()), ..enter("a", names) };
    assert_eq!(group.told(&enter("a", &["t1", "t2", "t3"])), (1, Some(all.clone())));
    // It gives up all of t1 first, and then t2 too; it stays at its epoch until it has done both.
    let (some, one) = (places(&[("t2", &[0]), ("t3", &[0])]), places(&[("t3", &[0])]));
    assert_eq!(group.told(&wants(&["t2", "t3"], &all)), (1, Some(some.clone())));
    assert_eq!(group.told(&wants(&["t3"], &all)), (1, Some(one.clone())));
    assert_eq!(group.machine.member("a").unwrap().revoking, &all - &one);
    assert_eq!(group.told(&enter("b", &["t1"])), (4, Some(Partitions::new())), "nothing is given up yet");
    assert_eq!(group.told(&owns("a", 1, &some)), (1, None), "t2 is left");
    // What it wants again meanwhile it gets back when the rest is done.
    assert_eq!(group.told(&wants(&["t2", "t3"], &some)), (1, Some(one.clone())));
    assert_eq!(group.told(&owns("a", 1, &one)), (5, Some(some)));
    assert_eq!(group.told(&alive("b", 4)), (5, Some(places(&[("t1", &[0, 1])]))));
}

#[test]
fn a_member_stays_at_its_epoch_until_it_has_given_up_all_that_it_shall_not_own() {
    let mut group = Setup::new(&[("t1", 3)]);
    let of = |numbers: &[i32]| places(&[("t1", numbers)]);
    group.told(&enter("a", &["t1"]));
    group.told(&enter("b", &["t1"]));
    assert_eq!(group.told(&owns("a", 1, &of(&[0, 1, 2]))), (1, Some(of(&[0, 1]))));
    // Another one comes meanwhile: there is more to give up when the first part is done.
    group.told(&enter("c", &["t1"]));
    assert_eq!(group.told(&owns("a", 1, &of(&[0, 1]))), (1, Some(of(&[0]))));
    assert_eq!(group.told(&owns("a", 1, &of(&[0]))), (3, None));
}

#[test]
fn whoever_does_not_give_up_in_time_is_gone() {
    let mut group = Setup::new(&[("t1", 2)]);
    group.told(&enter("a", &["t1"]));
    group.told(&enter("b", &["t1"]));
    group.told(&alive("a", 1));
    group.pass(30_000);
    group.told(&alive("a", 1));
    group.told(&alive("b", 2));
    group.pass(30_000);
    assert!(group.machine.member("a").is_none(), "a minute is over");
    assert_eq!(group.told(&alive("b", 2)), (3, Some(places(&[("t1", &[0, 1])]))));
}

#[test]
fn topics_that_come_grow_and_go_are_noticed() {
    let mut group = Setup::new(&[("t1", 1)]);
    assert_eq!(group.told(&enter("a", &["t1", "t2"])), (1, Some(places(&[("t1", &[0])]))));
    assert_eq!(group.told(&alive("a", 1)), (1, None));
    group.topics.put("t3", 1);
    assert_eq!(group.told(&alive("a", 1)), (1, None), "nobody wants it");
    group.topics.put("t2", 1);
    assert_eq!(group.told(&alive("a", 1)), (2, Some(places(&[("t1", &[0]), ("t2", &[0])]))));
    group.topics.put("t1", 2);
    let all = places(&[("t1", &[0, 1]), ("t2", &[0])]);
    assert_eq!(group.told(&alive("a", 2)), (3, Some(all)));
    group.topics.remove("t2");
    let left = places(&[("t1", &[0, 1])]);
    assert_eq!(group.told(&alive("a", 3)), (3, Some(left.clone())));
    assert_eq!(group.told(&owns("a", 3, &left)), (4, None));
}

#[test]
fn patterns_are_matched_again_when_topics_come() {
    let mut group = Setup::new(&[("t1", 1), ("u2", 1)]);
    let pattern = |pattern: &str| Beat { names: None, pattern: Some(pattern.to_owned()), ..enter("a", &[]) };
    assert_eq!(group.told(&pattern("t.*")), (1, Some(places(&[("t1", &[0])]))));
    group.topics.put("t3", 1);
    assert_eq!(group.told(&alive("a", 1)), (2, Some(places(&[("t1", &[0]), ("t3", &[0])]))));
    // Names and patterns add up, and an empty pattern is none.
    let names = Beat { names: Some(vec!["u2".to_owned()]), ..alive("a", 2) };
    let all = places(&[("t1", &[0]), ("u2", &[0]), ("t3", &[0])]);
    assert_eq!(group.told(&names), (3, Some(all)));
    let none = Beat { pattern: Some(String::new()), ..alive("a", 3) };
    let left = places(&[("u2", &[0])]);
    assert_eq!(group.told(&none), (3, Some(left.clone())));
    assert_eq!(group.told(&owns("a", 3, &left)), (4, None));
    let bad = Beat { pattern: Some("(".to_owned()), ..alive("a", 4) };
    assert!(matches!(group.beat(&bad), Err(GroupError::InvalidRegularExpression(_))));
    assert_eq!(group.machine.member("a").unwrap().pattern, None, "nothing has changed");
}

#[test]
fn a_static_member_that_leaves_for_a_while_finds_its_partitions_again() {
    let mut group = Setup::new(&[("t1", 2)]);
    let one = |n: i32| places(&[("t1", &[n])]);
    group.told(&of_instance(enter("a", &["t1"]), "i"));
    group.told(&enter("b", &["t1"]));
    group.told(&of_instance(alive("a", 1), "i"));
    assert_eq!(group.told(&of_instance(owns("a", 1, &one(0)), "i")), (2, None));
    assert_eq!(group.told(&alive("b", 2)), (2, Some(one(1))));
    // Until it has said that it goes, nobody takes its place.
    let back = of_instance(enter("a2", &["t1"]), "i");
    assert_eq!(group.beat(&back), Err(GroupError::UnreleasedInstance));
    assert_eq!(group.told(&of_instance(alive("a", AWAY), "i")), (AWAY, None));
    assert_eq!(group.told(&alive("b", 2)), (2, None));
    assert_eq!(group.told(&back), (2, Some(one(0))));
    assert_eq!(group.beat(&of_instance(alive("a", 2), "i")), Err(GroupError::FencedInstance));
    assert_eq!(group.beat(&of_instance(alive("a", LEAVE), "i")), Err(GroupError::FencedInstance));
    assert_eq!(group.told(&alive("b", 2)), (2, None), "nobody else noticed");
    // Its session goes on meanwhile.
    group.told(&of_instance(alive("a2", AWAY), "i"));
    group.pass(40_000);
    group.told(&alive("b", 2));
    group.pass(5_000);
    assert_eq!(group.told(&alive("b", 2)), (3, Some(places(&[("t1", &[0, 1])]))));
}

#[test]
fn whoever_enters_wants_only_what_it_says() {
    let mut group = Setup::new(&[("t1", 1), ("t2", 1)]);
    let pattern = Beat { names: None, pattern: Some("t.*".to_owned()), ..enter("a", &[]) };
    group.told(&of_instance(pattern, "i"));
    group.told(&of_instance(alive("a", AWAY), "i"));
    assert_eq!(group.told(&of_instance(enter("b", &["t1"]), "i")), (2, Some(places(&[("t1", &[0])]))));
}

#[test]
fn members_go_on_after_a_restart() {
    let mut group = Setup::new(&[("t1", 2), ("t2", 1)]);
    let all = places(&[("t1", &[0, 1])]);
    group.told(&of_instance(enter("a", &["t1"]), "i"));
    group.told(&Beat { names: None, pattern: Some("t1".to_owned()), ..enter("b", &[]) });
    group.told(&of_instance(alive("a", 1), "i"));
    group.restart();
    assert_eq!(group.state("a"), MemberState::Unrevoked);
    assert_eq!(group.told(&of_instance(owns("a", 1, &all), "i")), (1, None), "no epoch for a restart");
    assert_eq!(group.told(&of_instance(owns("a", 1, &places(&[("t1", &[0])])), "i")), (2, None));
    assert_eq!(group.told(&alive("b", 2)), (2, Some(places(&[("t1", &[1])]))));
    // A whole session to be heard of again, and a whole time-out to give up.
    group.restart();
    group.pass(44_999);
    assert_eq!(group.machine.item().members.len(), 2);
    group.pass(1);
    assert_eq!(group.machine.item().members.len(), 0);
}

#[test]
fn after_a_loss_there_are_no_members_and_another_epoch() {
    let mut group = Setup::new(&[("t1", 2)]);
    group.told(&enter("a", &["t1"]));
    let item = Machine::without_members(group.machine.item());
    assert_eq!(item, ConsumerItem { epoch: 2, target_epoch: 2, ..ConsumerItem::default() });
    group.machine = Machine::restore("g", item, &group.rules, 0);
    assert_eq!(group.beat(&alive("a", 1)), Err(GroupError::UnknownMember));
    assert_eq!(group.told(&enter("a", &["t1"])), (3, Some(places(&[("t1", &[0, 1])]))));
}

#[test]
fn most_members_choose_the_assignor() {
    let mut group = Setup::new(&[("t1", 3), ("t2", 3)]);
    let with = |beat: Beat, assignor: &str| Beat { assignor: Some(assignor.to_owned()), ..beat };
    assert_eq!(group.machine.assignor(&group.rules), Assignor::Uniform);
    group.told(&with(enter("a", &["t1", "t2"]), "range"));
    group.told(&with(enter("b", &["t1", "t2"]), "range"));
    group.told(&with(enter("c", &["t1", "t2"]), "uniform"));
    assert_eq!(group.machine.assignor(&group.rules), Assignor::Range);
    group.told(&with(alive("c", LEAVE), "uniform"));
    group.told(&alive("a", 1));
    let target = |member: &str| group.machine.member(member).unwrap().target.clone();
    assert_eq!(target("a"), places(&[("t1", &[0, 1]), ("t2", &[0, 1])]));
    assert_eq!(target("b"), places(&[("t1", &[2]), ("t2", &[2])]));
}
