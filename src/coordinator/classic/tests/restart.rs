//! What is stored, what is not, and what a restart makes of it.
use super::*;

#[test]
fn a_generation_that_cannot_be_stored_is_taken_back() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.join(again("a"));
    bench.join(again("b"));
    let b = bench.sync("b", 2, &[]);
    let a = bench.sync("a", 2, &[("a", "x")]);
    let (_, then) = bench.stores.pop().unwrap();
    let full = GroupError::NotAvailable("full".into());
    bench.stored(then, Err(full.clone()));
    assert_eq!((&bench.syncs[&a], &bench.syncs[&b]), (&Err(full.clone()), &Err(full)));
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    let a = bench.join(again("a"));
    bench.join(again("b"));
    assert_eq!(bench.joined(a).generation, 3);
}

#[test]
fn what_became_durable_too_late_changes_nothing() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.join(again("a"));
    bench.join(again("b"));
    let sync = bench.sync("a", 2, &[("a", "x"), ("b", "y")]);
    bench.join(new("c"));
    assert_eq!(bench.syncs[&sync], Err(GroupError::RebalanceInProgress));
    bench.sync_wal();
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    assert!(bench.group.members.values().all(|member| member.assignment.is_empty()));
    // Nor when the next generation has begun meanwhile.
    let mut bench = Bench::stable(&["a", "b"]);
    for id in ["a", "b"] {
        bench.join(again(id));
    }
    bench.sync("a", 2, &[("a", "x"), ("b", "y")]);
    for id in ["a", "b"] {
        bench.join(JoinGroup { protocols: protocols(&["sticky"]), ..again(id) });
    }
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Completing, 3));
    bench.sync_wal();
    assert_eq!(bench.group.state(), State::Completing);
}

#[test]
fn members_that_say_too_much_cannot_be_stored() {
    let mut bench = Bench::stable(&["a"]);
    bench.join(again("a"));
    let sync = bench.sync("a", 2, &[("a", &"x".repeat(20_000))]);
    assert!(matches!(bench.syncs[&sync], Err(GroupError::GroupTooLarge { most: 10_000, .. })));
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    let big = vec![("range".to_owned(), Bytes::from(vec![0; 20_000]))];
    let join = bench.join(JoinGroup { protocols: big, ..again("a") });
    assert!(matches!(bench.refused(join).1, GroupError::GroupTooLarge { most: 10_000, .. }));
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
}

#[test]
fn members_go_on_after_a_restart() {
    let mut bench = Bench::stable(&["a", "b"]);
    let item = bench.last.clone().unwrap();
    bench.restart(item.clone());
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Stable, 1));
    for id in ["a", "b"] {
        assert_eq!(bench.heartbeat(id, 1), Ok(()));
        assert_eq!(bench.commit(at(id, 1)), Ok(()));
        let sync = bench.sync(id, 1, &[]);
        assert_eq!(bench.syncs[&sync].as_ref().unwrap().assignment, id);
    }
    let unchanged = bench.join(again("b"));
    assert_eq!(bench.joined(unchanged).generation, 1, "a member that asks again does not start a rebalance");
    // One that does not come back is gone after a session.
    bench.pass(i64::from(SESSION) - 1);
    assert_eq!(bench.heartbeat("a", 1), Ok(()));
    bench.pass(1);
    assert_eq!(bench.group.state(), State::Preparing { initial: false });
    assert!(!bench.group.members.contains_key("b"));
    // A disk that was lost takes the members with it, and their generation does not come again.
    let item = classic(item);
    bench.restart(GroupItem::Classic(Group::without_members(item, bench.now)));
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Empty, 2));
    assert_eq!(bench.heartbeat("a", 1), Err(GroupError::UnknownMember));
}

#[test]
fn a_crash_between_join_and_sync_sends_everybody_back_to_join() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.begins_at_once = false;
    bench.join(again("a"));
    bench.join(again("b"));
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Completing, 2));
    let (item, _) = bench.stores[0].clone();
    bench.restart(item);
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Preparing { initial: false }, 2));
    let sync = bench.sync("a", 2, &[("a", "x")]);
    assert_eq!(bench.syncs[&sync], Err(GroupError::RebalanceInProgress));
    assert_eq!(bench.heartbeat("b", 2), Err(GroupError::RebalanceInProgress));
    assert_eq!(bench.commit(at("b", 1)), Err(GroupError::IllegalGeneration));
    bench.begins_at_once = true;
    let a = bench.join(again("a"));
    bench.join(again("b"));
    assert_eq!(bench.joined(a).generation, 3);
}

#[test]
fn nobody_is_told_of_a_generation_before_it_is_durable() {
    let mut bench = Bench::stable(&["a", "b"]);
    bench.begins_at_once = false;
    let first = bench.join(again("a"));
    let b = bench.join(again("b"));
    let sync = bench.sync("b", 2, &[]);
    assert_eq!(bench.syncs[&sync], Err(GroupError::RebalanceInProgress));
    let a = bench.join(again("a"));
    assert_eq!(bench.refused(first).1, GroupError::RebalanceInProgress);
    assert!(bench.joins.is_empty());
    bench.sync_wal();
    assert_eq!((bench.joined(a).generation, bench.joined(b).generation), (2, 2));
    bench.syncs.clear();
    bench.settle(&["a", "b"], 2);
    // Somebody comes before it is durable: those who wait have joined the one after it.
    let a = bench.join(again("a"));
    let b = bench.join(again("b"));
    let c = bench.join(new("c"));
    bench.sync_wal();
    for ticket in [a, b, c] {
        assert_eq!(bench.joined(ticket).generation, 4);
    }
    bench.settle(&["a", "b", "c"], 4);
    // It cannot be stored: all shall try again.
    let join = bench.join(again("a"));
    for id in ["b", "c"] {
        bench.join(again(id));
    }
    let (_, then) = bench.stores.pop().unwrap();
    let full = GroupError::NotAvailable("full".into());
    bench.stored(then, Err(full.clone()));
    assert_eq!(bench.refused(join), ("a".to_owned(), full));
    assert_eq!((bench.joins.len(), bench.group.state()), (2, State::Preparing { initial: false }));
    bench.group.assert_sound();
}
