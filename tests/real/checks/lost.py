"""kill -9 and the loss of the disk: refused; with --take-over all that was sealed is there, the rest is a recorded gap, and
no offset is given again. The old disk, should it come back, is refused, and its records can be exported.
"""
import shutil

import orjson
from confluent_kafka import Producer

from checks.history import create
from harness import place, process, reading
from harness.broker import Broker
from harness.fingerprint import Fingerprint
from harness.report import expect

TOPIC = "lost"
PARTITIONS = 3
RECORDS = 3000


def produce(broker, word, expected=None):
    """Produces RECORDS; returns (partition, offset) -> value of what was acknowledged."""
    acknowledged, failed = {}, []
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "linger.ms": 5, "log_level": 3})

    def delivered(error, message):
        if error:
            return failed.append(str(error))
        place = message.partition(), message.offset()
        acknowledged[place] = message.value()
        if expected is not None:
            expected.add(*place, message.timestamp()[1], message.key(), message.value())

    for n in range(RECORDS):
        producer.produce(TOPIC, b"%s %d" % (word, n), b"k%d" % n, n % PARTITIONS, on_delivery=delivered)
    expect(producer.flush(60) == 0, "not everything was acknowledged")
    expect(not failed, f"{len(failed)} records were refused, the first: {failed[:1]}")
    return acknowledged


def never_again(broker, before, expected):
    """New offsets lie above every offset that was ever acknowledged."""
    after = produce(broker, b"after", expected)
    for partition in range(PARTITIONS):
        newest = max(offset for p, offset in before if p == partition)
        first = min(offset for p, offset in after if p == partition)
        expect(first > newest, f"partition {partition}: offset {first} was given again, {newest} had been acknowledged")
    return f"{len(after)} records"


def gaps(broker, sealed):
    """Each partition records what was lost, from the end of what was sealed."""
    for where in (broker.esker, broker.esker_store):
        rows = [line.split() for line in where("segments", TOPIC).stdout.splitlines()]
        for partition in range(PARTITIONS):
            end = 1 + max(offset for p, offset in sealed if p == partition)
            found = [row for row in rows if row[0] == str(partition) and "wal-lost" in row and str(end) in row]
            expect(found, f"no wal-lost gap from offset {end} of partition {partition} in {rows}")


def refused(broker):
    words = broker.refused()
    for word in ("--take-over", "did not release", str(broker.store_url)):
        expect(word in words, f"the refusal does not say '{word}': {words}")


def old_disk(broker, old, lost):
    """The disk that was taken over: refused by name; what it alone holds can be saved."""
    current, broker.data = broker.data, old
    try:
        words = broker.refused()
    finally:
        broker.data = current
    expect("wal export" in words, f"the refusal does not say how to save what the disk holds: {words}")
    out = process.run([place.ESKER, "wal", "export", "--data", old], env=broker.env).stdout
    events = [orjson.loads(line) for line in out.splitlines()]
    found = {(e["partition"], e["offset"]): e["value"].encode() for e in events}
    missing = [place for place, value in lost.items() if found.get(place) != value]
    expect(not missing, f"{len(missing)} of {len(lost)} lost records are not in the export, the first: {missing[:3]}")
    return f"{len(lost)} records"


def run(report, plan):
    folder = place.fresh("lost-bucket")
    broker = Broker("lost", f"file://{folder}").start()
    expected = Fingerprint()
    try:
        create(broker, TOPIC, PARTITIONS)
        sealed = produce(broker, b"sealed", expected)
        broker.esker("seal", TOPIC)
        lost = produce(broker, b"lost")
        broker.kill()
        old = place.work() / "lost-old-disk"
        broker.data.rename(old)

        report.check("esker serve", "lost disk after kill -9: refused", lambda: refused(broker))
        if not report.check("esker serve", "lost disk after kill -9: --take-over", lambda: broker.start("--take-over") and ""):
            return
        report.check("esker segments", "lost disk: the lost range is a recorded gap", lambda: gaps(broker, sealed))
        everyone = reading.KAFKA + reading.BUCKET
        reading.compare(report, broker, TOPIC, expected.result(), "lost disk: all that was sealed", everyone)
        again = lambda: never_again(broker, sealed | lost, expected)
        report.check("confluent-kafka", "lost disk: no offset is given again", again)
        reading.compare(report, broker, TOPIC, expected.result(), "lost disk: across the gap", reading.KAFKA)
        broker.stop()
        report.check("esker serve", "lost disk: the old disk comes back: refused, exported", lambda: old_disk(broker, old, lost))
        shutil.rmtree(broker.data)
        broker.start()
        reading.compare(report, broker, TOPIC, expected.result(), "lost disk: again, after a clean stop", everyone)
    finally:
        broker.end()
