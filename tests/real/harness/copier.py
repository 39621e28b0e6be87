"""A copy loop: consume, transform, produce, commit offsets, all in transactions. It ends when it cannot go on, and whoever
runs it starts it again; what it did not commit it does once more.

Its argument is a JSON object: bootstrap, source, target, group, transactional_id.
"""
import sys

import orjson
from confluent_kafka import Consumer, KafkaException, Producer

from . import process

BATCH = 300
TIMEOUT_S = 30


def transform(value):
    return b"copied " + value


def retried(call):
    """Again, while the broker is down and the transaction may still succeed."""
    while True:
        try:
            return call()
        except KafkaException as error:
            if not error.args[0].retriable():
                raise


def main():
    process.die_with_parent()
    task = orjson.loads(sys.argv[1])
    servers = {"bootstrap.servers": task["bootstrap"], "log_level": 3}
    consumer = Consumer(
        {
            **servers,
            "group.id": task["group"],
            # A static member: its next life goes on at once, and fences the one before.
            "group.instance.id": "copier",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1000,
        }
    )
    producer = Producer({**servers, "transactional.id": task["transactional_id"], "transaction.timeout.ms": 20_000})
    retried(lambda: producer.init_transactions(TIMEOUT_S))
    consumer.subscribe([task["source"]])
    while True:
        messages = [message for message in consumer.consume(BATCH, 0.2) if message.error() is None]
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            producer.produce(task["target"], transform(message.value()), message.key(), message.partition())
        positions = consumer.position(consumer.assignment())
        metadata = consumer.consumer_group_metadata()
        retried(lambda: producer.send_offsets_to_transaction(positions, metadata, TIMEOUT_S))
        retried(lambda: producer.commit_transaction(TIMEOUT_S))


main()
