use super::*;
use proptest::prelude::*;

fn mark(first: i32, n: i32, offset: i64) -> BatchMark {
    BatchMark {
        first_sequence: first,
        last_sequence: follows(first, n - 1),
        first_offset: offset,
        last_offset: offset + i64::from(n) - 1,
        timestamp: 0,
    }
}

#[test]
fn a_repeated_batch_is_answered_with_its_offset_and_a_hole_is_refused() {
    let mut p = Producers::default();
    assert_eq!(p.check(7, 0, 0, 9), Ok(Verdict::New));
    p.record(7, 0, mark(0, 10, 100), 1);
    assert_eq!(p.check(7, 0, 0, 9), Ok(Verdict::Repeated(mark(0, 10, 100))));
    assert_eq!(p.check(7, 0, 10, 10), Ok(Verdict::New));
    assert_eq!(p.check(7, 0, 11, 11), Err(Violation::OutOfOrder { expected: 10 }));
    assert_eq!(p.check(7, 0, 0, 4), Err(Violation::OutOfOrder { expected: 10 }));
}

#[test]
fn a_newer_epoch_begins_at_zero_and_fences_the_older() {
    let mut p = Producers::default();
    p.record(7, 1, mark(0, 1, 0), 1);
    assert_eq!(p.check(7, 0, 1, 1), Err(Violation::Fenced { current: 1 }));
    assert_eq!(p.check(7, 2, 5, 5), Err(Violation::OutOfOrder { expected: 0 }));
    assert_eq!(p.check(7, 2, 0, 0), Ok(Verdict::New));
}

#[test]
fn after_a_loss_one_jump_forward_is_accepted_and_none_back() {
    let mut p = Producers::default();
    p.record(7, 0, mark(0, 10, 0), 1);
    p.mark_loss();
    assert_eq!(p.check(7, 0, 3, 4), Err(Violation::OutOfOrder { expected: 10 }));
    assert_eq!(p.check(7, 0, 500, 501), Ok(Verdict::New));
    p.record(7, 0, mark(500, 2, 1000), 2);
    assert_eq!(p.check(7, 0, 900, 900), Err(Violation::OutOfOrder { expected: 502 }));
}

proptest! {
    #[test]
    fn any_of_the_last_five_batches_sent_again_is_recognised_across_the_wrap(
        start in prop_oneof![0..100i32, (i32::MAX - 100)..i32::MAX],
        sizes in prop::collection::vec(1..40i32, 1..20),
    ) {
        let mut p = Producers::default();
        let (mut sequence, mut offset) = (start, 0i64);
        let mut sent = Vec::new();
        for n in sizes {
            let m = mark(sequence, n, offset);
            prop_assert_eq!(p.check(1, 0, m.first_sequence, m.last_sequence), Ok(Verdict::New));
            p.record(1, 0, m, 0);
            sent.push(m);
            for old in sent.iter().rev().take(BATCHES_REMEMBERED) {
                prop_assert_eq!(p.check(1, 0, old.first_sequence, old.last_sequence), Ok(Verdict::Repeated(*old)));
            }
            sequence = follows(sequence, n);
            offset += i64::from(n);
        }
    }
}
