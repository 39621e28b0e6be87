"""The differences from Kafka 4.3.1 that stay, each with its reason. COMPATIBILITY.md names every one of them."""
import re
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rule:
    """Differences that are meant: in calls of `apis` (any, if there are none), where `path` matches and `when` holds. A rule of
    `whole` answers covers whatever differs in an answer in which it covers one field."""

    name: str
    reason: str
    path: str = ""
    apis: tuple = ()
    when: object = field(default=lambda difference: True)
    whole: bool = False

    def covers(self, difference, others):
        if self.apis and difference.api not in self.apis:
            return False
        found = others if self.whole else [difference]
        return any(re.search(self.path, one.path) is not None and self.when(one) for one in found)


def _absent(side):
    return lambda one: getattr(one, side) == "(absent)"


def _codes(*pairs):
    """Of Kafka, of Esker."""
    return lambda one: (one.kafka, one.esker) in pairs


def _asks_for_replicas(one):
    return any(topic.get("replicationFactor", 1) > 1 for topic in one.body["topics"])


def _time(one):
    return one.body["topics"][0]["partitions"][0]["timestamp"]


def _is_of_today(ms):
    return abs(ms - time.time() * 1000) < 86_400_000


def _has_limits_below_0(one):
    """Of a fetch."""
    asked = [partition for topic in one.body.get("topics", []) for partition in topic.get("partitions", []) if "partitionMaxBytes" in partition]
    return one.api == "Fetch" and (one.body["maxBytes"] < 0 or any(partition["partitionMaxBytes"] < 0 for partition in asked))


# Of Kafka, of Esker.
ERRORS_OF_ITS_OWN = {
    "DescribeTopicPartitions": [(-1, 17)],
    "IncrementalAlterConfigs": [(-1, 40)],
    "Produce": [(-1, 76), (-1, 87)],
    "Fetch": [(-1, 42)],
    "ListOffsets": [(-1, 42)],
    "WriteTxnMarkers": [(-1, 47)],
}
ERROR = r"(^|\.)(partitionE|e)rrorCode$"
INTERNAL = ("__consumer_offsets", "__transaction_state")

RULES = [
    Rule(
        "apis-not-spoken",
        "SASL, delegation tokens, moving between log folders, share groups and Streams groups are not spoken, nor what brokers and controllers of a "
        "cluster tell each other.",
        r"^apiKeys\[apiKey=\d+\]$",
        ("ApiVersions",),
        _absent("esker"),
    ),
    Rule(
        "telemetry",
        "GetTelemetrySubscriptions and PushTelemetry are answered: there are none. Kafka does not speak them without a plugin for it.",
        r"^apiKeys\[apiKey=(71|72)\]$",
        ("ApiVersions",),
        _absent("kafka"),
    ),
    Rule(
        "features",
        "transaction.version and group.version are the features here; Kafka's others belong to KRaft, share groups and Streams groups.",
        r"^(supported|finalized)Features(\[name=(eligible|kraft|metadata|share|streams)\.[a-z.]+\])?$",
        ("ApiVersions",),
        _absent("esker"),
    ),
    Rule(
        "errors-of-its-own",
        "Kafka's code meets what it does not expect, and says UNKNOWN_SERVER_ERROR. Esker names the error: a name that no topic can "
        "have, a change of a setting that is none, a batch of a codec that there is not or that is not compressed as it says, a level of "
        "isolation that there is not, a marker of no epoch. Limits of bytes below 0 count as 0.",
        r"(^|\.)errorCode$",
        ("DescribeTopicPartitions", "IncrementalAlterConfigs", "Produce", "Fetch", "ListOffsets", "WriteTxnMarkers"),
        lambda one: (one.kafka, one.esker) in ERRORS_OF_ITS_OWN[one.api] or one.kafka == -1 and _has_limits_below_0(one),
        True,
    ),
    Rule(
        "internal-topics",
        "There are no __consumer_offsets and no __transaction_state: their names are reserved, not listed and not written to.",
        r"__consumer_offsets|__transaction_state",
    ),
    Rule("esker-settings", "Esker has settings of its own, whose names begin with esker.", r"\[name=esker\.[a-z.]+\]", (), _absent("kafka")),
    Rule(
        "retention-for-ever",
        "Keeping everything is what Esker is for: retention.ms is -1 unless it is set.",
        r"\[name=(log\.)?retention\.ms\](\.synonyms.*)?\.value$",
    ),
    Rule(
        "always-tiered",
        "Every topic is sealed to the bucket: remote.storage.enable is always true, and a time of -6 (first offset that is not in the "
        "remote tier) has an answer.",
        r"\[name=remote\.storage\.enable\](\.synonyms.*)?\.value$",
    ),
    Rule(
        "always-tiered",
        "",
        r"^topics",
        ("ListOffsets",),
        lambda one: _time(one) == -6,
    ),
    Rule(
        "synonyms",
        "Kafka's brokers have defaults of retention.ms, segment.ms, segment.jitter.ms and flush.ms under several names "
        "(log.retention.hours, ...), of which one has a value, and keep min.insync.replicas for the cluster from the start.",
        r"\.synonyms\[name=log\.(retention|roll|roll\.jitter|flush\.interval)\.(ms|hours),source=5\]|"
        r"\[name=min\.insync\.replicas\]\.(configSource$|synonyms\[name=min\.insync\.replicas,source=3\])",
    ),
    Rule(
        "more-is-dynamic",
        "What groups and transactions keep to (group.*, offset.*, offsets.*, transaction.*, transactional.*) can be changed while the broker runs; Kafka's "
        "brokers have to be started again for most of it.",
        r"\[resourceType=4,.*(errorCode|\.readOnly)$",
        ("DescribeConfigs", "IncrementalAlterConfigs"),
        lambda one: (one.kafka, one.esker) in ((42, 0), (True, False)) and re.search(r"'(group|offsets?|transaction(al)?)\.", str(one.body)),
    ),
    Rule(
        "unknown-settings",
        "A setting of the broker that nobody knows is refused by its name; Kafka keeps it.",
        ERROR,
        ("IncrementalAlterConfigs",),
        lambda one: (one.kafka, one.esker) == (0, 40) and one.body["resources"][0]["resourceType"] == 4,
    ),
    Rule(
        "any-replication-factor",
        "A replication factor above 1 is accepted and 1 reported: the bucket keeps the copies.",
        ERROR,
        ("CreateTopics",),
        lambda one: (one.kafka, one.esker) == (38, 0) and _asks_for_replicas(one),
        True,
    ),
    Rule(
        "no-id-without-a-topic",
        "A topic that is only validated gets no id; Kafka makes one up.",
        r"\.topicId$",
        ("CreateTopics",),
        lambda one: one.body.get("validateOnly", False),
    ),
    Rule(
        "numbers-are-numbers",
        "min.cleanable.dirty.ratio=NaN is refused.",
        r"errorCode$",
        ("IncrementalAlterConfigs",),
        lambda one: "NaN" in str(one.body),
        True,
    ),
    Rule("no-loggers", "Levels of single loggers cannot be set: there is log.level.", r"resourceType=8", ("ListConfigResources",), _absent("esker")),
    Rule(
        "garbled-batches",
        "Bytes that are no batch get CORRUPT_MESSAGE, INVALID_RECORD or UNSUPPORTED_FOR_MESSAGE_FORMAT, by the first check that they "
        "fail. The order of Kafka's checks is another one.",
        r"(^|\.)(errorCode|logStartOffset)$",
        ("Produce",),
        lambda one: one.kafka in (2, 47, 87, -1) and one.esker in (2, 43, 87, 0),
    ),
    Rule(
        "append-times-by-the-broker",
        "A batch whose producer says that the broker stamped it is INVALID_TIMESTAMP; Kafka stores it as it is.",
        ERROR,
        ("Produce",),
        _codes((0, 32)),
        True,
    ),
    Rule(
        "record-errors",
        "A batch is checked up to its first wrong record, which errorMessage names; none of it is stored. Kafka goes on and lists all "
        "of them, for compacted topics and timestamps.",
        r"\.recordErrors\[",
        ("Produce",),
        lambda one: one.esker == "(absent)" and list(one.kafka) == ["batchIndex"],
    ),
    Rule(
        "unverified-batches",
        "A batch that was refused because its partition is not in the transaction is forgotten. Kafka remembers the least sequence that "
        "it was asked to verify, and a producer's first batch must not begin above it.",
        ERROR,
        ("Produce",),
        lambda one: (one.kafka, one.esker) == (45, 0) and one.body["transactionalId"] is not None,
        True,
    ),
    Rule(
        "repeated-batches",
        "A batch that was sent again is answered without a time; Kafka answers with the batch's own as if it were an append time.",
        r"\.logAppendTimeMs$",
        ("Produce",),
        lambda one: one.kafka is True,
    ),
    Rule(
        "groups-without-anything",
        "A group without members and offsets is gone at once; Kafka keeps it until it next looks for expired offsets.",
        r"^(groups|results)\[groupId=",
        ("DescribeGroups", "DeleteGroups", "ConsumerGroupDescribe", "ListGroups"),
        lambda one: one.esker in (69, "Dead", "(absent)"),
    ),
    Rule(
        "groups-without-anything",
        "",
        r"^errorCode$",
        ("ConsumerGroupHeartbeat",),
        _codes((69, 25)),
    ),
    Rule(
        "groups-without-anything",
        "",
        ERROR,
        ("OffsetCommit",),
        _codes((25, 22), (25, 69)),
    ),
    Rule("groups-without-anything", "", r"^errorCode$", ("OffsetDelete",), _codes((0, 69)), True),
    Rule(
        "names-taken-over",
        "A member of the consumer protocol that takes a group.instance.id over commits under its own epochs. Kafka takes any older epoch too, even one "
        "of an earlier member of the same id, whose transaction the one between may have copied already.",
        ERROR,
        ("OffsetCommit",),
        # Only where a script does it: late commits of others are Kafka's to the letter.
        lambda one: (one.kafka, one.esker) == (0, 113) and one.body["groupId"] == "kip848-static",
    ),
    Rule(
        "patterns-at-once",
        "A subscription by pattern is looked up when it is made; Kafka does that in the background, and assigns at a later heartbeat.",
        r"^(assignment|memberEpoch)",
        ("ConsumerGroupHeartbeat",),
        lambda one: one.body.get("subscribedTopicRegex"),
    ),
    Rule(
        "patterns-within-limits",
        "A pattern may be 100 parentheses deep; Kafka has no limit, and its group coordinator does not survive some patterns.",
        r"",
        ("ConsumerGroupHeartbeat",),
        lambda one: one.esker == 128 and one.kafka == 0,
        True,
    ),
    Rule(
        "times-of-markers",
        "Offsets by time are those of records. Kafka also finds the markers of transactions, by the time of its coordinator.",
        r"^topics.*\.timestamp$",
        ("ListOffsets",),
        lambda one: (_time(one) == -3 or _time(one) >= 0) and _is_of_today(one.kafka) and not _is_of_today(one.esker),
        True,
    ),
    Rule(
        "times-below-the-log-start",
        "Offsets by time are those of records that are there. Kafka looks at batches that lie below the log start too, as long as it has "
        "their file: it tells the greatest timestamp (-3) of records that were deleted, or nothing because what it found first was deleted.",
        r"^topics.*\.timestamp$",
        ("ListOffsets",),
        lambda one: _time(one) == -3 and one.esker == -1 or (_time(one) == -3 or _time(one) >= 0) and one.kafka == -1,
        True,
    ),
    Rule(
        "topic-before-settings",
        "A wrong setting for a topic that there is not: Esker says that there is no such topic, Kafka that the setting is wrong.",
        ERROR,
        ("IncrementalAlterConfigs",),
        _codes((40, 3)),
    ),
    Rule(
        "abort-of-the-whole",
        "An abort from outside (WriteTxnMarkers, for a transaction that hangs) ends the whole transaction, in all its partitions, and "
        "fences its producer, so that no part of it can be committed. Kafka writes one marker and leaves the transaction as it was.",
        r"^transactionStates\[transactionalId=open-tx",
        ("DescribeTransactions", "ListTransactions"),
    ),
]


def rule_of(difference, others):
    """The rule that covers a difference, which is one of `others`; None if none does."""
    return next((rule for rule in RULES if rule.covers(difference, others)), None)
