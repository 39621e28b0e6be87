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
    let mut behind = Behind::new(u64::MAX);
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
            prop_assert_eq!(again.bytes, again.runs.iter().map(|run| run.bytes).sum::<u64>());
        }
        behind.apply(&mut items);
        prop_assert_eq!(&items, &items_below(&frames, u64::MAX));
        let end = frames.last().map_or(0, |(group, ..)| group + 1);
        prop_assert_eq!(behind.boundary(end), end, "what is durable can be folded to its end");
    }
}

/// One minute of a broker's life: what pins R then, and how old the R is that could be written.
struct Minute {
    pin_ms: i64,
    r_ms: i64,
    bytes: u64,
}

/// `keys` items that each change every 5 s for `hours`, one group a second. `pin` says how old what pins R is, at a time in ms.
fn lived(keys: u64, hours: u64, most_bytes: u64, pin: impl Fn(i64) -> i64) -> (Behind, Vec<Minute>) {
    let mut behind = Behind::new(most_bytes);
    let (mut minutes, mut r) = (Vec::new(), 0);
    for second in 0..hours * 3600 {
        let now_ms = second as i64 * 1000;
        let due = (0..keys).filter(|key| key % 5 == second % 5);
        let changes = due.map(|key| (format!("offset/{key:05}"), Some(Json::of(&second)))).collect();
        behind.record(position(second), now_ms, changes);
        if second % 60 == 59 {
            let pinned = (now_ms - pin(now_ms)).max(0) / 1000;
            let to = behind.boundary(pinned as u64);
            if to > r {
                behind.forget_below(to);
                r = to;
            }
            minutes.push(Minute {
                pin_ms: now_ms - pinned * 1000,
                r_ms: now_ms - r as i64 * 1000,
                bytes: behind.bytes,
            });
        }
    }
    (behind, minutes)
}

#[test]
fn r_is_at_most_twice_as_old_as_what_pins_it_however_many_items_change() {
    for keys in [300, 1500] {
        // Twenty partitions that are sealed every ten minutes, one after the other: the oldest is always near ten minutes.
        let staggered = |now_ms: i64| 570_000 + now_ms / 1000 % 30 * 1000;
        let (_, minutes) = lived(keys, 1, u64::MAX, staggered);
        for minute in &minutes[20..] {
            assert!(minute.r_ms <= 2 * minute.pin_ms + RUN_MS, "{keys}: {} against {}", minute.r_ms, minute.pin_ms);
        }
    }
}

#[test]
fn while_one_pin_stands_still_the_memory_grows_with_the_logarithm_of_its_age() {
    let (behind, minutes) = lived(1000, 3, u64::MAX, |now_ms| now_ms);
    let items = 1000 * (ENTRY_BYTES as u64 + 20);
    for minute in &minutes {
        let doublings = (minute.pin_ms as f64 / RUN_MS as f64).log2().max(1.0) as u64 + 1;
        assert!(minute.bytes <= FINE_BYTES + items * 2 * doublings, "{} at {} ms", minute.bytes, minute.pin_ms);
    }
    // As soon as it goes, R can stop near each age that is left.
    let end = behind.runs.back().unwrap().ended_ms;
    for age_ms in [60_000, 600_000, 3_600_000] {
        let r = behind.boundary(((end - age_ms) / 1000) as u64) as i64 * 1000;
        assert!(end - r <= 2 * age_ms + RUN_MS, "{} for a pin of {age_ms}", end - r);
    }
}

#[test]
fn changes_that_cost_more_than_their_share_melt_and_r_lags() {
    let most = 3 << 20;
    let (mut behind, minutes) = lived(2000, 1, most, |now_ms| now_ms);
    let one_run = 2000 * (ENTRY_BYTES as u64 + 20) * 2;
    assert!(minutes.iter().all(|minute| minute.bytes <= most + one_run));
    assert!(behind.lags() && !behind.lags());
    let mut items = Items::new();
    behind.apply(&mut items);
    assert_eq!((items.len(), &items["offset/00004"]), (2000, &Json::of(&3599)));
}
