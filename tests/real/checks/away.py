"""The store goes away: writing goes on until the WAL budget, then a retriable error; when it is back it drains by itself."""
import random
import time

from confluent_kafka import KafkaError, Producer

from checks.history import create
from harness.broker import Broker
from harness.contents import by_confluent, by_esker, ends
from harness.crew import Crew
from harness.minio import Minio
from harness.report import expect

TOPIC = "away"
PARTITIONS = 4
MIB = 1 << 20
WAL_BYTES = 64 * MIB
AWAY_S = 6
DRAINED_WITHIN_S = 90
FULL_WITHIN_S = 120
SAYS_WITHIN_S = 20


def goes_on(broker, away):
    """Records are acknowledged while the store is away, in the second half of that time too."""
    away()
    seen = []
    for _ in range(3):
        seen.append(sum(ends(broker, TOPIC, PARTITIONS)))
        time.sleep(AWAY_S / 3)
    expect(seen[0] < seen[1] < seen[2], f"no progress while the store is away: {seen}")
    return f"{seen[2] - seen[0]} records meanwhile"


def newest(broker):
    """The newest records are hot: they are read while the store is away."""
    begin = {p: end - 100 for p, end in enumerate(ends(broker, TOPIC, PARTITIONS))}
    found = by_confluent(broker, TOPIC, PARTITIONS, begin)
    expect(all(len(part) >= 100 for part in found.values()), "the newest records cannot be read while the store is away")


def full(broker, minio):
    """Fills the WAL: a retriable error, no crash, and reads go on; then the store comes back, and all is taken again."""
    chance = random.Random(7)
    payload = chance.randbytes(500_000)
    errors = []
    acknowledged = 0

    def delivered(error, message):
        nonlocal acknowledged
        if error:
            errors.append(error)
        else:
            acknowledged += 1

    config = {"bootstrap.servers": broker.bootstrap, "retries": 0, "acks": "all", "log_level": 0, "linger.ms": 0}
    producer = Producer(config)
    deadline = time.monotonic() + FULL_WITHIN_S
    minio.pause()
    try:
        while not errors:
            expect(time.monotonic() < deadline, f"{acknowledged} x 500 kB were taken by a WAL of {WAL_BYTES} bytes")
            producer.produce("filler", payload, on_delivery=delivered)
            producer.flush(30)
        code = errors[0].code()
        expect(code == KafkaError.KAFKA_STORAGE_ERROR, f"a full WAL answers {errors[0]}")
        newest(broker)
    finally:
        minio.resume()
    errors.clear()
    deadline = time.monotonic() + DRAINED_WITHIN_S
    while True:
        producer.produce("filler", payload, on_delivery=delivered)
        producer.flush(30)
        if not errors:
            return f"{acknowledged * len(payload) // MIB} MiB, then refused"
        errors.clear()
        expect(time.monotonic() < deadline, f"still refused {DRAINED_WITHIN_S} s after the store is back")
        time.sleep(0.5)


def drained(broker, crew):
    """Everything acknowledged is in the bucket."""
    deadline = time.monotonic() + DRAINED_WITHIN_S
    while (done := broker.esker("seal", check=False, timeout_s=DRAINED_WITHIN_S)).returncode:
        expect(time.monotonic() < deadline, f"not drained {DRAINED_WITHIN_S} s after the store is back: {done.stderr}")
        time.sleep(1)
    lines = broker.esker_store("consume", TOPIC, "--format", "json", timeout_s=300).stdout
    return f"{crew.prove(by_esker(lines, PARTITIONS))} records"


def start_waits(broker, minio):
    """No store at the start: it waits and says so; Kafka's port opens when the store is back."""
    broker.start(wait=False)
    deadline = time.monotonic() + SAYS_WITHIN_S
    while (got := broker.get("/readyz"))[0] != 503 or "waiting" not in got[1]:
        expect(time.monotonic() < deadline and broker.alive(), f"/readyz says {got}")
        time.sleep(0.2)
    expect(not broker.answers(), "Kafka's port is open while the start waits for the bucket")
    expect(broker.get("/healthz")[0] == 200, "/healthz is not 200 while the start waits")
    minio.start()
    broker.wait_ready()


def run(report, plan):
    minio = Minio("away-minio").start()
    sets = {"esker.seal.ms": 500, "wal.bytes": WAL_BYTES, "wal.file.bytes": 8 * MIB, "store.request.timeout.ms": 3000, "store.retry.ms": 5000}
    broker = Broker("away", minio.bucket("away"), minio.env, **sets).start()
    crew = None
    try:
        create(broker, TOPIC, PARTITIONS)
        create(broker, "filler", 1)
        crew = Crew(broker, TOPIC, PARTITIONS, producers=2, rate=800, name="away")
        time.sleep(2)
        report.check("confluent-kafka", "store hangs: writing goes on", lambda: goes_on(broker, minio.pause))
        minio.resume()
        time.sleep(2)
        report.check("confluent-kafka", "store refuses connections: writing goes on", lambda: goes_on(broker, minio.kill))
        minio.start()
        report.check("confluent-kafka", "store away until the WAL is full: retriable, recovers", lambda: full(broker, minio))
        crew.stop()
        report.check("consume --store", "store back: everything acknowledged arrives", lambda: drained(broker, crew))
        broker.stop()
        minio.kill()
        report.check("esker serve", "store away at the start: waits, then serves", lambda: start_waits(broker, minio))
        broker.stop()
    finally:
        if crew:
            crew.end()
        broker.end()
        if minio.child:
            minio.resume()
            minio.kill()
