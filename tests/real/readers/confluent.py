"""confluent-kafka: assigned partitions, to the end of each."""
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from harness.fingerprint import Fingerprint

from .common import task, tell


def main():
    todo = task()
    found = Fingerprint()
    consumer = Consumer(
        {
            "bootstrap.servers": todo["bootstrap"],
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "check.crcs": True,
        }
    )
    topic = todo["topic"]
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
    left = set(partitions)
    while left:
        for message in consumer.consume(5000, 0.2):
            if error := message.error():
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                left.discard(message.partition())
                continue
            found.add(
                message.partition(),
                message.offset(),
                message.timestamp()[1],
                message.key(),
                message.value(),
                message.headers(),
            )
    consumer.close()
    tell(found)


main()
