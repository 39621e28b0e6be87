use proptest::prelude::*;

use super::*;

fn position(group: u64) -> Position {
    Position { file: group / 16, group, at: 0, len: 0, crc: 0 }
}

/// (steps to the next group, ms, changes as (key, value or none))
type Frame = (u64, i64, Vec<(u8, Option<u8>)>);

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    prop::collection::vec((0u64..4, 0i64..4000, prop::collection::vec((0u8..12, any::<Option<u8>>()), 1..5)), 1..80)
}

fn changes(of: &[(u8, Option<u8>)]) -> Changes {
    of.iter().map(|(key, value)| (format!("k{key}"), value.map(|v| Json::of(&v)))).collect()
}

/// Frames with their groups, and the items after each group below `r`.
fn numbered(frames: &[Frame]) -> Vec<(u64, i64, Changes)> {
    let (mut group, mut now) = (1, 0);
    let number = |(step, ms, of): &Frame| {
        (group, now) = (group + step, now + ms);
        (group, now, changes(of))
    };
    frames.iter().map(number).collect()
}

fn items_below(frames: &[(u64, i64, Changes)], r: u64) -> Items {
    let mut items = Items::new();
    for (key, value) in frames.iter().filter(|(group, ..)| *group < r).flat_map(|(.., changes)| changes.clone()) {
        match value {
            Some(value) => drop(items.insert(key, value)),
            None => drop(items.remove(&key)),
        }
    }
    items
}

fn recorded(frames: &[(u64, i64, Changes)]) -> Behind {
    let mut behind = Behind::default();
    for (group, ms, changes) in frames {
        behind.record(position(*group), *ms, changes.clone());
    }
    behind
}

proptest! {
    /// Whatever R moves through, and wherever a crash comes, the items are those of the frames below R, and with those from
    /// R on of all.
    #[test]
    fn state_folded_at_any_boundary_and_replayed_from_there_is_what_the_frames_say(
        frames in frames(), moves in prop::collection::vec(1u64..60, 0..6),
    ) {
        let frames = numbered(&frames);
        let mut behind = recorded(&frames);
        let (mut items, mut last) = (Items::new(), 0);
        for wanted in moves {
            let r = behind.boundary(wanted);
            prop_assert!(r <= wanted);
            if r <= last {
                continue;
            }
            behind.fold(r, &mut items);
            behind.forget_below(r);
            last = r;
            prop_assert_eq!(&items, &items_below(&frames, r), "at {}", r);

            let mut restarted = items.clone();
            let mut again = recorded(&frames); // a recovery sees old frames, too
            again.forget_below(r);
            again.apply(&mut restarted);
            prop_assert_eq!(&restarted, &items_below(&frames, u64::MAX));
            prop_assert_eq!(again.entries, again.runs.iter().map(|run| run.changes.len()).sum::<usize>());
        }
        behind.apply(&mut items);
        prop_assert_eq!(&items, &items_below(&frames, u64::MAX));
        let end = frames.last().map_or(0, |(group, ..)| group + 1);
        prop_assert_eq!(behind.boundary(end), end, "what is durable can be folded to its end");
    }

    #[test]
    fn what_a_frame_says_comes_back(of in prop::collection::vec((0u8..200, any::<Option<u8>>()), 0..20)) {
        let mut expected = Items::new();
        let mut removed = Vec::new();
        for (key, value) in changes(&of) {
            removed.retain(|k| *k != key);
            match value {
                Some(value) => drop(expected.insert(key, value)),
                None => {
                    expected.remove(&key);
                    removed.push(key);
                }
            }
        }
        let decoded = decode(&encode(changes(&of))).unwrap();
        prop_assert_eq!(decoded.len(), expected.len() + removed.len());
        for (key, value) in decoded {
            prop_assert_eq!(value.as_ref(), expected.get(&key));
        }
    }
}

#[test]
fn memory_is_bounded_by_the_items_however_long_r_stands_still() {
    let mut behind = Behind::default();
    for n in 0..400_000u64 {
        behind.record(position(n), n as i64, vec![(format!("k{}", n % 3000), Some(Json::of(&n)))]);
        behind.join(3000);
    }
    assert!(behind.entries <= ENTRIES_FINE + RUN_ENTRIES, "{}", behind.entries);
    assert!(behind.runs.len() > 3, "R can still stop in between");
    let mut items = Items::new();
    behind.apply(&mut items);
    assert_eq!((items.len(), &items["k2999"]), (3000, &Json::of(&(399_999 - 399_999 % 3000 + 2999 - 3000))));
}

#[test]
fn a_frame_that_is_no_object_is_refused() {
    assert!(decode(b"[1]").is_err());
    assert!(decode(b"{\"k\":").is_err());
}
