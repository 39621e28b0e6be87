use super::*;
use proptest::prelude::*;

fn archived(producers: &Producers) -> archive::Producers {
    producers.to_archive(&BTreeMap::new(), Vec::new())
}

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
    p.lost_until(1000);
    assert_eq!(p.check(7, 0, 3, 4), Err(Violation::OutOfOrder { expected: 10 }));
    assert_eq!(p.check(7, 0, 500, 501), Ok(Verdict::New));
    p.record(7, 0, mark(500, 2, 1000), 2);
    assert_eq!(p.check(7, 0, 900, 900), Err(Violation::OutOfOrder { expected: 502 }));
}

#[test]
fn whoever_is_known_by_a_marker_alone_begins_at_zero() {
    let mut p = Producers::default();
    p.record_end(7, 2, 1, 1);
    for p in [&p, &Producers::from_archive(&archived(&p))] {
        assert_eq!(p.check(7, 1, 0, 0), Err(Violation::Fenced { current: 2 }));
        assert_eq!(p.check(7, 2, 3, 3), Err(Violation::OutOfOrder { expected: 0 }));
        assert_eq!(p.check(7, 2, 0, 3), Ok(Verdict::New));
    }
    p.lost_until(10);
    assert_eq!(p.check(7, 2, 3, 3), Ok(Verdict::New), "what it wrote after the marker may be lost");
    // A marker of its own epoch leaves its sequences as they are, one of a new epoch does not.
    p.record(7, 2, mark(0, 4, 10), 2);
    p.record_end(7, 2, 1, 3);
    assert_eq!(p.check(7, 2, 4, 4), Ok(Verdict::New));
    p.record_end(7, 3, 1, 4);
    assert_eq!(p.check(7, 3, 0, 0), Ok(Verdict::New));
}

#[test]
fn the_coordinator_of_the_last_marker_is_known_after_a_restart() {
    let mut producers = Producers::default();
    producers.record(7, 0, mark(0, 1, 0), 1);
    let epoch_of = |producers: &Producers| producers.iter().next().unwrap().1.coordinator_epoch;
    assert_eq!(epoch_of(&producers), -1, "nothing was decided");
    producers.record_end(7, 0, 3, 2);
    assert_eq!(epoch_of(&producers), 3);
    assert_eq!(epoch_of(&Producers::from_archive(&archived(&producers))), 3);
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

#[test]
fn a_manifest_says_where_transactions_are_open_and_silence_ends_no_producer_that_has_one() {
    let mut producers = Producers::default();
    producers.record(7, 0, mark(0, 1, 10), 1);
    producers.record(8, 0, mark(0, 1, 11), 1);
    producers.expire(100, |id| id == 7);
    let open = BTreeMap::from([(7, 10)]);
    let aborted = vec![archive::AbortedTransaction::from((9, 3, 20))];
    let archived = producers.to_archive(&open, aborted.clone());
    assert_eq!(archived.producers.iter().map(|p| (p.id, p.open_from)).collect::<Vec<_>>(), [(7, 10)]);
    assert_eq!(archived.aborted, aborted);
}

#[test]
fn where_there_is_no_room_a_new_producer_takes_the_place_of_those_that_were_silent_for_longest() {
    let mut p = Producers::default();
    for id in 0..100 {
        p.record(id, 0, mark(0, 1, id), 1_000 - id);
    }
    p.set_max(64);
    assert_eq!(p.len(), 100, "nobody goes for that alone");
    p.record(5, 0, mark(1, 1, 200), 2_000);
    assert_eq!(p.len(), 100, "nor for one that is known");
    p.record(1_000, 0, mark(0, 1, 201), 2_000);
    assert_eq!(p.len(), 95, "a sixteenth at once");
    assert_eq!(p.iter().map(|(id, _)| id).filter(|id| *id < 1_000).max(), Some(93), "the oldest six");
    assert!(p.check(1_000, 0, 1, 1).is_ok() && p.check(5, 0, 2, 2).is_ok());
}

/// Fields that a later build gave to producers come back as long as the producer is remembered: also when it goes on, is
/// fenced by a newer epoch, or begins anew with one.
#[test]
fn what_a_later_build_said_of_a_producer_is_kept_as_long_as_it_is_remembered() {
    let mut producers = Producers::default();
    for id in [7, 8, 9] {
        producers.record(id, 0, mark(0, 1, id), 50);
    }
    let mut said = archived(&producers);
    said.unknown.insert("later".into(), 1.into());
    said.producers.iter_mut().for_each(|p| drop(p.unknown.insert("later".into(), p.id.into())));
    let mut producers = Producers::from_archive(&said);
    producers.record(7, 0, mark(1, 1, 20), 60);
    producers.record(8, 1, mark(0, 1, 21), 60);
    producers.record(10, 0, mark(0, 1, 22), 60);
    producers.record_end(8, 2, 1, 61);
    producers.lost_until(100);
    producers.expire(60, |_| false);
    let again = archived(&producers);
    assert_eq!(again.unknown.get("later"), Some(&1.into()));
    let later = |p: &archive::Producer| (p.id, p.unknown.get("later").cloned());
    let kept: Vec<_> = again.producers.iter().map(later).collect();
    assert_eq!(kept, [(7, Some(7.into())), (8, Some(8.into())), (10, None)], "9 was silent for too long");
}
