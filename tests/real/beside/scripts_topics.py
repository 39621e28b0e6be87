"""Topics, their settings, and the cluster: in a fixed order, with good and bad arguments."""
from .world import NO_ID

DELETE, SET, APPEND, SUBTRACT = 1, 0, 2, 3


def versions(w):
    """ApiVersions, in each version of itself."""
    for version in range(0, w.pair.versions["ApiVersions"][1] + 1):
        w.call("ApiVersions", {"clientSoftwareName": "beside", "clientSoftwareVersion": "1"}, version)
    for name, number in (("", "1"), ("a b", "1"), ("ok", "-"), ("-a", "1"), ("a", "1.0.")):
        w.call("ApiVersions", {"clientSoftwareName": name, "clientSoftwareVersion": number})


def topics(w):
    """Creating, extending, deleting."""
    create = lambda *new, **more: w.call("CreateTopics", {"topics": list(new), "timeoutMs": 10_000, **more})
    new = lambda name, partitions=1, factor=1, **more: {"name": name, "numPartitions": partitions, "replicationFactor": factor, **more}
    w.topic("made", 3)
    create(new("made"))
    for name in ("", ".", "..", "a/b", "x" * 250, "x" * 249 + "/", "a b", "grüße", "__consumer_offsets", "__transaction_state"):
        create(new(name), validateOnly=True)
    for partitions in (0, -2, -1):
        create(new("bad-partitions", partitions), validateOnly=True)
    for factor in (0, -2, -1, 2):
        create(new("bad-factor", 1, factor), validateOnly=True)
    create(new("twice"), new("twice"))
    create(new("a.b"), new("a_b"))
    assigned = lambda *brokers: [{"partitionIndex": n, "brokerIds": ids} for n, ids in enumerate(brokers)]
    create(new("assigned", -1, -1, assignments=assigned([1], [1])))
    w.await_topic("assigned", 2)
    for wrong in (assigned([2]), assigned([]), assigned([1, 1]), [{"partitionIndex": 1, "brokerIds": [1]}], assigned([1], [1, 2])):
        create(new("wrongly-assigned", -1, -1, assignments=wrong), validateOnly=True)
    create(new("both", 1, -1, assignments=assigned([1])), validateOnly=True)
    create(new("both", -1, 1, assignments=assigned([1])), validateOnly=True)
    create()
    for version in range(w.pair.versions["CreateTopics"][0], w.pair.versions["CreateTopics"][1] + 1):
        w.call("CreateTopics", {"topics": [new(f"made-in-{version}", 2)], "timeoutMs": 10_000}, version)
        w.await_topic(f"made-in-{version}", 2)


def extending(w):
    extend = lambda name, count, **more: w.call("CreatePartitions", {"topics": [{"name": name, "count": count, "assignments": None, **more}], "timeoutMs": 9000})
    w.topic("grown")
    extend("grown", 3)
    w.await_topic("grown", 3)
    for count in (3, 2, 0, -1):
        extend("grown", count)
    extend("unheard", 3)
    extend("", 3)
    for count, brokers in ((5, [[1], [1]]), (7, [[1]]), (7, [[2], [2]]), (6, [[]]), (7, [[1, 1], [1, 1]]), (4, [[1]])):
        extend("grown", count, assignments=[{"brokerIds": ids} for ids in brokers])
    twice = [{"name": "grown", "count": count, "assignments": None} for count in (9, 8)]
    w.call("CreatePartitions", {"topics": twice, "timeoutMs": 9000})
    w.call("CreatePartitions", {"topics": twice[:1], "timeoutMs": 9000, "validateOnly": True})


def deleting(w):
    delete = lambda *some, version=6: w.call("DeleteTopics", {"topics": list(some), "timeoutMs": 9000}, version)
    gone = w.topic("short-lived")
    w.delete_topic("short-lived")
    delete({"name": "short-lived"})
    delete({"name": None, "topicId": gone})
    delete({"name": None, "topicId": NO_ID})
    delete({"name": "unheard", "topicId": "AAAAAAAAAAAAAAAAAAAAAg"})
    delete({"name": ""})
    delete({"name": "x" * 300})
    delete({"name": "unheard"}, {"name": "unheard"})
    delete({"name": "__consumer_offsets-not"})
    w.topic("by-name")
    w.call("DeleteTopics", {"topicNames": ["by-name", "unheard"], "timeoutMs": 9000}, 5)
    by_id = w.topic("by-id")
    delete({"name": None, "topicId": by_id}, {"name": None, "topicId": by_id})
    w.metadata("by-id")


def metadata(w):
    w.topic("told", 2)
    create = lambda version: {"allowAutoTopicCreation": False} if version >= 4 else {}
    ask = lambda version, topics, **more: w.call("Metadata", {"topics": topics, **create(version), **more}, version)
    low, high = w.pair.versions["Metadata"]
    for version in range(low, high + 1):
        for names in (["told"], ["unheard"], ["a/b"], [""], ["told", "told"], []):
            if version >= 4 or names and "unheard" not in names:  # which creates topics
                ask(version, [{"name": name} for name in names])
    for topic in (w.ids["told"], "AAAAAAAAAAAAAAAAAAAAAg"):
        ask(12, [{"name": None, "topicId": topic}])
    ask(12, [{"name": "told", "topicId": w.ids["told"]}])
    ask(12, [{"name": "told"}], includeTopicAuthorizedOperations=True)
    ask(10, [{"name": "told"}], includeClusterAuthorizedOperations=True)
    w.call("Metadata", {"topics": [{"name": "made-by-asking"}], "allowAutoTopicCreation": True})
    w.await_topic("made-by-asking", 1)
    w.call("Metadata", {"topics": [{"name": "a/b"}, {"name": ""}, {"name": "x" * 250}], "allowAutoTopicCreation": True})


def described_partitions(w):
    w.topic("paged", 5)
    ask = lambda names, **more: w.call("DescribeTopicPartitions", {"topics": [{"name": name} for name in names], **more})
    ask(["paged"])
    ask(["unheard"])
    ask(["a/b", ""])
    ask(["paged", "paged"])
    ask(["paged"], responsePartitionLimit=2)
    ask(["paged", "told"], responsePartitionLimit=2)
    ask(["paged"], responsePartitionLimit=0)
    ask(["paged"], responsePartitionLimit=-1)
    for topic, partition in (("paged", 3), ("paged", 9), ("paged", -1), ("unheard", 0)):
        ask(["paged", "told"], cursor={"topicName": topic, "partitionIndex": partition})


def configs(w):
    w.topic("set", retention_ms=86_400_000)
    numbers = {
        "retention.ms": ["-1", "-2", "0", "x", "", "9223372036854775807", "9223372036854775808", " 5 ", "1.5"],
        "retention.bytes": ["-1", "-2", "5"],
        "max.message.bytes": ["0", "-1", "2147483648", "1000000"],
        "segment.bytes": ["13", "14", "1048575", "1048576"],
        "segment.ms": ["0", "1", "-1"],
        "segment.jitter.ms": ["-1", "0"],
        "segment.index.bytes": ["3", "4"],
        "flush.messages": ["0", "1"],
        "flush.ms": ["-1", "0"],
        "index.interval.bytes": ["-1", "0"],
        "file.delete.delay.ms": ["-1", "0"],
        "min.insync.replicas": ["0", "1"],
        "min.cleanable.dirty.ratio": ["-0.1", "0", "1", "1.1", "x", "NaN"],
        "min.compaction.lag.ms": ["-1", "0"],
        "max.compaction.lag.ms": ["0", "1"],
        "delete.retention.ms": ["-1", "0"],
        "message.timestamp.before.max.ms": ["-1", "0"],
        "message.timestamp.after.max.ms": ["-1", "0"],
        "local.retention.ms": ["-3", "-2", "-1"],
        "local.retention.bytes": ["-3", "-2", "-1"],
    }
    words = {
        "cleanup.policy": ["", "delete", "compact", "compact,delete", "delete,compact", "compact, delete", "delete,delete", "x", "DELETE"],
        "message.timestamp.type": ["CreateTime", "LogAppendTime", "createtime", "x", ""],
        "compression.type": ["producer", "x", ""],
        "unclean.leader.election.enable": ["true", "TRUE", "x", ""],
        "preallocate": ["true", "False", "1"],
        "no.such.setting": ["1"],
        "": ["1"],
        "follower.replication.throttled.replicas": ["", "*", "0:1", "0:1,1:1", "x"],
        "leader.replication.throttled.replicas": ["none", "*,0:1"],
    }
    for name, values in {**numbers, **words}.items():
        for value in [*values, None]:
            w.configure("set", (name, SET, value), validateOnly=True)
    for operation in (APPEND, SUBTRACT, 4, -1):
        w.configure("set", ("cleanup.policy", operation, "compact"), validateOnly=True)
        w.configure("set", ("retention.ms", operation, "5"), validateOnly=True)
    w.configure("set", ("retention.ms", SET, "5"), ("retention.ms", SET, "6"), validateOnly=True)
    w.configure("set", ("retention.ms", SET, "5"), ("retention.ms", DELETE, None))
    w.configure("set", ("no.such.setting", DELETE, None), validateOnly=True)
    w.configure("set", ("cleanup.policy", APPEND, "compact"))
    w.settings("set", ["cleanup.policy", "retention.ms", "no.such.setting"])
    w.configure("set", ("cleanup.policy", SUBTRACT, "delete"))
    w.settings("set", ["cleanup.policy"])
    w.configure("set", ("cleanup.policy", SUBTRACT, "compact"), validateOnly=True)
    w.configure("set", ("min.compaction.lag.ms", SET, "10"), ("max.compaction.lag.ms", SET, "5"), validateOnly=True)
    w.configure("unheard", ("retention.ms", SET, "5"))
    w.configure("", ("retention.ms", SET, "5"))
    w.configure("set")
    twice = {"resourceType": 2, "resourceName": "set", "configs": []}
    w.call("IncrementalAlterConfigs", {"resources": [twice, twice]})
    w.call("IncrementalAlterConfigs", {"resources": []})


def replaced_configs(w):
    """AlterConfigs, the old call that replaces all."""
    w.topic("replaced", retention_ms=1000)
    for configs in ([("segment.ms", "5")], [("segment.ms", "x")], [("segment.ms", None)], [("no.such", "5")], []):
        resource = {"resourceType": 2, "resourceName": "replaced", "configs": [{"name": name, "value": value} for name, value in configs]}
        w.call("AlterConfigs", {"resources": [resource]})
        w.settings("replaced", ["segment.ms", "retention.ms"])
    for kind, name in ((2, "unheard"), (4, "9"), (4, "x"), (0, ""), (3, "x"), (99, "x")):
        w.call("AlterConfigs", {"resources": [{"resourceType": kind, "resourceName": name, "configs": []}]})


def described_configs(w):
    w.topic("shown", retention_ms=5000, cleanup_policy="compact")
    low, high = w.pair.versions["DescribeConfigs"]
    for version in range(low, high + 1):
        for more in ({}, {"includeSynonyms": True, "includeDocumentation": True}):
            resource = {"resourceType": 2, "resourceName": "shown", "configurationKeys": None}
            if version < 3:
                more.pop("includeDocumentation", None)
            w.call("DescribeConfigs", {"resources": [resource], **more}, version)
    w.settings("unheard")
    w.settings("a/b")
    w.settings("")
    w.settings("shown", [])
    w.settings("shown", ["retention.ms", "retention.ms"])
    for kind, name in ((4, "9"), (4, "x"), (0, "x"), (3, "x"), (99, "x"), (-1, "x")):
        w.settings(name, kind=kind)
    for version in (0, 1):
        for kinds in ([], [2], [4], [2, 4], [99], [0]):
            if version or not kinds:
                w.call("ListConfigResources", {"resourceTypes": kinds}, version)


def brokers_configs(w):
    """Settings of the broker, by its number and for all brokers: what of them shows in topics and groups, too."""
    w.topic("under")
    names = ["log.retention.ms", "log.retention.bytes", "log.cleanup.policy", "message.max.bytes", "log.cleaner.min.cleanable.ratio", "log.preallocate"]
    topics = ["retention.ms", "retention.bytes", "cleanup.policy", "max.message.bytes", "min.cleanable.dirty.ratio", "preallocate"]
    numbers = {
        "log.retention.ms": ["-1", "5000", "x", "", "9223372036854775808", "1.5"],
        "log.retention.bytes": ["-1", "5"],
        "message.max.bytes": ["-1", "x", "2147483648", "1000000"],
        "log.cleaner.min.cleanable.ratio": ["-0.1", "1.1", "x", "0.2"],
        "log.cleaner.min.compaction.lag.ms": ["-1", "x", "0"],
        "log.cleaner.delete.retention.ms": ["-1", "0"],
        "log.flush.interval.messages": ["0", "1"],
        "log.index.interval.bytes": ["-1", "0"],
        "log.segment.delete.delay.ms": ["-1", "0"],
        "log.message.timestamp.after.max.ms": ["-1", "0"],
        "log.cleanup.policy": ["x", "compact", "compact,delete"],
        "log.message.timestamp.type": ["x", "LogAppendTime"],
        "compression.type": ["x", "producer"],
        "log.preallocate": ["1", "true"],
        "num.partitions": ["3"],
        "auto.create.topics.enable": ["false"],
        "group.consumer.assignment.interval.ms": ["x", "-1", "15001", "500"],
        "group.max.size": ["7"],
        "transaction.max.timeout.ms": ["1000"],
        "no.such.setting": ["1"],
    }

    def show(keys=names, **more):
        for name in ("1", ""):
            w.settings(name, keys, kind=4, includeSynonyms=True, includeDocumentation=True, **more)
        w.settings("under", topics, includeSynonyms=True)
        w.settings("g", ["consumer.assignment.interval.ms"], kind=32, includeSynonyms=True)

    show()
    w.settings("1", ["num.partitions", "group.max.size", "transaction.max.timeout.ms"], kind=4, includeSynonyms=True)
    for scope in ("1", ""):
        for name, values in numbers.items():
            for value in [*values, None]:
                w.configure(scope, (name, SET, value), kind=4, validateOnly=True)
        for operation in (APPEND, SUBTRACT, 4, -1):
            w.configure(scope, ("log.cleanup.policy", operation, "compact"), kind=4, validateOnly=True)
            w.configure(scope, ("log.retention.ms", operation, "5"), kind=4, validateOnly=True)
        for name in ("num.partitions", "no.such.setting", "log.retention.ms"):
            w.configure(scope, (name, DELETE, None), kind=4)
        w.configure(scope, ("log.retention.ms", SET, "5"), ("log.retention.ms", SET, "6"), kind=4, validateOnly=True)
        w.configure(scope, ("log.retention.ms", SET, "7200000"), ("log.preallocate", SET, "x"), kind=4)
        w.configure(scope, kind=4)
    show()
    w.configure("", ("log.retention.ms", SET, "7200000"), ("log.retention.bytes", SET, "1000000"), kind=4)
    show()
    w.configure("1", ("log.retention.ms", SET, "3600000"), ("log.cleanup.policy", APPEND, "compact"), kind=4)
    w.configure("1", ("group.consumer.assignment.interval.ms", SET, "0"), kind=4)
    show()
    w.configure("under", ("retention.ms", SET, "1800000"))
    show()
    w.topic("later")
    w.configure("1", ("log.cleanup.policy", SUBTRACT, "delete"), kind=4)
    show()
    w.configure("1", ("log.retention.ms", DELETE, None), kind=4)
    show()
    for scope in ("1", ""):
        for configs in ([("log.preallocate", "true"), ("message.max.bytes", "1000000")], [("log.preallocate", "x")], [("log.preallocate", None)], []):
            # Kafka does not let go of the cluster's min.insync.replicas.
            configs = configs + [("min.insync.replicas", "1")] * (scope == "")
            one = [{"name": name, "value": value} for name, value in configs]
            w.call("AlterConfigs", {"resources": [{"resourceType": 4, "resourceName": scope, "configs": one}]})
            show()
    for name in ("9", "x"):
        w.configure(name, ("log.retention.ms", SET, "5"), kind=4)


def placement(w):
    """What is about replicas, of which there is one."""
    w.topic("placed", 2)
    for kind in (0, 1, 2, -1):
        for topics in (None, [("placed", [0, 1])], [("placed", [9])], [("unheard", [0])], [("placed", [])]):
            listed = None if topics is None else [{"topic": name, "partitions": some} for name, some in topics]
            if listed is not None:
                w.call("ElectLeaders", {"electionType": kind, "topicPartitions": listed, "timeoutMs": 5000})
    w.call("ElectLeaders", {"electionType": 0, "topicPartitions": [{"topic": "placed", "partitions": [0]}], "timeoutMs": 5000}, 0)
    for name, partition, replicas in (("placed", 0, [1]), ("placed", 0, None), ("placed", 9, [1]), ("unheard", 0, [1]), ("placed", 0, []),
                                      ("placed", 0, [1, 1]), ("placed", 0, [2]), ("placed", 0, [-1])):  # fmt: skip
        one = {"name": name, "partitions": [{"partitionIndex": partition, "replicas": replicas}]}
        w.call("AlterPartitionReassignments", {"topics": [one], "timeoutMs": 5000})
    for topics in (None, [("placed", [0])], [("placed", [9])], [("unheard", [0])]):
        listed = None if topics is None else [{"name": name, "partitionIndexes": some} for name, some in topics]
        w.call("ListPartitionReassignments", {"topics": listed, "timeoutMs": 5000})
    low, high = w.pair.versions["DescribeLogDirs"]
    for version in range(low, high + 1):
        for name, some in (("placed", [0, 1]), ("placed", [9]), ("unheard", [0]), ("placed", [])):
            w.call("DescribeLogDirs", {"topics": [{"topic": name, "partitions": some}]}, version)


def cluster(w):
    low, high = w.pair.versions["DescribeCluster"]
    for version in range(low, high + 1):
        w.call("DescribeCluster", {}, version)
        w.call("DescribeCluster", {"includeClusterAuthorizedOperations": True}, version)
    for more in ({"endpointType": 2}, {"endpointType": 7}, {"includeFencedBrokers": True}):
        w.call("DescribeCluster", more)
    low, high = w.pair.versions["FindCoordinator"]
    for version in range(low, high + 1):
        for kind in (0, 1, 2, 7, -1):
            for key in ("g", "", "x" * 300):
                body = {"key": key, "keyType": kind} if version < 4 else {"coordinatorKeys": [key], "keyType": kind}
                if kind == 0 or version > 0:
                    w.call("FindCoordinator", body, version)
    w.call("FindCoordinator", {"coordinatorKeys": [], "keyType": 0})
    w.call("FindCoordinator", {"coordinatorKeys": ["a", "a", "b"], "keyType": 1})


def features(w):
    for name, level, kind in (("no.such", 1, 1), ("transaction.version", 9, 1), ("transaction.version", 0, 1), ("transaction.version", -1, 1),
                              ("group.version", 1, 1), ("metadata.version", 1, 2), ("transaction.version", 1, 7)):  # fmt: skip
        for only in (True, False):
            if only:
                update = {"feature": name, "maxVersionLevel": level, "upgradeType": kind}
                w.call("UpdateFeatures", {"featureUpdates": [update], "validateOnly": only, "timeoutMs": 5000})


def security(w):
    """Security is off in both."""
    acl = {"resourceType": 2, "resourceName": "t", "resourcePatternType": 3, "principal": "User:a", "host": "*", "operation": 3, "permissionType": 3}
    w.call("CreateAcls", {"creations": [acl]})
    w.call("CreateAcls", {"creations": []})
    anything = {"resourceTypeFilter": 1, "patternTypeFilter": 1, "operation": 1, "permissionType": 1}
    w.call("DescribeAcls", anything)
    w.call("DeleteAcls", {"filters": [anything]})
    for users in (None, [], [{"name": "a"}], [{"name": "a"}, {"name": "a"}], [{"name": ""}]):
        w.call("DescribeUserScramCredentials", {"users": users})
    w.call("AlterUserScramCredentials", {"deletions": [{"name": "a", "mechanism": 1}], "upsertions": []})
    w.call("AlterUserScramCredentials", {"deletions": [{"name": "", "mechanism": 1}, {"name": "b", "mechanism": 9}], "upsertions": []})
    w.call("AlterUserScramCredentials", {"deletions": [], "upsertions": []})


ALL = (versions, topics, extending, deleting, metadata, described_partitions, configs, replaced_configs, described_configs, brokers_configs, placement,
       cluster, features, security)  # fmt: skip
