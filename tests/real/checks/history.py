"""The whole data set through every client, from every tier: equal counts, equal sums of hashes.

On the folder: hot, sealed, after a restart, after a clean stop and the loss of the data directory. On MinIO, with a WAL too
small for the data: mixed tiers, after kill -9, after the loss of the data directory.
"""
import random
from array import array

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import history, reading
from harness.broker import Broker
from harness.fingerprint import Fingerprint, bare_hash, full_hash, headers_bytes
from harness.minio import Minio
from harness.report import expect, say

TOPIC = "history"
PARTITIONS = 6
SEEKS = 60
MIB = 1 << 20


class Produced:
    """What was acknowledged: per partition, by offset, the timestamp and the bare hash; and the fingerprint of all."""

    def __init__(self):
        self.parts = {p: (array("q"), array("Q")) for p in range(PARTITIONS)}
        self.fingerprint = Fingerprint()
        self.failed = []
        self.acknowledged = []

    def on_delivery(self, record):
        def delivered(error, message):
            if error is None:
                self.acknowledged.append((message.partition(), message.offset(), record))
            else:
                self.failed.append(str(error))

        return delivered

    def settle(self):
        """Checks that offsets are dense, and keeps what comparing needs."""
        expect(not self.failed, f"{len(self.failed)} records were refused, the first: {self.failed[:1]}")
        self.acknowledged.sort(key=lambda a: a[:2])
        for partition, offset, (key, value, timestamp, headers) in self.acknowledged:
            times, hashes = self.parts[partition]
            expect(offset == len(times), f"partition {partition}: offset {offset} was acknowledged, {len(times)} awaited")
            times.append(timestamp)
            hashes.append(bare_hash(partition, offset, timestamp, key, value))
            self.fingerprint.add(partition, offset, timestamp, key, value, headers)
        self.acknowledged = []


def create(broker, topic=TOPIC, partitions=PARTITIONS, **config):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 3})
    made = admin.create_topics([NewTopic(topic, partitions, 1, config={k.replace("_", "."): v for k, v in config.items()})])
    made[topic].result(30)


def produce(broker, limit, codec):
    """Produces the data set keyed, idempotent, with its own timestamps."""
    produced = Produced()
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap,
            "enable.idempotence": True,
            "compression.type": codec,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "queue.buffering.max.messages": 200_000,
            "log_level": 3,
        }
    )
    for n, record in enumerate(history.records(limit)):
        key, value, timestamp, headers = record
        while True:
            try:
                producer.produce(
                    TOPIC, value, key, timestamp=timestamp, headers=headers, on_delivery=produced.on_delivery(record)
                )
                break
            except BufferError:
                producer.poll(0.1)
        if n % 1000 == 0:
            producer.poll(0)
    left = producer.flush(120)
    expect(left == 0, f"{left} records were not acknowledged within two minutes")
    expect(len(produced.acknowledged) + len(produced.failed) == limit, "not every record got an answer")
    produced.settle()
    return produced


def seeks(broker, produced, chance):
    """Any offset, any time, one call: against what was acknowledged."""
    # A short wait: librdkafka lets the fetch in flight end before it begins at another offset.
    config = {"bootstrap.servers": broker.bootstrap, "group.id": "seeks", "enable.auto.commit": False, "fetch.wait.max.ms": 5}
    consumer = Consumer(config)
    for _ in range(SEEKS):
        partition = chance.randrange(PARTITIONS)
        times, hashes = produced.parts[partition]
        offset = chance.randrange(len(times))
        consumer.assign([TopicPartition(TOPIC, partition, offset)])
        message = consumer.poll(30)
        expect(message is not None and message.error() is None, f"nothing at partition {partition} offset {offset}")
        found = bare_hash(partition, message.offset(), message.timestamp()[1], message.key(), message.value())
        expect(message.offset() == offset, f"asked for offset {offset}, got {message.offset()} of partition {partition}")
        expect(found == hashes[offset], f"partition {partition}: other content at offset {offset}")

        wanted = chance.randrange(min(times) - 1000, max(times) + 1000)
        [answer] = consumer.offsets_for_times([TopicPartition(TOPIC, partition, wanted)], timeout=30)
        first = next((n for n, ts in enumerate(times) if ts >= wanted), -1)
        expect(answer.offset == first, f"partition {partition}: time {wanted} is at {first}, answered {answer.offset}")
    consumer.close()
    return f"{SEEKS} offsets, {SEEKS} times"


def ranges(broker, produced, chance):
    """`esker consume --from --to`, by offset and by time, against the bucket alone."""
    partition = chance.randrange(PARTITIONS)
    times, _ = produced.parts[partition]
    first = chance.randrange(len(times) // 2)
    span = ["--from", first, "--to", first + 1000, "--partition", partition]
    lines = broker.esker_store("consume", TOPIC, *span).stdout.splitlines()
    expect(len(lines) == 1000, f"{len(lines)} lines between offsets {first} and {first + 1000}")
    return f"{len(lines)} records"


def on_folder(report, plan):
    broker = Broker("folder", **{"esker.seal.bytes": 16 * MIB})
    chance = random.Random(plan.seed)
    try:
        broker.start()
        create(broker)
        produced = None

        def write():
            nonlocal produced
            produced = produce(broker, plan.lines, "lz4")
            return f"{plan.lines} records"

        if not report.check("confluent-kafka", "history, folder: produced, 6 partitions, keyed, lz4", write):
            return
        expected = produced.fingerprint.result()

        def stage(name, readers):
            reading.compare(report, broker, TOPIC, expected, f"history, folder, {name}", readers)
            report.check("confluent-kafka", f"history, folder, {name}: any offset, any time", lambda: seeks(broker, produced, chance))

        stage("hot", reading.KAFKA)
        report.check("esker seal", "history, folder: sealed", lambda: sealed_whole(broker, plan))
        stage("sealed", reading.KAFKA)
        reading.compare(report, broker, TOPIC, expected, "history, folder, sealed", reading.BUCKET)
        report.check("esker consume", "history, folder: a range of offsets of the bucket", lambda: ranges(broker, produced, chance))
        report.check("esker verify", "history, folder: every segment proves its hashes", lambda: proven(broker))

        broker.stop()
        broker.start()
        stage("restarted", reading.KAFKA)

        broker.lose_disk()
        stage("disk lost", reading.KAFKA + reading.BUCKET)
        report.check("esker serve", "history, folder, disk lost: all of it is cold", lambda: cold_only(broker))
        broker.stop()
    finally:
        broker.end()


def on_minio(report, plan):
    minio = Minio().start()
    small = {"wal.bytes": plan.wal_bytes, "wal.file.bytes": 8 * MIB, "esker.seal.ms": 3000}
    broker = Broker("on-minio", minio.bucket("history"), minio.env, **small)
    chance = random.Random(plan.seed)
    try:
        broker.start()
        create(broker)
        produced = None

        def write():
            nonlocal produced
            produced = produce(broker, plan.lines, "none")
            return f"{plan.lines} records"

        if not report.check("confluent-kafka", "history, MinIO: produced, more than the WAL holds", write):
            return
        expected = produced.fingerprint.result()

        def stage(name, readers):
            reading.compare(report, broker, TOPIC, expected, f"history, MinIO, {name}", readers, minio)
            report.check("confluent-kafka", f"history, MinIO, {name}: any offset, any time", lambda: seeks(broker, produced, chance))

        stage("both tiers", reading.KAFKA)
        broker.kill()
        broker.start()
        report.check("esker seal", "history, MinIO, after kill -9: sealed", lambda: sealed_whole(broker, plan))
        stage("after kill -9", reading.KAFKA + reading.BUCKET)
        report.check("esker verify", "history, MinIO: every segment proves its hashes", lambda: proven(broker))
        broker.lose_disk()
        stage("disk lost", reading.KAFKA + reading.BUCKET)
        report.check("esker serve", "history, MinIO, disk lost: all of it is cold", lambda: cold_only(broker))
        broker.stop()
    finally:
        broker.end()
        minio.kill()


def sealed_whole(broker, plan):
    words = broker.esker("seal", TOPIC, timeout_s=300).stdout
    found = broker.esker("segments", TOPIC, "--paths").stdout.split()
    expect(found, f"no segment after a seal: {words}")
    return f"{len(found)} segments"


def proven(broker):
    broker.esker_store("verify", TOPIC, timeout_s=300)
    broker.esker_store("fsck", timeout_s=300)
    return ""


def cold_only(broker):
    """An empty disk holds nothing of it: the listing shows no hot range that has records."""
    rows = [line.split() for line in broker.esker("segments", TOPIC).stdout.splitlines()]
    hot = [row for row in rows if len(row) > 4 and row[1] == "hot" and row[2] != row[3]]
    expect(not hot, f"a hot range on an empty disk: {hot}")
    return ""


def run(report, plan):
    history.announce()
    say(f"{plan.lines} lines of it, {PARTITIONS} partitions")
    on_folder(report, plan)
    on_minio(report, plan)
