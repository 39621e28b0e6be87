//! Agreement with the `kafka-protocol` crate, an independent implementation, in both directions. It keeps headers in a
//! map, so of repeated keys only the last value survives there; that is taken into account where it reads.
use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as oracle;
use proptest::prelude::*;

use super::testing::*;
use super::*;

fn oracle_codec(codec: Codec) -> oracle::Compression {
    match codec {
        Codec::None => oracle::Compression::None,
        Codec::Gzip => oracle::Compression::Gzip,
        Codec::Snappy => oracle::Compression::Snappy,
        Codec::Lz4 => oracle::Compression::Lz4,
        Codec::Zstd => oracle::Compression::Zstd,
    }
}

fn oracle_record(record: &Record, producer: Producer, transactional: bool) -> oracle::Record {
    let text = |key: &Bytes| StrBytes::try_from(key.clone()).unwrap();
    oracle::Record {
        transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: record.leader_epoch,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        timestamp_type: match record.timestamp_type {
            TimestampType::Create => oracle::TimestampType::Creation,
            TimestampType::Append => oracle::TimestampType::LogAppend,
        },
        offset: record.offset,
        sequence: producer.base_sequence,
        timestamp: record.timestamp,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.iter().map(|h| (text(&h.key), h.value.clone())).collect::<IndexMap<_, _>>(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_oracle_reads_what_we_write(records in stored(), codec in codec(), producer in any::<bool>()) {
        let producer = if producer { Producer { id: 7, epoch: 3, base_sequence: 11 } } else { Producer::NONE };
        let mut builder = BatchBuilder::new();
        let mut from = 0;
        while from < records.len() {
            builder.set_producer(producer);
            builder.set_transactional();
            let rest = &records[from..];
            let taken = rest.iter().take_while(|r| builder.push(&r.as_ref()).unwrap() == Pushed::Added).count();
            let mut batch = builder.finish(codec, None).unwrap();
            let read = oracle::RecordBatchDecoder::decode(&mut batch).unwrap();
            prop_assert!(batch.is_empty());
            prop_assert_eq!(read.compression, oracle_codec(codec));
            let base = rest[0].offset;
            let expected: Vec<_> = rest[..taken].iter().map(|record| {
                let mut expected = oracle_record(record, producer, true);
                expected.sequence = producer.base_sequence.wrapping_add((record.offset - base) as i32);
                expected
            }).collect();
            prop_assert_eq!(read.records, expected);
            from += taken;
        }
    }

    #[test]
    fn we_accept_and_read_what_the_oracle_writes(mut records in produced(), codec in codec(), idempotent in any::<bool>()) {
        for record in &mut records {
            // Of a repeated key the oracle would write the last.
            let mut seen = std::collections::HashSet::new();
            record.headers.retain(|h| seen.insert(h.key.clone()));
        }
        let producer = if idempotent { Producer { id: 1 << 40, epoch: 0, base_sequence: 5 } } else { Producer::NONE };
        let theirs: Vec<_> = records.iter().map(|record| {
            let mut theirs = oracle_record(record, producer, idempotent);
            theirs.sequence = producer.base_sequence.wrapping_add(record.offset as i32);
            theirs
        }).collect();
        let mut bytes = BytesMut::new();
        let options = oracle::RecordEncodeOptions { version: 2, compression: oracle_codec(codec) };
        oracle::RecordBatchEncoder::encode(&mut bytes, &theirs, &options).unwrap();
        let batch = bytes.freeze();

        let checked = check(&batch, &lenient()).unwrap();
        prop_assert_eq!(checked.header.codec(), codec);
        prop_assert_eq!(checked.header.producer_id, producer.id);
        prop_assert_eq!(checked.header.base_sequence, producer.base_sequence);
        prop_assert_eq!(checked.header.is_transactional(), idempotent);
        prop_assert_eq!(read(&batch).unwrap(), records);
    }

    #[test]
    fn the_oracle_reads_what_we_stamped(records in produced(), codec in codec(), append in any::<bool>()) {
        let now = 1_750_000_000_000;
        let batch = batch_of(&records, codec);
        let limits = CheckLimits {
            timestamp_type: if append { TimestampType::Append } else { TimestampType::Create },
            ..lenient()
        };
        let header = check(&batch, &limits).unwrap().header;
        let mut stamped = stamp(&batch, &header, 1 << 40, 9, append.then_some(now)).to_bytes();
        let ours = read(&stamped).unwrap();
        let theirs = oracle::RecordBatchDecoder::decode(&mut stamped).unwrap().records;
        prop_assert_eq!(theirs.len(), records.len());
        for ((ours, theirs), sent) in ours.iter().zip(&theirs).zip(&records) {
            prop_assert_eq!(ours.offset, (1 << 40) + sent.offset);
            prop_assert_eq!(theirs.offset, ours.offset);
            prop_assert_eq!((ours.leader_epoch, theirs.partition_leader_epoch), (9, 9));
            prop_assert_eq!(theirs.timestamp_type == oracle::TimestampType::LogAppend, append);
            prop_assert_eq!(ours.timestamp_type == TimestampType::Append, append);
            prop_assert_eq!(ours.timestamp, if append { now } else { sent.timestamp });
            prop_assert_eq!(&ours.value, &theirs.value);
        }
    }
}

#[test]
fn the_oracle_takes_a_commit_marker_for_a_control_batch() {
    let mut marker = commit_marker(41, 6, 1_700_000_000_000);
    let read = oracle::RecordBatchDecoder::decode(&mut marker).unwrap();
    let [record] = &read.records[..] else { panic!("one record") };
    assert!(record.control && record.transactional);
    assert_eq!((record.offset, record.partition_leader_epoch, record.timestamp), (41, 6, 1_700_000_000_000));
    assert_eq!(record.key.as_deref(), Some(&[0, 0, 0, 1][..]));
}
