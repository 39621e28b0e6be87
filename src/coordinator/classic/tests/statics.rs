//! Static members (KIP-345).
use super::*;

#[test]
fn a_static_member_takes_its_place_back_without_a_rebalance() {
    for leads in [true, false] {
        let mut bench = Bench::new();
        bench.join(fixed("i", if leads { "a" } else { "z" }));
        bench.join(new("m"));
        bench.pass(3_000);
        bench.pass(3_000);
        let old = if leads { "a" } else { "z" };
        bench.group.leader = Some(if leads { "a".to_owned() } else { "m".to_owned() });
        bench.joins.clear();
        bench.settle(&[old, "m"], 1);

        let back = bench.join(fixed("i", "back"));
        assert!(bench.joins.is_empty(), "not before it is durable");
        let (item, _) = bench.stores[0].clone();
        bench.sync_wal();
        let joined = bench.joined(back);
        assert_eq!((joined.generation, joined.member_id.as_str(), joined.skip_assignment), (1, "back", leads));
        assert_eq!(joined.members.len(), if leads { 2 } else { 0 });
        assert_eq!(joined.leader, if leads { "back" } else { "m" });
        assert_eq!(bench.group.state(), State::Stable);
        let sync = bench.sync("back", 1, &[]);
        assert_eq!(bench.syncs[&sync].as_ref().unwrap().assignment, old, "its assignment is still there");

        // Whoever still has the old id is fenced, if it names the instance.
        let zombie = MemberRef { instance_id: Some("i".to_owned()), ..at(old, 1) };
        assert_eq!(bench.commit(zombie.clone()), Err(GroupError::FencedInstance));
        assert_eq!(bench.run(|group, cx| group.heartbeat(&zombie, cx.now)), Err(GroupError::FencedInstance));
        assert_eq!(bench.heartbeat(old, 1), Err(GroupError::UnknownMember));
        let join = bench.join(JoinGroup { member_id: old.to_owned(), ..fixed("i", "") });
        assert_eq!(bench.refused(join), (old.to_owned(), GroupError::FencedInstance));
        bench.restart(item);
        assert_eq!(bench.heartbeat("back", 1), Ok(()));
    }
}

#[test]
fn an_old_client_that_leads_is_not_told_so_when_it_is_back() {
    let mut bench = Bench::new();
    bench.join(fixed("i", "a"));
    bench.pass(3_000);
    bench.settle(&["a"], 1);
    let back = bench.join(JoinGroup { knows_skip_assignment: false, ..fixed("i", "b") });
    bench.sync_wal();
    let joined = bench.joined(back);
    assert_eq!((joined.leader.as_str(), joined.members.len(), joined.skip_assignment), ("a", 0, false));
}

#[test]
fn a_static_member_that_is_back_with_other_protocols_starts_a_rebalance() {
    let mut bench = Bench::new();
    bench.join(fixed("i", "a"));
    bench.pass(3_000);
    bench.settle(&["a"], 1);
    let back = bench.join(JoinGroup { protocols: protocols(&["sticky"]), ..fixed("i", "b") });
    let joined = bench.joined(back);
    assert_eq!((joined.generation, joined.protocol.as_deref()), (2, Some("sticky")));
}

#[test]
fn calls_of_a_static_member_that_wait_are_fenced_when_it_is_replaced() {
    let mut bench = Bench::new();
    let waits = bench.join(fixed("i", "a"));
    let back = bench.join(fixed("i", "b"));
    assert_eq!(bench.refused(waits), ("a".to_owned(), GroupError::FencedInstance));
    bench.pass(3_000);
    assert_eq!(bench.joined(back).member_id, "b");
    let waits = bench.sync("b", 1, &[]);
    bench.stores.clear();
    let back = bench.join(fixed("i", "c"));
    assert_eq!(bench.syncs[&waits], Err(GroupError::FencedInstance));
    assert_eq!(bench.joined(back).generation, 2, "while it is completing, everybody joins anew");
}

#[test]
fn silent_static_members_stay_until_their_session_ends() {
    let mut bench = Bench::new();
    bench.join(JoinGroup { session_timeout_ms: 300_000, ..fixed("i", "a") });
    bench.pass(3_000);
    bench.settle(&["a"], 1);
    let b = bench.join(new("b"));
    bench.pass(i64::from(REBALANCE));
    let b = bench.joined(b);
    assert_eq!(
        (b.generation, b.leader.as_str(), b.members.len()),
        (2, "b", 2),
        "it did not join and is still a member"
    );
}

#[test]
fn a_static_member_that_was_replaced_during_a_rebalance_stays_so_after_a_crash() {
    let mut bench = Bench::new();
    bench.join(fixed("i", "a"));
    bench.pass(3_000);
    bench.settle(&["a"], 1);
    bench.join(new("b"));
    bench.begins_at_once = false;
    let back = bench.join(fixed("i", "c"));
    let (item, _) = bench.stores[0].clone();
    bench.sync_wal();
    assert_eq!(bench.joined(back).generation, 2);
    bench.restart(item);
    let member = |id: &str, generation| MemberRef { instance_id: Some("i".to_owned()), ..at(id, generation) };
    assert_eq!(bench.commit(member("a", 1)), Err(GroupError::FencedInstance));
    let beat = bench.run(|group, cx| group.heartbeat(&member("c", 2), cx.now));
    assert_eq!(beat, Err(GroupError::RebalanceInProgress));
}
