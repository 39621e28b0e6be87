"""Wrong bytes on the wire: the broker lives, uses no memory for them, answers everybody else, and says what is wrong where
the protocol has words for it.
"""
import random
import struct
import time

import zstandard
from confluent_kafka import Producer
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c

from checks.history import create
from harness import wire
from harness.broker import Broker
from harness.report import expect

TOPIC = "wire"
MIB = 1 << 20
RSS_GROWTH_MAX = 192 * MIB
GARBAGE_ROUNDS = 200
HALF_OPEN = 100
NONE, CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, UNSUPPORTED_FORMAT = 0, 2, 10, 43


def throw(broker, payload, listen_s=1.0):
    """Sends bytes; whether the broker answers or hangs up is its choice."""
    try:
        with wire.connect(broker, listen_s) as s:
            s.sendall(payload)
            s.recv(65536)
    except OSError:
        pass


def garbage(broker, chance):
    """Random bytes, some behind a plausible length, API and version."""
    for n in range(GARBAGE_ROUNDS):
        payload = chance.randbytes(chance.randrange(1, 300))
        if n % 4:
            head = struct.pack(">hhi", chance.choice([0, 1, 2, 3, 18, 19, 20, 22, 23, 32, 33, 44, 60]), chance.randrange(14), n)
            payload = struct.pack(">i", len(head) + len(payload)) + head + payload
        throw(broker, payload, 0.05)
    return f"{GARBAGE_ROUNDS} requests"


def lengths(broker):
    """Lengths that are negative, nothing, or more than anybody may send; other protocols."""
    for length in (-1, -(2**31), 0, 1, 2**31 - 1, 200 * MIB, 1_195_725_856):
        throw(broker, struct.pack(">i", length) + b"\0" * 64, 0.2)
    throw(broker, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", 0.2)
    throw(broker, bytes.fromhex("16030100c8010000c40303") + b"\x5a" * 200, 0.2)


def counts(broker):
    """Counts and lengths inside of a request that promise more than it holds."""
    giant = struct.pack(">i", 2**31 - 1)
    compact = b"\xff\xff\xff\xff\x0f"
    bodies = {
        (wire.API_METADATA, 4): [giant, struct.pack(">i", 1) + b"\x7f\xff"],
        (wire.API_METADATA, 9): [b"\0" + compact, b"\0\x02" + compact],
        (wire.API_FETCH, 4): [struct.pack(">iiiib", -1, 1, 1, 1, 0) + giant],
        (wire.API_PRODUCE, 3): [struct.pack(">hhi", -1, 1, 1000) + giant],
        (wire.API_PRODUCE, 9): [b"\0" + struct.pack(">hi", 1, 1000) + compact],
        (19, 2): [giant],
        (22, 0): [b"\x7f\xff"],
    }
    for (api, version), some in bodies.items():
        for body in some:
            throw(broker, wire.request(api, version, body), 0.2)


def half_open(broker):
    """Connections that begin a large request and go silent hold little and block nobody."""
    held = [wire.connect(broker) for _ in range(HALF_OPEN)]
    try:
        for s in held:
            s.sendall(struct.pack(">i", MIB) + b"\0" * 100)
        began = time.monotonic()
        expect(wire.healthy(broker), "others are not answered")
        took = time.monotonic() - began
        expect(took < 5, f"an answer took {took:.1f} s beside half requests")
    finally:
        for s in held:
            s.close()
    return f"{HALF_OPEN} connections"


def versions(broker):
    """An unknown version of ApiVersions gets a v0 body that says so; other unknown ones end the connection only."""
    found = wire.ask(broker, wire.API_VERSIONS, 99, b"\x01\x01\x00")
    error = struct.unpack_from(">h", found, 4)[0]
    expect(error == wire.UNSUPPORTED_VERSION, f"ApiVersions v99 is answered with error {error}")
    expect(struct.unpack_from(">i", found, 6)[0] > 10, "the answer to ApiVersions v99 lists no APIs in the form of v0")
    for api, version in ((wire.API_METADATA, 99), (wire.API_METADATA, -1), (999, 0), (-1, 0), (32767, 32767)):
        throw(broker, wire.request(api, version, b"\0" * 32), 0.3)


def pipelined(broker):
    """Answers of one connection come in the order of its requests."""
    with wire.connect(broker) as s:
        s.sendall(b"".join(wire.request(wire.API_VERSIONS, 0, b"", n) for n in range(500)))
        for n in range(500):
            correlation = struct.unpack_from(">i", wire.answer(s))[0]
            expect(correlation == n, f"answer {n} belongs to request {correlation}")


def batch(payload=b"good", magic=2):
    builder = DefaultRecordBatchBuilder(magic, 0, False, -1, -1, -1, MIB)
    builder.append(0, int(time.time() * 1000), b"k", payload, [])
    return bytearray(builder.build())


def produced(broker, partitions):
    """Error codes of a Produce v3 of (partition -> batch)."""
    body = struct.pack(">hhii", -1, -1, 10_000, 1) + wire.text(TOPIC) + struct.pack(">i", len(partitions))
    for partition, data in partitions.items():
        body += struct.pack(">ii", partition, len(data)) + bytes(data)
    found = wire.ask(broker, wire.API_PRODUCE, 3, body)
    at = 4 + 4 + 2 + len(TOPIC) + 4
    errors = {}
    for _ in partitions:
        partition, error = struct.unpack_from(">ih", found, at)
        errors[partition] = error
        at += 4 + 2 + 8 + 8
    return errors


def corrupt(broker):
    """One corrupt batch among good ones: only its partition is refused."""
    bad = batch(b"bad")
    bad[-2] ^= 0x40
    errors = produced(broker, {0: batch(), 1: bad, 2: batch()})
    expect(errors == {0: NONE, 1: CORRUPT_MESSAGE, 2: NONE}, f"errors {errors}")


def bomb(broker):
    """A batch of 60 kB that unpacks to 1 GiB: too large, and the memory for it is never taken."""
    packed = zstandard.ZstdCompressor(level=9).compressobj(size=1 << 30)
    body = b"".join(packed.compress(bytes(16 * MIB)) for _ in range(64)) + packed.flush()
    good = batch()
    head = bytearray(good[:61])
    head[8:12] = struct.pack(">i", 49 + len(body))
    head[21:23] = struct.pack(">h", 4)
    data = head + body
    data[17:21] = struct.pack(">I", calc_crc32c(bytes(data[21:])))
    errors = produced(broker, {0: data, 1: batch()})
    expect(errors == {0: MESSAGE_TOO_LARGE, 1: NONE}, f"errors {errors}")
    return f"{len(body)} bytes"


def old_formats(broker):
    """Magic 0 and 1: refused in words that a client understands."""
    for magic in (0, 1):
        data = batch()
        data[16] = magic
        errors = produced(broker, {0: data})
        expect(errors[0] in (UNSUPPORTED_FORMAT, CORRUPT_MESSAGE), f"magic {magic}: error {errors[0]}")


def names(broker):
    """Illegal and reserved topic names, through a client."""
    for name in ("a/b", "..", "x" * 250, "grüße", "__consumer_offsets"):
        failed = []
        producer = Producer({"bootstrap.servers": broker.bootstrap, "message.timeout.ms": 5000, "log_level": 0})
        producer.produce(name, b"x", on_delivery=lambda error, _: failed.append(error))
        producer.flush(10)
        expect(failed and failed[0] is not None, f"a record to topic '{name}' was acknowledged")


def run(report, plan):
    broker = Broker("wire").start()
    chance = random.Random(plan.seed)
    try:
        create(broker, TOPIC, 3)
        before = broker.rss_bytes()

        def check(what, run, *more):
            def hold():
                note = run(broker, *more)
                expect(broker.alive(), "the broker ended")
                expect(wire.healthy(broker), "the broker does not answer others any more")
                expect(b"panicked" not in broker.log.read_bytes(), "a panic, see the broker's log")
                grown = broker.rss_bytes() - before
                expect(grown < RSS_GROWTH_MAX, f"the broker grew by {grown // MIB} MiB")
                return note

            report.check("by hand", f"wire: {what}", hold)

        check("random bytes", garbage, chance)
        check("giant and negative lengths, other protocols", lengths)
        check("giant counts within requests", counts)
        check("half requests that stay open", half_open)
        check("unknown APIs and versions", versions)
        check("pipelined requests are answered in order", pipelined)
        check("one corrupt batch among good ones", corrupt)
        check("a compression bomb", bomb)
        check("message formats 0 and 1", old_formats)
        check("illegal and reserved topic names", names)
    finally:
        broker.end()
