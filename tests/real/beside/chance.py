"""Calls at random, from a seed: mostly such as a client would make in the state that things are in, some of them bent.

What exists is known from Kafka's answers. Time-outs are long, so that nothing happens by itself while others are asked; who
waits for whom is left to `scripts_groups`.
"""
from .batches import TIME, Batch, keyed
from .scripts_txn import settled
from .world import subscription

LONG_MS = 900_000
SETTINGS = {
    "retention.ms": ["-1", "100000", "x"],
    "max.message.bytes": ["1000000", "-1", "2000000"],
    "cleanup.policy": ["delete", "compact", "delete,compact", "nothing"],
    "segment.bytes": ["1048576", "1"],
    "min.compaction.lag.ms": ["0", "5", "-5"],
    "message.timestamp.type": ["CreateTime", "both"],
    "unheard.of": ["1"],
}


class Chance:
    def __init__(self, world, random):
        self.w, self.random = world, random
        self.topics = {"c-logs": 3, "c-one": 1, "c-pair": 2}
        for name, partitions in self.topics.items():
            world.topic(name, partitions)
        self.made = {}
        self.ends = {}
        self.producers = []
        self.members = {}
        self.modern = {}
        self.transactions = {}
        # Each with its weight.
        self.actions = {
            self.produce: 12, self.produce_in_sequence: 12, self.fetch: 10, self.list_offsets: 8, self.epochs: 2, self.delete_records: 2,
            self.commit: 8, self.committed: 8, self.delete_offsets: 2, self.join: 6, self.group_call: 14, self.enter: 5, self.beat: 14,
            self.begin: 4, self.transact: 26, self.make_topic: 3, self.change_topic: 5, self.configure: 5, self.look: 14,
        }  # fmt: skip

    def run(self, calls):
        until = self.w.pair.step + calls
        actions, weights = list(self.actions), list(self.actions.values())
        while self.w.pair.step < until:
            self.random.choices(actions, weights)[0]()

    # Choosing.

    def bent(self, good, *wrong, share=0.12):
        """What is right, or now and then something that is not."""
        return self.random.choice(wrong) if self.random.random() < share else good

    def version(self, api, least=0):
        low, high = self.w.pair.versions[api]
        return self.random.randint(max(low, least), high)

    def topic(self, *wrong):
        return self.bent(self.random.choice(list(self.topics)), *(wrong or ("c-none", "c/bad")), share=0.06)

    def partition(self, topic):
        return self.bent(self.random.randrange(self.topics.get(topic, 1)), -1, 7, share=0.06)

    def offset(self, place):
        return self.bent(self.random.randint(0, self.ends.get(place, 0)), -1, -2, 1 << 40)

    def values(self):
        return [b"%d" % self.random.randrange(1000) for _ in range(self.random.randint(1, 4))]

    def known(self, topic):
        """For versions that go by id."""
        return topic if topic in self.w.ids else "AAAAAAAAAAAAAAAAAAAAAg"

    # Records.

    def send(self, topic, partition, batch, transactional_id=None, version=None):
        version = self.version("Produce", 3) if version is None else version
        answer = self.w.produce(topic if version < 13 else self.known(topic), batch, partition, version, transactional_id=transactional_id)
        found = answer["responses"][0]["partitionResponses"][0]
        if found["errorCode"] == 0:
            self.ends[(topic, partition)] = found["baseOffset"] + len(batch.records)
        return found["errorCode"]

    def produce(self):
        topic = self.topic()
        codec = self.random.choice([0, 0, 1, 2, 3, 4])
        time = self.bent(TIME + self.random.randrange(100_000), 0, -1, TIME * 3)
        self.send(topic, self.partition(topic), Batch(keyed(*self.values()), codec=codec, time=time))

    def produce_in_sequence(self):
        if not self.producers or self.random.random() < 0.15:
            given = self.w.producer(None, LONG_MS, self.version("InitProducerId"))
            self.producers.append({"id": given["producerId"], "epoch": given["producerEpoch"], "next": {}})
        producer = self.random.choice(self.producers)
        topic = self.topic()
        place = (topic, self.partition(topic))
        expected = producer["next"].get(place, 0)
        sequence = self.bent(expected, expected + 1, max(0, expected - 1), 0, expected + 1000, share=0.3)
        epoch = self.bent(producer["epoch"], 1, 3, share=0.04)
        records = keyed(*self.values())
        if self.send(*place, Batch(records, producer["id"], epoch, sequence)) == 0 and sequence == expected:
            producer["next"][place] = expected + len(records)
        producer["epoch"] = max(producer["epoch"], epoch) if epoch == producer["epoch"] else producer["epoch"]

    def fetch(self):
        topic = self.topic()
        partition = self.partition(topic)
        version = self.version("Fetch")
        name = topic if version < 13 else self.known(topic)
        self.w.fetch(name, partition, self.offset((topic, partition)), version, self.random.randint(0, 1))

    def list_offsets(self):
        topic = self.topic()
        timestamp = self.random.choice([-1, -1, -2, -3, TIME, TIME + 50_000, 0, -5, -9, 1 << 50])
        self.w.offsets_at(topic, self.partition(topic), timestamp, self.random.randint(0, 1), self.version("ListOffsets", 2))

    def epochs(self):
        topic = self.topic()
        place = {"partition": self.partition(topic), "leaderEpoch": self.random.choice([-1, 50, 99])}
        body = {"replicaId": -1, "topics": [{"topic": topic, "partitions": [place]}]}
        self.w.call("OffsetForLeaderEpoch", body, self.version("OffsetForLeaderEpoch"))

    def delete_records(self):
        topic = self.topic()
        partition = self.partition(topic)
        place = {"partitionIndex": partition, "offset": self.offset((topic, partition)) // 2}
        body = {"topics": [{"name": topic, "partitions": [place]}], "timeoutMs": 5000}
        self.w.call("DeleteRecords", body, self.version("DeleteRecords"))

    # Offsets and classic groups of one member.

    def group(self):
        return f"c-group-{self.random.randrange(5)}"

    def membership(self, group):
        """A member of the group, or somebody who is not."""
        member, generation = self.members.get(group, ("", -1))
        return self.bent((member, generation), ("stranger", 1), (member, generation + 1), ("", -1), ("", 3), (member, -1), share=0.3)

    def commit(self):
        group, topic = self.group(), self.topic()
        member, generation = self.membership(group)
        version = self.version("OffsetCommit")
        metadata = self.bent("here", "", None, "x" * 5000)
        name = topic if version < 10 else self.known(topic)
        offset = self.bent(self.random.randrange(100), -1, -7)
        self.w.commit(group, name, offset, self.partition(topic), member, generation, metadata=metadata, version=version)

    def committed(self):
        group = self.random.choice([self.group(), f"c-modern-{self.random.randrange(3)}", "c-nobody"])
        version = self.version("OffsetFetch")
        topic = self.topic()
        name = topic if version < 10 else self.known(topic)
        some = {name: [self.partition(topic), 0]} if version < 2 or self.random.random() < 0.6 else None
        self.w.committed(group, some, version)

    def delete_offsets(self):
        topic = self.topic()
        place = {"name": topic, "partitions": [{"partitionIndex": self.partition(topic)}]}
        self.w.call("OffsetDelete", {"groupId": self.group(), "topics": [place]})

    def join(self):
        group = self.group()
        member = self.members.get(group, ("", -1))[0]
        member = self.bent(member, "stranger", share=0.15)
        if group in self.members and member == "":
            return  # it would wait for the other
        kind = self.bent("consumer", "connect", "", share=0.08)
        session = self.bent(LONG_MS, 10, share=0.05)
        more = dict(kind=kind, sessionTimeoutMs=session, metadata=subscription([self.topic()]), client=f"client of {group}")
        found = self.w.join(group, member=member, **more)
        if found["errorCode"] == 79:
            found = self.w.join(group, **{**more, "member": found["memberId"]})
        if found["errorCode"] == 0:
            self.members[group] = (found["memberId"], found["generationId"])
            self.w.sync(group, found["memberId"], found["generationId"], {found["memberId"]: "AAAA"}, protocolType=kind)

    def group_call(self):
        group = self.group()
        member, generation = self.membership(group)
        call = self.random.randrange(5)
        if call < 2:
            self.w.heartbeat(group, member, generation, version=self.version("Heartbeat"))
        elif call < 4:
            self.w.sync(group, member, generation, {member: "AQID"}, version=self.version("SyncGroup"))
        else:
            version = self.version("LeaveGroup")
            self.w.leave(group, (member, None), version=version)
            if self.members.get(group, ("",))[0] == member:
                self.members.pop(group, None)

    # Groups of KIP-848.

    def enter(self):
        group = f"c-modern-{self.random.randrange(3)}"
        member = f"member-{self.random.randrange(3)}"
        if any(other != (group, member) for other in self.modern if other[0] == group):
            return  # which partitions each of several gets is the assignor's choice
        names = self.random.sample(sorted(self.topics), self.random.randint(1, 2))
        more = dict(rebalanceTimeoutMs=self.bent(LONG_MS, -1, share=0.05), serverAssignor=self.bent(None, "range", "odd", share=0.2))
        self.took(group, member, self.w.enter(group, member, names, client=member, **more))

    def took(self, group, member, answer):
        """Takes in what a heartbeat told."""
        if answer["errorCode"] == 0 and answer["memberEpoch"] > 0:
            known = self.modern.setdefault((group, member), {"owned": []})
            known["epoch"] = answer["memberEpoch"]
            if answer["assignment"] is not None:
                known["owned"] = answer["assignment"]["topicPartitions"]
        elif answer["errorCode"] == 25 or answer["memberEpoch"] < 0:  # one that is fenced is still there
            self.modern.pop((group, member), None)

    def beat(self):
        if not self.modern:
            return
        (group, member), known = self.random.choice(sorted(self.modern.items()))
        epoch = self.bent(known["epoch"], known["epoch"] + 1, known["epoch"] - 1, -1, 99, share=0.2)
        member = self.bent(member, "nobody", share=0.05)
        if epoch == 0:
            return  # that would be to enter
        more = {}
        if self.random.random() < 0.6:
            more["topicPartitions"] = known["owned"]
        if self.random.random() < 0.15:
            more["subscribedTopicNames"] = self.random.sample(sorted(self.topics), self.random.randint(1, 2))
        self.took(group, member, self.w.beat(group, member, epoch, client=member, **more))

    # Transactions.

    def begin(self):
        name = f"c-tx-{self.random.randrange(4)}"
        version = self.version("InitProducerId")
        timeout = self.bent(LONG_MS, 0, 1 << 30, share=0.06)
        given = self.w.producer(name, timeout, version)
        for _ in range(50):
            if given["errorCode"] != 51:
                break
            settled(self.w, name)
            given = self.w.producer(name, timeout, version)
        if given["errorCode"] == 0:
            tv2 = self.random.random() < 0.5
            self.transactions[name] = {"id": given["producerId"], "epoch": given["producerEpoch"], "tv2": tv2, "next": {}, "places": set()}

    def transact(self):
        if not self.transactions:
            return
        name, at = self.random.choice(sorted(self.transactions.items()))
        epoch = self.bent(at["epoch"], at["epoch"] + 1, max(0, at["epoch"] - 1), share=0.1)
        self.random.choice([self.add, self.write, self.write, self.write, self.add_group, self.commit_in, self.end, self.describe])(name, at, epoch)

    def add(self, name, at, epoch):
        topic = self.topic()
        place = (topic, self.partition(topic))
        producer = self.bent(at["id"], 12345, share=0.04)
        self.w.add_partitions(name, producer, epoch, {topic: [place[1]]}, self.random.randint(0, 3))
        at["tv2"] = False

    def write(self, name, at, epoch):
        topic = self.topic()
        place = (topic, self.partition(topic))
        expected = at["next"].get(place, 0)
        # The first one is always right: see the rule unverified-batches.
        sequence = self.bent(expected, expected + 2, share=0.06) if expected else 0
        records = keyed(*self.values())
        version = self.version("Produce", 12) if at["tv2"] else self.random.randint(3, 11)
        if self.send(*place, Batch(records, at["id"], epoch, sequence, True), name, version) == 0 and sequence == expected:
            at["next"][place] = expected + len(records)

    def add_group(self, name, at, epoch):
        self.w.add_offsets(name, at["id"], epoch, self.group(), self.version("AddOffsetsToTxn"))
        at["tv2"] = False

    def commit_in(self, name, at, epoch):
        topic = self.topic()
        group = self.group()
        version = 5 if at["tv2"] else self.random.randint(0, 4)
        member, generation = self.membership(group) if version >= 3 else ("", -1)
        who = dict(memberId=member, generationId=generation)
        self.w.commit_in_txn(name, at["id"], epoch, group, topic, self.random.randrange(50), version, self.partition(topic), **who)

    def end(self, name, at, epoch):
        version = 5 if at["tv2"] else self.random.randint(0, 4)
        answer = self.w.end_txn(name, at["id"], epoch, self.random.random() < 0.6, version)
        settled(self.w, name)
        if answer["errorCode"] == 0 and version == 5:
            at["id"], at["epoch"], at["next"] = answer["producerId"], answer["producerEpoch"], {}

    def describe(self, name, *_):
        self.w.call("DescribeTransactions", {"transactionalIds": [name, "c-tx-none"]})

    # Administration.

    def make_topic(self):
        name = f"c-made-{self.random.randrange(4)}"
        partitions = self.bent(self.random.randint(1, 3), 0, -5)
        new = {"name": self.bent(name, "c bad", share=0.05), "numPartitions": partitions, "replicationFactor": 1}
        version = self.version("CreateTopics")
        found = self.w.call("CreateTopics", {"topics": [new], "timeoutMs": 9000}, version)["topics"][0]
        if found["errorCode"] == 0:
            self.w.await_topic(name, partitions)
            self.made[name] = partitions

    def change_topic(self):
        name = self.random.choice([*self.made, "c-none"])
        if self.random.random() < 0.5:
            more = self.random.randint(0, 5)
            body = {"topics": [{"name": name, "count": more, "assignments": None}], "timeoutMs": 9000}
            found = self.w.call("CreatePartitions", body, self.version("CreatePartitions"))["results"][0]
            if found["errorCode"] == 0:
                self.w.await_topic(name, more)
                self.made[name] = more
        elif name in self.made:
            self.w.delete_topic(name)
            del self.made[name]
        else:
            self.w.call("DeleteTopics", {"topics": [{"name": name}], "timeoutMs": 9000}, 6)

    def configure(self):
        name = self.random.choice([*self.made, "c-none"])
        setting = self.random.choice(sorted(SETTINGS))
        operation = self.bent(0, 1, 2, 3)
        value = None if operation == 1 else self.random.choice(SETTINGS[setting])
        self.w.configure(name, (setting, operation, value), validateOnly=self.random.random() < 0.3)
        if name in self.made:
            self.w.settings(name, sorted(SETTINGS))

    def look(self):
        groups = [f"c-group-{n}" for n in range(5)] + [f"c-modern-{n}" for n in range(3)]
        some = [self.random.choice(groups), "c-nobody"]
        topic = self.topic()
        places = [{"name": topic, "partitionIndexes": [self.partition(topic)]}]
        asked, body = self.random.choice([
            ("DescribeGroups", {"groups": some}),
            ("ConsumerGroupDescribe", {"groupIds": some}),
            ("ListGroups", {}),
            ("ListTransactions", {}),
            ("DescribeProducers", {"topics": places}),
            ("Metadata", {"topics": [{"name": topic}]}),
            ("DescribeTopicPartitions", {"topics": [{"name": topic}]}),
        ])  # fmt: skip
        if asked == "Metadata":
            return self.w.metadata(topic)
        return self.w.call(asked, body, self.version(asked))
