"""Whole readings as partition -> offset -> value, and one content per offset over all of them."""
import time

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from xxhash import xxh3_64_intdigest

from .report import expect


def by_confluent(broker, topic, partitions, begin=None, timeout_s=60):
    """Reads from `begin` (partition -> offset; default: the start) to the end as of now of each partition."""
    begin = begin or {}
    config = {
        "bootstrap.servers": broker.bootstrap,
        "group.id": "contents",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "log_level": 0,
    }
    consumer = Consumer(config)
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=timeout_s)[1] for p in range(partitions)}
    consumer.assign([TopicPartition(topic, p, begin.get(p, OFFSET_BEGINNING)) for p in range(partitions)])
    found = {p: {} for p in range(partitions)}
    left = set(found)
    deadline = time.monotonic() + timeout_s
    while left:
        messages = consumer.consume(5000, 0.2)
        if messages:
            deadline = time.monotonic() + timeout_s
        expect(time.monotonic() < deadline, f"nothing for {timeout_s} s, and partitions {sorted(left)} are not at their end")
        for message in messages:
            error = message.error()
            if error is None:
                part = found[message.partition()]
                expect(message.offset() not in part, f"offset {message.offset()} came twice in one reading")
                part[message.offset()] = message.value()
                # Under a producer that never rests an end of partition may never be told.
                if message.offset() + 1 >= ends[message.partition()]:
                    left.discard(message.partition())
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
            else:
                raise KafkaException(error)
    consumer.close()
    return found


def by_esker(out, partitions):
    """What `esker consume --format json` printed."""
    found = {p: {} for p in range(partitions)}
    for line in out.splitlines():
        event = orjson.loads(line)
        found[event["partition"]][event["offset"]] = event["value"].encode()
    return found


def bounds(broker, topic, partitions):
    """The first offset and the end offset of each partition."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "ends", "log_level": 0})
    found = [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30) for p in range(partitions)]
    consumer.close()
    return found


def ends(broker, topic, partitions):
    """The end offset of each partition."""
    return [end for _, end in bounds(broker, topic, partitions)]


class Single:
    """I3: one (partition, offset), one content, over all readings."""

    def __init__(self):
        self.seen = {}

    def add(self, contents, which):
        for partition, records in contents.items():
            for offset, value in records.items():
                digest = xxh3_64_intdigest(value)
                before = self.seen.setdefault((partition, offset), digest)
                expect(before == digest, f"{which}: partition {partition} offset {offset} has other content than before")
        return contents
