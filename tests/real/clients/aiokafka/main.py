"""aiokafka."""
import asyncio
import sys
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

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

    async def hello(self):
        return {"version": aiokafka.__version__}

    async def admin(self):
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await self._admin.start()
        return self._admin

    async def consumer(self, group=None, **more):
        fixed = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "fetch_max_wait_ms": 100}
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, group_id=group, **fixed, **more)
        await consumer.start()
        return consumer

    @staticmethod
    async def polled(consumer):
        return [(at.topic, r) for at, records in (await consumer.getmany(timeout_ms=200)).items() for r in records]

    @staticmethod
    def found(r):
        return talk.record(r.partition, r.offset, r.timestamp, r.key, r.value, r.headers)

    # -- records

    @staticmethod
    async def send(producer, topic, records):
        sent = []
        for record in records:
            partition, timestamp, key, value, headers = talk.decoded_record(record)
            sent.append(await producer.send(topic, value, key, partition, timestamp, headers))
        return [(await future).offset for future in sent]

    async def produce(self, topic, codec, idempotent, records):
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap,
            compression_type=None if codec == "none" else codec,
            enable_idempotence=idempotent,
            linger_ms=20,
        )
        await producer.start()
        offsets = await self.send(producer, topic, records)
        await producer.stop()
        return {"offsets": offsets}

    async def read(self, topics, committed):
        reading = talk.Reading(topics)
        consumer = await self.consumer(isolation_level="read_committed" if committed else "read_uncommitted")
        places = [TopicPartition(*place) for place in reading.partitions]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        deadline = time.monotonic() + TIMEOUT_S
        while reading.left:
            assert time.monotonic() < deadline, f"not at their end: {reading.left}"
            for topic, r in await self.polled(consumer):
                reading.add(topic, self.found(r))
        await consumer.stop()
        return {"records": reading.records}

    async def commit(self, group, topic, offsets, metadata):
        consumer = await self.consumer(group)
        consumer.assign([TopicPartition(topic, int(p)) for p in offsets])
        await consumer.commit({TopicPartition(topic, int(p)): OffsetAndMetadata(o, metadata) for p, o in offsets.items()})
        await consumer.stop()

    async def committed(self, group, topic, partitions):
        consumer = await self.consumer(group)
        places = [TopicPartition(topic, p) for p in partitions]
        consumer.assign(places)
        found = {place.partition: await consumer.committed(place) for place in places}
        await consumer.stop()
        return {"offsets": found}

    async def since(self, topic, partition, timestamp):
        consumer = await self.consumer()
        place = TopicPartition(topic, partition)
        consumer.assign([place])
        at = (await consumer.offsets_for_times({place: timestamp}))[place].offset
        consumer.seek(place, at)
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            for _, r in await self.polled(consumer):
                await consumer.stop()
                return {"record": self.found(r)}

    async def member(self, topic, group, protocol):
        assert protocol == "classic"
        consumer = await self.consumer(group, session_timeout_ms=6000, heartbeat_interval_ms=500)
        consumer.subscribe([topic], listener=Telling())
        while not talk.asked_to_stop():
            if found := [(r.partition, r.offset) for _, r in await self.polled(consumer)]:
                await consumer.commit()
                talk.tell({"records": found})
        await consumer.stop()

    # -- transactions

    async def transactional(self, name):
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=name)
        await producer.start()
        return producer

    async def transact(self, topic, id, rounds):
        producer = await self.transactional(id)
        for work in rounds:
            await producer.begin_transaction()
            await self.send(producer, topic, work["records"])
            if work["commit"]:
                await producer.commit_transaction()
            else:
                await producer.abort_transaction()
        await producer.stop()

    async def copy(self, id, group, input, output, until):
        reading = talk.Reading({input: until})
        consumer = await self.consumer(group, isolation_level="read_committed")
        consumer.subscribe([input])
        producer = await self.transactional(id)
        deadline = time.monotonic() + TIMEOUT_S
        while reading.left:
            assert time.monotonic() < deadline, f"not at their end: {reading.left}"
            records = [r for _, r in await self.polled(consumer)]
            if not records:
                continue
            async with producer.transaction():
                for r in records:
                    reading.add(input, self.found(r))
                    await producer.send(output, r.value, r.key, r.partition, r.timestamp, list(r.headers))
                at = {p: await consumer.position(p) for p in consumer.assignment()}
                await producer.send_offsets_to_transaction(at, group)
        await producer.stop()
        await consumer.stop()

    async def fence(self, topic, id):
        older = await self.transactional(id)
        await older.begin_transaction()
        await older.send_and_wait(topic, b"older")
        newer = await self.transactional(id)
        try:
            await older.commit_transaction()
        except KafkaError as error:
            async with newer.transaction():
                await newer.send(topic, b"newer")
            await newer.stop()
            return {"refused": type(error).__name__}

    # -- admin

    async def create(self, topic, partitions, configs):
        admin = await self.admin()
        done = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])
        assert all(error[1] == 0 for error in done.topic_errors), done

    async def configs(self, topic):
        admin = await self.admin()
        [found] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        [(code, words, _, _, entries)] = found.resources
        assert code == 0, words
        return {"configs": {entry[0]: entry[1] for entry in entries}}

    async def groups(self):
        admin = await self.admin()
        return {"groups": [name for name, _ in await admin.list_consumer_groups()]}

    async def group(self, group, protocol):
        admin = await self.admin()
        [found] = await admin.describe_consumer_groups([group])
        [(code, _, state, _, _, members, *_)] = found.groups
        assert code == 0, code
        return {"state": state, "members": len(members)}

    async def delete_records(self, topic, partition, offset):
        admin = await self.admin()
        place = TopicPartition(topic, partition)
        return {"low": (await admin.delete_records({place: RecordsToDelete(before_offset=offset)}))[place]}

    async def delete(self, topic):
        admin = await self.admin()
        done = await admin.delete_topics([topic])
        assert all(error[1] == 0 for error in done.topic_error_codes), done


class Blocking:
    """One loop for all tasks, as the admin client needs it."""

    def __init__(self, client):
        self.client = client
        self.loop = asyncio.new_event_loop()

    def __getattr__(self, name):
        return lambda **task: self.loop.run_until_complete(getattr(self.client, name)(**task))


talk.serve(Blocking(Client(sys.argv[1])))
