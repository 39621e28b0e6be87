//! What producers are told that commit offsets in their transactions.
use super::*;
use crate::kafka::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use crate::kafka::messages::describe_transactions::DescribeTransactionsRequest;

impl Setup {
    /// Kafka's name of the state that a transactional id is in.
    async fn state_of(&self, name: &str) -> String {
        let request = DescribeTransactionsRequest { transactional_ids: vec![name.to_owned()] };
        self.raw().await.call(0, &request).await.transaction_states.remove(0).transaction_state
    }
}

#[tokio::test]
async fn offsets_of_a_transaction_count_when_it_is_committed() {
    for versions in [OLD, NEW] {
        let setup = Setup::new().await;
        let topic = setup.topic("t", 1).await;
        let mut writer = Writer::new(&setup, &topic, versions).await;
        for (offset, committed, seen) in [(5, true, 5), (7, false, 5), (9, true, 9)] {
            if versions == OLD {
                assert_eq!(writer.commit_offset("g", offset).await, ErrorCode::InvalidTxnState);
                let request = AddOffsetsToTxnRequest {
                    transactional_id: "x".to_owned(),
                    producer_id: writer.id,
                    producer_epoch: writer.epoch,
                    group_id: "g".to_owned(),
                };
                assert_eq!(writer.raw.call(3, &request).await.error_code, 0);
            }
            assert_eq!(writer.commit_offset("g", offset).await, ErrorCode::None);
            assert_eq!(writer.offset("g", true).await, Err(ErrorCode::UnstableOffsetCommit));
            assert_eq!(writer.end(committed).await, ErrorCode::None);
            assert_eq!(writer.offset("g", true).await, Ok(seen));
        }
    }
}

#[tokio::test]
async fn commits_that_cannot_be_are_refused_and_begin_no_transaction() {
    use ErrorCode::{
        IllegalGeneration, InvalidGroupId, InvalidProducerEpoch, InvalidProducerIdMapping, UnknownMemberId,
        UnknownTopicOrPartition,
    };
    let setup = Setup::new().await;
    let topic = setup.topic("t", 1).await;
    let mut writer = Writer::new(&setup, &topic, NEW).await;
    let good = writer.commit_of("g", 5);
    let of = |name: &str, partitions: &[i32]| TxnOffsetCommitRequestTopic {
        name: name.to_owned(),
        partitions: partitions
            .iter()
            .map(|&partition_index| TxnOffsetCommitRequestPartition { partition_index, ..Default::default() })
            .collect(),
    };
    let cases = [
        (TxnOffsetCommitRequest { group_id: String::new(), ..good.clone() }, InvalidGroupId),
        (TxnOffsetCommitRequest { group_id: String::new(), producer_id: 9, ..good.clone() }, InvalidGroupId),
        (TxnOffsetCommitRequest { producer_id: 9, ..good.clone() }, InvalidProducerIdMapping),
        (TxnOffsetCommitRequest { transactional_id: "y".to_owned(), ..good.clone() }, InvalidProducerIdMapping),
        (TxnOffsetCommitRequest { producer_epoch: 7, ..good.clone() }, InvalidProducerEpoch),
        (TxnOffsetCommitRequest { topics: vec![of("t", &[7])], ..good.clone() }, UnknownTopicOrPartition),
        (
            TxnOffsetCommitRequest { topics: vec![of("u", &[0])], producer_id: 9, ..good.clone() },
            UnknownTopicOrPartition,
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(writer.commit(&request).await, [expected], "{request:?}");
        assert_eq!(setup.state_of("x").await, "Empty", "{request:?}");
    }
    // Whoever names a member of a group that has none is too late; the transaction has begun, as the producer is known.
    let member = TxnOffsetCommitRequest { member_id: "m".to_owned(), generation_id: 1, ..good.clone() };
    assert_eq!(writer.commit(&member).await, [IllegalGeneration]);
    let member = TxnOffsetCommitRequest { member_id: "m".to_owned(), ..good.clone() };
    assert_eq!(writer.commit(&member).await, [ErrorCode::None], "{UnknownMemberId:?} only where there are members");
    // Each partition has its own answer.
    let some = TxnOffsetCommitRequest { topics: vec![of("t", &[0, 7]), of("u", &[0])], ..good };
    assert_eq!(writer.commit(&some).await, [ErrorCode::None, UnknownTopicOrPartition, UnknownTopicOrPartition]);
    assert_eq!(setup.state_of("x").await, "Ongoing");
}
