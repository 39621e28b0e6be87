"""A topic's life under clients that do not rest: partitions are added, settings change, it is deleted and made again; and one
with very many partitions."""
import os
import threading
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic
from confluent_kafka.admin import ResourceType

from harness.broker import Broker
from harness.report import expect

TOPIC = "life"
TIMEOUT_S = 60
REFRESH = {"topic.metadata.refresh.interval.ms": 500, "log_level": 2}
MIB = 1 << 20


class Traffic:
    """An idempotent producer and two members of a group, each in a thread of its own."""

    def __init__(self, broker, topic, protocol):
        self.broker, self.topic, self.protocol = broker, topic, protocol
        self.sent, self.failed, self.read = {}, [], {}
        self.over, self.enough = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self.produce, self.consume, self.consume)]
        for thread in self.threads:
            thread.start()

    def produce(self):
        producer = Producer({"bootstrap.servers": self.broker.bootstrap, "enable.idempotence": True, "linger.ms": 5, **REFRESH})

        def delivered(error, message):
            if error:
                self.failed.append(str(error))
            else:
                self.sent[message.partition(), message.offset()] = message.value()

        number = 0
        while not self.over.is_set():
            producer.produce(self.topic, b"value %d" % number, b"key %d" % number, on_delivery=delivered)
            number += 1
            producer.poll(0.001)
        if producer.flush(TIMEOUT_S):
            self.failed.append("not everything was acknowledged")

    def consume(self):
        config = {"bootstrap.servers": self.broker.bootstrap, "group.id": f"life-{self.protocol}", "group.protocol": self.protocol}
        consumer = Consumer(config | {"auto.offset.reset": "earliest", "enable.auto.commit": False, **REFRESH})
        consumer.subscribe([self.topic], on_revoke=lambda consumer, _: self.commit(consumer))
        while not self.enough.is_set():
            for message in consumer.consume(500, 0.1):
                if message.error() is None:
                    place = message.partition(), message.offset()
                    self.read.setdefault(place, []).append(message.value())
        self.commit(consumer)
        consumer.close()

    @staticmethod
    def commit(consumer):
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._NO_OFFSET:
                raise

    def until(self, holds, words):
        deadline = time.monotonic() + TIMEOUT_S
        while not holds():
            expect(not self.failed, f"{len(self.failed)} sends failed, the first: {self.failed[:1]}")
            expect(time.monotonic() < deadline, f"{words}: not within {TIMEOUT_S} s")
            time.sleep(0.05)

    def end(self):
        """All that was acknowledged was read, and just once."""
        self.over.set()
        self.threads[0].join()
        self.until(lambda: len(self.read) >= len(self.sent), "everything is read")
        self.enough.set()
        for thread in self.threads:
            thread.join()
        expect({place: [value] for place, value in self.sent.items()} == self.read, "what was read is not what was sent, each once")


def grown(broker, admin, protocol):
    topic = f"{TOPIC}-{protocol}"
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(TIMEOUT_S)
    traffic = Traffic(broker, topic, protocol)
    traffic.until(lambda: len(traffic.read) > 500, "records are read")
    admin.create_partitions([NewPartitions(topic, 6)])[topic].result(TIMEOUT_S)
    traffic.until(lambda: {place[0] for place in list(traffic.read)} == set(range(6)), "records of all six partitions are read")
    traffic.end()
    return f"{len(traffic.sent)} records"


def set_to(admin, topic, **configs):
    how = lambda value: AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
    entries = [ConfigEntry(key.replace("_", "."), value, incremental_operation=how(value)) for key, value in configs.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)


def answer(broker, topic, value):
    """The error of one send, or `None`."""
    answers = []
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.max.bytes": 8 * MIB, **REFRESH})
    producer.produce(topic, value, on_delivery=lambda error, message: answers.append(error and error.code()))
    expect(producer.flush(TIMEOUT_S) == 0 and len(answers) == 1, "a send was not answered")
    return answers[0]


def settings(broker, admin):
    """They hold from the next call on, for clients that were there before."""
    topic = f"{TOPIC}-settings"
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)
    big = os.urandom(200_000)
    expect(answer(broker, topic, big) is None, "200 kB are too large at first")
    set_to(admin, topic, max_message_bytes="100000")
    expect(answer(broker, topic, big) == KafkaError.MSG_SIZE_TOO_LARGE, "max.message.bytes does not hold")
    set_to(admin, topic, max_message_bytes=None)
    expect(answer(broker, topic, big) is None, "max.message.bytes still holds")
    broker.esker("seal", topic)
    expect(answer(broker, topic, big) is None, "a send failed")
    broker.esker("seal", topic)
    # What retention takes away rides on the next seal, or waits for as long as one might take.
    set_to(admin, topic, retention_bytes="150000", esker_seal_ms="5000")
    deadline = time.monotonic() + TIMEOUT_S
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "none", **REFRESH})
    while consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[0] == 0:
        expect(time.monotonic() < deadline, f"retention.bytes did nothing within {TIMEOUT_S} s")
        time.sleep(0.2)
    consumer.close()


def committed(admin, group, topic):
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0)])
    return admin.list_consumer_group_offsets([asked])[group].result(TIMEOUT_S).topic_partitions[0].offset


def made_again(broker, admin):
    """Another topic under the same name: it has no records and no commits of the first one, sealed or not."""
    topic, group = f"{TOPIC}-again", "life-again"
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)
    for number in range(3):
        expect(answer(broker, topic, b"first %d" % number) is None, "a send failed")
    broker.esker("seal", topic)
    commit = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 2)])
    admin.alter_consumer_group_offsets([commit])[group].result(TIMEOUT_S)
    expect(committed(admin, group, topic) == 2, "the commit is not there")
    admin.delete_topics([topic])[topic].result(TIMEOUT_S)
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)
    expect(committed(admin, group, topic) == -1001, "the new topic has the old one's commit")
    expect(answer(broker, topic, b"second") is None, "a send failed")
    found = broker.esker("consume", topic, "--from", "earliest").stdout
    expect(found == "second\n", f"the new topic holds {found!r}")


def wide(broker, admin, partitions):
    """Very many partitions on one broker: written, read, started again after a kill, deleted."""
    topic, records = f"{TOPIC}-wide", partitions * 10
    admin.create_topics([NewTopic(topic, partitions, 1)], request_timeout=180)[topic].result(180)
    lines = "".join(f"key-{number} {number}\n" for number in range(records))
    broker.esker("produce", topic, "--key-separator", " ", input=lines)
    read = lambda: sorted(map(int, broker.esker("consume", topic, "--from", "earliest").stdout.split()))
    expect(read() == list(range(records)), "what was read is not what was sent")
    broker.kill()
    broker.start()
    expect(read() == list(range(records)), "what was read after a kill is not what was sent")
    peak = broker.rss_bytes() / MIB
    admin.delete_topics([topic], request_timeout=60)[topic].result(60)
    return f"{records} records, ready in {broker.ready_s[-1]:.1f} s, {peak:.0f} MiB"


def run(report, plan):
    broker = Broker("topics")
    try:
        broker.start()
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 2})
        check = lambda what, run: report.check("confluent-kafka", f"topics: {what}", run)
        for protocol in ("classic", "consumer"):
            check(f"partitions added under a {protocol} group", lambda: grown(broker, admin, protocol))
        check("settings change while it runs", lambda: settings(broker, admin))
        check("deleted and made again", lambda: made_again(broker, admin))
        many = 10_000 if plan.rounds >= 100 else 1_000
        report.check("esker", f"topics: {many} partitions", lambda: wide(broker, admin, many))
    finally:
        broker.end()
