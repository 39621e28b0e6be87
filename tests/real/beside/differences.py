"""The differences from Kafka 4.3.1 that stay, each with its reason. COMPATIBILITY.md names every one of them."""
import re
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


def _step_by_step(one):
    """Of a member that changes its subscription: it is told later what to give up, or its epoch rises by one before it does."""
    later = one.path == "assignment" and one.esker is None and one.kafka == {"topicPartitions": []}
    sooner = one.path == "memberEpoch" and one.esker == one.kafka + 1
    return one.body.get("subscribedTopicNames") is not None and (later or sooner)


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
        "Where Kafka fails without a name (UNKNOWN_SERVER_ERROR: its code met what it does not expect), Esker answers with the error "
        "that fits, or does what was asked.",
        r"(^|\.)errorCode$",
        (),
        lambda one: one.kafka == -1,
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
        "A batch is refused as a whole, in the words of errorMessage, which name the first record that is wrong.",
        r"\.recordErrors\[",
        ("Produce",),
        _absent("esker"),
    ),
    Rule(
        "repeated-batches",
        "A batch that was sent again is answered without a time; Kafka answers with the batch's own as if it were an append time.",
        r"\.logAppendTimeMs$",
        ("Produce",),
        lambda one: one.kafka is True,
    ),
    Rule(
        "empty-sessions",
        "A fetch session lives on after its last partition was forgotten; Kafka closes it.",
        r"^(sessionId|errorCode)$",
        ("Fetch",),
        lambda one: one.kafka in (0, 70),
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
        "markers-without-records",
        "DescribeProducers tells of those who have sent something to the partition; Kafka also of those whose transaction had it without that, and of markers from before. "
        "So the first batch of such a producer may have any sequence here, as that of one that is not known; in Kafka it must be 0.",
        r"\.activeProducers\[",
        ("DescribeProducers",),
        lambda one: one.esker == "(absent)" and one.kafka["lastSequence"] == -1 or one.path.endswith("coordinatorEpoch") and not one.esker,
    ),
    Rule(
        "start-times",
        "Kafka tells for some ended transactions when they began.",
        r"\.transactionStartTimeMs$",
        ("DescribeTransactions",),
        lambda one: one.esker is False,
    ),
    Rule(
        "times-of-records",
        "Offsets by time are those of records that are there. Kafka also finds the markers of transactions, by their coordinator's time, "
        "tells a greatest timestamp (-3) of deleted records, and none at all where the batch it finds first lies below the log start.",
        r"^topics.*\.(timestamp|offset|leaderEpoch)$",
        ("ListOffsets",),
        lambda one: _time(one) == -3 or _time(one) >= 0,
    ),
    Rule(
        "topic-before-settings",
        "A wrong setting for a topic that there is not: Esker says that there is no such topic, Kafka that the setting is wrong.",
        ERROR,
        ("IncrementalAlterConfigs",),
        _codes((40, 3)),
    ),
    Rule(
        "one-revocation-at-a-time",
        "A member that is giving partitions up and changes its subscription meanwhile finishes that first, enters the next epoch, and is then told what "
        "else to give up; Kafka 4.3 adds that to what it gives up already. Either way nobody gets a partition before it is given up.",
        r"^(assignment|memberEpoch)$",
        ("ConsumerGroupHeartbeat",),
        _step_by_step,
    ),
    Rule(
        "late-commits",
        "A commit of a KIP-848 member must be of its present epoch; Kafka 4.3 takes older ones for partitions that it had then (KIP-1251). "
        "STALE_MEMBER_EPOCH has clients commit again.",
        ERROR,
        ("OffsetCommit", "OffsetFetch"),
        _codes((0, 113)),
    ),
    Rule(
        "abort-of-the-whole",
        "WriteTxnMarkers aborts the whole transaction, in all its partitions, and fences its producer; Kafka writes one marker and leaves "
        "the transaction as it was.",
        r"^transactionStates\[transactionalId=open-tx",
        ("DescribeTransactions", "ListTransactions"),
    ),
]


def rule_of(difference, others):
    """The rule that covers a difference, which is one of `others`; None if none does."""
    return next((rule for rule in RULES if rule.covers(difference, others)), None)
