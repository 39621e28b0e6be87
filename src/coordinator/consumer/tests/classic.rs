//! Members of the classic protocol in a group of the consumer protocol, and how a group goes from one to the other.
use bytes::{BufMut, Bytes, BytesMut};

use super::*;
use crate::coordinator::calls::{JoinGroup, Joined, Leaving, MemberRef, Now, SyncGroup, Synced};
use crate::coordinator::consumer::migration::{given_back, taken_over};
use crate::coordinator::embedded::Assignment;
use crate::coordinator::items::{Blob, ClassicItem, ClassicMember};

const SESSION_MS: i64 = 10_000;

/// A subscription to `t1`, of a version that says what is owned.
fn subscription(owned: &[i32]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_slice(b"\x00\x01\x00\x00\x00\x01\x00\x02t1\xff\xff\xff\xff\x00\x00\x00\x01\x00\x02t1");
    bytes.put_i32(i32::try_from(owned.len()).unwrap());
    owned.iter().for_each(|number| bytes.put_i32(*number));
    bytes.freeze()
}

fn join(member: &str, owned: &[i32]) -> JoinGroup {
    JoinGroup {
        member_id: member.to_owned(),
        new_member_id: "new".to_owned(),
        session_timeout_ms: i32::try_from(SESSION_MS).unwrap(),
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), subscription(owned)), ("sticky".to_owned(), subscription(owned))],
        knows_member_id_required: true,
        ..JoinGroup::default()
    }
}

fn at(member: &str, generation: i32) -> MemberRef {
    MemberRef { id: member.to_owned(), instance_id: None, generation }
}

fn given(numbers: &[i32]) -> Bytes {
    let partitions = BTreeMap::from([("t1".to_owned(), numbers.to_vec())]);
    Assignment::write(1, &if numbers.is_empty() { BTreeMap::new() } else { partitions })
}

impl Setup {
    fn around<T>(&mut self, call: impl FnOnce(&mut Machine, &Around<'_>) -> T) -> T {
        call(&mut self.machine, &Around { rules: &self.rules, topics: &self.topics, now_ms: self.now_ms })
    }

    fn join(&mut self, join: &JoinGroup) -> Result<Joined, GroupError> {
        self.around(|machine, around| machine.join(join, around))
    }

    /// The generation of a member that joins.
    fn joined(&mut self, member: &str, owned: &[i32]) -> i32 {
        self.join(&join(member, owned)).unwrap().generation
    }

    fn sync(&mut self, sync: SyncGroup) -> Result<Bytes, GroupError> {
        self.around(|machine, around| machine.sync(&sync, around)).map(|Synced { assignment, .. }| assignment)
    }

    fn synced(&mut self, member: &str, generation: i32) -> Result<Bytes, GroupError> {
        self.sync(SyncGroup { member: at(member, generation), ..SyncGroup::default() })
    }

    fn says(&mut self, member: &str, generation: i32) -> Result<(), GroupError> {
        self.around(|machine, around| machine.classic_heartbeat(&at(member, generation), around))
    }
}

#[test]
fn a_classic_member_gives_up_joins_again_and_syncs_until_it_is_where_the_others_want_it() {
    let mut group = Setup::new(&[("t1", 2)]);
    let told = group.join(&join("a", &[])).unwrap();
    let expected = Joined {
        generation: 1,
        protocol_type: Some("consumer".to_owned()),
        protocol: Some("range".to_owned()),
        member_id: "a".to_owned(),
        ..Joined::default()
    };
    assert_eq!(told, expected, "nobody leads");
    assert_eq!(group.synced("a", 1), Ok(given(&[0, 1])));
    assert_eq!(group.says("a", 1), Ok(()));

    assert_eq!(group.told(&enter("b", &["t1"])).1, Some(Partitions::new()));
    assert_eq!(group.says("a", 1), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.synced("a", 1), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.joined("a", &[0, 1]), 1, "its generation stays until it has given up what it has to");
    assert_eq!(group.synced("a", 1), Ok(given(&[0])));
    assert_eq!(group.says("a", 1), Err(GroupError::RebalanceInProgress), "it shall say that it has");
    assert_eq!(group.told(&alive("b", 2)), (2, None));
    assert_eq!(group.joined("a", &[0]), 2);
    assert_eq!(group.synced("a", 2), Ok(given(&[0])));
    assert_eq!(group.told(&alive("b", 2)), (2, Some(places(&[("t1", &[1])]))));
    assert_eq!(group.says("a", 2), Ok(()));
}

#[test]
fn a_member_that_gives_everything_up_before_it_joins_needs_one_rebalance() {
    let mut group = Setup::new(&[("t1", 2)]);
    group.joined("a", &[]);
    group.told(&enter("b", &["t1"]));
    assert_eq!(group.joined("a", &[]), 2);
    assert_eq!(group.synced("a", 2), Ok(given(&[0])));
    assert_eq!(group.told(&alive("b", 2)).1, Some(places(&[("t1", &[1])])));
}

#[test]
fn who_waits_for_partitions_joins_again_when_all_of_them_are_free() {
    let mut group = Setup::new(&[("t1", 2)]);
    group.told(&enter("b", &["t1"]));
    assert_eq!(group.joined("a", &[]), 2);
    assert_eq!(group.synced("a", 2), Ok(given(&[])));
    assert_eq!(group.says("a", 2), Ok(()), "nothing can be had yet");
    let (_, kept) = group.told(&alive("b", 1));
    assert_eq!(group.says("a", 2), Ok(()), "the other has not said that it gave it up");
    group.told(&owns("b", 1, &kept.unwrap()));
    assert_eq!(group.says("a", 2), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.joined("a", &[]), 2);
    assert_eq!(group.synced("a", 2), Ok(given(&[1])));
}

#[test]
fn a_classic_member_that_is_silent_or_late_is_gone() {
    for (late_ms, what) in [(SESSION_MS, "silent"), (60_000, "late to sync"), (60_000, "late to join")] {
        let mut group = Setup::new(&[("t1", 2)]);
        group.joined("a", &[]);
        if what != "late to sync" {
            group.synced("a", 1).unwrap();
        }
        if what == "late to join" {
            group.told(&enter("b", &["t1"]));
            group.says("a", 1).unwrap_err();
        }
        let mut passed = 0;
        while passed < late_ms {
            assert!(group.machine.member("a").is_some(), "{what} after {passed} ms");
            if what != "silent" {
                let _ = group.says("a", 1);
            }
            passed += 5_000;
            group.pass(5_000);
        }
        assert!(group.machine.member("a").is_none(), "{what}");
    }
    let mut group = Setup::new(&[("t1", 2)]);
    group.joined("a", &[]);
    group.restart();
    group.pass(SESSION_MS - 1);
    assert_eq!(group.synced("a", 1), Ok(given(&[0, 1])), "a restart leaves it a session");
    group.pass(SESSION_MS);
    assert!(group.machine.member("a").is_none());
}

#[test]
fn joins_that_do_not_fit_are_refused_and_change_nothing() {
    let mut group = Setup::new(&[("t1", 2)]);
    group.join(&JoinGroup { instance_id: Some("i".to_owned()), ..join("", &[]) }).unwrap();
    group.told(&enter("b", &["t1"]));
    group.machine.take_changed();
    let of_i = |member: &str| JoinGroup { instance_id: Some("i".to_owned()), ..join(member, &[]) };
    let other = vec![("other".to_owned(), subscription(&[]))];
    let cases = [
        (GroupError::InconsistentProtocol, JoinGroup { protocol_type: "connect".to_owned(), ..join("c", &[]) }),
        (GroupError::InconsistentProtocol, JoinGroup { protocols: other, ..join("c", &[]) }),
        (GroupError::InconsistentProtocol, JoinGroup { protocols: Vec::new(), ..join("c", &[]) }),
        (
            GroupError::InconsistentProtocol,
            JoinGroup { protocols: vec![("range".to_owned(), Bytes::new())], ..join("c", &[]) },
        ),
        (GroupError::MemberIdRequired, join("", &[])),
        (GroupError::FencedInstance, of_i("old")),
        (GroupError::UnknownMember, JoinGroup { instance_id: Some("j".to_owned()), ..join("old", &[]) }),
        (GroupError::UnknownMember, join("expired", &[0])),
        // A member that says it owns what another has.
        (GroupError::UnknownMember, join("b", &[0])),
    ];
    for (error, join) in cases {
        assert_eq!(group.join(&join), Err(error), "{join:?}");
    }
    group.rules.max_size = 2;
    assert_eq!(group.join(&join("c", &[])), Err(GroupError::GroupFull));
    group.rules.max_bytes = 600;
    let large = JoinGroup { protocols: vec![("range".to_owned(), Bytes::from(vec![0; 1 << 10]))], ..of_i("new") };
    let large = JoinGroup { protocols: [join("", &[]).protocols, large.protocols].concat(), ..large };
    assert!(matches!(group.join(&large), Err(GroupError::GroupTooLarge { .. })));
    assert!(!group.machine.take_changed());
}

#[test]
fn calls_of_others_than_the_member_of_that_generation_are_refused() {
    let mut group = Setup::new(&[("t1", 2)]);
    group.join(&JoinGroup { instance_id: Some("i".to_owned()), ..join("", &[]) }).unwrap();
    let (epoch, _) = group.told(&enter("b", &["t1"]));
    let static_at = |id: &str, instance: &str| MemberRef { instance_id: Some(instance.to_owned()), ..at(id, 1) };
    for (error, member) in [
        (GroupError::UnknownMember, at("x", 1)),
        (GroupError::UnknownMember, static_at("new", "j")),
        (GroupError::FencedInstance, static_at("x", "i")),
        (GroupError::IllegalGeneration, at("new", 2)),
        (GroupError::UnknownMember, at("b", epoch)),
    ] {
        assert_eq!(group.around(|machine, around| machine.classic_heartbeat(&member, around)), Err(error.clone()));
        assert_eq!(group.sync(SyncGroup { member, ..SyncGroup::default() }), Err(error));
    }
    let named = |kind: &str, protocol: &str| SyncGroup {
        member: at("new", 1),
        protocol_type: Some(kind.to_owned()),
        protocol: Some(protocol.to_owned()),
        ..SyncGroup::default()
    };
    assert_eq!(group.sync(named("connect", "range")), Err(GroupError::InconsistentProtocol));
    assert_eq!(group.sync(named("consumer", "sticky")), Err(GroupError::InconsistentProtocol));
}

#[test]
fn a_static_member_changes_its_protocol_and_keeps_its_partitions() {
    let mut group = Setup::new(&[("t1", 2)]);
    let of_i = || JoinGroup { instance_id: Some("i".to_owned()), ..join("", &[]) };
    group.join(&of_i()).unwrap();
    let all = places(&[("t1", &[0, 1])]);
    let (epoch, told) = group.told(&of_instance(enter("b", &["t1"]), "i"));
    assert_eq!((epoch, told), (1, Some(all.clone())), "nothing changes for others");
    assert_eq!(group.says("new", 1), Err(GroupError::UnknownMember));
    let back = group.join(&JoinGroup { new_member_id: "newer".to_owned(), ..of_i() }).unwrap();
    assert_eq!((back.generation, back.member_id.as_str()), (1, "newer"));
    assert_eq!(group.synced("newer", 1), Ok(given(&[0, 1])));
    assert_eq!(group.beat(&of_instance(alive("b", 1), "i")), Err(GroupError::FencedInstance));
}

#[test]
fn whoever_is_named_is_removed() {
    let mut group = Setup::new(&[("t1", 2)]);
    group.joined("a", &[]);
    group.told(&of_instance(enter("b", &["t1"]), "i"));
    let leaving = |member: &str, instance: Option<&str>| Leaving {
        member_id: member.to_owned(),
        instance_id: instance.map(str::to_owned),
    };
    for (answer, leaving) in [
        (Err(GroupError::UnknownMember), leaving("x", None)),
        (Err(GroupError::UnknownMember), leaving("", Some("j"))),
        (Err(GroupError::FencedInstance), leaving("a", Some("i"))),
        (Ok(()), leaving("", Some("i"))),
        (Ok(()), leaving("a", None)),
    ] {
        assert_eq!(group.machine.remove_member(&leaving), answer, "{leaving:?}");
    }
    assert!(group.machine.item().members.is_empty());
}

fn classic(members: &[(&str, &[i32], &[i32])], rebalancing: bool) -> ClassicItem {
    let member = |(id, assigned, owned): &(&str, &[i32], &[i32])| ClassicMember {
        id: (*id).to_owned(),
        instance: Some(format!("of-{id}")),
        client_id: "c".to_owned(),
        client_host: "/h".to_owned(),
        session_ms: 10_000,
        rebalance_ms: 60_000,
        protocols: vec![("range".to_owned(), Blob(subscription(owned)))],
        assignment: Blob(if assigned.is_empty() { Bytes::new() } else { given(assigned) }),
    };
    ClassicItem {
        generation: 7,
        protocol_type: Some("consumer".to_owned()),
        protocol: Some("range".to_owned()),
        leader: members.first().map(|(id, ..)| (*id).to_owned()),
        rebalancing,
        since_ms: 1,
        members: members.iter().map(member).collect(),
    }
}

/// The partitions of each member.
fn owned(item: &ConsumerItem) -> Vec<Vec<i32>> {
    item.members.values().map(|member| member.assigned.iter().map(|place| place.partition).collect()).collect()
}

#[test]
fn a_classic_group_is_taken_over_with_what_its_members_have() {
    let topics = Topics::of(&[("t1", 4)]);
    let taken = taken_over(classic(&[("a", &[0, 1], &[1]), ("b", &[2, 9], &[])], false), &topics).unwrap();
    assert_eq!(owned(&taken), [vec![0, 1], vec![2]], "what there is not is left out");
    assert_eq!((taken.epoch, taken.target_epoch), (7, 7));
    let a = &taken.members["a"];
    assert_eq!((a.epoch, a.previous_epoch, a.state, &a.target), (7, 7, MemberState::Stable, &a.assigned));
    assert_eq!((a.instance.as_deref(), a.rebalance_ms, a.client_id.as_str()), (Some("of-a"), 60_000, "c"));
    assert_eq!(a.names.iter().collect::<Vec<_>>(), ["t1"]);
    assert_eq!(a.classic.as_ref().map(|side| side.session_ms), Some(10_000));

    let back = given_back(&taken, &topics, Now { ms: 5, wall_ms: 6 }).unwrap();
    let expected = ClassicItem {
        rebalancing: true,
        protocol: None,
        leader: None,
        since_ms: 6,
        ..classic(&[("a", &[0, 1], &[1]), ("b", &[2], &[])], true)
    };
    assert_eq!(back, expected);
}

#[test]
fn of_what_members_say_they_own_only_that_counts_which_was_not_given_to_another_and_nobody_else_says() {
    let topics = Topics::of(&[("t1", 4)]);
    let between = taken_over(classic(&[("a", &[], &[0, 1]), ("b", &[2], &[1, 2])], true), &topics).unwrap();
    assert_eq!(owned(&between), [vec![0], vec![2]], "what they say, but nothing that two say");
    let behind = taken_over(classic(&[("a", &[0], &[0, 1]), ("b", &[2], &[2])], false), &topics).unwrap();
    assert_eq!(owned(&behind), [vec![0], vec![2]]);
    let revoking: Vec<_> = behind.members.values().map(|member| (member.state, member.revoking.len())).collect();
    assert_eq!(
        revoking,
        [(MemberState::Unrevoked, 1), (MemberState::Stable, 0)],
        "what it was not given, and may have still"
    );
    let silent = taken_over(classic(&[("a", &[0], &[2]), ("b", &[2], &[])], true), &topics).unwrap();
    assert_eq!(owned(&silent), [vec![0], vec![2]], "what was given in this generation, not what was owned before");
    let mut claims = classic(&[("a", &[], &[0, 1]), ("b", &[], &[0, 2])], true);
    let of_generation = |owned: &[i32], generation: i32| {
        let mut bytes = subscription(owned).to_vec();
        bytes[1] = 2;
        bytes.extend(generation.to_be_bytes());
        Blob(bytes.into())
    };
    claims.members[0].protocols[0].1 = of_generation(&[0, 1], 6);
    claims.members[1].protocols[0].1 = of_generation(&[0, 2], 7);
    let newer = taken_over(claims, &topics).unwrap();
    assert_eq!(owned(&newer), [vec![1], vec![0, 2]], "what is said of the newer generation");
}

#[test]
fn a_group_that_the_broker_cannot_assign_to_is_not_taken_over() {
    let topics = Topics::of(&[("t1", 4)]);
    let whole = || classic(&[("a", &[0], &[])], false);
    let with = |change: fn(&mut ClassicMember)| {
        let mut item = whole();
        change(&mut item.members[0]);
        item
    };
    let user_data = |member: &mut ClassicMember| {
        member.assignment = Blob(Bytes::from_static(b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01x"));
    };
    for (why, item) in [
        (
            "does not use the consumer embedded protocol",
            ClassicItem { protocol_type: Some("connect".into()), ..whole() },
        ),
        ("malformed", with(|member| member.protocols = vec![("range".into(), Blob(Bytes::from_static(b"?")))])),
        ("malformed", with(|member| member.assignment = Blob(Bytes::from_static(b"???")))),
        ("custom assignor", with(user_data)),
    ] {
        let obstacle = taken_over(item, &topics).unwrap_err();
        assert!(obstacle.contains(why), "{obstacle}");
    }
}

#[test]
fn a_group_with_a_member_of_the_consumer_protocol_or_without_any_is_not_given_back() {
    let mut group = Setup::new(&[("t1", 2)]);
    let now = Now::default();
    assert_eq!(given_back(group.machine.item(), &group.topics, now), None);
    group.joined("a", &[]);
    group.told(&enter("b", &["t1"]));
    assert_eq!(given_back(group.machine.item(), &group.topics, now), None);
    group.told(&alive("b", LEAVE));
    let back = given_back(group.machine.item(), &group.topics, now).unwrap();
    assert_eq!((back.generation, back.members.len()), (1, 1), "what its members were told of");
}
