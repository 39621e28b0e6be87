"""Damage: a segment that is changed, cut off or gone, a WAL file that is changed in the middle. Each is named, nothing else
suffers, and nothing wrong is ever returned.
"""
import random
import re
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from checks.history import create
from harness import place, process
from harness.broker import Broker
from harness.contents import by_esker
from harness.report import expect

TOPIC = "damage"
KINDS = ["changed", "cut", "gone", "whole"]
RECORDS = 4000
READ_S = 4
# The newest group has a successor after a second; without one its damage would be a torn tail.
SUCCESSOR_S = 2.5


def produce(broker, word):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "log_level": 3})
    for partition in range(len(KINDS)):
        for n in range(RECORDS):
            producer.produce(TOPIC, b"%s %d %d " % (word, partition, n) + b"." * (n % 90), partition=partition)
        producer.poll(0)
    expect(producer.flush(60) == 0, "not everything was acknowledged")


def hurt(path, kind, chance):
    """Damages one object of the bucket in place."""
    data = bytearray(path.read_bytes())
    if kind == "changed":
        data[chance.randrange(4, len(data) // 2)] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
    elif kind == "cut":
        path.write_bytes(data[: len(data) * 2 // 3])
    elif kind == "gone":
        path.unlink()


def readable(broker, partition, records=RECORDS):
    """Records of a partition that come within READ_S, by offset."""
    config = {"bootstrap.servers": broker.bootstrap, "group.id": "damage", "enable.auto.commit": False, "log_level": 0}
    consumer = Consumer(config)
    consumer.assign([TopicPartition(TOPIC, partition, 0)])
    found = {}
    for _ in range(READ_S * 5):
        for message in consumer.consume(5000, 0.2):
            if message.error() is None:
                found[message.offset()] = message.value()
        if len(found) == records:
            break
    consumer.close()
    return found


def right(found, partition):
    """Whatever came is what was sent."""
    for offset, value in found.items():
        expect(value.startswith(b"sealed %d %d " % (partition, offset)), f"offset {offset} holds {value[:40]}")


def named(broker, partition, kind, path):
    """The damaged object is named by reading and by the tools, and no wrong record comes."""
    found = readable(broker, partition)
    right(found, partition)
    expect(len(found) < RECORDS, "all records were read, though the only object that holds them is damaged")
    done = broker.esker_store("consume", TOPIC, "--partition", partition, "--format", "json", check=False)
    expect(done.returncode == 1, f"consume --store ended with {done.returncode}")
    expect(path.name in done.stderr, f"consume --store does not name {path.name}: {done.stderr}")
    right(by_esker(done.stdout, len(KINDS))[partition], partition)
    expect(path.name in broker.log.read_text(), f"the broker's words do not name {path.name}")
    for tool in (("verify", TOPIC), ("fsck",)):
        done = broker.esker_store(*tool, check=False)
        words = done.stdout + done.stderr
        # A changed byte of a page is for `verify` to find: `fsck` looks at sizes, places and names.
        if tool[0] == "verify" or kind != "changed":
            expect(done.returncode == 1 and path.name in words, f"{tool[0]} does not name {path.name}: {words[-800:]}")
    return f"{len(found)} of {RECORDS} readable"


def others(broker):
    """The partition beside them is whole, and all of them take new records."""
    found = readable(broker, KINDS.index("whole"))
    right(found, KINDS.index("whole"))
    expect(len(found) == RECORDS, f"{len(found)} of {RECORDS} records of the partition that is whole")
    produce(broker, b"new")


def segments(report, plan):
    chance = random.Random(plan.seed)
    broker = Broker("damage").start()
    try:
        create(broker, TOPIC, len(KINDS))
        produce(broker, b"sealed")
        broker.esker("seal", TOPIC)
        urls = broker.esker("segments", TOPIC, "--paths").stdout.split()
        paths = {int(re.search(r"/data/(\d+)-\d+-\d+-\w+\.parquet$", url)[1]): Path(url.removeprefix("file://")) for url in urls}
        broker.lose_disk()
        for partition, kind in enumerate(KINDS[:-1]):
            hurt(paths[partition], kind, chance)
        for partition, kind in enumerate(KINDS[:-1]):
            check = lambda: named(broker, partition, kind, paths[partition])
            report.check("confluent-kafka", f"damage: a segment that is {kind}", check)
        report.check("confluent-kafka", "damage: the others go on", lambda: others(broker))
    finally:
        broker.end()


def wal(report, plan):
    """Pages of zeros in batches that are not sealed: their partitions stop, by name, until the loss is accepted.

    In partition 1 the last batch is hurt, in partition 2 one with whole ones behind it.
    """
    broker = Broker("damaged-wal").start()
    try:
        create(broker, TOPIC, len(KINDS))
        produce(broker, b"early")
        produce(broker, b"late")
        time.sleep(SUCCESSOR_S)
        broker.kill()
        hurt_wal = [zeros(broker.data / "wal", word) for word in (b"late 1 2000 ", b"early 2 2000 ")]
        report.check("esker serve", "damage: the WAL: the partitions stop, by name", lambda: stopped(broker, hurt_wal))
        broker.kill()
        report.check("esker wal", "damage: the WAL: the loss is accepted, and is a gap", lambda: accepted(broker, hurt_wal))
    finally:
        broker.end()


def zeros(folder, word):
    """Writes zeros over the place of a word, as a disk that lost a page does; returns the file."""
    for path in folder.glob("*.wal"):
        data = bytearray(path.read_bytes())
        at = data.find(word)
        if at >= 0:
            data[at : at + 4096] = bytes(4096)
            path.write_bytes(data)
            return path
    raise AssertionError(f"{word} is in no WAL file")


def stopped(broker, paths):
    broker.start()
    words = broker.log.read_text()
    for word in (*map(str, paths), "partition 1", "partition 2", "at byte", "accept-loss"):
        expect(word in words, f"the start does not say '{word}':\n{words[-1500:]}")
    for partition in (0, 3):
        found = readable(broker, partition, 2 * RECORDS)
        expect(len(found) == 2 * RECORDS, f"partition {partition}: {len(found)} of {2 * RECORDS} records")
    for partition in (1, 2):
        expect(len(readable(broker, partition, 2 * RECORDS)) < 2 * RECORDS, "a damaged batch was read whole")
        failed = []
        producer = Producer({"bootstrap.servers": broker.bootstrap, "message.timeout.ms": 3000, "log_level": 0})
        producer.produce(TOPIC, b"x", partition=partition, on_delivery=lambda error, _: failed.append(error))
        producer.flush(10)
        expect(failed and failed[0] is not None, f"partition {partition} takes records though it stopped")


def accepted(broker, paths):
    command = [place.ESKER, "wal", "accept-loss", "--data", broker.data]
    shown = process.run(command, env=broker.env, check=False)
    words = shown.stdout + shown.stderr
    expect(paths[0].name in words and "--yes" in words, f"accept-loss does not show what would be lost: {words}")
    process.run([*command, "--yes"], env=broker.env)
    broker.start()
    produce(broker, b"new")
    broker.esker("seal", TOPIC)
    rows = [line.split() for line in broker.esker("segments", TOPIC).stdout.splitlines()]
    gaps = [(int(row[0]), range(int(row[3]), int(row[4]))) for row in rows if row[1:3] == ["gap:", "wal-lost"]]
    lines = broker.esker("consume", TOPIC, "--format", "json").stdout
    lost = []
    for partition, records in by_esker(lines, len(KINDS)).items():
        new = [offset for offset, value in records.items() if value.startswith(b"new")]
        expect(len(new) == RECORDS, f"partition {partition}: {len(new)} of {RECORDS} new records")
        expect(min(new) >= 2 * RECORDS, f"partition {partition}: offset {min(new)}, once acknowledged, was given again")
        missing = [offset for offset in range(2 * RECORDS) if offset not in records]
        for offset in missing:
            recorded = any(p == partition and offset in gap for p, gap in gaps)
            expect(recorded, f"partition {partition}: offset {offset} is neither there nor in a gap: {gaps}")
        lost.append(len(missing))
    expect(lost[0] == lost[3] == 0 and 0 < lost[1] <= RECORDS and 0 < lost[2] <= RECORDS, f"lost per partition: {lost}")
    return f"{sum(lost)} records in gaps"


def run(report, plan):
    segments(report, plan)
    wal(report, plan)
