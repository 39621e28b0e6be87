"""Records of every shape: null, empty and binary keys and values, repeated and null headers, both timestamp types, giants."""
import random

from confluent_kafka import Producer

from checks.history import create
from harness import reading
from harness.broker import Broker
from harness.fingerprint import Fingerprint
from harness.report import expect

PARTITIONS = 3
RECORDS = 4000
GIANTS = 12
# Of what a broker takes by default, less what batch and record add.
GIANT_BYTES = 1_048_588 - 200
# Text of the console consumer and of kcat cannot tell null from a word, or one header from two.
READERS = ["confluent", "kafka_python", "esker"]
TYPES = {"CreateTime": "create time", "LogAppendTime": "append time"}


def blob(chance):
    """Nothing, empty, text, or bytes that are not UTF-8."""
    kind = chance.randrange(5)
    if kind == 0:
        return None
    if kind == 1:
        return b""
    if kind == 2:
        return b"\xff\xfe\x00" + chance.randbytes(chance.randrange(40))
    return ("grüße \u2028 \U0001f4dc " * chance.randrange(1, 9)).encode()


def headers(chance):
    names = ["", "a", "b", "a", "ключ", "x" * 300]
    return [(chance.choice(names), blob(chance)) for _ in range(chance.choice([0, 0, 1, 2, 5]))]


def produce(broker, topic, chance):
    """Returns the fingerprint of what was acknowledged, with the timestamps that the broker answered."""
    expected = Fingerprint()
    failed = []
    limits = {"message.max.bytes": 2_000_000, "log_level": 3}
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5, "enable.idempotence": True, **limits})

    def sent(key, value, heads):
        def delivered(error, message):
            if error:
                return failed.append(str(error))
            expected.add(message.partition(), message.offset(), message.timestamp()[1], key, value, heads)

        return delivered

    for n in range(RECORDS + GIANTS):
        key, value, heads = blob(chance), blob(chance), headers(chance)
        if n >= RECORDS:
            key, value, heads = b"giant", chance.randbytes(GIANT_BYTES), []
        stamp = chance.choice([1, 999, 1_000_000_007, 1_700_000_000_123])
        partition = chance.randrange(PARTITIONS)
        producer.produce(topic, value, key, partition, headers=heads, timestamp=stamp, on_delivery=sent(key, value, heads))
        producer.poll(0)
    expect(producer.flush(60) == 0, "not everything was acknowledged")
    expect(not failed, f"{len(failed)} records were refused, the first: {failed[:1]}")
    return expected.result()


def run(report, plan):
    broker = Broker("shapes").start()
    chance = random.Random(plan.seed)
    expected = {}
    try:
        for kind, words in TYPES.items():

            def write():
                create(broker, kind, PARTITIONS, message_timestamp_type=kind)
                expected[kind] = produce(broker, kind, chance)
                return f"{RECORDS + GIANTS} records"

            if report.check("confluent-kafka", f"shapes, {words}: produced", write):
                reading.compare(report, broker, kind, expected[kind], f"shapes, {words}, hot", READERS)
        for kind in expected:
            broker.esker("seal", kind)
        broker.lose_disk()
        for kind, words in TYPES.items():
            if kind in expected:
                readers = READERS + reading.BUCKET
                reading.compare(report, broker, kind, expected[kind], f"shapes, {words}, cold", readers)
    finally:
        broker.end()
