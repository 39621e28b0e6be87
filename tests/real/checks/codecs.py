"""Every codec of every producing client, read back by every client, from both tiers."""
from functools import partial

import orjson
from confluent_kafka import Producer
from kafka import KafkaProducer

from checks.history import create
from harness import place, process, reading, wire
from harness.broker import Broker
from harness.fingerprint import Fingerprint
from harness.report import expect

TOPIC = "codecs"
RECORDS = 300
# One batch or few, so that there is something to compress.
LINGER_MS = 50


def key(n):
    return b"k%d" % n


def value(client, codec, n):
    return f"{client} {codec} {n} ".encode() + b"an esker is a long ridge of layers " * (n % 7)


def lines(client, codec):
    return b"".join(key(n) + b"\t" + value(client, codec, n) + b"\n" for n in range(RECORDS))


def by_confluent(broker, client, codec):
    config = {"bootstrap.servers": broker.bootstrap, "compression.type": codec, "linger.ms": LINGER_MS, "log_level": 3}
    producer = Producer(config)
    for n in range(RECORDS):
        producer.produce(TOPIC, value(client, codec, n), key(n))
    expect(producer.flush(30) == 0, "not everything was acknowledged")


def by_kafka_python(broker, client, codec):
    compression = None if codec == "none" else codec
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, compression_type=compression, linger_ms=LINGER_MS)
    for future in [producer.send(TOPIC, value(client, codec, n), key(n)) for n in range(RECORDS)]:
        future.get(30)
    producer.close()


def by_kcat(broker, client, codec):
    command = ["kcat", "-P", "-b", broker.bootstrap, "-t", TOPIC, "-K", "\t", "-z", codec, "-X", f"linger.ms={LINGER_MS}"]
    process.run(command, text=False, input=lines(client, codec))


def by_console(broker, client, codec):
    where = ["--bootstrap-server", broker.bootstrap, "--topic", TOPIC, "--compression-codec", codec]
    how = ["--reader-property", "parse.key=true", "--reader-property", "key.separator=\t"]
    tool = place.java("org.apache.kafka.tools.ConsoleProducer", *where, *how)
    process.run(tool, text=False, input=lines(client, codec))


def by_esker(broker, client, codec):
    command = ["produce", TOPIC, "--key-separator", "\t", "--codec", codec]
    broker.esker(*command, text=False, input=lines(client, codec))


CLIENTS = {
    "confluent-kafka": by_confluent,
    "kafka-python": by_kafka_python,
    "kcat": by_kcat,
    "console producer": by_console,
    "esker produce": by_esker,
}


def produce(broker, client, codec, first, expected):
    """Produces RECORDS from offset `first` on; each comes back as sent, in batches of that codec."""
    CLIENTS[client](broker, client, codec)
    span = ["--from", first, "--to", first + RECORDS]
    found = broker.esker("consume", TOPIC, "--format", "json", *span).stdout.splitlines()
    expect(len(found) == RECORDS, f"{len(found)} records from offset {first} on instead of {RECORDS}")
    for n, event in enumerate(map(orjson.loads, found)):
        wanted = (first + n, key(n).decode(), value(client, codec, n).decode())
        expect((event["offset"], event["key"], event["value"]) == wanted, f"{event} instead of {wanted}")
        expected.add(0, event["offset"], event["timestamp"], key(n), value(client, codec, n))
    return f"{RECORDS} records"


def kept(broker, codec, first):
    """The batches from offset `first` on lie there as the client compressed them."""
    kinds = {kind for base, _, kind in wire.batches(broker, TOPIC, 0, first) if base >= first}
    expect(kinds == {codec}, f"the client was asked for {codec}, and sent batches of {sorted(kinds)}")


def run(report, plan):
    broker = Broker("codecs").start()
    try:
        create(broker, TOPIC, 1)
        expected = Fingerprint()
        first = 0
        for client in CLIENTS:
            for codec in wire.CODECS:
                write = partial(produce, broker, client, codec, first, expected)
                if not report.check(client, f"codecs: {codec}", write):
                    return
                report.check(client, f"codecs: {codec} is on the wire", partial(kept, broker, codec, first))
                first += RECORDS
        readers = reading.KAFKA
        reading.compare(report, broker, TOPIC, expected.result(), "codecs: all of them, hot", readers)
        broker.esker("seal", TOPIC)
        broker.lose_disk()
        readers = reading.KAFKA + reading.BUCKET
        reading.compare(report, broker, TOPIC, expected.result(), "codecs: all of them, cold", readers)
    finally:
        broker.end()
