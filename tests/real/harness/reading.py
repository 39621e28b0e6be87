"""Reads a topic through every client, two at a time, and compares with what was acknowledged."""
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import orjson

from . import place, process
from .fingerprint import difference
from .report import Failed, expect

# Readers over Kafka's protocol, and readers of the bucket alone.
KAFKA = ["kcat", "confluent", "kafka_python", "console", "esker"]
BUCKET = ["esker_store", "duckdb"]
NAMES = {
    "kcat": "kcat",
    "confluent": "confluent-kafka",
    "kafka_python": "kafka-python",
    "console": "console consumer",
    "esker": "esker consume",
    "esker_store": "consume --store",
    "duckdb": "DuckDB",
}
READ_TIMEOUT_S = 900


def read(reader, broker, topic, counts, minio=None):
    """Reads the whole topic with one client in a process of its own: partition -> [count, bare, full].

    `counts`, records per partition, is for clients that cannot see an end.
    """
    task = {
        "bootstrap": broker.bootstrap,
        "topic": topic,
        "counts": counts,
        "esker": place.ESKER,
        "store": broker.store_url,
        "minio": minio and minio.endpoint,
    }
    command = [sys.executable, "-m", f"readers.{reader}", orjson.dumps(task).decode()]
    done = process.run(command, timeout_s=READ_TIMEOUT_S, env={**os.environ, **broker.env})
    return orjson.loads(done.stdout)


def compare(report, broker, topic, expected, stage, readers, minio=None):
    """One check per reader: it finds `expected`, the result of a Fingerprint."""

    def timed(reader):
        began = time.monotonic()
        try:
            found = read(reader, broker, topic, counts, minio)
            wrong = difference(expected, found)
        except Failed as failure:
            found, wrong = {}, str(failure)
        return found, wrong, time.monotonic() - began

    counts = {partition: part[0] for partition, part in expected.items()}
    records = sum(part[0] for part in expected.values())
    expect(records > 0, "nothing to compare with")
    with ThreadPoolExecutor(2) as pool:
        for reader, (found, wrong, seconds) in zip(readers, pool.map(timed, readers)):
            if wrong:
                report.fail(NAMES[reader], stage, wrong, seconds)
            else:
                without = any(part[2] is None for part in found.values())
                note = f"{records} records" + (", no headers" if without else "")
                report.ok(NAMES[reader], stage, note, seconds)
