"""kafka-python."""
import sys
import time

import kafka
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from clients import talk

TIMEOUT_S = 30


class Telling(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        talk.tell({"assigned": [p.partition for p in assigned]})


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self._admin = None

    def hello(self):
        return {"version": kafka.__version__}

    @property
    def admin(self):
        if self._admin is None:
            self._admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        return self._admin

    def consumer(self, group=None, **more):
        fixed = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "fetch_max_wait_ms": 100}
        return KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=group, **fixed, **more)

    @staticmethod
    def polled(consumer):
        for at, records in consumer.poll(timeout_ms=200).items():
            for r in records:
                yield at.topic, r

    @staticmethod
    def found(r):
        return talk.record(r.partition, r.offset, r.timestamp, r.key, r.value, r.headers)

    # -- records

    @staticmethod
    def send(producer, topic, records):
        sent = []
        for record in records:
            partition, timestamp, key, value, headers = talk.decoded_record(record)
            sent.append(producer.send(topic, value, key, headers, partition, timestamp))
        return [future.get(TIMEOUT_S).offset for future in sent]

    def produce(self, topic, codec, idempotent, records):
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap,
            compression_type=None if codec == "none" else codec,
            enable_idempotence=idempotent,
            linger_ms=20,
        )
        offsets = self.send(producer, topic, records)
        producer.close()
        return {"offsets": offsets}

    def read(self, topics, committed):
        reading = talk.Reading(topics)
        consumer = self.consumer(isolation_level="read_committed" if committed else "read_uncommitted")
        places = [TopicPartition(*place) for place in reading.partitions]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        deadline = time.monotonic() + TIMEOUT_S
        while reading.left:
            assert time.monotonic() < deadline, f"not at their end: {reading.left}"
            for topic, r in self.polled(consumer):
                reading.add(topic, self.found(r))
        consumer.close()
        return {"records": reading.records}

    def commit(self, group, topic, offsets, metadata):
        consumer = self.consumer(group)
        consumer.commit({TopicPartition(topic, int(p)): OffsetAndMetadata(o, metadata, -1) for p, o in offsets.items()})
        consumer.close()

    def committed(self, group, topic, partitions):
        consumer = self.consumer(group)
        found = {p: consumer.committed(TopicPartition(topic, p)) for p in partitions}
        consumer.close()
        return {"offsets": found}

    def since(self, topic, partition, timestamp):
        consumer = self.consumer()
        place = TopicPartition(topic, partition)
        at = consumer.offsets_for_times({place: timestamp})[place].offset
        consumer.assign([place])
        consumer.seek(place, at)
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            for _, r in self.polled(consumer):
                consumer.close()
                return {"record": self.found(r)}

    def member(self, topic, group, protocol):
        assert protocol == "classic"
        consumer = self.consumer(group, session_timeout_ms=6000, heartbeat_interval_ms=500)
        consumer.subscribe([topic], listener=Telling())
        while not talk.asked_to_stop():
            if found := [(r.partition, r.offset) for _, r in self.polled(consumer)]:
                consumer.commit()
                talk.tell({"records": found})
        consumer.close()

    # -- transactions

    def transactional(self, name):
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=name, enable_idempotence=True)
        producer.init_transactions()
        return producer

    def transact(self, topic, id, rounds):
        producer = self.transactional(id)
        for work in rounds:
            producer.begin_transaction()
            self.send(producer, topic, work["records"])
            if work["commit"]:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
        producer.close()

    def copy(self, id, group, input, output, until):
        reading = talk.Reading({input: until})
        consumer = self.consumer(group, isolation_level="read_committed")
        consumer.subscribe([input])
        producer = self.transactional(id)
        deadline = time.monotonic() + TIMEOUT_S
        while reading.left:
            assert time.monotonic() < deadline, f"not at their end: {reading.left}"
            records = [r for _, r in self.polled(consumer)]
            if not records:
                continue
            producer.begin_transaction()
            for r in records:
                reading.add(input, self.found(r))
                producer.send(output, r.value, r.key, list(r.headers), r.partition, r.timestamp)
            at = {p: OffsetAndMetadata(consumer.position(p), "", -1) for p in consumer.assignment()}
            producer.send_offsets_to_transaction(at, consumer.group_metadata())
            producer.commit_transaction()
        producer.close()
        consumer.close()

    def fence(self, topic, id):
        older = self.transactional(id)
        older.begin_transaction()
        older.send(topic, b"older").get(TIMEOUT_S)
        newer = self.transactional(id)
        try:
            older.commit_transaction()
        except KafkaError as error:
            newer.begin_transaction()
            newer.send(topic, b"newer")
            newer.commit_transaction()
            newer.close()
            return {"refused": type(error).__name__}

    # -- admin

    def create(self, topic, partitions, configs):
        self.admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}})

    def configs(self, topic):
        asked = ConfigResource(ConfigResourceType.TOPIC, topic)
        found = self.admin.describe_configs([asked], config_filter="all")["topic"][topic]
        return {"configs": {name: entry["value"] for name, entry in found.items()}}

    def groups(self):
        return {"groups": [group["group_id"] for group in self.admin.list_groups()]}

    def group(self, group, protocol):
        found = self.admin.describe_groups([group])[group]
        return {"state": found["group_state"], "members": len(found["members"])}

    def delete_records(self, topic, partition, offset):
        place = TopicPartition(topic, partition)
        return {"low": self.admin.delete_records({place: offset})[place]["low_watermark"]}

    def delete(self, topic):
        self.admin.delete_topics([topic])


talk.serve(Client(sys.argv[1]))
