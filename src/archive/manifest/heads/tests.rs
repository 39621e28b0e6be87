use super::super::model::{Gap, GapReason, Removed, RemovedObject};
use super::*;
use crate::base::Uuid;

fn manifest(gaps: i64) -> Manifest {
    let mut manifest = Manifest::empty(Uuid([1; 16]), 3, 5);
    let gap = |first| Gap { first, next: first + 1, reason: GapReason::Control, unknown: Default::default() };
    manifest.entries = (0..gaps).map(gap).map(Entry::Gap).collect();
    manifest.next = gaps;
    manifest.unknown.insert("later".to_owned(), serde_json::json!({"a": [1, null]}));
    manifest
}

fn used(heads: &Heads) -> u64 {
    heads.0.used.load(Ordering::Relaxed)
}

#[test]
fn a_head_says_the_same_whatever_form_it_has_and_those_that_are_plain_stay_within_their_room() {
    let each = plain_bytes(&manifest(10));
    let heads = Heads::new(2 * each);
    let kept: Vec<Kept> = (0..5).map(|_| Kept::new(&heads, Arc::new(manifest(10)))).collect();
    assert_eq!(used(&heads), 2 * each);
    for _ in 0..2 {
        for kept in &kept {
            assert_eq!(*kept.manifest(), manifest(10));
            assert!(used(&heads) <= 2 * each);
        }
        kept.iter().for_each(Kept::cool);
    }
    drop(kept);
    assert_eq!(used(&heads), 0);
}

#[test]
fn room_is_made_by_those_that_nobody_asked_for() {
    let each = plain_bytes(&manifest(10));
    let heads = Heads::new(2 * each);
    let [busy, idle, new] = [0; 3].map(|_| Kept::new(&heads, Arc::new(manifest(10))));
    let is_plain = |kept: &Kept| matches!(*kept.form(), Form::Plain(_));
    assert_eq!([&busy, &idle, &new].map(is_plain), [true, true, false]);
    assert!(heads.is_tight());
    for _ in 0..2 {
        busy.manifest();
        [&busy, &idle, &new].into_iter().for_each(Kept::cool);
    }
    assert_eq!([&busy, &idle, &new].map(is_plain), [true, false, false]);
    new.manifest();
    assert_eq!([&busy, &idle, &new].map(is_plain), [true, false, true]);
}

#[test]
fn what_is_asked_of_all_partitions_is_known_without_the_manifest() {
    let mut of = manifest(4);
    let removed = |at_ms| Removed { what: RemovedObject::object("x"), at_ms, by: None, unknown: Default::default() };
    of.removed = vec![removed(70), removed(50)];
    let kept = Kept::new(&Heads::new(0), Arc::new(of));
    assert_eq!((kept.next, kept.removed_ms, kept.oldest_ms, kept.stored_bytes), (4, Some(50), None, 0));
}
