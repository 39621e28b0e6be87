"""Programs nobody here wrote: eight clients do all that they can, and each reads what all the others wrote, hot and cold.

The programs around them, and the tasks that they know, are in `clients/`.
"""
import base64
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from confluent_kafka import Consumer, Producer, TopicPartition

from checks.history import create
from harness import wire
from harness.broker import Broker
from harness.members import Members
from harness.program import COMMANDS, Program
from harness.report import Failed, expect, say

# What a client does not have; its checks are made without it, and the report says so.
LACKS = {
    "aiokafka": {"null": "no record without key and value"},
    "kafka-python": {"null": "no record without key and value", "null headers": "no header without a value"},
    "confluent-kafka": {},
    "kafkajs": {"null headers": "no header without a value"},
    "franz-go": {},
    "sarama": {},
    "Java client": {},
    "kcat": {
        "admin": "no admin calls",
        "commit": "no commits outside a group",
        "timestamps": "no timestamps of the caller",
        "empty": "no empty key or value beside null",
        "abort": "no abort (a transaction is one run)",
        "copy": "no offsets in transactions",
        "fence": "no two producers with one transactional id",
    },
}
# Who speaks the protocol of KIP-848.
CONSUMER_PROTOCOL = ["confluent-kafka", "franz-go", "Java client"]
# That protocol's session time-out is the broker's to say.
SETS = {"group.consumer.session.timeout.ms": "6s", "group.consumer.heartbeat.interval.ms": "500ms"}
PARTITIONS = 3
RECORDS = 60
TXN_PARTITIONS = 2
TXN_RECORDS = 24
GROUP_PARTITIONS = 6
GROUP_RECORDS = 60
GROUP_TIMEOUT_S = 45
STABLE_WITHIN_S = 10
FIRST_MS = 1_700_000_000_000


def name_of(kind, client):
    return f"{kind}-{client.replace(' ', '-')}"


def coded(data):
    return None if data is None else base64.b64encode(data).decode()


def record(client, n, partition):
    """Null, empty, text and binary; headers none, repeated, null. Runs of equal headers, for those that take them once a run."""
    lacks = LACKS[client]
    empty = None if "empty" in lacks else b""
    text = f"{client} {n} grüße ".encode() * (1 + n % 9)
    null_key = None if "null" not in lacks or n % 6 not in (2, 4) else b"key"
    null_header = None if "null headers" not in lacks else b"x"
    keys = [null_key, empty, f"key {n}".encode(), f"key {n % 7}".encode(), b"\xff\xfe\x00"]
    values = [text, text, None, text + b"\x00\xff", empty, text]
    headers = [[], [("h", b"1")], [("h", b"1"), ("h", b"2"), ("ключ", b"")], [("null", null_header), ("a", b"b")]]
    return {
        "partition": partition,
        "timestamp": None if "timestamps" in lacks else FIRST_MS + n * 1000,
        "key": coded(keys[n % 5]),
        "value": coded(values[n % 6]),
        "headers": [[name, coded(value)] for name, value in headers[n // 5 % 4]],
    }


class Written:
    """What a topic must hold by what was acknowledged: per partition, offset -> record; and what only some readers see."""

    def __init__(self, topic, partitions):
        self.topic = topic
        self.next = [0] * partitions
        self.records = []
        self.aborted = set()

    def add(self, records, commit=True):
        """Gives each its offset."""
        for r in records:
            offset = self.next[r["partition"]]
            self.next[r["partition"]] += 1
            self.records.append(r | {"offset": offset})
            if not commit:
                self.aborted.add((r["partition"], offset))

    def add_transaction(self, records, commit):
        """Its markers take an offset too."""
        self.add(records, commit)
        for partition in {r["partition"] for r in records}:
            self.next[partition] += 1

    def last(self):
        """The last offset of each partition that every reader sees."""
        seen = {}
        for r in self.visible(committed=True):
            seen[r["partition"]] = r["offset"]
        return seen

    def visible(self, committed):
        hidden = self.aborted if committed else ()
        return [r for r in self.records if (r["partition"], r["offset"]) not in hidden]

    def difference(self, found, committed):
        """In words, None when all is equal; a client's own order of partitions is its own."""
        want = {(r["partition"], r["offset"]): r for r in self.visible(committed)}
        have = {(r["partition"], r["offset"]): r for r in found}
        if len(have) != len(found):
            return f"{self.topic}: {len(found) - len(have)} records came twice"
        for place in sorted(want.keys() | have.keys()):
            if want.get(place) != have.get(place):
                return f"{self.topic}: {have.get(place)} instead of {want.get(place)}"
        return None


class Scene:
    """The broker, a program of every client, and what they wrote."""

    def __init__(self, report, broker):
        self.report = report
        self.broker = broker
        # From this thread: a child ends with the thread that started it.
        self.programs = {client: Program(client, broker, name_of("all", client)) for client in COMMANDS}
        self.written = {}

    def program(self, client):
        return self.programs[client]

    def has(self, client, what):
        return what not in LACKS[client]

    def each(self, what, work, threads, clients=COMMANDS):
        """One check for each client, some at the same time."""

        def timed(client):
            began = time.monotonic()
            try:
                note, wrong = work(self, client), None
            except Failed as failure:
                note, wrong = "", str(failure)
            except Exception as error:  # the others go on
                note, wrong = "", f"{type(error).__name__}: {error}"
            return note, wrong, time.monotonic() - began

        with ThreadPoolExecutor(threads) as pool:
            for client, (note, wrong, seconds) in zip(clients, pool.map(timed, clients)):
                if wrong:
                    self.report.fail(client, f"clients: {what}", wrong, seconds)
                else:
                    self.report.ok(client, f"clients: {what}", note or "", seconds)

    def end(self):
        for program in self.programs.values():
            program.kill()


def start(scene, client):
    return scene.program(client).ask("hello")["version"]


# -- records


def writes(scene, client):
    """Every codec, idempotently but for one; offsets as the client was told, and the codec as it is on the wire."""
    topic = name_of("w", client)
    create(scene.broker, topic, PARTITIONS)
    written = Written(topic, PARTITIONS)
    for n, codec in enumerate(wire.CODECS):
        numbers = range(n * RECORDS, (n + 1) * RECORDS)
        records = [record(client, i, i // 10 % PARTITIONS) for i in numbers]
        begin = written.next[0]
        told = scene.program(client).ask("produce", topic=topic, codec=codec, idempotent=n > 0, records=records)
        written.add(records)
        awaited = [r["offset"] for r in written.records[-len(records) :]]
        expect(told["offsets"] in (None, awaited), f"{codec}: acknowledged at {told['offsets']} instead of {awaited}")
        kinds = {kind for base, _, kind in wire.batches(scene.broker, topic, 0, begin) if base >= begin}
        expect(kinds == {codec}, f"asked for {codec}, sent batches of {sorted(kinds)}")
    if not scene.has(client, "timestamps"):
        stamp(scene, written)
    scene.written[topic] = written
    return f"{len(written.records)} records"


def stamp(scene, written):
    """Timestamps that the client chose by itself, as another one reads them; they are of this minute."""
    topics = {written.topic: written.last()}
    found = scene.program("confluent-kafka").ask("read", topics=topics, committed=False)["records"][written.topic]
    stamps = {(r["partition"], r["offset"]): r["timestamp"] for r in found}
    for r in written.records:
        r["timestamp"] = stamps.get((r["partition"], r["offset"]))
        expect(r["timestamp"] and abs(time.time() * 1000 - r["timestamp"]) < 60_000, f"{written.topic}: timestamp of {r}")


def reads(scene, client, committed, topics):
    """Reads everything that all of them wrote."""
    wanted = {topic: scene.written[topic] for topic in sorted(scene.written) if topic.startswith(topics)}
    expect(wanted, "nothing to compare with")
    asked = {topic: written.last() for topic, written in wanted.items()}
    found = scene.program(client).ask("read", topics=asked, committed=committed)["records"]
    wrong = [words for topic in wanted if (words := wanted[topic].difference(found[topic], committed))]
    expect(not wrong, "\n".join(wrong))
    return f"{sum(map(len, found.values()))} records of {len(wanted)} topics"


def seeks(scene, client):
    """By time: to the first record from then on."""
    topic = name_of("w", client)
    records = [r for r in scene.written[topic].records if r["partition"] == 1]
    for at in (0, len(records) // 2, len(records) - 1):
        since = records[at]["timestamp"] - (500 if scene.has(client, "timestamps") else 0)
        wanted = next(r for r in records if r["timestamp"] >= since)
        found = scene.program(client).ask("since", topic=topic, partition=1, timestamp=since)["record"]
        expect(found == wanted, f"since {since}: {found} instead of {wanted}")


# -- groups


def commits(scene, client):
    """Offsets with metadata, without a member; as this client sees them, and another one."""
    topic, group = name_of("w", client), name_of("commits", client)
    offsets = {"0": 7, "1": 3}
    scene.program(client).ask("commit", group=group, topic=topic, offsets=offsets, metadata="mémo")
    for reader in (client, "confluent-kafka"):
        found = scene.program(reader).ask("committed", group=group, topic=topic, partitions=[0, 1])["offsets"]
        known = {p: offset for p, offset in found.items() if offset >= 0}
        expect(known == offsets, f"{reader} finds {found} instead of {offsets}")


def feed(broker, topic, count):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 3})
    for n in range(count):
        producer.produce(topic, b"%d" % n, partition=n % GROUP_PARTITIONS)
    expect(producer.flush(30) == 0, "not everything was acknowledged")


def group_of_three(scene, client, protocol):
    """Three members share the partitions; one is killed, the others take over; nothing is missed, all is committed."""
    topic, group = name_of(f"g-{protocol}", client), name_of(protocol, client)
    create(scene.broker, topic, GROUP_PARTITIONS)
    feed(scene.broker, topic, GROUP_RECORDS)
    members = Members(client, scene.broker, topic, group, protocol, GROUP_PARTITIONS, 3)
    try:
        all_read = lambda count: lambda: members.settled() and len(members.seen) == count
        members.wait(all_read(GROUP_RECORDS), "three members settle and read all", GROUP_TIMEOUT_S)
        described(scene, client, group, protocol, 3)
        members.kill_one()
        feed(scene.broker, topic, GROUP_RECORDS)
        members.wait(all_read(2 * GROUP_RECORDS), "two members take over and read all", GROUP_TIMEOUT_S)
        described(scene, client, group, protocol, 2)
        members.stop()
    finally:
        members.end()
    parts = list(range(GROUP_PARTITIONS))
    found = scene.program("confluent-kafka").ask("committed", group=group, topic=topic, partitions=parts)["offsets"]
    wanted = {str(p): 2 * GROUP_RECORDS // GROUP_PARTITIONS for p in parts}
    expect(found == wanted, f"committed is {found} instead of {wanted}")
    twice = sum(times > 1 for times in members.seen.values())
    return f"{2 * GROUP_RECORDS} records, {twice} read twice"


def described(scene, client, group, protocol, members):
    """By its own admin calls; stable once the members told the broker what they hold."""
    if not scene.has(client, "admin"):
        return
    deadline = time.monotonic() + STABLE_WITHIN_S
    while True:
        found = scene.program(client).ask("group", group=group, protocol=protocol)
        if (found["state"].lower(), found["members"]) == ("stable", members):
            break
        expect(time.monotonic() < deadline, f"the group is {found}, not stable with {members}")
        time.sleep(0.2)
    groups = scene.program(client).ask("groups")["groups"]
    expect(group in groups, f"{group} is not listed: {groups}")


# -- transactions


def transacts(scene, client):
    """Committed, aborted, committed: who reads committed sees two of them; copies with their offsets; a fenced producer."""
    topic = name_of("t", client)
    create(scene.broker, topic, TXN_PARTITIONS)
    written = Written(topic, TXN_PARTITIONS)
    rounds = []
    for n, commit in enumerate((True, False, True) if scene.has(client, "abort") else (True, True)):
        records = transaction(client, n)
        rounds.append({"records": records, "commit": commit})
        written.add_transaction(records, commit)
    scene.program(client).ask("transact", topic=topic, id=name_of("id", client), rounds=rounds)
    if not scene.has(client, "timestamps"):
        stamp(scene, written)
    scene.written[topic] = written
    reads(scene, client, True, topic)
    if scene.has(client, "copy"):
        copies(scene, client, written)
    if scene.has(client, "fence"):
        fences(scene, client)
    return f"{len(rounds)} transactions"


def transaction(client, n):
    """Its records; where a transaction is one run of the program, all in one partition and with equal headers."""
    one_run = "abort" in LACKS[client]
    numbers = range(n * TXN_RECORDS, (n + 1) * TXN_RECORDS)
    records = [record(client, i, 0 if one_run else i % TXN_PARTITIONS) for i in numbers]
    return [r | {"headers": []} for r in records] if one_run else records


def copies(scene, client, written):
    topic, group = name_of("c", client), name_of("copies", client)
    create(scene.broker, topic, TXN_PARTITIONS)
    until = written.last()
    task = {"id": name_of("copier", client), "group": group, "input": written.topic, "output": topic, "until": until}
    scene.program(client).ask("copy", **task)
    found = values(scene.broker, topic, TXN_PARTITIONS)
    wanted = {p: [r["value"] for r in written.visible(True) if r["partition"] == p] for p in range(TXN_PARTITIONS)}
    expect(found == wanted, f"copies: {found} instead of {wanted}")
    parts = list(until)
    offsets = scene.program("confluent-kafka").ask("committed", group=group, topic=written.topic, partitions=parts)["offsets"]
    expect(all(offsets[str(p)] > last for p, last in until.items()), f"copied to {until}, committed is {offsets}")


def fences(scene, client):
    topic = name_of("f", client)
    create(scene.broker, topic, 1)
    refused = scene.program(client).ask("fence", topic=topic, id=name_of("fenced", client)).get("refused")
    expect(refused and refused != "<nil>", "the older of two producers could commit")
    found = values(scene.broker, topic, 1)
    expect(found == {0: [coded(b"newer")]}, f"of the fenced and the newer producer there is {found}")


def values(broker, topic, partitions):
    """Values as librdkafka reads them committed, in order, to the end of each partition."""
    config = {"bootstrap.servers": broker.bootstrap, "group.id": "values", "enable.partition.eof": True, "log_level": 0}
    consumer = Consumer(config | {"enable.auto.commit": False, "isolation.level": "read_committed"})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    found = {p: [] for p in range(partitions)}
    left = set(found)
    deadline = time.monotonic() + 30
    while left:
        expect(time.monotonic() < deadline, f"{topic}: partitions {left} come to no end")
        for message in consumer.consume(1000, 0.2):
            if message.error():
                left.discard(message.partition())
            else:
                found[message.partition()].append(coded(message.value()))
    consumer.close()
    return found


# -- admin


def administers(scene, client):
    topic = name_of("a", client)
    ask = scene.program(client).ask
    ask("create", topic=topic, partitions=GROUP_PARTITIONS, configs={"retention.ms": "123456789", "max.message.bytes": "54321"})
    configs = ask("configs", topic=topic)["configs"]
    expect(configs.get("retention.ms") == "123456789", f"retention.ms: {configs}")
    expect(configs.get("max.message.bytes") == "54321", f"max.message.bytes: {configs}")
    feed(scene.broker, topic, GROUP_RECORDS)
    low = ask("delete_records", topic=topic, partition=1, offset=4)["low"]
    expect(low == 4, f"delete records: the start is {low}, not 4")
    consumer = Consumer({"bootstrap.servers": scene.broker.bootstrap, "group.id": "x", "log_level": 0})
    found = consumer.get_watermark_offsets(TopicPartition(topic, 1), timeout=30)
    wanted = (4, GROUP_RECORDS // GROUP_PARTITIONS)
    expect(found == wanted, f"partition 1 holds {found}, not {wanted}")
    consumer.close()
    ask("delete", topic=topic)
    listed = scene.broker.esker("topic", "list").stdout.split()
    expect(topic not in listed, f"deleted, and still listed: {listed}")


def run(report, plan):
    broker = Broker("clients", **SETS).start()
    scene = Scene(report, broker)
    having = lambda what: [client for client in COMMANDS if scene.has(client, what)]
    try:
        scene.each("starts", start, 4)
        for client, lacks in LACKS.items():
            if lacks:
                say(f"without what {client} does not have: {', '.join(lacks.values())}")
        scene.each("produces with every codec, idempotently", writes, 3)
        scene.each("seeks by time, hot", seeks, 3)
        scene.each("commits offsets outside a group", commits, 3, having("commit"))
        scene.each("transactions: commit, abort, copy, fence", transacts, 3)
        scene.each("admin: create, configs, delete records, delete", administers, 3, having("admin"))
        scene.each("group of 3, one killed", partial(group_of_three, protocol="classic"), 4)
        new = partial(group_of_three, protocol="consumer")
        scene.each("group of 3, one killed, consumer protocol", new, 3, CONSUMER_PROTOCOL)
        everything = partial(reads, committed=False, topics=("w-", "t-"))
        scene.each("reads what all wrote, hot", everything, 2)
        committed = partial(reads, committed=True, topics="t-")
        scene.each("reads committed what all wrote, hot", committed, 2)
        broker.esker("seal")
        broker.lose_disk()
        everything = partial(reads, committed=True, topics=("w-", "t-"))
        scene.each("reads what all wrote, cold", everything, 2)
        scene.each("seeks by time, cold", seeks, 3)
    finally:
        scene.end()
        broker.end()
