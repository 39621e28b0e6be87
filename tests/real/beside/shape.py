"""What of an answer is compared, and how: which fields each broker makes up, which are of its own clock, which name an element."""

APIS = dict(
    Produce=0, Fetch=1, ListOffsets=2, Metadata=3, OffsetCommit=8, OffsetFetch=9, FindCoordinator=10, JoinGroup=11, Heartbeat=12,
    LeaveGroup=13, SyncGroup=14, DescribeGroups=15, ListGroups=16, ApiVersions=18, CreateTopics=19, DeleteTopics=20,
    DeleteRecords=21, InitProducerId=22, OffsetForLeaderEpoch=23, AddPartitionsToTxn=24, AddOffsetsToTxn=25, EndTxn=26,
    WriteTxnMarkers=27, TxnOffsetCommit=28, DescribeAcls=29, CreateAcls=30, DeleteAcls=31, DescribeConfigs=32, AlterConfigs=33,
    DescribeLogDirs=35, CreatePartitions=37, DeleteGroups=42, ElectLeaders=43, IncrementalAlterConfigs=44,
    AlterPartitionReassignments=45, ListPartitionReassignments=46, OffsetDelete=47, DescribeClientQuotas=48, AlterClientQuotas=49,
    DescribeUserScramCredentials=50, AlterUserScramCredentials=51, DescribeQuorum=55, UpdateFeatures=57, DescribeCluster=60,
    DescribeProducers=61, DescribeTransactions=65, ListTransactions=66, ConsumerGroupHeartbeat=68, ConsumerGroupDescribe=69,
    GetTelemetrySubscriptions=71, PushTelemetry=72, ListConfigResources=74, DescribeTopicPartitions=75,
)  # fmt: skip

# Calls that change nothing: they may be asked again, until what an earlier call set off in the background has happened.
READS = {
    "Fetch", "ListOffsets", "Metadata", "OffsetFetch", "FindCoordinator", "DescribeGroups", "ListGroups", "ApiVersions",
    "OffsetForLeaderEpoch", "DescribeAcls", "DescribeConfigs", "DescribeLogDirs", "ListPartitionReassignments",
    "DescribeClientQuotas", "DescribeUserScramCredentials", "DescribeQuorum", "DescribeCluster", "DescribeProducers",
    "DescribeTransactions", "ListTransactions", "ConsumerGroupDescribe", "ListConfigResources", "DescribeTopicPartitions",
}  # fmt: skip

# Errors that only say "not yet": who says one while the other does not is asked again.
TRANSIENT = (5, 6, 14, 15, 16, 51)

# Marks what was decoded out of bytes.
DECODED = "is"

# Fields that each broker makes up, by the sort of value: equal after names took their place.
NAMED = {
    "memberId": "member",
    "leader": "member",
    "producerId": "producer",
    "ongoingTxnProducerId": "producer",
    "topicId": "topic",
    "clusterId": "cluster",
    "port": "port",
    "sessionId": "session",
    "leaderEpoch": "epoch",
    "currentLeaderEpoch": "epoch",
    "logDir": "folder",
}
# What stands in their place where there is none.
NOTHING = (None, "", -1, 0, "AAAAAAAAAAAAAAAAAAAAAA")

# Fields of a broker's own clock and disk: only whether there is a value.
FREE = {
    "throttleTimeMs", "logAppendTimeMs", "lastTimestamp", "transactionStartTimeMs", "finalizedFeaturesEpoch", "totalBytes",
    "usableBytes", "partitionSize", "documentation", "coordinatorEpoch",
}  # fmt: skip
# Words for people: not compared.
WORDS = {"errorMessage", "batchIndexErrorMessage"}

# Fields that tell elements of a list apart; a list has no order beyond them.
IDENTITY = (
    "apiKey", "name", "topicName", "topic", "groupId", "transactionalId", "resourceType", "resourceName", "source",
    "key", "partitionIndex", "partition", "index", "partitionId", "groupInstanceId", "instanceId", "clientId", "nodeId", "brokerId",
    "batchIndex", "feature", "user", "filterType", "state",
)  # fmt: skip


def is_given(value):
    """What is compared of a field that is free."""
    return value is not None and value != -1
