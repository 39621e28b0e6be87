//! WriteTxnMarkers (key 27): the ends of transactions, for the partitions that they wrote to. Brokers ask it of each
//! other, and the admin tool to abort a transaction that hangs.
use super::declare::messages;

messages! {
    /// Markers to write.
    struct WriteTxnMarkersRequest {
        /// The markers.
        markers: Vec<WritableTxnMarker>;
    }

    /// The end of one transaction.
    struct WritableTxnMarker {
        /// The producer.
        producer_id: i64;
        /// Its epoch.
        producer_epoch: i16;
        /// Whether it was committed; else it was aborted.
        transaction_result: bool;
        /// The topics.
        topics: Vec<WritableTxnMarkerTopic>;
        /// Epoch of the coordinator.
        coordinator_epoch: i32;
        /// Version of the transaction protocol: 2 and later have a new epoch for each transaction (KIP-1228).
        transaction_version: i8 [2..];
    }

    /// Partitions of one topic.
    struct WritableTxnMarkerTopic {
        /// Name.
        name: String;
        /// The partitions.
        partition_indexes: Vec<i32>;
    }

    /// The answer.
    struct WriteTxnMarkersResponse {
        /// The markers.
        markers: Vec<WritableTxnMarkerResult>;
    }

    /// What became of one marker.
    struct WritableTxnMarkerResult {
        /// The producer.
        producer_id: i64;
        /// The topics.
        topics: Vec<WritableTxnMarkerTopicResult>;
    }

    /// Partitions of one topic.
    struct WritableTxnMarkerTopicResult {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<WritableTxnMarkerPartitionResult>;
    }

    /// What became of one partition.
    struct WritableTxnMarkerPartitionResult {
        /// Number of the partition.
        partition_index: i32;
        /// Error, or 0.
        error_code: i16;
    }
}
