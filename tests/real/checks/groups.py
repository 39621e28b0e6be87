"""Consumer groups of every client: three members each on one topic; one is killed -9, one leaves; the broker is killed -9; the
disk is lost after a clean stop. Nothing that was produced is skipped, and nobody rebalances without need.
"""
import json
import re
import sys
import threading
import time

from confluent_kafka import Producer

from checks.history import create
from harness import place, process
from harness.broker import Broker
from harness.report import Failed, expect

TOPIC = "groups"
PARTITIONS = 6
SETTLE_S = 40
RECORDS = 120
SESSION_MS = 6000
# Programs that end when no broker is there.
ENDING = ("kcat", "esker")
CONSOLE = "org.apache.kafka.tools.consumer.ConsoleConsumer"
ADMIN = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


class Member:
    """A process that reads as a member of a group, and what it has said."""

    def __init__(self, command, parse, name, env=None):
        self.parse, self.events = parse, []
        self.log = place.work() / f"groups-{name}.log"
        self.child = process.start(command, self.log, stdout=-1, text=True, env=env)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            event = self.parse(line)
            if event:
                self.events.append(event)

    def seen(self):
        return {(e["partition"], e["offset"]) for e in list(self.events) if "offset" in e}

    def given(self):
        """What a library says that it has."""
        have = set()
        for event in list(self.events):
            have |= set(event.get("given", ()))
            have -= set(event.get("taken", ()))
        return have

    def moves(self, since=0):
        return [e for e in self.events[since:] if "given" in e or "taken" in e]

    def words(self):
        return self.log.read_text(errors="replace")[-800:]

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.reader.join(5)

    def leave(self):
        """SIGTERM; returns the exit code."""
        self.child.terminate()
        try:
            return self.child.wait(20)
        except Exception:
            raise Failed(f"no end within 20 s of SIGTERM: {self.words()}") from None
        finally:
            self.kill()


def library(name, strategy=""):
    def command(broker, group, instance=""):
        return [sys.executable, "-m", "harness.member", name, broker.bootstrap, TOPIC, group, instance, strategy]

    return command, json.loads


def kcat():
    def command(broker, group):
        how = ["-X", "auto.offset.reset=earliest", "-X", f"session.timeout.ms={SESSION_MS}", "-X", "auto.commit.interval.ms=500"]
        return ["kcat", "-b", broker.bootstrap, *how, "-u", "-q", "-f", "%p %o\\n", "-G", group, TOPIC]

    return command, by_place(r"(\d+) (\d+)$")


def console():
    def command(broker, group):
        show = [word for p in ("partition", "offset") for word in ("--formatter-property", f"print.{p}=true")]
        how = ["--consumer-property", f"session.timeout.ms={SESSION_MS}", "--from-beginning"]
        return place.java(CONSOLE, "--bootstrap-server", broker.bootstrap, "--topic", TOPIC, "--group", group, *how, *show)

    return command, by_place(r"Partition:(\d+)\tOffset:(\d+)")


def esker():
    def command(broker, group):
        return [place.ESKER, "consume", TOPIC, "--group", group, "--follow", "--format", "json", "--broker", broker.bootstrap]

    return command, json.loads


def by_place(pattern):
    def parse(line):
        found = re.match(pattern, line)
        return found and {"partition": int(found[1]), "offset": int(found[2])}

    return parse


class Crew:
    """Three members of one client."""

    def __init__(self, broker, client, name, made):
        self.broker, self.client, self.group = broker, client, f"g-{name}"
        self.command, self.parse = made
        self.members = []

    def add(self, *more):
        member = Member(self.command(self.broker, self.group, *more), self.parse, f"{self.group}-{len(self.members)}")
        self.members.append(member)
        return member

    def seen(self):
        return set().union(*(member.seen() for member in self.members))

    def describe(self):
        found = self.broker.esker("group", "describe", self.group, "--format", "json", check=False)
        if "there is no group" in found.stderr:
            return {"state": "not there", "members": [], "partitions": []}
        expect(found.returncode == 0, found.stderr)
        return json.loads(found.stdout)

    def committed(self):
        return {row["partition"]: row["committed"] for row in self.describe()["partitions"]}

    def settled(self, count):
        """Whether so many members share all partitions, each having some."""
        found = self.describe()
        shares = [len(member["partitions"]) for member in found["members"]]
        return found["state"] == "Stable" and len(shares) == count and all(shares) and sum(shares) == PARTITIONS

    def all_read(self, count, sent):
        """Waits until so many members share, and everything that was sent has been read by one of them."""

        def done():
            return self.settled(count) and self.seen() >= sent

        def why():
            missing = sorted(sent - self.seen())
            words = "\n".join(member.words() for member in self.members)
            return f"{len(missing)} of {len(sent)} records were not read, as {missing[:3]}; {self.describe()}\n{words}"

        wait(done, why)
        return f"{len(sent)} records"


def wait(done, why, within_s=SETTLE_S):
    until = time.monotonic() + within_s
    while not done():
        expect(time.monotonic() < until, f"not within {within_s} s: {why()}")
        time.sleep(0.2)


def produce(broker, sent):
    failed = []

    def delivered(error, message):
        if error:
            failed.append(str(error))
        else:
            sent.add((message.partition(), message.offset()))

    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "log_level": 3})
    for n in range(RECORDS):
        producer.produce(TOPIC, b"%d" % n, partition=n % PARTITIONS, on_delivery=delivered)
    expect(producer.flush(30) == 0 and not failed, f"not everything was acknowledged: {failed[:1]}")


def lag(broker):
    """The lag metrics, by group."""
    _, page = broker.get("/metrics")
    lags = {}
    for group, value in re.findall(r'^esker_group_lag\{group="([^"]+)"[^}]*\} (\d+)$', page, re.M):
        lags[group] = lags.get(group, 0) + int(value)
    return lags


def restarted(report, broker, crews, static, sent):
    """kill -9 of the broker: offsets are what they were, members go on where they were without a rebalance. Programs that end
    with their broker go on with their next run."""
    wait(lambda: not any(lag(broker).values()), lambda: f"lag stays: {lag(broker)}")
    before, old = {crew.group: crew.committed() for crew in crews}, set(sent)
    marks = {member: len(member.events) for crew in [*crews, static] for member in crew.members}
    broker.kill()
    ended = {crew: crew.members[-1].child.wait(20) for crew in crews if crew.client in ENDING}
    broker.start()
    report.check("esker group", "groups: offsets survive kill -9 of the broker", lambda: same(before, crews))
    produce(broker, sent)
    for crew in ended:
        crew.add()

    def goes_on(crew):
        note = crew.all_read(1, sent)
        if crew in ended:
            expect(ended[crew] == 1, f"it ended with {ended[crew]} when the broker was gone")
            found = crew.members[-1].seen()
            expect(found == sent - old, f"the next run read {len(found)} records, not the {len(sent - old)} new ones")
        return note

    for crew in crews:
        report.check(crew.client, f"groups: {crew.group}: goes on after kill -9 of the broker", lambda: goes_on(crew))

    def calm():
        wait(lambda: static.seen() >= sent, lambda: f"{len(sent - static.seen())} records were not read")
        moved = [e for member, mark in marks.items() for e in member.moves(mark)]
        expect(not moved, f"members rebalanced: {moved[:4]}")

    report.check("python clients", "groups: nobody rebalances after kill -9 of the broker", calm)


def same(before, crews):
    after = {crew.group: crew.committed() for crew in crews}
    expect(after == before, f"offsets were {before}, are {after}")
    return f"{len(before)} groups"


def static_members(crew, sent):
    """A static member that dies and comes back has what it had, and the others notice nothing; a twin fences it."""
    members = [crew.add(f"instance-{n}") for n in range(3)]
    wait(lambda: crew.settled(3) and sum(len(m.given()) for m in members) == PARTITIONS, lambda: crew.describe())
    had, marks = members[1].given(), [len(m.events) for m in members]
    members[1].kill()
    back = crew.add("instance-1")
    wait(lambda: back.given() == had, lambda: f"it had {had}, has {back.given()}: {back.words()}")
    moved = [members[n].moves(marks[n]) for n in (0, 2)]
    expect(not any(moved), f"others rebalanced: {moved}")
    twin = crew.add("instance-1")
    fenced = lambda: any("ence" in e.get("error", "") for e in back.events) or back.child.poll() is not None
    wait(fenced, lambda: f"the first of two with one name was not fenced: {back.events[-3:]}")
    back.kill()
    wait(lambda: twin.given() == had and crew.seen() >= sent, lambda: f"{twin.given()}, {twin.words()}")


def by_tools(broker, group, other):
    """kafka-consumer-groups sees and changes what esker group sees and changes."""

    def tool(*arguments, check=True):
        return process.run(place.java(ADMIN, "--bootstrap-server", broker.bootstrap, *arguments), check=check).stdout

    end = max(row["end"] for row in json.loads(broker.esker("group", "describe", group, "--format", "json").stdout)["partitions"])
    found = tool("--describe", "--group", group)
    expect(re.search(rf"{group}\s+{TOPIC}\s+0\s+{end}\s+{end}\s+0", found), f"no lag of 0 at {end} in:\n{found}")
    tool("--reset-offsets", "--group", group, "--topic", f"{TOPIC}:0", "--shift-by", "-7", "--execute")
    at = lambda: json.loads(broker.esker("group", "describe", group, "--format", "json").stdout)["partitions"][0]
    expect((at()["committed"], at()["lag"]) == (end - 7, 7), f"after its reset: {at()}")
    expect(lag(broker)[group] == 7, f"the metric says {lag(broker)}")
    broker.esker("group", "reset", group, "--all-topics", "--to-latest", "--execute")
    expect(re.search(rf"{TOPIC}\s+0\s+{end}\s+{end}\s+0", tool("--describe", "--group", group)), "esker's reset is not seen")
    # Members that were killed are in their group until their sessions end.
    state = lambda: json.loads(broker.esker("group", "describe", other, "--format", "json").stdout)["state"]
    wait(lambda: state() == "Empty", lambda: f"{other} is {state()}")
    tool("--delete", "--group", other)
    expect(other not in broker.esker("group", "list").stdout.split(), f"{other} is still listed")
    expect(other not in lag(broker), f"the lag of {other} is still shown")


def refusals(broker, crew):
    """With members there is no reset and no delete; who is there is named."""
    for arguments in (["reset", crew.group, "--all-topics", "--to-earliest", "--execute"], ["delete", crew.group]):
        done = broker.esker("group", *arguments, check=False)
        expect(done.returncode == 1 and "at 127.0.0.1" in done.stderr, f"{arguments}: exit {done.returncode}: {done.stderr}")
    done = broker.esker("group", "describe", "nobody", check=False)
    expect(done.returncode == 1 and "nobody" in done.stderr, f"exit {done.returncode}: {done.stderr}")


def pipes(broker, sent):
    """consume --group ends at the end, and the next run goes on there; reset repeats what was read."""
    run = lambda: len(broker.esker("consume", TOPIC, "--group", "pipe").stdout.splitlines())
    reset = lambda *to: broker.esker("group", "reset", "pipe", "--all-topics", *to, "--execute")
    counts = [run(), run()]
    reset("--shift", "-2")
    counts.append(run())
    reset("--to-earliest")
    counts.append(run())
    wanted = [len(sent), 0, 2 * PARTITIONS, len(sent)]
    expect(counts == wanted, f"runs printed {counts} lines, wanted {wanted}")


def run(report, plan):
    sets = {"initial.rebalance.delay": 500, "consumer.session.timeout": SESSION_MS, "consumer.heartbeat.interval": 500}
    broker = Broker("groups", **{f"group.{name}.ms": ms for name, ms in sets.items()}).start()
    crews = [
        Crew(broker, "confluent-kafka", "eager", library("confluent")),
        Crew(broker, "confluent-kafka", "cooperative", library("confluent", "cooperative-sticky")),
        Crew(broker, "confluent-kafka", "kip-848", library("confluent", "consumer")),
        Crew(broker, "kafka-python", "kafka-python", library("kafka_python")),
        Crew(broker, "kcat", "kcat", kcat()),
        Crew(broker, "console-consumer", "console", console()),
        Crew(broker, "esker", "esker", esker()),
    ]
    static = Crew(broker, "confluent-kafka", "static", library("confluent"))
    sent = set()
    try:
        create(broker, TOPIC, PARTITIONS)
        produce(broker, sent)
        for crew in crews:
            [crew.add() for _ in range(3)]

        def phase(what, count):
            for crew in crews:
                report.check(crew.client, f"groups: {crew.group}: {what}", lambda: crew.all_read(count, sent))

        phase("three share", 3)
        report.check("esker group", "groups: reset and delete are refused while there are members", lambda: refusals(broker, crews[-1]))
        for crew in crews:
            crew.members[0].kill()
        produce(broker, sent)
        report.check("confluent-kafka", "groups: static members", lambda: static_members(static, sent))
        phase("one is killed -9", 2)
        report.check("all clients", "groups: one leaves", lambda: [crew.members[1].leave() for crew in crews] and "")
        produce(broker, sent)
        phase("one has left", 1)
        restarted(report, broker, crews, static, sent)
        for crew in [*crews, static]:
            [member.leave() for member in crew.members if member.child.poll() is None]
        report.check("esker consume", "groups: consume --group in pipes", lambda: pipes(broker, sent))
        report.check("consumer-groups", "groups: Kafka's tool", lambda: by_tools(broker, crews[0].group, static.group))
        before = {crew.group: crew.committed() for crew in crews}
        broker.lose_disk()
        report.check("esker group", "groups: offsets survive the loss of the disk", lambda: same(before, crews))
    finally:
        for crew in [*crews, static]:
            for member in crew.members:
                member.kill()
        broker.end()
