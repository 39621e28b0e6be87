//! DescribeLogDirs (key 35): where partitions lie and how large they are.
use super::declare::messages;

messages! {
    /// Asks for sizes.
    struct DescribeLogDirsRequest {
        /// The topics, or null for all.
        topics: Option<Vec<DescribableLogDirTopic>> = Some(Vec::new());
    }

    /// Partitions of one topic.
    struct DescribableLogDirTopic {
        /// Name.
        topic: String;
        /// The partitions.
        partitions: Vec<i32>;
    }

    /// The answer.
    struct DescribeLogDirsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error of the whole, or 0.
        error_code: i16 [3..];
        /// The directories.
        results: Vec<DescribeLogDirsResult>;
    }

    /// A directory.
    struct DescribeLogDirsResult {
        /// Error, or 0.
        error_code: i16;
        /// Its absolute path.
        log_dir: String;
        /// The topics.
        topics: Vec<DescribeLogDirsTopic>;
        /// Size of the volume in bytes, or -1.
        total_bytes: i64 [4..] = -1;
        /// Bytes of the volume that can be used, or -1.
        usable_bytes: i64 [4..] = -1;
        /// Whether no new partitions are put there.
        is_cordoned: bool [5..];
    }

    /// Partitions of one topic.
    struct DescribeLogDirsTopic {
        /// Name.
        name: String;
        /// The partitions.
        partitions: Vec<DescribeLogDirsPartition>;
    }

    /// One partition.
    struct DescribeLogDirsPartition {
        /// Number of the partition.
        partition_index: i32;
        /// Bytes.
        partition_size: i64;
        /// How far it is behind.
        offset_lag: i64;
        /// Whether it is on its way to another directory.
        is_future_key: bool;
    }
}
