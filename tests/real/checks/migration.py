"""A group goes from the classic protocol to that of KIP-848 and back while it works (a rolling upgrade and its reverse): its
three members are replaced one by one, in the end with one of them killed -9, and records come all the time. Nothing is
skipped, and nothing is read twice but what a killed member had read last.
"""
import json
import threading
import time

from checks.groups import CONSOLE, PARTITIONS, SESSION_MS, TOPIC, Crew, by_place, library, produce, wait
from checks.history import create
from harness import place
from harness.broker import Broker
from harness.report import expect

EVERY_S = 1


def java(strategy=""):
    return lambda broker, group, protocol: console(broker, group, protocol, strategy)


def console(broker, group, protocol, strategy):
    show = [word for p in ("partition", "offset") for word in ("--formatter-property", f"print.{p}=true")]
    properties = [f"group.protocol={protocol}", "auto.offset.reset=earliest", "auto.commit.interval.ms=500"]
    if protocol == "classic":
        properties += [f"session.timeout.ms={SESSION_MS}", "heartbeat.interval.ms=500"]
        properties += [f"partition.assignment.strategy={strategy}"] if strategy else []
    how = [word for p in properties for word in ("--consumer-property", p)]
    return place.java(CONSOLE, "--bootstrap-server", broker.bootstrap, "--topic", TOPIC, "--group", group, *how, *show)


def confluent(strategy=""):
    command = {"classic": library("confluent", strategy)[0], "consumer": library("confluent", "consumer")[0]}
    return lambda broker, group, protocol: command[protocol](broker, group)


def refused(crew):
    """From its second rebalance on librdkafka's cooperative assignor adds user data to assignments, which a broker cannot: as
    in Kafka, who comes with the new protocol is refused, and the group goes on."""
    for count in (1, 2):
        crew.add("classic")
        wait(lambda: crew.settled(count), crew.describe)
    other = crew.add("consumer")
    wait(lambda: "group id does not exist" in other.words(), other.words)
    other.kill()
    expect(crew.settled(2) and kind(crew) == "classic", f"{crew.describe()}")


class Stream:
    """Records that keep coming."""

    def __init__(self, broker):
        self.broker, self.sent, self.stopped = broker, set(), threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopped.wait(EVERY_S):
            produce(self.broker, self.sent)

    def end(self):
        self.stopped.set()
        self.thread.join(60)


def kind(crew):
    found = [json.loads(line) for line in crew.broker.esker("group", "list", "--format", "json").stdout.splitlines()]
    return next((one["type"] for one in found if one["group"] == crew.group), None)


def replace(crew, protocol, kill):
    """Every member by one of the other protocol, one after the other."""
    old = [member for member in crew.members if member.child.poll() is None]
    for n, member in enumerate(old):
        if kill and n == 1:
            crew.killed.append(member)
            member.kill()
        else:
            member.leave()
        newcomer = crew.add(protocol)
        crew.classic |= {newcomer} if protocol == "classic" else set()
        wait(lambda: crew.settled(3), lambda: f"{n + 1} of 3 replaced: {crew.describe()}\n{crew.members[-1].words()}")
        time.sleep(EVERY_S)
    wait(lambda: kind(crew) == protocol, lambda: f"the group is a {kind(crew)} group")
    return f"{sum(len(member.seen()) for member in crew.members)} records so far"


def read(crew, sent):
    crew.all_read(3, sent)
    times = {}
    for member in crew.members:
        for event in member.events:
            if "offset" in event:
                where = (event["partition"], event["offset"])
                times.setdefault(where, []).append(member)
    unknown = set(times) - sent
    twice = [where for where, by in times.items() if len(by) > 1]
    # Only what a killed member had read may be read again, and what Kafka's client read while it joined, in the classic protocol
    # with a cooperative assignor: it commits by itself before it joins, and reads on until it is told what to give up.
    excused = set(crew.killed) | (crew.classic if crew.reads_on else set())
    unexplained = [where for where in twice if not set(times[where]) & excused]
    expect(not unknown, f"{len(unknown)} records were read and never acknowledged")
    expect(not unexplained, f"{len(unexplained)} records were read twice, as {sorted(unexplained)[:5]}")
    return f"{len(sent)} records, {len(twice)} of them twice"


def run(report, plan):
    sets = {"initial.rebalance.delay": 500, "consumer.session.timeout": SESSION_MS, "consumer.heartbeat.interval": 500}
    broker = Broker("migration", **{f"group.{name}.ms": ms for name, ms in sets.items()}).start()
    parse = by_place(r"Partition:(\d+)\tOffset:(\d+)")
    cooperative = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
    crews = [
        Crew(broker, "java", "java", (java(), parse)),
        Crew(broker, "java", "java-cooperative", (java(cooperative), parse)),
        Crew(broker, "confluent-kafka", "confluent", (confluent(), json.loads)),
    ]
    sticky = Crew(broker, "confluent-kafka", "confluent-cooperative", (confluent("cooperative-sticky"), json.loads))
    stream = None
    try:
        create(broker, TOPIC, PARTITIONS)
        for crew in crews:
            crew.killed, crew.classic, crew.reads_on = [], set(), crew.group == "g-java-cooperative"
            crew.classic.update(crew.add("classic") for _ in range(3))
        for crew in crews:
            wait(lambda: crew.settled(3), lambda: f"{crew.group}: {crew.describe()}")
        report.check(sticky.client, "migration: an assignor of its own is refused", lambda: refused(sticky))
        stream = Stream(broker)

        def phase(what, call):
            for crew in crews:
                report.check(crew.client, f"migration: {crew.group}: {what}", lambda: call(crew))

        phase("upgraded while it works", lambda crew: replace(crew, "consumer", kill=False))
        phase("downgraded while it works", lambda crew: replace(crew, "classic", kill=False))
        phase("upgraded, with a kill -9", lambda crew: replace(crew, "consumer", kill=True))
        stream.end()
        phase("all is read, and nothing twice that was committed", lambda crew: read(crew, stream.sent))
    finally:
        if stream:
            stream.end()
        for crew in [*crews, sticky]:
            for member in crew.members:
                member.kill()
        broker.kill()
