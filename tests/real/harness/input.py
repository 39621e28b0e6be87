"""The data set for programs that process it: its two kinds of lines in a topic each, `commits` by author and `files` by path."""
from confluent_kafka import Producer

from . import history
from .report import expect


class Input:
    def __init__(self, limit):
        self.left = history.records(limit)
        self.limit = limit
        self.fed = 0

    def feed(self, broker, count):
        """The next so many lines, placed as Java's clients place them."""
        config = {"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "linger.ms": 20, "log_level": 3}
        producer = Producer(config | {"partitioner": "murmur2_random"})
        failed = []
        for _, (key, value, timestamp, headers) in zip(range(count), self.left):
            topic = "commits" if headers[0][1] == b"commit" else "files"
            producer.produce(topic, value, key, timestamp=timestamp, on_delivery=lambda error, _: error and failed.append(error))
            self.fed += 1
            if self.fed % 1000 == 0:
                producer.poll(0)
        expect(producer.flush(60) == 0 and not failed, f"the input was not acknowledged: {failed[:1]}")
