"""confluent-kafka, that is librdkafka."""
import sys
import time

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from clients import talk

TIMEOUT_S = 30


class Client:
    def __init__(self, bootstrap):
        self.common = {"bootstrap.servers": bootstrap, "log_level": 3}
        self.admin = AdminClient(self.common)

    def hello(self):
        return {"version": f"{confluent_kafka.__version__}, librdkafka {confluent_kafka.libversion()[0]}"}

    def consumer(self, group, **more):
        fixed = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest", "check.crcs": True}
        return Consumer(self.common | fixed | more)

    @staticmethod
    def polled(consumer, wait_s=0.2):
        for message in consumer.consume(1000, wait_s):
            if message.error():
                raise KafkaException(message.error())
            yield message

    # -- records

    @staticmethod
    def send(producer, topic, records):
        offsets = [None] * len(records)
        failed = []

        def on_delivery(n):
            def delivered(error, message):
                offsets[n] = error or message.offset()
                if error:
                    failed.append(str(error))

            return delivered

        for n, record in enumerate(records):
            partition, timestamp, key, value, headers = talk.decoded_record(record)
            where = {"partition": partition, "timestamp": timestamp, "headers": headers}
            producer.produce(topic, value, key, on_delivery=on_delivery(n), **where)
        left = producer.flush(TIMEOUT_S)
        assert not left and not failed, f"{left} without an answer, refused: {failed[:3]}"
        return offsets

    def produce(self, topic, codec, idempotent, records):
        config = {"compression.type": codec, "enable.idempotence": idempotent, "linger.ms": 20}
        return {"offsets": self.send(Producer(self.common | config), topic, records)}

    def read(self, topics, committed):
        reading = talk.Reading(topics)
        consumer = self.consumer("read", **{"isolation.level": "read_committed" if committed else "read_uncommitted"})
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for topic, p in reading.partitions])
        deadline = time.monotonic() + TIMEOUT_S
        while reading.left:
            assert time.monotonic() < deadline, f"not at their end: {reading.left}"
            for m in self.polled(consumer):
                stamp = m.timestamp()[1]
                found = talk.record(m.partition(), m.offset(), stamp, m.key(), m.value(), m.headers())
                reading.add(m.topic(), found)
        consumer.close()
        return {"records": reading.records}

    def commit(self, group, topic, offsets, metadata):
        consumer = self.consumer(group)
        places = [TopicPartition(topic, int(p), offset, metadata) for p, offset in offsets.items()]
        for place in consumer.commit(offsets=places, asynchronous=False):
            assert place.error is None, place.error
        consumer.close()

    def committed(self, group, topic, partitions):
        asked = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, p) for p in partitions])]
        found = self.admin.list_consumer_group_offsets(asked)[group].result(TIMEOUT_S).topic_partitions
        return {"offsets": {p.partition: p.offset for p in found}}

    def since(self, topic, partition, timestamp):
        consumer = self.consumer("since")
        [at] = consumer.offsets_for_times([TopicPartition(topic, partition, timestamp)], timeout=TIMEOUT_S)
        consumer.assign([at])
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            for m in self.polled(consumer):
                consumer.close()
                return {"record": talk.record(partition, m.offset(), m.timestamp()[1], m.key(), m.value(), m.headers())}

    def member(self, topic, group, protocol):
        classic = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        consumer = self.consumer(group, **{"group.protocol": protocol}, **(classic if protocol == "classic" else {}))

        def assigned(_, partitions):
            if protocol == "consumer":  # it tells what is new
                consumer.incremental_assign(partitions)
                partitions = consumer.assignment()
            talk.tell({"assigned": [p.partition for p in partitions]})

        def revoked(_, partitions):
            if protocol == "consumer":
                consumer.incremental_unassign(partitions)
                talk.tell({"assigned": [p.partition for p in consumer.assignment()]})

        consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked)
        while not talk.asked_to_stop():
            if found := [(m.partition(), m.offset()) for m in self.polled(consumer)]:
                consumer.commit(asynchronous=False)
                talk.tell({"records": found})
        consumer.close()

    # -- transactions

    def transactional(self, name, **more):
        producer = Producer(self.common | {"transactional.id": name} | more)
        producer.init_transactions(TIMEOUT_S)
        return producer

    def transact(self, topic, id, rounds):
        producer = self.transactional(id)
        for work in rounds:
            producer.begin_transaction()
            self.send(producer, topic, work["records"])
            if work["commit"]:
                producer.commit_transaction(TIMEOUT_S)
            else:
                producer.abort_transaction(TIMEOUT_S)

    def copy(self, id, group, input, output, until):
        reading = talk.Reading({input: until})
        consumer = self.consumer(group, **{"isolation.level": "read_committed"})
        consumer.subscribe([input])
        producer = self.transactional(id)
        deadline = time.monotonic() + TIMEOUT_S
        while reading.left:
            assert time.monotonic() < deadline, f"not at their end: {reading.left}"
            messages = list(self.polled(consumer))
            if not messages:
                continue
            producer.begin_transaction()
            for m in messages:
                reading.add(input, talk.record(m.partition(), m.offset(), 0, None, None, ()))
                where = {"partition": m.partition(), "timestamp": m.timestamp()[1], "headers": m.headers()}
                producer.produce(output, m.value(), m.key(), **where)
            at = consumer.position(consumer.assignment())
            producer.send_offsets_to_transaction(at, consumer.consumer_group_metadata(), TIMEOUT_S)
            producer.commit_transaction(TIMEOUT_S)
        consumer.close()

    def fence(self, topic, id):
        older = self.transactional(id)
        older.begin_transaction()
        older.produce(topic, b"older")
        older.flush(TIMEOUT_S)
        newer = self.transactional(id)
        try:
            older.commit_transaction(TIMEOUT_S)
        except KafkaException as error:
            newer.begin_transaction()
            newer.produce(topic, b"newer")
            newer.commit_transaction(TIMEOUT_S)
            return {"refused": error.args[0].name()}

    # -- admin

    def create(self, topic, partitions, configs):
        self.admin.create_topics([NewTopic(topic, partitions, 1, config=configs)])[topic].result(TIMEOUT_S)

    def configs(self, topic):
        [done] = self.admin.describe_configs([ConfigResource("topic", topic)]).values()
        return {"configs": {name: entry.value for name, entry in done.result(TIMEOUT_S).items()}}

    def groups(self):
        found = self.admin.list_consumer_groups().result(TIMEOUT_S)
        assert not found.errors, found.errors
        return {"groups": [group.group_id for group in found.valid]}

    def group(self, group, protocol):
        found = self.admin.describe_consumer_groups([group])[group].result(TIMEOUT_S)
        return {"state": found.state.name, "members": len(found.members)}

    def delete_records(self, topic, partition, offset):
        [done] = self.admin.delete_records([TopicPartition(topic, partition, offset)]).values()
        return {"low": done.result(TIMEOUT_S).low_watermark}

    def delete(self, topic):
        self.admin.delete_topics([topic])[topic].result(TIMEOUT_S)


talk.serve(Client(sys.argv[1]))
