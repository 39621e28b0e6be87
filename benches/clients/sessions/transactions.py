"""Transactions of 100 records one after the other, and the same records of an idempotent producer that flushes every 100: through
librdkafka (the first form of transactions) and through Kafka's own client (the second, KIP-890). Esker also without a sync,
which leaves the client's own time."""
import time
from pathlib import Path

from confluent_kafka import Producer
from harness import place, process
from peers import ESKER, KAFKA, create, peer, show

ROUNDS, RECORDS, WARM = 1000, 100, 300
JAVA = Path(__file__).resolve().parent.parent / "Transactions.java"


def rate(begin, end, producer):
    """Records a second."""

    def play(count):
        for _ in range(count):
            begin()
            for _ in range(RECORDS):
                producer.produce("records", b"." * 200)
            end()

    play(WARM)
    began = time.monotonic()
    play(ROUNDS)
    return ROUNDS * RECORDS / (time.monotonic() - began)


def librdkafka(broker):
    common = {"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "linger.ms": 0, "log_level": 0}
    plain = Producer(common)
    flushed = rate(lambda: None, plain.flush, plain)
    inside = Producer(common | {"transactional.id": "librdkafka"})
    inside.init_transactions(60)
    return flushed, rate(inside.begin_transaction, lambda: inside.commit_transaction(60), inside)


def java(broker):
    # Without the settings of `place.java`: they make a tool start quickly and run slowly.
    command = ["java", "-cp", f"{place.HOME}/kafka/*", JAVA, broker.bootstrap, ROUNDS, RECORDS, WARM]
    return [float(line) for line in process.run(command).stdout.split()]


def run():
    for who, name, sets in ((ESKER, ESKER, {}), ("esker, no sync", ESKER, {"durability": "os"}), (KAFKA, KAFKA, {})):
        with peer(name, **sets) as broker:
            create(broker, "records", 6)
            for client in (librdkafka, java):
                before = process.cpu_s(broker.child)
                flushed, committed = client(broker)
                used = process.cpu_s(broker.child) - before
                show(
                    "transactions", f"{who}, {client.__name__}",
                    flushed_per_s=flushed, committed_per_s=committed, ratio=committed / flushed, broker_cpu_s=used,
                )
