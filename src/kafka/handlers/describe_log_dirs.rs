//! DescribeLogDirs: one directory, the WAL's; a partition's size counts its segments in the bucket too.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Call, Endpoint};
use crate::kafka::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};

/// Lists sizes.
pub async fn answer(endpoint: Arc<Endpoint>, _: Call, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let asked: Option<BTreeMap<String, BTreeSet<i32>>> = request
        .topics
        .map(|topics| topics.into_iter().map(|t| (t.topic, t.partitions.into_iter().collect())).collect());
    let mut topics = BTreeMap::<String, Vec<DescribeLogDirsPartition>>::new();
    for (topic, partition_index, bytes) in endpoint.shared.log.sizes() {
        let wanted = |asked: &BTreeMap<String, BTreeSet<i32>>| {
            asked.get(&topic).is_some_and(|partitions| partitions.contains(&partition_index))
        };
        if asked.as_ref().is_none_or(wanted) {
            let partition_size = i64::try_from(bytes).unwrap_or(i64::MAX);
            let partition = DescribeLogDirsPartition { partition_index, partition_size, ..Default::default() };
            topics.entry(topic).or_default().push(partition);
        }
    }
    let topics = topics.into_iter().map(|(name, partitions)| DescribeLogDirsTopic { name, partitions });
    let (folder, budget_bytes, free_bytes) = endpoint.shared.log.wal_space();
    let directory = DescribeLogDirsResult {
        error_code: 0,
        log_dir: std::path::absolute(&folder).unwrap_or(folder).display().to_string(),
        topics: topics.collect(),
        total_bytes: i64::try_from(budget_bytes).unwrap_or(i64::MAX),
        usable_bytes: i64::try_from(free_bytes).unwrap_or(i64::MAX),
        is_cordoned: false,
    };
    DescribeLogDirsResponse { results: vec![directory], ..DescribeLogDirsResponse::default() }
}
