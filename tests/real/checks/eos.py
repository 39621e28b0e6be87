"""Exactly once: a copy loop in transactions over real input, killed with -9 by turns with the broker, with sealing on. What
is read committed is the input, each record once and in order, hot and cold.
"""
import itertools
import math
import random
import sys
import time

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from checks.history import PARTITIONS, create
from harness import history, place, process
from harness.broker import Broker
from harness.contents import by_esker
from harness.minio import Minio
from harness.report import expect

SOURCE, TARGET, GROUP = "eos-in", "eos-out", "copier"
MIB = 1 << 20
# Input of one round, unless it is the whole data set: more than the copy loop gets done before the next kill, at times.
ROUND_LINES = 4000
CATCH_UP_S = 600


class Loop:
    """The copier as a process, started again whenever it has ended."""

    def __init__(self, broker):
        task = {"bootstrap": broker.bootstrap, "source": SOURCE, "target": TARGET, "group": GROUP}
        self.task = task | {"transactional_id": "copier"}
        self.log = place.work() / "copier.log"
        self.child = None
        self.starts = 0

    def tend(self):
        if self.child is None or self.child.poll() is not None:
            self.starts += 1
            command = [sys.executable, "-m", "harness.copier", orjson.dumps(self.task).decode()]
            self.child = process.start(command, self.log)

    def kill(self):
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None


def feed(broker, lines, sent):
    """Produces some input, idempotently; `sent`: what each partition was given, in order."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "log_level": 3, "linger.ms": 20})
    for key, value, timestamp, _ in lines:
        partition = hash(key) % PARTITIONS
        while True:
            try:
                producer.produce(SOURCE, value, key, partition, timestamp=timestamp)
                break
            except BufferError:
                producer.poll(0.1)
        sent[partition].append((key, value))
    expect(producer.flush(60) == 0, "the input was not acknowledged")


def rounds(broker, loop, plan, chance, sent):
    count = max(6, plan.rounds // 2)
    whole = plan.lines >= history.LINES_ALL
    each = math.ceil(plan.lines / count) if whole else ROUND_LINES
    lines = iter(history.records(history.LINES_ALL))
    for n in range(count):
        feed(broker, itertools.islice(lines, each), sent)
        until = time.monotonic() + chance.uniform(0.5, 3)
        while time.monotonic() < until:
            loop.tend()
            time.sleep(0.05)
        if n % 2:
            loop.kill()
        else:
            broker.kill()
            time.sleep(chance.uniform(0, 0.5))
            broker.start()
    return f"{count} kills"


def committed(broker):
    # Uncommitted: or the answer would wait for what a killed loop has left open.
    config = {"bootstrap.servers": broker.bootstrap, "group.id": GROUP, "isolation.level": "read_uncommitted", "log_level": 0}
    consumer = Consumer(config)
    places = consumer.committed([TopicPartition(SOURCE, p) for p in range(PARTITIONS)], timeout=20)
    consumer.close()
    return [max(0, place.offset) for place in places]


def caught_up(broker, loop, sent):
    """Lets the loop come to the end of its input."""
    deadline = time.monotonic() + CATCH_UP_S
    ends = [len(records) for records in sent]
    while committed(broker) != ends:
        loop.tend()
        expect(time.monotonic() < deadline, f"the copy loop is at {committed(broker)}, its input ends at {ends}")
        time.sleep(0.5)
    loop.kill()
    return f"{sum(ends)} records, {loop.starts} lives of the loop"


def read_committed(broker):
    """Key and value of each partition's records, in order."""
    config = {"bootstrap.servers": broker.bootstrap, "group.id": "reader", "isolation.level": "read_committed"}
    consumer = Consumer({**config, "enable.auto.commit": False, "enable.partition.eof": True, "log_level": 0})
    consumer.assign([TopicPartition(TARGET, p, 0) for p in range(PARTITIONS)])
    found, left = [[] for _ in range(PARTITIONS)], set(range(PARTITIONS))
    deadline = time.monotonic() + 120
    while left:
        expect(time.monotonic() < deadline, f"partitions {sorted(left)} of {TARGET} do not come to their end")
        for message in consumer.consume(5000, 0.2):
            if message.error() is None:
                found[message.partition()].append((message.key(), message.value()))
            else:
                left.discard(message.partition())
    consumer.close()
    return found


def exactly_once(found, sent):
    for partition, (copies, originals) in enumerate(zip(found, sent)):
        for n, (copy, (key, value)) in enumerate(zip(copies, originals)):
            expect(copy == (key, b"copied " + value), f"partition {partition}: copy {n} is {copy}, not of {(key, value)}")
        expect(len(copies) == len(originals), f"partition {partition}: {len(copies)} copies of {len(originals)} records")
    return f"{sum(map(len, found))} records, each once"


def of_bucket(broker):
    lines = broker.esker_store("consume", TARGET, "--format", "json", timeout_s=300).stdout
    found = by_esker(lines, PARTITIONS)
    keys = [{} for _ in range(PARTITIONS)]
    for line in lines.splitlines():
        event = orjson.loads(line)
        keys[event["partition"]][event["offset"]] = event["key"].encode()
    return [[(keys[p][offset], found[p][offset]) for offset in sorted(found[p])] for p in range(PARTITIONS)]


def run(report, plan):
    minio = Minio("eos-minio").start()
    sets = {"esker.seal.ms": 700, "group.initial.rebalance.delay.ms": 0, "wal.bytes": 256 * MIB, "wal.file.bytes": 8 * MIB}
    broker = Broker("eos", minio.bucket("eos"), minio.env, **sets).start()
    loop = Loop(broker)
    sent = [[] for _ in range(PARTITIONS)]
    chance = random.Random(plan.seed)
    try:
        create(broker, SOURCE, PARTITIONS)
        create(broker, TARGET, PARTITIONS)
        say = lambda words, check: report.check("confluent-kafka", f"eos: {words}", check)
        if not say("kill -9 of copy loop and broker by turns", lambda: rounds(broker, loop, plan, chance, sent)):
            return
        if not say("the copy loop comes to its end", lambda: caught_up(broker, loop, sent)):
            return
        say("read committed: exactly once", lambda: exactly_once(read_committed(broker), sent))
        broker.lose_disk()
        say("read committed, all of it cold", lambda: exactly_once(read_committed(broker), sent))
        report.check("consume --store", "eos: of the bucket alone", lambda: exactly_once(of_bucket(broker), sent))
        report.check("esker fsck", "eos: the bucket is whole", lambda: broker.esker_store("fsck", timeout_s=300) and None)
    finally:
        loop.kill()
        broker.end()
        minio.kill()
