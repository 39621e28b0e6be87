"""Calls as scripts usually make them, over a `Pair`: the arguments of a good call, which a script then bends."""
import base64
import struct
import time

from harness.report import expect

from .batches import Batch, keyed

NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
PATIENCE_S = 10
PAUSE_S = 0.02


class World:
    def __init__(self, pair):
        self.pair = pair
        self.call = pair.call
        self.ids = {}

    # Topics.

    def topic(self, name, partitions=1, **configs):
        """Creates a topic, and waits until both serve it; returns the name of its id."""
        pairs = [{"name": key.replace("_", "."), "value": str(value)} for key, value in configs.items()]
        new = {"name": name, "numPartitions": partitions, "replicationFactor": 1, "configs": pairs}
        self.call("CreateTopics", {"topics": [new], "timeoutMs": 10_000})
        return self.await_topic(name, partitions)

    def await_topic(self, name, partitions):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            seen = self.metadata(name)["topics"][0]
            if seen["errorCode"] == 0 and len(seen["partitions"]) == partitions:
                self.ids[name] = seen["topicId"]
                for partition in range(partitions):  # listed before it is led
                    self.offsets_at(name, partition)
                return seen["topicId"]
            expect(time.monotonic() < deadline, f"topic {name} is not there: {seen}")
            time.sleep(PAUSE_S)

    def metadata(self, name):
        return self.call("Metadata", {"topics": [{"name": name}], "allowAutoTopicCreation": False}, 12)

    def delete_topic(self, name):
        """Deletes a topic, and waits until it is gone."""
        self.call("DeleteTopics", {"topics": [{"name": name}], "timeoutMs": 10_000}, 6)
        deadline = time.monotonic() + PATIENCE_S
        while self.metadata(name)["topics"][0]["errorCode"] != 3:
            expect(time.monotonic() < deadline, f"topic {name} is still there")
            time.sleep(PAUSE_S)
        return self.ids.pop(name, None)

    # Records.

    def produce(self, topic, batch, partition=0, version=None, acks=-1, transactional_id=None, **options):
        if isinstance(batch, (list, tuple)):
            batch = Batch(keyed(*batch))
        version = self.pair.versions["Produce"][1] if version is None else version
        one = {"name": topic} if version < 13 else {"topicId": self.ids.get(topic, topic)}
        one["partitionData"] = [{"index": partition, "records": batch}]
        body = {"transactionalId": transactional_id, "acks": acks, "timeoutMs": 5000, "topicData": [one]}
        return self.call("Produce", body, version, **options)

    def fetch(self, topic, partition=0, offset=0, version=None, isolation=0, **more):
        version = self.pair.versions["Fetch"][1] if version is None else version
        one = {"topic": topic} if version < 13 else {"topicId": self.ids.get(topic, topic)}
        one["partitions"] = [{"partition": partition, "fetchOffset": offset, "partitionMaxBytes": 1 << 20, **more.pop("of", {})}]
        body = {"replicaId": -1, "maxWaitMs": 0, "minBytes": 0, "maxBytes": 1 << 20, "isolationLevel": isolation, "topics": [one]}
        return self.call("Fetch", {**body, **more}, version)

    def read(self, topic, partition=0, isolation=0):
        """Fetches all of a partition, from where the last fetch of Kafka ended each time."""
        offset = 0
        while True:
            found = self.fetch(topic, partition, offset, isolation=isolation)["responses"][0]["partitions"][0]
            batches = found["records"] or []
            if not batches:
                return
            offset = max(one["baseOffset"] + one["lastOffsetDelta"] for one in batches) + 1

    def offsets_at(self, topic, partition=0, timestamp=-1, isolation=0, version=None, **more):
        one = {"name": topic, "partitions": [{"partitionIndex": partition, "timestamp": timestamp, **more}]}
        return self.call("ListOffsets", {"replicaId": -1, "isolationLevel": isolation, "topics": [one]}, version)

    # Groups.

    def commit(self, group, topic, offset, partition=0, member="", generation=-1, instance=None, metadata="", version=9, **options):
        one = {"name": topic} if version < 10 else {"topicId": self.ids.get(topic, topic)}
        one["partitions"] = [{"partitionIndex": partition, "committedOffset": offset, "committedMetadata": metadata}]
        who = {"groupId": group, "generationIdOrMemberEpoch": generation, "memberId": member, "groupInstanceId": instance}
        return self.call("OffsetCommit", {**who, "topics": [one]}, version, **options)

    def committed(self, group, topics=None, version=9, **more):
        """Committed offsets of topic -> partitions; of all, without topics."""
        key = "name" if version < 10 else "topicId"
        named = lambda topic: topic if version < 10 else self.ids.get(topic, topic)
        listed = None if topics is None else [{key: named(topic), "partitionIndexes": some} for topic, some in topics.items()]
        if version < 8:
            return self.call("OffsetFetch", {"groupId": group, "topics": listed, **more}, version)
        require = {"requireStable": more.pop("stable")} if "stable" in more else {}
        return self.call("OffsetFetch", {"groups": [{"groupId": group, "topics": listed, **more}], **require}, version)

    def joining(self, group, member="", instance=None, protocols=("range",), kind="consumer", metadata=b"", **more):
        """The body of a JoinGroup."""
        data = base64.b64encode(metadata or subscription(["t"])).decode()
        body = {"groupId": group, "sessionTimeoutMs": 30_000, "rebalanceTimeoutMs": 3_000, "memberId": member}
        body |= {"groupInstanceId": instance, "protocolType": kind}
        return {**body, "protocols": [{"name": name, "metadata": data} for name in protocols], **more}

    def join(self, group, version=9, on="main", client="beside", **more):
        return self.call("JoinGroup", self.joining(group, **more), version, on=on, client=client)

    def joined(self, group, client="c1", **more):
        """The member of a new group of one: its id, in generation 1, synced."""
        asked = self.join(group, client=client, on=client, **more)
        found = asked
        if asked["errorCode"] == 79:
            found = self.join(group, client=client, on=client, **{**more, "member": asked["memberId"]})
        expect(found["errorCode"] == 0, f"join of {group}: {found}")
        self.sync(group, found["memberId"], found["generationId"], assignments={found["memberId"]: "AAAA"}, on=client)
        return found["memberId"]

    def sync(self, group, member, generation, assignments=None, instance=None, version=5, on="main", **more):
        given = [{"memberId": who, "assignment": what} for who, what in (assignments or {}).items()]
        body = {"groupId": group, "generationId": generation, "memberId": member, "groupInstanceId": instance, "assignments": given}
        return self.call("SyncGroup", {"protocolType": "consumer", "protocolName": "range", **body, **more}, version, on=on)

    def heartbeat(self, group, member, generation, instance=None, version=4):
        body = {"groupId": group, "generationId": generation, "memberId": member, "groupInstanceId": instance}
        return self.call("Heartbeat", body, version)

    def leave(self, group, *members, version=5):
        if version < 3:
            return self.call("LeaveGroup", {"groupId": group, "memberId": members[0][0]}, version)
        given = [{"memberId": member, "groupInstanceId": instance} for member, instance in members]
        return self.call("LeaveGroup", {"groupId": group, "members": given}, version)

    def beat(self, group, member, epoch, version=1, client="beside", on="main", **more):
        """A ConsumerGroupHeartbeat. The first one of a member says everything, later ones what changed."""
        return self.call("ConsumerGroupHeartbeat", {"groupId": group, "memberId": member, "memberEpoch": epoch, **more}, version, client=client, on=on)

    def enter(self, group, member, topics=(), client="beside", **more):
        """A member's first beat."""
        first = {"rebalanceTimeoutMs": 5_000, "subscribedTopicNames": list(topics), "topicPartitions": []}
        return self.beat(group, member, 0, client=client, **{**first, **more})

    # Transactions.

    def producer(self, transactional_id=None, timeout=900_000, version=5, **more):
        """Its transactions time out only if that is asked for: each broker looks for those at times of its own."""
        return self.call("InitProducerId", {"transactionalId": transactional_id, "transactionTimeoutMs": timeout, **more}, version)

    def add_partitions(self, transactional_id, producer, epoch, places, version=3):
        """Places: topic -> partitions."""
        topics = [{"name": topic, "partitions": some} for topic, some in places.items()]
        if version < 4:
            who = {"v3AndBelowTransactionalId": transactional_id, "v3AndBelowProducerId": producer, "v3AndBelowProducerEpoch": epoch}
            return self.call("AddPartitionsToTxn", {**who, "v3AndBelowTopics": topics}, version)
        one = {"transactionalId": transactional_id, "producerId": producer, "producerEpoch": epoch, "topics": topics}
        return self.call("AddPartitionsToTxn", {"transactions": [one]}, version)

    def end_txn(self, transactional_id, producer, epoch, commit=True, version=5):
        body = {"transactionalId": transactional_id, "producerId": producer, "producerEpoch": epoch, "committed": commit}
        return self.call("EndTxn", body, version)

    def add_offsets(self, transactional_id, producer, epoch, group, version=4):
        body = {"transactionalId": transactional_id, "producerId": producer, "producerEpoch": epoch, "groupId": group}
        return self.call("AddOffsetsToTxn", body, version)

    def commit_in_txn(self, transactional_id, producer, epoch, group, topic, offset, version=5, partition=0, metadata="", **who):
        one = {"name": topic, "partitions": [{"partitionIndex": partition, "committedOffset": offset, "committedMetadata": metadata}]}
        body = {"transactionalId": transactional_id, "groupId": group, "producerId": producer, "producerEpoch": epoch, "topics": [one]}
        return self.call("TxnOffsetCommit", {**body, **who}, version)

    # Settings.

    def configure(self, name, *changes, kind=2, **more):
        """Changes: (setting, operation, value)."""
        configs = [{"name": setting, "configOperation": operation, "value": value} for setting, operation, value in changes]
        resource = {"resourceType": kind, "resourceName": name, "configs": configs}
        return self.call("IncrementalAlterConfigs", {"resources": [resource], **more})

    def settings(self, name, keys=None, kind=2, **more):
        resource = {"resourceType": kind, "resourceName": name, "configurationKeys": keys}
        return self.call("DescribeConfigs", {"resources": [resource], **more})


def subscription(topics):
    """What a member of a classic group says it wants, as consumers write it (version 0)."""
    names = b"".join(struct.pack(">h", len(topic)) + topic.encode() for topic in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)
