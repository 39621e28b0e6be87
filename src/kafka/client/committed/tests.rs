use super::*;
use crate::record::{BatchBuilder, Codec, Outcome, Producer, Record};

fn data(offset: i64, producer_id: i64, transactional: bool) -> Bytes {
    let mut builder = BatchBuilder::new();
    if transactional {
        builder.set_transactional();
    }
    builder.set_producer(Producer { id: producer_id, epoch: 0, base_sequence: 0 });
    let record = Record { offset, timestamp: 1, value: Some("x".into()), ..Record::default() };
    let _ = builder.push(&record.as_ref()).unwrap();
    builder.finish(Codec::None, None).unwrap()
}

fn marker(offset: i64, producer_id: i64, outcome: Outcome) -> Bytes {
    let marker = EndMarker {
        producer_id,
        producer_epoch: 0,
        outcome,
        coordinator_epoch: 0,
        offset,
        leader_epoch: 0,
        timestamp: 1,
    };
    marker.to_batch()
}

#[test]
fn records_of_aborted_transactions_are_left_out_up_to_their_marker_and_no_others() {
    let records = [
        data(0, 1, true),  // aborted
        data(1, 2, true),  // committed
        data(2, 1, false), // not in a transaction
        marker(3, 2, Outcome::Committed),
        data(4, 1, true), // aborted
        marker(5, 1, Outcome::Aborted),
        data(6, 1, true), // committed
        marker(7, 1, Outcome::Committed),
        data(8, 1, true), // aborted
        marker(9, 1, Outcome::Aborted),
    ];
    let (kept, next) = committed(records.concat().into(), vec![(1, 8), (1, 0)]).unwrap();
    let offsets: Vec<i64> = kept.iter().map(|batch| BatchHeader::parse(batch).unwrap().base_offset).collect();
    assert_eq!(offsets, [1, 2, 6]);
    assert_eq!(next, Some(10));
    assert_eq!(committed(Bytes::new(), vec![(1, 8)]).unwrap(), (Vec::new(), None));
}

#[test]
fn a_read_that_begins_inside_of_an_aborted_transaction_leaves_it_out() {
    let records = [data(4, 1, true), marker(5, 1, Outcome::Aborted), data(6, 2, true)];
    let (kept, next) = committed(records.concat().into(), vec![(1, 0)]).unwrap();
    assert_eq!((kept.len(), next), (1, Some(7)));
}
