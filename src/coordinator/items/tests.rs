use serde_json::{Value, json};

use super::*;

const TOPIC: Uuid = Uuid([7; 16]);
const PLACE: TopicPartition = TopicPartition { topic: TOPIC, partition: 3 };

fn committed(expire_ms: Option<i64>) -> Committed {
    Committed { offset: 42, leader_epoch: 5, metadata: "m/\"\u{1F980}".into(), commit_ms: 1_700_000_000_000, expire_ms }
}

#[test]
fn the_format_stays_what_it_is() {
    let block = |partition| OffsetBlock::of(TopicPartition { topic: TOPIC, partition });
    assert_eq!(offset_key("a/b", block(3)), "offset/BwcHBwcHBwcHBwcHBwcHBw/0/a/b");
    assert_eq!(offset_key("a/b", block(64)), "offset/BwcHBwcHBwcHBwcHBwcHBw/1/a/b");
    let offsets = BTreeMap::from([(127, committed(None)), (64, committed(Some(8)))]);
    let value = Json::of(
        &json!({"64": [42, 5, "m/\"\u{1F980}", 1_700_000_000_000_i64, 8], "127": [42, 5, "m/\"\u{1F980}", 1_700_000_000_000_i64]}),
    );
    assert_eq!(value_of(&offsets).read::<Value>().unwrap(), value.read::<Value>().unwrap());
    let read = Item::read(&offset_key("a/b", block(64)), &value_of(&offsets));
    assert_eq!(read, Ok(Some(Item::Offsets("a/b".into(), TOPIC, offsets))));
    assert_eq!(pending_key("a/b", 9, PLACE), "pending/9/BwcHBwcHBwcHBwcHBwcHBw/3/a/b");
    assert_eq!(group_key(""), "group/");
    let settings = BTreeMap::from([("a.ms".to_owned(), "1".to_owned())]);
    let value = Json::of(&json!({"a.ms": "1"}));
    assert_eq!((settings_key("a/b").as_str(), value_of(&settings)), ("group-settings/a/b", value.clone()));
    assert_eq!(Item::read("group-settings/a/b", &value), Ok(Some(Item::Settings("a/b".into(), settings))));
    assert!(settings_key("z") < group_key(""), "settings are read before their group");
    assert_eq!(value_of(&committed(None)), Json::of(&json!([42, 5, "m/\"\u{1F980}", 1_700_000_000_000_i64])));
    assert_eq!(value_of(&committed(Some(8))), Json::of(&json!([42, 5, "m/\"\u{1F980}", 1_700_000_000_000_i64, 8])));
    let member = ClassicMember {
        id: "c-1".into(),
        instance: Some("i".into()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_ms: 10_000,
        rebalance_ms: 60_000,
        protocols: vec![("range".into(), Blob(Bytes::from_static(b"\xff\x00\x01")))],
        assignment: Blob(Bytes::new()),
    };
    let group = GroupItem::Classic(ClassicItem {
        generation: 4,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        leader: Some("c-1".into()),
        rebalancing: false,
        since_ms: 17,
        members: vec![member],
    });
    let value = json!({
        "type": "classic", "generation": 4, "protocol_type": "consumer", "protocol": "range", "leader": "c-1",
        "since_ms": 17,
        "members": [{
            "id": "c-1", "instance": "i", "client_id": "c", "client_host": "/127.0.0.1", "session_ms": 10_000,
            "rebalance_ms": 60_000, "protocols": [["range", "/wAB"]], "assignment": "",
        }],
    });
    assert_eq!(value_of(&group).read::<Value>().unwrap(), value);
    assert_eq!(Item::read("group/g", &Json::of(&value)), Ok(Some(Item::Group("g".into(), group))));
}

#[test]
fn ids_of_groups_may_hold_any_character() {
    for group in ["", "g", "a/b/c", "offset/1/2", "\u{1F980}", "//"] {
        for expire in [None, Some(9)] {
            let committed = committed(expire);
            let value = value_of(&committed);
            let offsets = BTreeMap::from([(PLACE.partition, committed.clone())]);
            let read = Item::read(&offset_key(group, OffsetBlock::of(PLACE)), &value_of(&offsets));
            assert_eq!(read, Ok(Some(Item::Offsets(group.into(), TOPIC, offsets))));
            let read = Item::read(&pending_key(group, -7, PLACE), &value);
            assert_eq!(read, Ok(Some(Item::Pending(group.into(), -7, PLACE, committed))));
        }
    }
}

#[test]
fn items_of_others_are_passed_over_and_damaged_ones_named() {
    assert_eq!(Item::read("txn/t", &Json::of(&json!({}))), Ok(None));
    assert_eq!(Item::read("later/t", &Json::of(&json!(1))), Ok(None));
    for (key, value) in [
        ("group/g", json!({"type": "share"})),
        ("group/g", json!([])),
        ("offset/BwcHBwcHBwcHBwcHBwcHBw/0", json!({"3": [1, 2, "", 3]})),
        ("offset/nope/0/g", json!({"3": [1, 2, "", 3]})),
        ("offset/BwcHBwcHBwcHBwcHBwcHBw/x/g", json!({"3": [1, 2, "", 3]})),
        ("offset/BwcHBwcHBwcHBwcHBwcHBw/0/g", json!({"3": [1, 2, 3]})),
        ("offset/BwcHBwcHBwcHBwcHBwcHBw/0/g", json!([1, 2, "", 3])),
        ("offset/BwcHBwcHBwcHBwcHBwcHBw/0/g", json!({"64": [1, 2, "", 3]})),
        ("offset/BwcHBwcHBwcHBwcHBwcHBw/-1/g", json!({"3": [1, 2, "", 3]})),
        ("pending/x/BwcHBwcHBwcHBwcHBwcHBw/3/g", json!([1, 2, "", 3])),
    ] {
        let bad = Item::read(key, &Json::of(&value)).unwrap_err();
        assert!(bad.to_string().contains(key) && !bad.why.is_empty(), "{bad}");
    }
}

#[test]
fn the_format_of_consumer_groups_stays_what_it_is() {
    use crate::coordinator::consumer::partitions::Given;
    use crate::coordinator::items::consumer::{ClassicSide, ConsumerItem, ConsumerMember, MemberState};
    let places =
        |numbers: &[i32]| numbers.iter().map(|&partition| TopicPartition { topic: TOPIC, partition }).collect();
    let member = ConsumerMember {
        instance: Some("i".into()),
        rack: Some("r".into()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_ms: 60_000,
        names: ["t".to_owned()].into(),
        pattern: Some("t.*".into()),
        assignor: Some("range".into()),
        epoch: 4,
        previous_epoch: 3,
        state: MemberState::Unrevoked,
        assigned: places(&[0, 1, 2, 7]),
        revoking: places(&[3]),
        given: Given::all_in(3, &places(&[0, 3])),
        target: places(&[0]),
        classic: None,
    };
    let classic =
        ClassicSide { session_ms: 10_000, protocols: vec![("range".into(), Blob(b"\x00\x01".as_slice().into()))] };
    let old = ConsumerMember { client_id: "o".into(), epoch: 5, classic: Some(classic), ..ConsumerMember::default() };
    let group = GroupItem::Consumer(ConsumerItem {
        epoch: 5,
        target_epoch: 5,
        topics: [(TOPIC, 8)].into(),
        patterns: [("t.*".to_owned(), [TOPIC].into())].into(),
        members: [("m".to_owned(), member), ("o".to_owned(), old)].into(),
    });
    let id = TOPIC.to_string();
    let value = json!({
        "type": "consumer", "epoch": 5, "target_epoch": 5, "topics": { &id: 8 }, "patterns": { "t.*": [&id] },
        "members": { "m": {
            "instance": "i", "rack": "r", "client_id": "c", "client_host": "/127.0.0.1", "rebalance_ms": 60_000,
            "names": ["t"], "pattern": "t.*", "assignor": "range", "epoch": 4, "previous_epoch": 3, "state": "unrevoked",
            "assigned": { &id: "0-2,7" }, "revoking": { &id: "3" }, "given": [[3, { &id: "0,3" }]], "target": { &id: "0" },
        }, "o": {
            "client_id": "o", "client_host": "", "rebalance_ms": 0, "epoch": 5, "previous_epoch": 0, "state": "stable",
            "classic": { "session_ms": 10_000, "protocols": [["range", "AAE"]] },
        } },
    });
    assert_eq!(value_of(&group).read::<Value>().unwrap(), value);
    assert_eq!(Item::read("group/a/b", &Json::of(&value)), Ok(Some(Item::Group("a/b".into(), group))));
    let least = json!({ "type": "consumer", "epoch": 1, "target_epoch": 0 });
    let group = GroupItem::Consumer(ConsumerItem { epoch: 1, ..ConsumerItem::default() });
    assert_eq!(value_of(&group).read::<Value>().unwrap(), least);
    assert_eq!(Item::read("group/g", &Json::of(&least)), Ok(Some(Item::Group("g".into(), group))));
}
