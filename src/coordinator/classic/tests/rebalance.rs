//! From one generation to the next: who is in it, and for how long.
use super::*;

#[test]
fn the_first_generation_waits_for_more_members_and_then_begins() {
    let mut bench = Bench::new();
    let a = bench.join(new("a"));
    bench.pass(2_999);
    let b = bench.join(new("b"));
    bench.pass(1);
    assert!(bench.joins.is_empty(), "somebody came, so it is put off");
    bench.pass(3_000);
    let (a, b) = (bench.joined(a), bench.joined(b));
    assert_eq!((a.generation, a.leader.as_str(), a.members.len()), (1, "a", 2));
    assert_eq!((b.generation, b.leader.as_str(), b.members.len(), b.member_id.as_str()), (1, "a", 0, "b"));
    assert_eq!(a.protocol.as_deref(), Some("range"));
    assert_eq!(bench.group.state(), State::Completing);
    let b = bench.sync("b", 1, &[]);
    let a = bench.sync("a", 1, &[("a", "x"), ("b", "y"), ("stranger", "z")]);
    assert!(bench.syncs.is_empty(), "not before it is durable");
    bench.sync_wal();
    assert_eq!(bench.syncs[&a].as_ref().unwrap().assignment, "x");
    assert_eq!(bench.syncs[&b].as_ref().unwrap().assignment, "y");
    assert_eq!(bench.group.state(), State::Stable);
}

#[test]
fn the_initial_delay_ends_with_the_rebalance_timeout() {
    let mut bench = Bench::new();
    let first = bench.join(JoinGroup { rebalance_timeout_ms: 7_000, ..new("a") });
    for id in ["b", "c", "d"] {
        bench.pass(2_000);
        bench.join(JoinGroup { rebalance_timeout_ms: 7_000, ..new(id) });
    }
    bench.pass(2_000);
    assert_eq!(bench.joined(first).members.len(), 4);
}

#[test]
fn dynamic_members_get_an_id_first() {
    let mut bench = Bench::new();
    let knows = |join: JoinGroup| JoinGroup { knows_member_id_required: true, ..join };
    let ticket = bench.join(knows(new("a")));
    assert_eq!(bench.refused(ticket), ("a".to_owned(), GroupError::MemberIdRequired));
    assert!(bench.group.members.is_empty() && !bench.group.is_unused());
    let ticket = bench.join(knows(again("a")));
    bench.pass(3_000);
    assert_eq!(bench.joined(ticket).member_id, "a");
    // An id that is not used is forgotten with the session, and until then a rebalance waits for it.
    bench.settle(&["a"], 1);
    bench.join(knows(new("b")));
    bench.joins.clear();
    let ticket = bench.join(again("a"));
    assert!(!bench.joins.contains_key(&ticket));
    bench.pass(i64::from(SESSION));
    assert_eq!(bench.joined(ticket).generation, 2);
    let ticket = bench.join(knows(again("b")));
    assert_eq!(bench.refused(ticket), ("b".to_owned(), GroupError::UnknownMember));
}

#[test]
fn members_that_do_not_join_again_in_time_are_not_part_of_the_next_generation() {
    let mut bench = Bench::stable(&["a", "b", "c"]);
    let b = bench.join(again("b"));
    assert_eq!(bench.group.state(), State::Stable, "nothing changed for a member that is no leader");
    assert_eq!((bench.joined(b).generation, bench.group.generation()), (1, 1));
    let d = bench.join(new("d"));
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    for id in ["a", "b", "c"] {
        assert_eq!(bench.heartbeat(id, 1), Err(GroupError::RebalanceInProgress));
    }
    let c = bench.join(again("c"));
    for _ in 0..12 {
        bench.pass(5_000);
        for id in ["a", "b"] {
            let _ = bench.heartbeat(id, 1);
        }
    }
    let (c, d) = (bench.joined(c), bench.joined(d));
    assert_eq!((c.generation, c.leader.as_str(), d.leader.as_str()), (2, "c", "c"));
    assert_eq!(c.members.iter().map(|member| member.id.as_str()).collect::<Vec<_>>(), ["c", "d"]);
    assert_eq!(bench.heartbeat("a", 1), Err(GroupError::UnknownMember));
}

#[test]
fn a_member_that_vanishes_without_a_word_starts_a_rebalance() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.pass(i64::from(SESSION) - 1);
    assert_eq!(bench.heartbeat("b", 1), Ok(()));
    bench.pass(1);
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    assert_eq!(bench.heartbeat("a", 1), Err(GroupError::UnknownMember));
    let b = bench.join(again("b"));
    let b = bench.joined(b);
    assert_eq!((b.generation, b.leader.as_str()), (2, "b"));
}

#[test]
fn a_commit_says_that_a_member_is_alive_and_a_wait_excuses_it() {
    let mut bench = Bench::stable(&["a", "b"]);
    for _ in 0..5 {
        bench.pass(i64::from(SESSION) - 1);
        bench.heartbeat("b", 1).unwrap();
        bench.commit(at("a", 1)).unwrap();
    }
    assert_eq!(bench.group.state(), State::Stable);
    let a = bench.join(again("a"));
    for _ in 0..5 {
        bench.pass(i64::from(SESSION) - 1);
        assert_eq!(bench.heartbeat("b", 1), Err(GroupError::RebalanceInProgress));
    }
    assert!(!bench.joins.contains_key(&a) && bench.group.members.contains_key("a"), "its join waits, so it is excused");
}

#[test]
fn members_that_never_sync_are_removed() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.join(again("a"));
    bench.join(again("b"));
    bench.sync("a", 2, &[("a", "x"), ("b", "y")]);
    bench.sync_wal();
    for _ in 0..6 {
        bench.pass(10_000 - 1);
        let _ = bench.heartbeat("a", 2);
        let _ = bench.heartbeat("b", 2);
    }
    assert_eq!(bench.group.state(), State::Stable);
    bench.pass(6);
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    assert_eq!(bench.heartbeat("b", 2), Err(GroupError::UnknownMember));
}

#[test]
fn the_last_one_to_leave_empties_the_group() {
    let mut bench = Bench::stable(&["a", "b"]);
    assert_eq!(bench.leave("nobody"), Err(GroupError::UnknownMember));
    assert_eq!(bench.leave("a"), Ok(()));
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    assert_eq!(bench.leave("b"), Ok(()));
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Empty, 2));
    let (GroupItem::Classic(item), Then::Nothing) = bench.stores.pop().unwrap() else { panic!() };
    assert_eq!((item.generation, item.members.len(), item.protocol_type.as_deref()), (2, 0, Some(CONSUMER)));
    assert_eq!(item.since_ms, bench.now.wall_ms);
    bench.join(new("c"));
    assert_eq!(bench.group.state(), State::Preparing { initial: true });
}

#[test]
fn several_leave_at_once_also_by_instance() {
    let mut bench = Bench::new();
    bench.join(fixed("i", "a"));
    bench.join(new("b"));
    bench.join(new("c"));
    bench.pass(3_000);
    bench.pass(3_000);
    bench.settle(&["a", "b", "c"], 1);
    let leaving = |id: &str, instance: Option<&str>| Leaving {
        member_id: id.to_owned(),
        instance_id: instance.map(str::to_owned),
    };
    let all = [leaving("", Some("i")), leaving("", Some("j")), leaving("", None), leaving("b", None)];
    let answers = bench.run(|group, cx| group.leave(&all, cx)).unwrap();
    assert_eq!(answers, [Ok(()), Err(GroupError::UnknownMember), Err(GroupError::UnknownMember), Ok(())]);
    assert_eq!(bench.group.members.keys().collect::<Vec<_>>(), ["c"]);
    assert!(bench.group.statics.is_empty());
}

#[test]
fn the_protocol_that_most_prefer_of_those_that_all_know() {
    for (members, chosen) in [
        (vec![&["range", "sticky"][..], &["sticky", "range"], &["sticky", "range"]], "sticky"),
        (vec![&["range", "sticky"], &["sticky", "range"]], "range"),
        (vec![&["x", "range"], &["range", "y"], &["range", "x"]], "range"),
    ] {
        let mut bench = Bench::new();
        let mut tickets = Vec::new();
        for (id, names) in ["a", "b", "c"].iter().zip(members) {
            tickets.push(bench.join(JoinGroup { protocols: protocols(names), ..new(id) }));
        }
        bench.pass(3_000);
        bench.pass(3_000);
        for ticket in tickets {
            assert_eq!(bench.joined(ticket).protocol.as_deref(), Some(chosen));
        }
    }
}

#[test]
fn protocols_that_do_not_fit_are_refused() {
    let mut bench = Bench::new();
    let join = bench.join(JoinGroup { protocols: Vec::new(), ..new("a") });
    assert_eq!(bench.refused(join).1, GroupError::InconsistentProtocol);
    let join = bench.join(JoinGroup { protocol_type: String::new(), ..new("a") });
    assert_eq!(bench.refused(join).1, GroupError::InconsistentProtocol);
    let mut bench = Bench::stable(&["a"]);
    for join in [
        JoinGroup { protocols: protocols(&["other"]), ..new("b") },
        JoinGroup { protocol_type: "connect".to_owned(), ..new("b") },
    ] {
        let join = bench.join(join);
        assert_eq!(bench.refused(join), (String::new(), GroupError::InconsistentProtocol));
    }
    for sync in [
        SyncGroup { protocol: Some("sticky".to_owned()), member: at("a", 1), ..SyncGroup::default() },
        SyncGroup { protocol_type: Some("connect".to_owned()), member: at("a", 1), ..SyncGroup::default() },
    ] {
        let sync = bench.sync_as(sync);
        assert_eq!(bench.syncs[&sync], Err(GroupError::InconsistentProtocol));
    }
}

#[test]
fn a_full_group_takes_nobody_and_a_smaller_limit_sends_the_last_away() {
    let mut bench = Bench::stable(&["a", "b", "c", "d"]);
    let join = bench.join(new("e"));
    assert_eq!(bench.refused(join), (String::new(), GroupError::GroupFull));
    let item = bench.last.clone().unwrap();
    bench.rules.max_size = 2;
    bench.restart(item);
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    let first = bench.join(again("d"));
    bench.join(again("c"));
    let third = bench.join(again("b"));
    assert_eq!(bench.refused(third), (String::new(), GroupError::GroupFull));
    let fourth = bench.join(again("a"));
    assert_eq!(bench.refused(fourth).1, GroupError::GroupFull);
    bench.pass(9_000);
    bench.pass(i64::from(REBALANCE));
    assert_eq!(bench.joined(first).generation, 2);
}

#[test]
fn groups_of_others_keep_their_offsets_from_deletion_while_they_have_members() {
    let mut bench = Bench::new();
    bench.join(JoinGroup { protocol_type: "connect".to_owned(), ..new("a") });
    bench.pass(3_000);
    assert_eq!(bench.group.check_delete_offsets(), Err(GroupError::NonEmptyGroup));
    assert_eq!(bench.group.unused_since(), None);
    let stable = Bench::stable(&["a"]).group;
    assert!(stable.is_subscribed("t") && !stable.is_subscribed("u"));
    assert_eq!(stable.unused_since(), Some(UnusedSince::Commit));
    let mut bench = Bench::stable(&["a"]);
    bench.pass(1_000);
    bench.leave("a").unwrap();
    assert!(!bench.group.is_subscribed("t"));
    assert_eq!(bench.group.unused_since(), Some(UnusedSince::At(bench.now.wall_ms)));
    assert_eq!(Bench::new().group.unused_since(), Some(UnusedSince::Commit));
}

#[test]
fn a_member_that_asks_twice_is_answered_twice() {
    let mut bench = Bench::stable(&["a", "b"]);
    let first = bench.join(again("a"));
    let second = bench.join(again("a"));
    assert_eq!(bench.refused(first), ("a".to_owned(), GroupError::RebalanceInProgress));
    bench.join(again("b"));
    assert_eq!(bench.joined(second).generation, 2);
    let first = bench.sync("b", 2, &[]);
    let second = bench.sync("b", 2, &[]);
    assert_eq!(bench.syncs[&first], Err(GroupError::RebalanceInProgress));
    let repeated = bench.join(again("a"));
    assert_eq!(bench.joined(repeated).members.len(), 2, "the leader did not hear the answer");
    bench.sync("a", 2, &[("b", "y")]);
    bench.sync_wal();
    assert_eq!(bench.syncs[&second].as_ref().unwrap().assignment, "y");
}
