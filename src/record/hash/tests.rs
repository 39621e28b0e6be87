use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::record::testing::*;
use crate::record::{Header, Headers, Record, TimestampType, for_each_record};

#[derive(Deserialize)]
struct Fixture {
    examples: Vec<Example>,
    sum: HashSum,
}

#[derive(Deserialize)]
struct Example {
    topic_id: Uuid,
    partition: i32,
    offset: i64,
    timestamp: i64,
    timestamp_type: i64,
    leader_epoch: i32,
    key_hex: Option<String>,
    value_hex: Option<String>,
    headers_hex: Vec<(String, Option<String>)>,
    hashed_hex: String,
    hash: HashSum,
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../tests/fixtures/record_hash.json")).unwrap()
}

impl Example {
    fn record(&self) -> Record {
        let bytes = |hex: &Option<String>| hex.as_deref().map(|hex| unhex(hex).into());
        Record {
            offset: self.offset,
            timestamp: self.timestamp,
            timestamp_type: TimestampType::from_code(self.timestamp_type).unwrap(),
            leader_epoch: self.leader_epoch,
            key: bytes(&self.key_hex),
            value: bytes(&self.value_hex),
            headers: self.headers_hex.iter().map(|(k, v)| Header { key: unhex(k).into(), value: bytes(v) }).collect(),
        }
    }
}

#[test]
fn the_worked_examples_hold() {
    let fixture = fixture();
    assert_eq!(fixture.examples.len(), 3);
    let mut sum = HashSum::ZERO;
    for example in &fixture.examples {
        let mut hasher = RecordHasher::new(example.topic_id, example.partition);
        let record = example.record();
        for _ in 0..2 {
            assert_eq!(HashSum(hasher.hash(&record.as_ref())), example.hash);
            assert_eq!(hasher.scratch, unhex(&example.hashed_hex));
        }
        sum.add(example.hash.0);
    }
    assert_eq!(sum, fixture.sum);
}

#[test]
fn the_worked_examples_stand_in_the_module_header() {
    let header: String = include_str!("../hash.rs").lines().take_while(|line| line.starts_with("//!")).collect();
    let header: String = header.replace("//!", "").split_whitespace().collect();
    for example in fixture().examples {
        assert!(header.contains(&example.hash.to_string()), "{}", example.hash);
        assert!(header.contains(&example.hashed_hex), "{}", example.hashed_hex);
    }
}

proptest! {
    #[test]
    fn a_sum_forgets_order_and_what_was_taken_away(hashes in prop::collection::vec(any::<u64>(), 0..20), other in any::<u64>()) {
        let forwards: HashSum = hashes.iter().map(|&h| HashSum(h)).sum();
        let mut backwards: HashSum = hashes.iter().rev().map(|&h| HashSum(h)).sum();
        prop_assert_eq!(forwards, backwards);
        backwards += HashSum(other);
        prop_assert_eq!(forwards == backwards, other == 0);
        backwards -= HashSum(other);
        prop_assert_eq!(forwards, backwards);
        prop_assert_eq!(forwards.to_string().parse(), Ok(forwards));
    }

    #[test]
    fn the_hash_does_not_see_where_the_record_lies(records in stored(), codec in codec()) {
        let topic_id = Uuid([7; 16]);
        let mut hasher = RecordHasher::new(topic_id, 3);
        let owned: Vec<u64> = records.iter().map(|r| hasher.hash(&r.as_ref())).collect();
        let mut encoded = Vec::new();
        for batch in batches_of(&records, codec) {
            for_each_record(&batch, CAP, &mut Vec::new(), |record| {
                let pairs: Vec<_> = record.headers.iter().collect();
                let again = RecordRef { headers: Headers::pairs(&pairs), ..record };
                assert_eq!(again, record);
                assert_eq!(hash_record(topic_id, 3, &again), hash_record(topic_id, 3, &record));
                encoded.push(hash_record(topic_id, 3, &record));
                Ok::<_, crate::record::BatchError>(())
            }).unwrap();
        }
        prop_assert_eq!(encoded, owned);
    }
}

#[test]
fn every_field_counts() {
    let base = Record { key: Some("".into()), headers: vec![Header::new(b"a", None)], ..Record::default() };
    let others = [
        Record { offset: 1, ..base.clone() },
        Record { timestamp: 1, ..base.clone() },
        Record { timestamp_type: TimestampType::Append, ..base.clone() },
        Record { leader_epoch: 1, ..base.clone() },
        Record { key: None, ..base.clone() },
        Record { value: Some("".into()), ..base.clone() },
        Record { headers: vec![], ..base.clone() },
        Record { headers: vec![Header::new(b"a", Some(b""))], ..base.clone() },
        Record { headers: vec![Header::new(b"a", None), Header::new(b"a", None)], ..base.clone() },
    ];
    let id = Uuid([1; 16]);
    let hash = hash_record(id, 0, &base.as_ref());
    assert_ne!(hash, hash_record(id, 1, &base.as_ref()));
    assert_ne!(hash, hash_record(Uuid([2; 16]), 0, &base.as_ref()));
    for other in others {
        assert_ne!(hash, hash_record(id, 0, &other.as_ref()), "{other:?}");
    }
}

#[test]
fn sums_are_sixteen_hex_digits_in_text_and_json() {
    let sum = HashSum(0xab);
    assert_eq!(serde_json::to_string(&sum).unwrap(), "\"00000000000000ab\"");
    assert_eq!(serde_json::from_str::<HashSum>("\"00000000000000ab\"").unwrap(), sum);
    for bad in ["", "ab", "00000000000000AB", "+0000000000000ab", "00000000000000abc", "é0000000000000a"] {
        assert!(bad.parse::<HashSum>().is_err(), "{bad}");
    }
}
