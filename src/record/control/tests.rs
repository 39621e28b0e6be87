use proptest::prelude::*;

use super::*;
use crate::record::testing::read;
use crate::record::verify_crc;

proptest! {
    #[test]
    fn a_marker_comes_back(
        producer_id: i64, producer_epoch: i16, committed: bool, coordinator_epoch: i32,
        offset in 0..i64::MAX, leader_epoch in 0..i32::MAX, timestamp in 0..i64::MAX / 1000,
    ) {
        let outcome = if committed { Outcome::Committed } else { Outcome::Aborted };
        let marker =
            EndMarker { producer_id, producer_epoch, outcome, coordinator_epoch, offset, leader_epoch, timestamp };
        let batch = marker.to_batch();
        prop_assert!(verify_crc(&batch).is_ok());
        prop_assert_eq!(EndMarker::of_batch(&batch), Ok(Some(marker)));
    }
}

#[test]
fn a_batch_of_data_is_no_marker() {
    let mut builder = BatchBuilder::new();
    let record = RecordRef {
        offset: 0,
        timestamp: 1,
        timestamp_type: TimestampType::Create,
        leader_epoch: 0,
        key: Some(&[0, 0, 0, 1]),
        value: None,
        headers: Headers::NONE,
    };
    let _ = builder.push(&record).unwrap();
    assert_eq!(EndMarker::of_batch(&builder.finish(Codec::None, None).unwrap()), Ok(None));
}

#[test]
fn a_commit_marker_is_one_control_record_at_its_offset() {
    let marker = commit_marker(1_000, 3, 77);
    let header = verify_crc(&marker).unwrap();
    assert!(header.is_control() && header.is_transactional());
    assert_eq!((header.base_offset, header.last_offset(), header.leader_epoch), (1_000, 1_000, 3));
    assert_eq!((header.producer_id, header.max_timestamp), (-1, 77));
    let [record] = &read(&marker).unwrap()[..] else { panic!("one record") };
    assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, 1][..]), "version 0, COMMIT");
    assert_eq!(record.value.as_deref(), Some(&[0; 6][..]), "version 0, coordinator epoch 0");
}
