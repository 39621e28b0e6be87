use super::*;
use crate::archive::manifest::model::CleanPoint;
use crate::base::Uuid;
use crate::log::producers::Violation;
use crate::record::{BatchBuilder, Codec, EndMarker, Outcome, Producer, Record};
use crate::wal::DamageKind;

const ID: Uuid = Uuid([7; 16]);

fn manifest(next: i64) -> Manifest {
    let mut manifest = Manifest::empty(ID, 0, 0);
    manifest.next = next;
    manifest
}

/// Producers as a manifest knows them: id, sequences of its last batch, and where its transaction is open.
fn known(producers: &[(i64, i32, i64, i64)]) -> archive::Producers {
    let one = |(id, sequence, offset, open_from): &(i64, i32, i64, i64)| archive::Producer {
        id: *id,
        epoch: 0,
        last_timestamp: 0,
        coordinator_epoch: -1,
        open_from: *open_from,
        batches: vec![archive::ProducerBatch::from((*sequence, *sequence, *offset, *offset, 0))],
        unknown: Default::default(),
    };
    archive::Producers { producers: producers.iter().map(one).collect(), ..Default::default() }
}

fn meta(kind: u8, first: i64, last: i64) -> FrameMeta {
    FrameMeta {
        kind,
        topic_id: ID,
        partition: 0,
        epoch: 1,
        base_offset: first,
        last_offset: last,
        records: 1,
        max_timestamp: -1,
        append_time: 0,
    }
}

fn at(group: u64) -> Position {
    Position { file: group / 4, group, at: 0, len: 10, crc: 0 }
}

enum Sent {
    Plain,
    Idempotent(i64, i32),
    Part(i64, i32),
    End(i64, Outcome),
}

/// Puts one record at `offset` into group `offset`.
fn put(held: &mut Held, offset: i64, sent: Sent) {
    let mut builder = BatchBuilder::new();
    match sent {
        Sent::Plain => {}
        Sent::Idempotent(id, sequence) => builder.set_producer(Producer { id, epoch: 0, base_sequence: sequence }),
        Sent::Part(id, sequence) => {
            builder.set_transactional();
            builder.set_producer(Producer { id, epoch: 0, base_sequence: sequence });
        }
        Sent::End(producer_id, outcome) => {
            let marker = EndMarker {
                producer_id,
                producer_epoch: 1,
                outcome,
                coordinator_epoch: 1,
                offset,
                leader_epoch: 1,
                timestamp: 0,
            };
            let bytes = marker.to_batch();
            return held.visit(&meta(FrameKind::BATCH, offset, offset), at(offset as u64), Ok(&bytes), true);
        }
    }
    let record = Record { offset, value: Some("x".into()), ..Record::default() };
    let _ = builder.push(&record.as_ref()).unwrap();
    let bytes = builder.finish(Codec::None, None).unwrap();
    held.visit(&meta(FrameKind::BATCH, offset, offset), at(offset as u64), Ok(&bytes), true);
}

fn begin(manifest: &Manifest, known: &archive::Producers, held: Held) -> Beginning {
    Beginning::new("t-0", manifest, known, held, &Doubts::default())
}

fn offsets(hot: &HotIndex) -> Vec<i64> {
    hot.from(0).map(|span| span.base).collect()
}

#[test]
fn a_producer_goes_on_behind_the_manifest_whatever_is_left_of_what_is_sealed() {
    // Sequences 0 to 3 are sealed; of their frames only the first is left.
    let mut held = Held::default();
    put(&mut held, 0, Sent::Idempotent(5, 0));
    put(&mut held, 4, Sent::Plain);
    let begin = begin(&manifest(4), &known(&[(5, 3, 3, -1)]), held);
    assert!(begin.producers.check(5, 0, 4, 4).is_ok());
    assert_eq!(begin.producers.check(5, 0, 5, 5).unwrap_err(), Violation::OutOfOrder { expected: 4 });
    assert!(matches!(begin.producers.check(5, 0, 3, 3), Ok(crate::log::producers::Verdict::Repeated(_))));
}

#[test]
fn a_marker_that_raised_its_producers_epoch_fences_the_one_before() {
    let mut held = Held::default();
    put(&mut held, 0, Sent::Part(5, 0));
    put(&mut held, 1, Sent::End(5, Outcome::Aborted));
    let begin = begin(&manifest(0), &known(&[]), held);
    assert_eq!(begin.producers.check(5, 0, 1, 1), Err(Violation::Fenced { current: 1 }));
    assert!(begin.producers.check(5, 1, 0, 0).is_ok(), "its sequences begin anew");
}

#[test]
fn a_transaction_whose_marker_is_sealed_is_over_though_its_records_are_still_there() {
    let mut held = Held::default();
    put(&mut held, 1, Sent::Part(77, 0));
    put(&mut held, 9, Sent::Plain);
    let begin = begin(&manifest(9), &known(&[(77, 0, 1, -1)]), held);
    assert_eq!(begin.transactions.first_open(), None);
}

#[test]
fn what_the_manifest_holds_open_stays_open_until_a_frame_ends_it() {
    let known = known(&[(77, 0, 1, 1)]);
    let mut held = Held::default();
    put(&mut held, 3, Sent::Part(77, 1));
    let open = begin(&manifest(3), &known, held);
    assert_eq!(open.transactions.first_open(), Some(1));

    let mut held = Held::default();
    put(&mut held, 2, Sent::Part(77, 1));
    put(&mut held, 3, Sent::End(77, Outcome::Aborted));
    let over = begin(&manifest(3), &known, held);
    assert_eq!(over.transactions.first_open(), None);
    assert_eq!(over.transactions.aborted_in(0, 10).map(|a| (a.first, a.last)).collect::<Vec<_>>(), [(1, 3)]);
    assert!(over.producers.check(77, 0, 2, 2).is_err(), "the marker raised the epoch");
}

#[test]
fn sealed_frames_are_hot_from_the_last_hole_up_with_their_aborted_transactions() {
    let mut held = Held::default();
    put(&mut held, 0, Sent::Plain);
    put(&mut held, 3, Sent::Part(77, 0));
    put(&mut held, 4, Sent::End(77, Outcome::Aborted));
    put(&mut held, 5, Sent::Plain);
    let hot = begin(&manifest(5), &known(&[]), held);
    assert_eq!(offsets(&hot.hot), [3, 4, 5]);
    assert_eq!(hot.transactions.aborted_in(0, 10).map(|a| (a.first, a.last)).collect::<Vec<_>>(), [(3, 4)]);
    assert_eq!((hot.known_end, hot.end, hot.damaged), (6, 6, None));

    let mut held = Held::default();
    (0..4).for_each(|offset| put(&mut held, offset, Sent::Plain));
    let mut compacted = manifest(4);
    compacted.cleaned.push(CleanPoint(3, 0));
    assert_eq!(offsets(&begin(&compacted, &known(&[]), held).hot), [3], "what gave way is read from the bucket");

    let mut held = Held::default();
    put(&mut held, 2, Sent::Plain);
    let gone = begin(&manifest(7), &known(&[]), held);
    assert_eq!((offsets(&gone.hot), gone.end), (vec![], 7), "a hole up to the end of what is sealed");
}

#[test]
fn a_hole_above_what_is_sealed_is_damage_unless_something_explains_it() {
    let with_hole = |held: &mut Held| {
        put(held, 4, Sent::Plain);
        put(held, 8, Sent::Plain);
    };
    let mut held = Held::default();
    with_hole(&mut held);
    let refused = begin(&manifest(4), &known(&[]), held).damaged.unwrap();
    assert!(refused.why.contains("offsets 5..8") && refused.why.contains("accept-loss"), "{}", refused.why);
    assert_eq!(refused.group, 4);

    let mut held = Held::default();
    with_hole(&mut held);
    held.visit(&meta(FrameKind::GAP, 5, 7), at(5), Ok(&[]), true);
    let left_out = begin(&manifest(4), &known(&[]), held);
    assert_eq!((left_out.damaged, left_out.lost), (None, vec![Lost { first: 5, next: 8, group: 5 }]));

    let mut held = Held::default();
    with_hole(&mut held);
    held.lose(&meta(FrameKind::BATCH, 5, 6), 5);
    held.lose(&meta(FrameKind::BATCH, 7, 7), 6);
    assert_eq!(begin(&manifest(4), &known(&[]), held).damaged, None, "two frames that were given up");

    let mut held = Held::default();
    with_hole(&mut held);
    let doubts = Doubts { unknown_losses: vec![UnknownLoss { first: 6, last: 7 }], ..Doubts::default() };
    let unknown = Beginning::new("t-0", &manifest(4), &known(&[]), held, &doubts);
    assert_eq!((unknown.damaged, unknown.lost), (None, vec![Lost { first: 5, next: 8, group: 6 }]));

    let mut held = Held::default();
    with_hole(&mut held);
    held.visit(&meta(FrameKind::LOG_START, 8, 8), at(9), Ok(&[]), true);
    assert_eq!(begin(&manifest(4), &known(&[]), held).damaged, None, "deleted");
}

#[test]
fn a_damaged_frame_pins_its_group_and_counts_in_the_end_of_the_log() {
    let mut held = Held::default();
    put(&mut held, 0, Sent::Plain);
    let damage = Damage {
        path: "5.wal".into(),
        file: 5,
        at: 0,
        len: 1,
        groups: 7..=7,
        frame: Some(meta(FrameKind::BATCH, 1, 4)),
        accepted: false,
        kind: DamageKind::Payload,
    };
    held.visit(&meta(FrameKind::BATCH, 1, 4), at(7), Err(&damage), true);
    let damaged = begin(&manifest(0), &known(&[]), held);
    assert_eq!((damaged.known_end, damaged.end), (5, 5));
    assert_eq!(damaged.damaged.map(|d| d.group), Some(7));

    let mut sealed = Held::default();
    sealed.visit(&meta(FrameKind::BATCH, 1, 4), at(7), Err(&damage), true);
    assert_eq!(begin(&manifest(5), &known(&[]), sealed).damaged, None, "what is sealed is in the bucket");
}

#[test]
fn where_the_end_is_in_doubt_offsets_go_on_at_what_is_reserved() {
    let mut held = Held::default();
    put(&mut held, 0, Sent::Idempotent(5, 0));
    let doubts = Doubts { end_is_uncertain: true, ..Doubts::default() };
    let begin = Beginning::new("t-0", &manifest(0), &known(&[]), held, &doubts);
    assert_eq!((begin.known_end, begin.end), (1, manifest(0).reserved));
    assert!(begin.producers.check(5, 0, 9, 9).is_ok(), "what came in between may be lost");
}

#[test]
fn what_was_left_out_after_an_unknown_loss_is_not_left_out_again() {
    let doubts = Doubts { unknown_losses: vec![UnknownLoss { first: 5, last: 6 }], ..Doubts::default() };
    let first = Beginning::new("t-0", &manifest(0), &known(&[]), Held::default(), &doubts);
    assert_eq!((first.known_end, first.end), (0, manifest(0).reserved), "what the lost groups held is not known");
    let mut held = Held::default();
    held.visit(&meta(FrameKind::GAP, 0, first.end - 1), at(9), Ok(&[]), true);
    let mut raised = manifest(0);
    raised.reserved = 2 * first.end;
    let again = Beginning::new("t-0", &raised, &known(&[]), held, &doubts);
    assert_eq!((again.known_end, again.end, again.damaged), (first.end, first.end, None));
}
