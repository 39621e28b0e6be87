"""kill -9 at random moments under four idempotent producers and a short esker.seal.ms, on MinIO.

Nothing acknowledged is missing, nothing is twice, order holds per producer and partition, every offset has one content over
all readings: after each kill, hot and cold, and of the bucket alone.
"""
import random
import time

from checks.history import create
from harness.broker import Broker
from harness.contents import Single, by_confluent, by_esker
from harness.crew import Crew
from harness.minio import Minio
from harness.report import expect

TOPIC = "crash"
PARTITIONS = 6
MIB = 1 << 20
# How far back a reading after a kill begins, in records of a partition.
LOOK_BACK = 3000


def rounds(broker, plan, chance, single):
    """Kills, starts, and reads the newest records each time; every fourth start is killed too."""
    ends = {}
    for n in range(plan.rounds):
        time.sleep(chance.uniform(0.05, 2.5))
        broker.kill()
        if n % 4 == 3:
            broker.start(wait=False)
            time.sleep(chance.uniform(0, 0.3))
            broker.kill()
        broker.start()
        begin = {p: max(0, end - LOOK_BACK) for p, end in ends.items()}
        found = single.add(by_confluent(broker, TOPIC, PARTITIONS, begin), f"round {n}")
        for partition, records in found.items():
            newest = max(records, default=-1) + 1
            expect(newest >= ends.get(partition, 0), f"round {n}: partition {partition} ends at {newest}, had {ends}")
            ends[partition] = newest
    ready = sorted(broker.ready_s)
    return f"{plan.rounds} kills, ready after {ready[len(ready) // 2]:.2f} s, at most {ready[-1]:.2f} s"


def run(report, plan):
    minio = Minio("crash-minio").start()
    sets = {"esker.seal.ms": 700, "wal.bytes": 256 * MIB, "wal.file.bytes": 8 * MIB}
    broker = Broker("crash", minio.bucket("crash"), minio.env, **sets).start()
    chance = random.Random(plan.seed)
    single = Single()
    crew = None
    try:
        create(broker, TOPIC, PARTITIONS)
        crew = Crew(broker, TOPIC, PARTITIONS, name="crash")
        if not report.check("confluent-kafka", "crash: kill -9 under four producers", lambda: rounds(broker, plan, chance, single)):
            return
        crew.stop()

        def proven(client, which, read):
            prove = lambda: f"{crew.prove(single.add(read(), which))} records"
            report.check(client, f"crash: {which}", prove)

        def bucket():
            lines = broker.esker_store("consume", TOPIC, "--format", "json", timeout_s=300).stdout
            return by_esker(lines, PARTITIONS)

        proven("confluent-kafka", "nothing lost, nothing twice, in order", lambda: by_confluent(broker, TOPIC, PARTITIONS))
        broker.lose_disk()
        proven("confluent-kafka", "the same, all of it cold", lambda: by_confluent(broker, TOPIC, PARTITIONS))
        proven("consume --store", "the same, of the bucket alone", bucket)
        report.check("esker fsck", "crash: the bucket is whole, and holds nobody's objects", lambda: whole(broker))
    finally:
        if crew:
            crew.end()
        broker.end()
        minio.kill()


def whole(broker):
    broker.esker_store("verify", TOPIC, timeout_s=300)
    broker.esker_store("fsck", timeout_s=300)
