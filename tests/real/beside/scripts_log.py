"""Records: produced and fetched, looked up by time and epoch, deleted."""
import struct

from .batches import TIME, Batch, keyed
from .world import NO_ID

BIG = (1 << 31) - 1
UNHEARD_ID = "AAAAAAAAAAAAAAAAAAAAAg"


def produce_versions(w):
    """Produce and Fetch in each version of both."""
    w.topic("log", 2)
    _, high = w.pair.versions["Produce"]
    for version in range(3, high + 1):
        w.produce("log", Batch(keyed(b"v%d" % version)), version=version)
    for version in range(w.pair.versions["Fetch"][0], w.pair.versions["Fetch"][1] + 1):
        for offset in (0, 5, 999, -1):
            w.fetch("log", 0, offset, version)
        w.fetch("log", 9, 0, version)
        w.fetch("unheard" if version < 13 else UNHEARD_ID, 0, 0, version)


def bad_batches(w):
    """What is refused of a batch, and what is not."""
    w.topic("bad")
    good = lambda **more: Batch(keyed(b"a", b"b", b"c"), **more)
    put = lambda at, form, *values: good(patches={at: struct.pack(form, *values)})
    batches = {
        "crc": put(17, ">I", 1),
        "magic 0": put(16, ">b", 0),
        "magic 1": put(16, ">b", 1),
        "magic 3": put(16, ">b", 3),
        "length beyond": put(8, ">i", 9999),
        "length below": put(8, ">i", 40),
        "length negative": put(8, ">i", -1),
        "count 0": put(57, ">i", 0),
        "count 2 of 3": put(57, ">i", 2),
        "count 4 of 3": put(57, ">i", 4),
        "count -1": put(57, ">i", -1),
        "last delta": put(23, ">i", 7),
        "last delta negative": put(23, ">i", -1),
        "codec 5": put(21, ">h", 5),
        "codec 7": put(21, ">h", 7),
        "control": put(21, ">h", 32),
        "transactional without an id": put(21, ">h", 16),
        "base offset 7": put(0, ">q", 7),
        "max timestamp": put(35, ">q", 5),
        "leader epoch 9": put(12, ">i", 9),
        "cut": good(cut=5),
        "cut within the header": good(cut=30),
        "nothing": Batch([], cut=0),
        "id without epoch": good(producer=5),
        "id and epoch without sequence": good(producer=5, epoch=0),
        "sequence without id": good(sequence=0),
        "says gzip, is not": put(21, ">h", 1),
    }
    for batch in batches.values():
        w.produce("bad", batch)
    w.read("bad")
    w.topic("bad-too")
    w.produce("bad-too", put(21, ">h", 8))


def arguments(w):
    """Wrong places, acks, times."""
    w.topic("args", 2)
    for acks in (0, 1, -1, 2, -2):
        if acks == 0:
            one = {"topicId": w.ids["args"], "partitionData": [{"index": 0, "records": Batch(keyed(b"unanswered"))}]}
            w.pair.send("Produce", {"acks": 0, "timeoutMs": 5000, "topicData": [one]}, answered=False)
        else:
            w.produce("args", [b"acks"], acks=acks)
    w.read("args")
    for version, topic in ((13, UNHEARD_ID), (13, NO_ID), (9, "unheard-of-produce"), (9, "a/b"), (9, "")):
        w.produce(topic, [b"x"], version=version)
    for partition in (2, -1, BIG):
        w.produce("args", [b"x"], partition)
    w.produce("args", "")
    w.produce("args", [b"x"], transactional_id="nobody")
    for time in (-1, -2, 0, TIME * 2, 1 << 62):
        w.produce("args", Batch(keyed(b"x"), time=time))
    w.topic("stamped", message_timestamp_type="LogAppendTime")
    w.produce("stamped", Batch(keyed(b"x")))
    w.topic("punctual", message_timestamp_before_max_ms=1000, message_timestamp_after_max_ms=1000)
    w.produce("punctual", Batch(keyed(b"x")))
    w.topic("narrow", max_message_bytes=200)
    w.produce("narrow", [b"x" * 500])
    w.produce("narrow", [b"x" * 60])
    w.call("Produce", {"acks": 1, "timeoutMs": 5000, "topicData": []})


def compacted(w):
    """A compacted topic takes no record without a key."""
    w.topic("compacted", cleanup_policy="compact")
    w.produce("compacted", Batch([(None, b"x")]))
    w.produce("compacted", Batch([(b"k", b"x"), (None, b"x")]))
    w.produce("compacted", Batch([(b"k", None)]))
    w.produce("compacted", Batch([(None, b"x")]), version=7)
    w.read("compacted")


def idempotent(w):
    """Sequences: in order, repeated, out of order, wrapped; epochs and ids that are wrong."""
    w.topic("sequenced", 2)
    producer = w.producer()["producerId"]
    put = lambda sequence, epoch=0, who=producer, count=2, partition=0: w.produce(
        "sequenced", Batch(keyed(*[b"%d" % n for n in range(count)]), who, epoch, sequence), partition
    )
    for sequence in (0, 2, 2, 0, 4, 9, 6, 6, 3, 8, 10, 12, 14, 0, 2, 14):
        put(sequence)
    put(14, count=1)
    put(14, count=3)
    put(16, epoch=1)
    put(0, epoch=1)
    put(16, epoch=0)
    put(2, epoch=1)
    put(0, epoch=5)
    put(5, partition=1)
    put(0, partition=1, epoch=3)
    put(0, who=1 << 40)
    put(5, who=(1 << 40) + 1)
    put(-2)
    put(0, epoch=-1)
    put(-1)
    edge = w.producer()["producerId"]
    put(BIG - 1, who=edge, count=1)
    put(BIG, who=edge, count=1)
    put(0, who=edge, count=1)
    put(1, who=edge, count=1)
    edge = w.producer()["producerId"]
    put(BIG, who=edge, count=3)
    put(2, who=edge, count=2)
    put(BIG, who=edge, count=3)
    w.read("sequenced")
    describe = lambda topic, partitions: w.call("DescribeProducers", {"topics": [{"name": topic, "partitionIndexes": partitions}]})
    describe("sequenced", [0, 1])
    describe("sequenced", [9, -1])
    describe("unheard", [0])
    describe("a/b", [0])


def fetching(w):
    """Positions, limits, sessions, epochs."""
    w.topic("read", 3)
    for n in range(8):
        w.produce("read", [b"x" * 100, b"y" * 100])
    for offset in (0, 1, 7, 15, 16, 17, -1, 1 << 60):
        w.fetch("read", 0, offset)
    for size in (0, 1, 100, 300, 1000, -1):
        w.fetch("read", 0, 3, of={"partitionMaxBytes": size})
        w.fetch("read", 0, 3, maxBytes=size)
    w.fetch("read", 0, 0, isolation=1)
    w.fetch("read", 0, 0, isolation=7)
    for partition in (5, -1):
        w.fetch("read", partition)
    for epoch in (0, 3, 99):
        w.fetch("read", 0, 0, of={"currentLeaderEpoch": 99 if epoch else -1, "lastFetchedEpoch": -1})
    w.fetch("read", 0, 0, minBytes=1 << 20, maxWaitMs=10)
    w.fetch(NO_ID)
    for session, epoch in ((0, 0), (77, 1), (0, 5), (77, -1), (77, 0)):
        w.fetch("read", sessionId=session, sessionEpoch=epoch)
    opened = w.fetch("read", sessionId=0, sessionEpoch=0)
    session = opened["sessionId"] if opened else 0
    w.call("Fetch", {"maxWaitMs": 0, "sessionId": session, "sessionEpoch": 1, "topics": []})
    w.produce("read", [b"more"])
    w.call("Fetch", {"maxWaitMs": 0, "sessionId": session, "sessionEpoch": 2, "topics": []})
    w.call("Fetch", {"maxWaitMs": 0, "sessionId": session, "sessionEpoch": 2, "topics": []})
    forget = [{"topicId": w.ids["read"], "partitions": [0]}]
    w.call("Fetch", {"maxWaitMs": 0, "sessionId": session, "sessionEpoch": 3, "topics": [], "forgottenTopicsData": forget})
    w.call("Fetch", {"maxWaitMs": 0, "sessionId": session, "sessionEpoch": -1, "topics": []})
    w.call("Fetch", {"maxWaitMs": 0, "sessionId": session, "sessionEpoch": 4, "topics": []})


def offsets(w):
    """ListOffsets: times and the special ones, in each version; OffsetForLeaderEpoch."""
    w.topic("timed", 2)
    for time in (5000, 9000, 7000):
        w.produce("timed", Batch(keyed(b"a"), time=time))
    low, high = w.pair.versions["ListOffsets"]
    for version in range(low, high + 1):
        for timestamp in (-1, -2, -3, -4, -5, -6, -7, 0, 5000, 5001, 8000, 9001, 1 << 62, -(1 << 60)):
            w.offsets_at("timed", 0, timestamp, version=version)
        w.offsets_at("timed", 1, -1, version=version)
        w.offsets_at("timed", 1, -3, version=version)
        w.offsets_at("timed", 9, -1, version=version)
        w.offsets_at("timed", -1, -1, version=version)
        w.offsets_at("unheard", 0, -1, version=version)
        w.offsets_at("a/b", 0, -1, version=version)
    for isolation in (0, 1, 2, -1):
        w.offsets_at("timed", 0, -1, isolation)
    for epoch in (-1, 99):
        w.offsets_at("timed", 0, -1, currentLeaderEpoch=epoch)
    twice = [{"name": "timed", "partitions": [{"partitionIndex": 0, "timestamp": -1}, {"partitionIndex": 0, "timestamp": -2}]}]
    w.call("ListOffsets", {"replicaId": -1, "topics": twice})
    for replica in (-2, 1, 5):
        w.call("ListOffsets", {"replicaId": replica, "topics": twice[:1]})
    w.call("ListOffsets", {"replicaId": -1, "topics": []})
    known = w.offsets_at("timed", 0, -2)["topics"][0]["partitions"][0]["leaderEpoch"]
    low, high = w.pair.versions["OffsetForLeaderEpoch"]
    for version in range(low, high + 1):
        for topic, partition, current, asked in (("timed", 0, -1, known), ("timed", 0, -1, 99), ("timed", 0, -1, -1), ("timed", 0, 99, known),
                                                 ("timed", 0, known, known), ("timed", 9, -1, known), ("unheard", 0, -1, known),
                                                 ("timed", 1, -1, known)):  # fmt: skip
            place = {"partition": partition, "currentLeaderEpoch": current, "leaderEpoch": asked}
            body = {"replicaId": -1, "topics": [{"topic": topic, "partitions": [place]}]}
            w.call("OffsetForLeaderEpoch", body, version)


def deleting_records(w):
    w.topic("shortened", 2)
    for _ in range(4):
        w.produce("shortened", [b"a", b"b", b"c"])
    delete = lambda topic, partition, offset, version=2: w.call(
        "DeleteRecords", {"topics": [{"name": topic, "partitions": [{"partitionIndex": partition, "offset": offset}]}], "timeoutMs": 5000}, version
    )
    for version in range(w.pair.versions["DeleteRecords"][0], 3):
        delete("shortened", 0, 2, version)
    for partition, offset in ((0, 1), (0, -2), (0, 13), (0, -1), (0, 12), (1, 0), (1, -1), (9, 0), (-1, 0)):
        delete("shortened", partition, offset)
    delete("unheard", 0, 0)
    delete("a/b", 0, 0)
    w.call("DeleteRecords", {"topics": [], "timeoutMs": 5000})
    for offset in (0, 11, 12):
        w.fetch("shortened", 0, offset)
    w.offsets_at("shortened", 0, -2)
    w.offsets_at("shortened", 0, -3)
    w.topic("kept", cleanup_policy="compact")
    w.produce("kept", [b"a"])
    delete("kept", 0, 1)


ALL = (produce_versions, bad_batches, arguments, compacted, idempotent, fetching, offsets, deleting_records)
