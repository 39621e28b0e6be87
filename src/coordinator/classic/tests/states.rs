//! Every call in every state.
use super::*;

/// A group in each state.
fn in_each_state() -> [Bench; 5] {
    let mut empty = Bench::stable(&["a"]);
    empty.leave("a").unwrap();
    let mut preparing = Bench::stable(&["a", "b"]);
    preparing.join(JoinGroup { protocols: protocols(&["sticky", "range"]), ..again("b") });
    let mut completing = Bench::stable(&["a", "b"]);
    completing.join(again("a"));
    completing.join(again("b"));
    let mut dead = Bench::new();
    dead.group.bury();
    let all = [empty, preparing, completing, Bench::stable(&["a", "b"]), dead];
    let names = all.each_ref().map(|bench| bench.group.described().state);
    assert_eq!(names, ["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"]);
    all
}

fn dead() -> GroupError {
    GroupError::NotAvailable("the group is being deleted".to_owned())
}

/// A member, one of another generation, a stranger, and a client that is in no group.
fn callers(group: &Group) -> [MemberRef; 4] {
    let generation = group.generation();
    [at("a", generation), at("a", generation - 1), at("x", generation), MemberRef::default()]
}

#[test]
fn heartbeats_in_every_state() {
    use GroupError::*;
    let expected = [
        [Err(UnknownMember), Err(UnknownMember), Err(UnknownMember)],
        [Err(RebalanceInProgress), Err(IllegalGeneration), Err(UnknownMember)],
        [Ok(()), Err(IllegalGeneration), Err(UnknownMember)],
        [Ok(()), Err(IllegalGeneration), Err(UnknownMember)],
        [Err(dead()), Err(dead()), Err(dead())],
    ];
    for (mut bench, expected) in in_each_state().into_iter().zip(expected) {
        for (member, expected) in callers(&bench.group).iter().zip(expected) {
            let answer = bench.run(|group, cx| group.heartbeat(member, cx.now));
            assert_eq!(answer, expected, "{:?} {member:?}", bench.group.state());
        }
    }
}

#[test]
fn commits_in_every_state() {
    use GroupError::*;
    let expected = [
        [Err(UnknownMember), Err(UnknownMember), Err(UnknownMember), Ok(())],
        [Ok(()), Err(IllegalGeneration), Err(UnknownMember), Err(UnknownMember)],
        [Err(RebalanceInProgress), Err(IllegalGeneration), Err(UnknownMember), Err(UnknownMember)],
        [Ok(()), Err(IllegalGeneration), Err(UnknownMember), Err(UnknownMember)],
        [Err(dead()), Err(dead()), Err(dead()), Err(dead())],
    ];
    for (mut bench, expected) in in_each_state().into_iter().zip(expected) {
        for (member, expected) in callers(&bench.group).iter().zip(expected) {
            // Within a transaction the state of a living group does not count, nor who it is if it does not say.
            let within = match (&expected, bench.group.state()) {
                (Err(RebalanceInProgress), _) => Ok(()),
                (_, State::Dead) => Err(dead()),
                _ if *member == MemberRef::default() => Ok(()),
                _ => expected.clone(),
            };
            assert_eq!(bench.commit(member.clone()), expected, "{:?} {member:?}", bench.group.state());
            let answer = bench.run(|group, cx| group.check_commit(member, true, cx.now));
            assert_eq!(answer, within, "in a transaction: {:?} {member:?}", bench.group.state());
        }
    }
}

#[test]
fn syncs_in_every_state() {
    use GroupError::*;
    let expected = [
        [Some(Err(UnknownMember)), Some(Err(UnknownMember)), Some(Err(UnknownMember))],
        [Some(Err(RebalanceInProgress)), Some(Err(IllegalGeneration)), Some(Err(UnknownMember))],
        [None, Some(Err(IllegalGeneration)), Some(Err(UnknownMember))],
        [Some(Ok(())), Some(Err(IllegalGeneration)), Some(Err(UnknownMember))],
        [Some(Err(dead())), Some(Err(dead())), Some(Err(dead()))],
    ];
    for (mut bench, expected) in in_each_state().into_iter().zip(expected) {
        for (member, expected) in callers(&bench.group).into_iter().zip(expected) {
            let ticket = bench.sync_as(SyncGroup { member, ..SyncGroup::default() });
            let answer = bench.syncs.remove(&ticket).map(|answer| answer.map(|_| ()));
            assert_eq!(answer, expected, "{:?}", bench.group.state());
        }
    }
}

#[test]
fn joins_and_deletions_in_every_state() {
    for bench in in_each_state() {
        let group = &bench.group;
        let gone = || GroupError::GroupNotFound("g".to_owned());
        let expected = match group.state() {
            State::Empty => (Ok(()), Ok(())),
            State::Dead => (Err(gone()), Err(gone())),
            _ => (Err(GroupError::NonEmptyGroup), Ok(())),
        };
        assert_eq!((group.check_delete(), group.check_delete_offsets()), expected, "{:?}", group.state());
    }
    for mut bench in in_each_state() {
        let is_dead = bench.group.state() == State::Dead;
        let join = bench.join(again("x"));
        let refused = if is_dead { dead() } else { GroupError::UnknownMember };
        assert_eq!(bench.refused(join), ("x".to_owned(), refused));
        let join = bench.join(new("n"));
        assert_eq!(bench.joins.remove(&join), is_dead.then(|| Err((String::new(), dead()))));
    }
}
