use super::*;

fn merges(segment_bytes: u64) -> For {
    For::Merges(Size { segment_bytes, span_max_ms: None })
}

#[test]
fn nothing_stays_found_until_more_is_sealed_the_time_comes_or_something_else_is_looked_for() {
    let mut looked = Looked::default();
    assert!(!looked.found_nothing(10, &merges(1), 0));
    looked.note_nothing(10, merges(1), 100);
    assert!(looked.found_nothing(10, &merges(1), 99));
    assert!(!looked.found_nothing(10, &merges(1), 100));
    assert!(!looked.found_nothing(11, &merges(1), 99));
    assert!(!looked.found_nothing(10, &merges(2), 99));
}

#[test]
fn what_cannot_be_read_is_avoided_for_a_while_and_of_many_the_first_are_tried_again() {
    let mut looked = Looked::default();
    looked.avoid("a", 5);
    assert!(looked.avoids("a", 4 + AVOID_MS) && !looked.avoids("a", 5 + AVOID_MS) && !looked.avoids("b", 5));
    for n in 0..AVOIDED_MAX {
        looked.avoid(&n.to_string(), 6);
    }
    assert!(!looked.avoids("a", 6) && looked.avoids("0", 6));
    assert_eq!(looked.avoid.len(), AVOIDED_MAX);
}

#[test]
fn where_merges_go_on_holds_for_one_size_of_segments() {
    let size = |segment_bytes| Size { segment_bytes, span_max_ms: None };
    let mut looked = Looked::default();
    looked.note_merged(&size(1), 70);
    assert_eq!((looked.merged_to(&size(1)), looked.merged_to(&size(2))), (70, 0));
}
