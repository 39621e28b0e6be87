"""kafka-python: assigned partitions, until each position is at its end offset."""
from kafka import KafkaConsumer, TopicPartition

from harness.fingerprint import Fingerprint

from .common import task, tell


def main():
    todo = task()
    found = Fingerprint()
    consumer = KafkaConsumer(
        bootstrap_servers=todo["bootstrap"],
        group_id=None,
        enable_auto_commit=False,
        max_poll_records=20_000,
        fetch_max_wait_ms=100,
    )
    partitions = [TopicPartition(todo["topic"], p) for p in sorted(consumer.partitions_for_topic(todo["topic"]))]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(p) < ends[p] for p in partitions):
        for at, records in consumer.poll(timeout_ms=1000).items():
            for r in records:
                found.add(at.partition, r.offset, r.timestamp, r.key, r.value, r.headers)
    consumer.close(autocommit=False)
    tell(found)


main()
