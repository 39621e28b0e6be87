use proptest::prelude::*;

use super::*;
use crate::record::testing::*;
use crate::record::{commit_marker, stamp};

proptest! {
    #[test]
    fn what_was_built_is_walked_back(records in stored(), codec in codec()) {
        let mut found = Vec::new();
        for batch in batches_of(&records, codec) {
            found.extend(read(&batch).unwrap());
        }
        prop_assert_eq!(found, records);
    }

    #[test]
    fn a_strangers_records_are_refused_or_walked_but_never_panic(
        records in produced(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let batch = batch_of(&records, Codec::None);
        let mut body = batch[BatchHeader::LEN..].to_vec();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let batch = with_records(&batch, &body);
        if crate::record::check(&batch, &lenient()).is_ok() {
            prop_assert_eq!(read(&batch).unwrap().len(), records.len(), "what is accepted can be sealed");
        }
        let _ = read(&batch);
    }
}

#[test]
fn an_error_of_the_visitor_ends_the_walk() {
    #[derive(Debug, PartialEq)]
    struct Enough;
    impl From<BatchError> for Enough {
        fn from(error: BatchError) -> Self {
            panic!("{error}")
        }
    }
    let mut seen = 0;
    let result = for_each_record(&commit_marker(3, 0, 0), CAP, &mut Vec::new(), |record| {
        assert_eq!(record.offset, 3);
        seen += 1;
        Err(Enough)
    });
    assert_eq!((result, seen), (Err(Enough), 1));
}

#[test]
fn append_time_is_the_batchs_for_every_record() {
    let batch = commit_marker(0, 0, 5);
    let header = BatchHeader::parse(&batch).unwrap();
    let stamped = stamp(&batch, &header, 10, 2, Some(77)).to_bytes();
    let records = read(&stamped).unwrap();
    assert_eq!((records[0].timestamp, records[0].timestamp_type), (77, TimestampType::Append));
}

#[test]
fn counts_that_lie_are_errors() {
    let marker = commit_marker(0, 0, 0);
    let with_count = |count| with_header(&marker, |header| header.record_count = count);
    let problem = "its length is cut off";
    assert_eq!(read(&with_count(2)), Err(BatchError::Record { index: 1, problem }));
    assert_eq!(read(&with_count(i32::MAX)), Err(BatchError::Record { index: 1, problem }));
    assert_eq!(read(&with_count(0)), Err(BatchError::Header("bytes follow the last record")));
    assert!(matches!(read(&with_count(-1)), Err(BatchError::Header(_))));
}

#[test]
fn offsets_and_timestamps_that_overflow_are_errors() {
    let marker = commit_marker(0, 0, 0);
    let body = [&[20u8][..], &[0, 2, 2][..], &marker[BatchHeader::LEN + 4..]].concat();
    let batch = with_records(&marker, &{
        // One record with both deltas 1, its length what is left.
        let mut body = body;
        body[0] = ((body.len() - 1) * 2) as u8;
        body
    });
    assert_eq!(read(&batch).unwrap()[0].offset, 1);
    let late = with_header(&batch, |header| header.base_timestamp = i64::MAX);
    assert!(matches!(read(&late), Err(BatchError::Record { index: 0, problem }) if problem.contains("timestamp")));
    let far = with_header(&batch, |header| header.base_offset = i64::MAX);
    assert!(matches!(read(&far), Err(BatchError::Record { index: 0, problem }) if problem.contains("offset")));
}
