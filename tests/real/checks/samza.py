"""Samza, at least once: per file how often it changed and its newest content, in RocksDB stores with a changelog, by two
processors that find each other through ZooKeeper. They are killed with -9 by turns with the broker, and start without their
stores; at last both at once. After the last record the result is what DuckDB computes from the segments of the input.
"""
import random
import time

from checks.history import create
from harness import contents, sql
from harness.broker import Broker
from harness.input import Input
from harness.instance import Instance, version
from harness.report import expect, log_tail
from harness.zookeeper import ZooKeeper

PARTITIONS = 4
PROCESSORS = 2
CLIENT = "Samza"
CHANGELOG, CHECKPOINTS = "samza-1-table-files", "__samza_checkpoint_ver_1_for_samza_1"
SETTINGS = {
    "job.coordinator.factory": "org.apache.samza.zk.ZkJobCoordinatorFactory",
    "task.name.grouper.factory": "org.apache.samza.container.grouper.task.GroupByContainerIdsFactory",
    # Who vanished is missed sooner than after half a minute.
    "job.coordinator.zk.session.timeout.ms": 4000,
    "job.debounce.time.ms": 1000,
    "task.commit.ms": 500,
    # With its cache on, Samza 1.8.0 asks for the changelog's end before what the cache held is acknowledged, and then restores
    # to before its own checkpoint: an update is lost now and then, with any broker.
    "stores.files.object.cache.size": 0,
    "task.checkpoint.replication.factor": 1,
    "systems.kafka.samza.offset.default": "oldest",
}
CATCH_UP_S = 240
# The broker looks for what is to be compacted every 15 seconds.
TIDY_S = 60

# How often each file changed, the offset of the last change and the content after it.
FILES = """
    select key, count(*) || ' ' || max(log_offset) || ' ' || coalesce(arg_max(json_extract_string(value, '$.blob'), log_offset), '-')
    from files group by key"""
CHECKPOINT_KEYS = f"select count(*), count(distinct key), max(log_offset) + 1 from {CHECKPOINTS}"


def tend(processors):
    """Who ended is started again, as by any supervisor: a processor ends when its ZooKeeper session does."""
    for one in processors:
        if one.child.poll() is not None:
            one.kill()
            one.start()


def rounds(broker, processors, data, count, chance):
    for n in range(count):
        data.feed(broker, data.limit // (count + 1))
        time.sleep(chance.uniform(6, 10))
        tend(processors)
        if n % 3 == 1:
            broker.kill()
            time.sleep(chance.uniform(0, 1))
            broker.start()
        else:
            one = processors[n % 3 // 2]
            one.kill()
            one.start()
    versions = f"{version('samza', 'samza-api')}, its kafka-clients {version('samza', 'kafka-clients')}"
    return f"{versions}: {count} kills"


def from_changelog(broker, processors, data):
    """Both are killed at once: what they knew is in the changelog alone."""
    progress = told(broker)
    expect(progress, "nothing came out before")
    [one.kill() for one in processors]
    [one.start() for one in processors]
    data.feed(broker, data.limit)
    return f"{data.fed} lines in all, {len(progress)} files known"


def told(broker):
    """The last that was said of each file, in the order of its partition."""
    last = {}
    for records in contents.by_confluent(broker, "newest", PARTITIONS).values():
        for offset in sorted(records):
            path, known = records[offset].decode().split(" ", 1)
            last[path] = known
    return last


def result(broker, processors):
    want = dict(sql.over(broker, ["files"], FILES))
    deadline = time.monotonic() + CATCH_UP_S
    while (found := told(broker)) != want:
        tend(processors)
        differing = sorted(want.items() ^ found.items())
        why = f"{len(differing)} of {len(want)} files differ, as {differing[:4]}:\n{log_tail(processors[0].log)}"
        expect(time.monotonic() < deadline, f"not within {CATCH_UP_S} s: {why}")
        time.sleep(1)
    return f"{len(want)} files"


def topics(broker):
    """What Samza made by itself is as it asked for; what the compaction of checkpoints leaves is enough to go on."""
    shown = {name: broker.esker("topic", "describe", name).stdout for name in (CHANGELOG, CHECKPOINTS)}
    expect(all("cleanup.policy=compact" in text for text in shown.values()), f"not both are compacted: {shown}")
    # Samza restores a changelog up to its checkpoint: until then nothing of it may go.
    expect("min.compaction.lag.ms=14400000" in shown[CHANGELOG], shown[CHANGELOG])
    deadline = time.monotonic() + TIDY_S
    while True:
        [(records, keys, end)] = sql.over(broker, [CHECKPOINTS], CHECKPOINT_KEYS)
        if records < end // 2:
            return f"{end} checkpoints, {keys} keys, {records} left"
        expect(time.monotonic() < deadline, f"not within {TIDY_S} s: {records} of {end} checkpoints are left, {keys} keys")
        time.sleep(1)


def run(report, plan):
    broker = Broker("samza", **{"esker.seal.ms": 700}).start()
    zookeeper = ZooKeeper()
    settings = SETTINGS | {"job.coordinator.zk.connect": zookeeper.address}
    processors = [Instance("samza", "NewestFiles", broker, f"samza-{n}", settings) for n in range(PROCESSORS)]
    data = Input(min(plan.lines, max(24_000, plan.lines // 4)))
    chance = random.Random(plan.seed)
    try:
        zookeeper.start()
        for topic in ("files", "commits", "newest"):
            create(broker, topic, PARTITIONS)
        [one.start() for one in processors]
        say = lambda who, words, check: report.check(who, f"samza: {words}", check)
        kills = max(4, plan.rounds // 16)
        if not say(CLIENT, "kill -9 of processors and broker by turns", lambda: rounds(broker, processors, data, kills, chance)):
            return
        say(CLIENT, "checkpoints are compacted, the changelog waits", lambda: topics(broker))
        if not say(CLIENT, "both start with what the changelog holds", lambda: from_changelog(broker, processors, data)):
            return
        say(CLIENT, "at least once: the result is DuckDB's", lambda: result(broker, processors))
        report.check("esker fsck", "samza: the bucket is whole", lambda: broker.esker_store("fsck", timeout_s=300) and None)
    finally:
        for one in processors:
            one.kill()
        zookeeper.kill()
        broker.end()
