"""An idempotent producer that never gives up: `python -m harness.steady TASK` until SIGTERM, then it tells what was acknowledged.

Each record's value names its producer, its partition, and its number there, so that a reader can tell what is missing,
twice, or out of order. Prints a JSON line: acknowledged ([partition, number, offset]), failed (texts), sent (per partition).
"""
import signal
import sys
import time

import orjson
from confluent_kafka import Producer

FLUSH_TIMEOUT_S = 120


def value(producer, partition, number):
    head = b"%d %d %d " % (producer, partition, number)
    return head + b"." * (number * 37 % 400)


def parse(payload):
    """(producer, partition, number), and whether the rest is as it was sent."""
    producer, partition, number = map(int, payload.split(b" ", 3)[:3])
    return (producer, partition, number), payload == value(producer, partition, number)


class Steady:
    def __init__(self, task):
        self.topic = task["topic"]
        self.name = task["producer"]
        self.rate = task["rate"]
        self.sent = [0] * task["partitions"]
        self.acknowledged = []
        self.failed = []
        self.stopping = False
        self.producer = Producer(
            {
                "bootstrap.servers": task["bootstrap"],
                "enable.idempotence": True,
                "linger.ms": 2,
                "compression.type": task["codec"],
                "delivery.timeout.ms": 600_000,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 200,
                "retry.backoff.ms": 20,
                "log_level": 0,
            }
        )
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, *_):
        self.stopping = True

    def send(self, partition):
        number = self.sent[partition]

        def delivered(error, message):
            if error:
                self.failed.append(f"partition {partition}, number {number}: {error}")
            else:
                self.acknowledged.append((partition, number, message.offset()))

        try:
            self.producer.produce(self.topic, value(self.name, partition, number), partition=partition, on_delivery=delivered)
            self.sent[partition] += 1
        except BufferError:
            self.producer.poll(0.05)

    def run(self):
        began = time.monotonic()
        turn = 0
        while not self.stopping:
            ahead = turn / self.rate - (time.monotonic() - began)
            self.producer.poll(max(0.0, min(ahead, 0.05)))
            if ahead <= 0:
                for _ in range(10):
                    self.send(turn % len(self.sent))
                    turn += 1
        left = self.producer.flush(FLUSH_TIMEOUT_S)
        if left:
            self.failed.append(f"{left} records without an answer")
        told = {"acknowledged": self.acknowledged, "failed": self.failed, "sent": self.sent}
        sys.stdout.buffer.write(orjson.dumps(told))


if __name__ == "__main__":
    Steady(orjson.loads(sys.argv[1])).run()
