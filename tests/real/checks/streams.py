"""Kafka Streams, exactly once: a word count and a join of two tables over the data set, by two instances that are killed with
-9 by turns with the broker and start without what they had on disk. Read committed, each word was told from 1 to its number, and
the joined table is what DuckDB computes from the segments of the input; so is what the segments of the output hold. Half-way
all of them start with nothing but their changelogs, compacted by then.
"""
import json
import random
import re
import time
from collections import defaultdict

from checks.admin import tool
from checks.history import create
from harness import contents, sql
from harness.broker import Broker
from harness.input import Input
from harness.instance import Instance, version
from harness.report import expect, log_tail

PARTITIONS = 4
INSTANCES = 2
CLIENT = "Kafka Streams"
SETS = {
    "esker.seal.ms": 700,
    "group.initial.rebalance.delay.ms": 0,
    "group.consumer.session.timeout.ms": 6000,
}
SETTINGS = {
    "consumer.session.timeout.ms": 6000,
    "consumer.heartbeat.interval.ms": 1000,
    # So that changelogs are compacted and repartition topics purged while all this goes on.
    "topic.min.cleanable.dirty.ratio": 0.01,
    "repartition.purge.interval.ms": 2000,
}
CATCH_UP_S = 240
# The broker looks for what is to be compacted every 15 seconds.
TIDY_S = 120

WORDS = """
    with words as (
        select unnest(string_split_regex(json_extract_string(value, '$.message'), '[^A-Za-z]+')) as word from commits)
    select word, count(*) from words where word <> '' group by word"""
AUTHORS = """
    with newest as (select key, arg_max(json_extract_string(value, '$.sha'), log_offset) as sha from commits group by key),
    changed as (select json_extract_string(value, '$.actor') as key, count(*) as files from files group by all)
    select key, sha || ' ' || files from newest join changed using (key)"""
# What the output's segments hold: each word with the highest number, if all from 1 on are there once; the last of each author.
WORDS_TOLD = """
    with told as (select key, string_split(value, ' ')[2]::int as n from words)
    select key, max(n) from told group by key having max(n) = count(*) and max(n) = count(distinct n)"""
AUTHORS_TOLD = "select key, substr(arg_max(value, log_offset), length(key) + 2) from authors group by key"

COMPACTED = 'select 2 * count(*) < max(log_offset) from "{}"'


def rounds(broker, instances, data, count, chance):
    for n in range(count):
        data.feed(broker, data.limit // (count + 1))
        time.sleep(chance.uniform(2, 5))
        [one.alive() for one in instances]
        if n % 3 == 2:
            broker.kill()
            time.sleep(chance.uniform(0, 1))
            broker.start()
        else:
            one = instances[n % 3]
            one.kill()
            one.start()
    return f"{version('streams', 'kafka-streams')}: {count} kills, {data.fed} lines"


def internal(broker):
    """Of most of a changelog's offsets no record is left; what was read of a repartition topic goes."""
    names = [name for name in broker.esker("topic", "list").stdout.split() if name.startswith("streams-")]
    changelogs = [name for name in names if name.endswith("-changelog")]
    repartitions = [name for name in names if name.endswith("-repartition")]
    is_compacted = lambda name: sql.sealed(broker, name) and sql.over(broker, [name], COMPACTED.format(name)) == [(True,)]
    deadline = time.monotonic() + TIDY_S
    while True:
        whole = [name for name in changelogs if not is_compacted(name)]
        whole += [name for name in repartitions if not any(low for low, _ in contents.bounds(broker, name, PARTITIONS))]
        if not whole:
            return f"{len(changelogs)} and {len(repartitions)} topics"
        expect(time.monotonic() < deadline, f"not within {TIDY_S} s: {whole} are as they were written")
        time.sleep(1)


def from_changelogs(broker, instances, data):
    """All of them are killed at once: what they knew is in the compacted changelogs alone."""
    [one.kill() for one in instances]
    [one.start() for one in instances]
    data.feed(broker, data.limit)
    return f"{data.fed} lines in all"


def told(broker):
    """Read committed: the numbers that each word was told with, in order; the last of each author."""
    words, authors = defaultdict(list), {}
    for topic, take in (("words", lambda w, n: words[w].append(int(n))), ("authors", authors.__setitem__)):
        for records in contents.by_confluent(broker, topic, PARTITIONS).values():
            for offset in sorted(records):
                take(*records[offset].decode().split(" ", 1))
    return words, authors


def caught_up(broker, instances, expected):
    """Waits until as much was told as there is to tell, then lets both end; nobody may tell more."""
    words, authors = expected
    deadline = time.monotonic() + CATCH_UP_S
    while True:
        [one.alive() for one in instances]
        done = told(broker)
        count = sum(map(len, done[0].values()))
        if count >= sum(words.values()) and done[1] == authors:
            break
        have = f"{count} words of {sum(words.values())}, {len(done[1].items() & authors.items())} authors of {len(authors)}"
        expect(time.monotonic() < deadline, f"not within {CATCH_UP_S} s: {have}\n{log_tail(instances[0].log, 20)}")
        time.sleep(1)
    [one.close() for one in instances]
    return f"{count} words, {len(authors)} authors"


def expected(broker):
    inputs = ["commits", "files"]
    return dict(sql.over(broker, inputs, WORDS)), dict(sql.over(broker, inputs, AUTHORS))


def exactly(broker, expected):
    words, authors = told(broker)
    for word in words.keys() | expected[0].keys():
        count = expected[0].get(word, 0)
        expect(words[word] == [*range(1, count + 1)], f"'{word}' is {count} times in the input, and was told {words[word]}")
    expect(authors == expected[1], f"authors: {sorted(authors.items() ^ expected[1].items())[:4]}")
    return f"{sum(expected[0].values())} updates, each once"


def in_segments(broker, expected):
    outputs = ["words", "authors"]
    words, authors = dict(sql.over(broker, outputs, WORDS_TOLD)), dict(sql.over(broker, outputs, AUTHORS_TOLD))
    expect(words == expected[0], f"words: {sorted(words.items() ^ expected[0].items())[:4]}")
    expect(authors == expected[1], f"authors: {sorted(authors.items() ^ expected[1].items())[:4]}")
    return f"{len(words)} words, {len(authors)} authors"


def reset(broker):
    """Kafka's tool for that: the application would begin anew. Its members do not leave when they close, so it puts them out."""
    tool(broker, "StreamsResetter", "--application-id", "streams", "--input-topics", "commits,files", "--force")
    left = [name for name in broker.esker("topic", "list").stdout.split() if name.startswith("streams-")]
    expect(not left, f"internal topics are still there: {left}")
    rows = json.loads(broker.esker("group", "describe", "streams", "--format", "json").stdout)["partitions"]
    moved = [row for row in rows if row["topic"] in ("commits", "files")]
    expect(len(moved) == 2 * PARTITIONS and not any(row["committed"] for row in moved), f"not at the start: {rows}")


def instance(broker, name, **settings):
    return Instance("streams", "WordsAndTables", broker, name, SETTINGS | settings)


def streams_groups(broker):
    """KIP-1071's groups are not here: whoever asks for them is told so, and ends."""
    one = instance(broker, "streams-group", **{"group.protocol": "streams", "application.id": "kip-1071"}).start()
    try:
        code = one.child.wait(60)
    finally:
        one.kill()
    words = one.log.read_text(errors="replace")
    expect(code == 1 and re.search("UnsupportedVersionException", words), f"ended with {code}: {words[-1500:]}")


def run(report, plan):
    broker = Broker("streams", **SETS).start()
    data = Input(min(plan.lines, max(24_000, plan.lines // 4)))
    instances = [instance(broker, f"streams-{n}") for n in range(INSTANCES)]
    chance = random.Random(plan.seed)
    try:
        for topic in ("commits", "files", "words", "authors"):
            create(broker, topic, PARTITIONS)
        [one.start() for one in instances]
        say = lambda who, words, check: report.check(who, f"streams: {words}", check)
        kills = max(6, plan.rounds // 8)
        if not say(CLIENT, "kill -9 of instances and broker by turns", lambda: rounds(broker, instances, data, kills, chance)):
            return
        say(CLIENT, "changelogs are compacted, repartition topics purged", lambda: internal(broker))
        say(CLIENT, "all instances start with what changelogs hold", lambda: from_changelogs(broker, instances, data))
        want = expected(broker)
        if not say(CLIENT, "the program comes to its end", lambda: caught_up(broker, instances, want)):
            return
        say(CLIENT, "read committed: exactly once", lambda: exactly(broker, want))
        say("duckdb", "the output's segments: exactly once", lambda: in_segments(broker, want))
        say(CLIENT, "group.protocol=streams is refused in words", lambda: streams_groups(broker))
        broker.lose_disk()
        say(CLIENT, "read committed, all of it cold: exactly once", lambda: exactly(broker, want))
        say("streams-reset", "Kafka's tool begins anew", lambda: reset(broker))
        report.check("esker fsck", "streams: the bucket is whole", lambda: broker.esker_store("fsck", timeout_s=300) and None)
    finally:
        for one in instances:
            one.kill()
        broker.end()
