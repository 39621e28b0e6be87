"""Kafka's command line tools, those and the ways that `admin` does not run: each works as on one broker, or refuses in words."""
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

from confluent_kafka import Consumer, Producer, TopicPartition

from checks.admin import TOOLS, has, refused, tool
from checks.clients import values
from checks.history import create
from harness import place, process
from harness.broker import Broker
from harness.report import Failed, expect, log_tail

TOPIC, GROUP, PARTITIONS, RECORDS = "tools", "readers", 2, 10
HOUR_MS = 3_600_000
SETS = {"group.initial.rebalance.delay.ms": 0, "esker.seal.ms": 700}
GROUPS = TOOLS + "consumer.group.ConsumerGroupCommand"
SHARE = "does not support the share group protocol"
# What LogCompactionTester writes, and how long it waits for the cleaner, which looks every 15 seconds.
COMPACTED, COMPACTION_S = 20_000, 20


def said(done):
    return done.stdout + done.stderr


def alone(name, *arguments, check=True):
    """A tool that does not begin with the address of a broker."""
    return process.run(place.java(name if "." in name else TOOLS + name, *arguments), check=check)


def written(name, text):
    file = place.work() / name
    file.write_text(text)
    return file


# -- consumer groups


def feed(broker):
    """A record an hour in each partition, the last one an hour ago; returns their timestamps."""
    create(broker, TOPIC, PARTITIONS)
    stamps = [int(time.time() * 1000) - (RECORDS - n) * HOUR_MS for n in range(RECORDS)]
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 3})
    for n in range(RECORDS):
        for partition in range(PARTITIONS):
            producer.produce(TOPIC, b"%d" % n, partition=partition, timestamp=stamps[n])
    expect(producer.flush(30) == 0, "not everything was acknowledged")
    return stamps


def group_offsets(broker, group=GROUP):
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "log_level": 0})
    found = consumer.committed([TopicPartition(TOPIC, p) for p in range(PARTITIONS)], timeout=20)
    consumer.close()
    return [place.offset for place in found]


def resets(broker, stamps):
    """Each kind: shown first, and done only with --execute; where it leads is known."""
    at = lambda ms: datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"
    lines = "".join(f"{TOPIC},{p},6\n" for p in range(PARTITIONS))
    kinds = [
        (["--to-earliest"], 0),
        (["--to-latest"], RECORDS),
        (["--shift-by", "-3"], 7),
        (["--to-offset", "5"], 5),
        (["--shift-by", "100"], RECORDS),
        (["--to-datetime", at(stamps[3])], 3),
        (["--by-duration", "PT2H30M"], 8),
        (["--to-current"], 8),
        (["--from-file", written("reset.csv", lines)], 6),
    ]
    before = group_offsets(broker)
    for kind, offset in kinds:
        for how in ("--dry-run", "--execute"):
            which = [] if kind[0] == "--from-file" else ["--topic", TOPIC]
            done = tool(broker, GROUPS, "--reset-offsets", "--group", GROUP, *which, *kind, how)
            shown = re.findall(rf"^{GROUP}\s+{TOPIC}\s+\d\s+(\d+)\s*$", done.stdout, re.M)
            expect(shown == [str(offset)] * PARTITIONS, f"{kind} shows {shown} instead of {offset}: {said(done)}")
            before = before if how == "--dry-run" else [offset] * PARTITIONS
            found = group_offsets(broker)
            expect(found == before, f"{kind} {how}: {found} is committed instead of {before}")
    return f"{len(kinds)} kinds"


def members(broker):
    """While a member reads: who it is, in every view, and that nothing may be moved under it."""
    name = ["--topic", TOPIC, "--group-id", "live", "--reset-policy", "earliest"]
    log = place.work() / "tools-member.log"
    command = place.java(TOOLS + "VerifiableConsumer", "--bootstrap-server", broker.bootstrap, *name)
    child = process.start(command, log)
    try:
        deadline = time.monotonic() + 30
        while "offsets_committed" not in log.read_text(errors="replace"):
            expect(time.monotonic() < deadline, f"it reads nothing:\n{log_tail(log)}")
            time.sleep(0.2)
        show = lambda *more: tool(broker, GROUPS, "--describe", "--group", "live", *more).stdout
        found = show("--offsets")
        expect(re.search(rf"live\s+{TOPIC}\s+0\s+{RECORDS}\s+{RECORDS}\s+0\s+consumer-live\S+\s+/127.0.0.1", found), found)
        found = show("--state", "--verbose")
        expect(re.search(rf"live\s+127.0.0.1:{broker.kafka_port}\s+\(1\)\s+\w+\s+Stable", found), found)
        has(show("--members", "--verbose"), "consumer-live", f"{TOPIC}:0,1")
        which = ["--group", "live", "--topic", TOPIC]
        has(said(tool(broker, GROUPS, "--reset-offsets", *which, "--to-earliest", "--execute", check=False)), "inactive")
        has(said(tool(broker, GROUPS, "--delete", "--group", "live", check=False)), "GroupNotEmpty")
        has(said(tool(broker, GROUPS, "--delete-offsets", *which, check=False)), "subscribed")
    finally:
        child.kill()
        child.wait()


def deletes(broker):
    shown = tool(broker, GROUPS, "--list", "--state", "--type")
    expect(re.search(rf"{GROUP}\s+Classic\s+Empty", shown.stdout), shown.stdout)
    has(tool(broker, GROUPS, "--list", "--state", "empty").stdout, GROUP)
    has(tool(broker, "GroupsCommand", "--list").stdout, GROUP, "Classic")
    has(tool(broker, GROUPS, "--delete-offsets", "--group", GROUP, "--topic", f"{TOPIC}:0").stdout, "Successful")
    expect(group_offsets(broker) == [-1001, 6], f"after deleting partition 0's: {group_offsets(broker)}")
    has(tool(broker, GROUPS, "--delete-offsets", "--group", GROUP, "--topic", "no-such").stdout, "UnknownTopicOrPartition")
    has(tool(broker, GROUPS, "--delete", "--group", GROUP).stdout, "successful")
    has(said(tool(broker, GROUPS, "--describe", "--group", GROUP, check=False)), GROUP, "GroupIdNotFound")
    expect(GROUP not in tool(broker, GROUPS, "--list").stdout.split(), "it is still listed")


# -- records


def offsets(broker, stamps):
    """First all of it hot, then half of it sealed."""
    create(broker, "tiers", 1, **{"esker.seal.ms": 600_000})
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 3})

    def two_more(first):
        [producer.produce("tiers", b"x", timestamp=stamps[n]) for n in (first, first + 1)]
        expect(producer.flush(30) == 0, "not everything was acknowledged")

    def are(wanted):
        at = lambda kind: tool(broker, "GetOffsetShell", "--topic", "tiers", "--time", kind).stdout.strip()
        found = {kind: at(kind).removeprefix("tiers:0:") for kind in wanted}
        expect(found == wanted, f"{found} instead of {wanted}")

    two_more(0)
    # No offset is none that the tool shows.
    are({"latest-tiered": "", "earliest-pending-upload": "0"})
    broker.esker("seal", "tiers")
    two_more(2)
    are({"earliest": "0", "latest": "4", "max-timestamp": "3", stamps[2]: "2"})
    are({"earliest-local": "0", "latest-tiered": "1", "earliest-pending-upload": "2"})


def performance(broker):
    how = ["--topic", "perf", "--record-size", "100", "--throughput", "-1"]
    plain = tool(broker, "ProducerPerformance", *how, "--num-records", 200_000, "--command-property", "compression.type=lz4")
    has(plain.stdout, "200000 records sent")
    in_transactions = ["--num-records", 20_000, "--transactional-id", "perf", "--transaction-duration-ms", "100"]
    has(tool(broker, "ProducerPerformance", *how, *in_transactions).stdout, "20000 records sent")
    read = tool(broker, "ConsumerPerformance", "--topic", "perf", "--num-records", 200_000, "--timeout", 20_000).stdout
    rows = [row.split(", ") for row in read.splitlines() if re.match(r"\d{4}-", row)]
    expect(len(rows) == 1 and int(rows[0][4]) >= 200_000, read)
    how = ["--num-records", 300, "--record-size", 100, "--producer-acks", "all"]
    latency = tool(broker, "EndToEndLatency", "--topic", "e2e", *how)
    median = re.search(r"50th = (\d+), 99th = (\d+)", latency.stdout)
    expect(median, said(latency))
    return f"end to end: p50 {median[1]} ms, p99 {median[2]} ms"


def verifiable(broker):
    count = 500
    made = tool(broker, "VerifiableProducer", "--topic", "verified", "--max-messages", count, "--acks", "-1").stdout
    has(made, f'"sent":{count},"acked":{count}')
    for protocol in ("classic", "consumer"):
        which = ["--topic", "verified", "--group-id", f"verified-{protocol}", "--group-protocol", protocol]
        out = tool(broker, "VerifiableConsumer", *which, "--max-messages", count, "--reset-policy", "earliest").stdout
        events = [json.loads(line) for line in out.splitlines()]
        read = sum(e["count"] for e in events if e["name"] == "records_consumed")
        expect(read == count, f"{protocol}: {read} records instead of {count}")
        committed = [e["offsets"][0]["offset"] for e in events if e["name"] == "offsets_committed" and e["success"]]
        expect(committed and committed[-1] == count, f"{protocol}: committed {committed}")
    return f"{count} records, both protocols"


def copier(broker):
    """Transactions of which some are aborted by chance: each record arrives once."""
    where = ["--input-topic", "verified", "--input-partition", "0", "--output-topic", "copied"]
    how = ["--max-messages", "500", "--transaction-size", "20", "--transactional-id", "copier", "--consumer-group", "copiers"]
    more = ["--enable-random-aborts", "--group-mode", "--use-group-metadata"]
    done = alone("TransactionalMessageCopier", "--broker-list", broker.bootstrap, *where, *how, *more)
    has(done.stdout, "ShutdownComplete")
    source, copies = values(broker, "verified", 1), values(broker, "copied", 1)
    expect(copies == source, f"{len(copies[0])} copies of {len(source[0])} records")
    begun = len(re.findall('"stage":"ProcessLoop"', done.stdout)) - 1
    return f"{len(copies[0])} records, {begun} transactions"


def console(broker):
    lines = ["one", "two", "three"]
    command = place.java(TOOLS + "ConsoleProducer", "--bootstrap-server", broker.bootstrap, "--topic", "console")
    process.run(command, input="\n".join(lines) + "\n")
    read = ["--topic", "console", "--from-beginning", "--max-messages", "3", "--group", "console"]
    out = tool(broker, TOOLS + "consumer.ConsoleConsumer", *read).stdout
    expect(out.split() == lines, f"read {out.split()}")
    gone = tool(broker, TOOLS + "consumer.ConsoleConsumer", "--topic", "__consumer_offsets", "--timeout-ms", "5000", check=False)
    has(said(gone), "Invalid topics: [__consumer_offsets]")


class CompactionTester:
    """Writes keys again and again, waits for the cleaner, and compares what stays; it runs beside the other checks."""

    def __init__(self, broker):
        self.log = place.work() / "tools-compaction.log"
        how = ["--messages", COMPACTED, "--percent-deletes", 20, "--sleep", COMPACTION_S]
        command = place.java(TOOLS + "LogCompactionTester", "--bootstrap-server", broker.bootstrap, *how)
        self.child = process.start([command[0], f"-Djava.io.tmpdir={place.work()}", *command[1:]], self.log)

    def result(self):
        try:
            code = self.child.wait(120)
        except Exception:
            raise Failed(f"no end:\n{log_tail(self.log)}") from None
        words = self.log.read_text(errors="replace")
        expect(code == 0 and "0 mismatches" in words, f"it ended with {code}:\n{words[-1500:]}")
        [reduction] = re.findall(r"\((\d+\.\d)% reduction", words)
        expect(float(reduction) > 0, f"nothing was compacted:\n{words[-800:]}")
        return f"{reduction} % fewer records, 0 mismatches"


# -- transactions


def transactions(broker):
    """One that its producer forgot: listed, described, and ended by whoever administers."""
    create(broker, "open", 1)
    show = lambda *more, **how: tool(broker, "TransactionsCommand", *more, **how)
    # Who terminates takes the id for itself, as its next producer would.
    for end, after in (("abort", "CompleteAbort"), ("forceTerminateTransaction", "Empty")):
        name = f"forgotten-{end}"
        producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": name, "log_level": 0})
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce("open", b"never", partition=0)
        producer.flush(30)
        expect(re.search(rf"^{name}\s+1\s+\d+\s+Ongoing", show("list").stdout, re.M), "it is not listed")
        has(show("describe", "--transactional-id", name).stdout, "Ongoing", "open-0")
        [start] = re.findall(r"\s(\d+)\s*$", show("describe-producers", "--topic", "open", "--partition", "0").stdout, re.M)
        hanging = show("find-hanging", "--broker-id", "1").stdout.splitlines()
        expect(len(hanging) == 1, f"a transaction that somebody knows hangs: {hanging}")
        if end == "abort":
            show("abort", "--topic", "open", "--partition", "0", "--start-offset", start)
        else:
            show(end, "--transactionalId", name)
        found = show("list").stdout
        expect(re.search(rf"^{name}\s+1\s+\d+\s+{after}", found, re.M), f"after {end}: {found}")
    has(said(show("describe", "--transactional-id", "nobody", check=False)), "could not be found")
    has(said(show("abort", "--topic", "open", "--partition", "0", "--start-offset", "77", check=False)), "Could not find")
    expect(values(broker, "open", 1) == {0: []}, "something of an aborted transaction is read committed")


# -- one broker's answers to questions of clusters


def reassignment(broker):
    move = lambda *more, **how: tool(broker, TOOLS + "reassign.ReassignPartitionsCommand", *more, **how)
    plan = lambda replica: '{"version":1,"partitions":[{"topic":"%s","partition":0,"replicas":[%d]}]}' % (TOPIC, replica)
    topics = written("topics.json", '{"topics":[{"topic":"%s"}],"version":1}' % TOPIC)
    here, away = written("here.json", plan(1)), written("away.json", plan(2))
    has(move("--generate", "--topics-to-move-json-file", topics, "--broker-list", "1").stdout, '"replicas":[1]')
    has(move("--execute", "--reassignment-json-file", here).stdout, f"Successfully started partition reassignment for {TOPIC}-0")
    has(move("--verify", "--reassignment-json-file", here).stdout, f"Reassignment of partition {TOPIC}-0 is completed")
    has(move("--list").stdout, "No partition reassignments found")
    has(move("--cancel", "--reassignment-json-file", here).stdout, "None of the specified partition reassignments are active")
    refused(move("--execute", "--reassignment-json-file", away, check=False), "Unknown broker id 2")


def elections(broker):
    elect = lambda kind, *which: tool(broker, "LeaderElectionCommand", "--election-type", kind, *which, check=False)
    for kind in ("PREFERRED", "UNCLEAN"):
        has(said(elect(kind, "--topic", TOPIC, "--partition", "0")), "Valid replica already elected")
    expect(elect("PREFERRED", "--all-topic-partitions").returncode == 0, "it failed")
    has(said(elect("PREFERRED", "--topic", "no-such", "--partition", "0")), "UnknownTopicOrPartition")


def features(broker):
    show = lambda *more, **how: tool(broker, "FeatureCommand", *more, **how)
    found = show("describe").stdout
    for feature, level in (("group.version", 1), ("transaction.version", 2)):
        expect(re.search(rf"{feature}\s.*FinalizedVersionLevel: {level}\s", found), found)
    refused(show("upgrade", "--feature", "kraft.version=1", check=False), "kraft.version")


def quorum(broker):
    """One broker is its own controller."""
    show = lambda how: tool(broker, "MetadataQuorumCommand", "describe", how).stdout
    expect(re.search(r"LeaderId:\s+1\s", show("--status")), show("--status"))
    expect(re.search(r"^1\s.*Leader", show("--replication"), re.M), show("--replication"))


def client_metrics(broker):
    ask = lambda *more: tool(broker, "ClientMetricsCommand", *more, check=False)
    expect(ask("--list").returncode == 0 and not ask("--list").stdout.strip(), "there are some")
    refused(ask("--alter", "--name", "m", "--metrics", "org.apache.kafka.", "--interval", "1000"), "have no settings here")


def cluster(broker):
    where = ["--bootstrap-server", broker.bootstrap]
    expect(re.search(rf"1\s+127.0.0.1\s+{broker.kafka_port}", alone("ClusterTool", "list-endpoints", *where).stdout), "no endpoint")
    has(said(alone("ClusterTool", "unregister", *where, "--id", "2", check=False)), "does not support the broker unregistration")
    has(tool(broker, "LogDirsCommand", "--describe").stdout, f'"partition":"{TOPIC}-0"', '"error":null')
    has(said(tool(broker, "LogDirsCommand", "--describe", "--broker-list", "7", check=False)), "do not exist")
    how = ["--broker-list", broker.bootstrap, "--topics-include", "verified", "--report-interval-ms", "500", "--time", "-2"]
    log = place.work() / "tools-replicas.log"
    child = process.start(place.java(TOOLS + "ReplicaVerificationTool", *how), log)
    try:
        deadline = time.monotonic() + 30
        while "max lag is 0 for partition verified-0 at offset 500" not in log.read_text(errors="replace"):
            expect(time.monotonic() < deadline, f"replica verification:\n{log_tail(log)}")
            time.sleep(0.2)
    finally:
        child.kill()
        child.wait()


def compatibility(broker):
    """Kafka's own test of whether a client and a broker fit."""
    supported = ["offsets-for-times", "cluster-id", "create-topics", "describe-acls", "describe-configs", "idempotent-producer"]
    how = [word for name in supported for word in (f"--{name}-supported", "true")]
    how += ["--num-cluster-nodes", "1", "--expect-record-too-large-exception", "false"]
    has(tool(broker, "ClientCompatibilityTest", "--topic", "compatibility", *how).stdout, "SUCCESS")


def configs(broker):
    """Whatever may have settings: shown, set, or refused by name."""
    config = lambda *more: tool(broker, "kafka.admin.ConfigCommand", *more, check=False)
    of = lambda kind, name: ["--entity-type", kind, "--entity-name", name]
    has(config("--describe", *of("topics", TOPIC)).stdout, f"Dynamic configs for topic {TOPIC} are:")
    refused(config("--alter", *of("topics", TOPIC), "--add-config", "no.such=1"), "no.such")
    refused(config("--alter", *of("topics", TOPIC), "--add-config", "retention.ms=x"), "retention.ms=x", "whole number")
    done = config("--alter", *of("topics", TOPIC), "--add-config", "cleanup.policy=[compact,delete],retention.ms=-1")
    has(done.stdout, "Completed updating")
    has(config("--describe", *of("topics", TOPIC)).stdout, "cleanup.policy=compact,delete")
    config("--alter", *of("topics", TOPIC), "--delete-config", "cleanup.policy,retention.ms")
    group, timeout = of("groups", "g"), "consumer.session.timeout.ms"
    has(config("--alter", *group, "--add-config", f"{timeout}=50000").stdout, "Completed updating")
    has(config("--describe", *group).stdout, f"{timeout}=50000")
    refused(config("--alter", *group, "--add-config", f"{timeout}=1"), timeout)
    has(config("--alter", *group, "--delete-config", timeout).stdout, "Completed updating")
    refused(config("--alter", *of("users", "u"), "--add-config", "producer_byte_rate=1"), "no quotas")
    refused(config("--alter", *of("users", "u"), "--add-config", "SCRAM-SHA-256=[password=x]"), "SecurityDisabled")


def brokers_configs(broker):
    """The broker's own settings, and those of all brokers: shown with their layers, changed while it runs, kept through kill -9."""
    config = lambda *more: tool(broker, "kafka.admin.ConfigCommand", "--entity-type", "brokers", *more, check=False)
    one, every = ["--entity-name", "1"], ["--entity-default"]
    set_ = lambda which, pairs: has(config("--alter", *which, "--add-config", pairs).stdout, "Completed updating")
    unset = lambda which, names: has(config("--alter", *which, "--delete-config", names).stdout, "Completed updating")
    of_topic = lambda: tool(broker, "kafka.admin.ConfigCommand", "--entity-type", "topics", "--entity-name", TOPIC, "--describe", "--all").stdout
    builtin = "DEFAULT_CONFIG:log.retention.ms=-1"
    has(config("--describe", "--all", *one).stdout, f"log.retention.ms=-1 sensitive=false synonyms={{{builtin}}}", "group.max.size=2147483647", "data=")
    set_(every, "log.retention.ms=86400000")
    set_(one, "log.retention.ms=172800000,log.cleanup.policy=[compact,delete],offset.metadata.max.bytes=9")
    layers = f"DYNAMIC_BROKER_CONFIG:log.retention.ms=172800000, DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=86400000, {builtin}"
    for _ in ("while it runs", "after kill -9"):
        has(config("--describe", *one).stdout, f"synonyms={{{layers}}}", "log.cleanup.policy=compact,delete", "offset.metadata.max.bytes=9")
        has(config("--describe", *every).stdout, "Default configs for brokers in the cluster are:", "log.retention.ms=86400000")
        has(of_topic(), f"  retention.ms=172800000 sensitive=false synonyms={{{layers}}}", "cleanup.policy=compact,delete")
        broker.kill()
        broker.start()
    unset(one, "log.retention.ms,log.cleanup.policy,offset.metadata.max.bytes")
    has(of_topic(), "  retention.ms=86400000 ")
    unset(every, "log.retention.ms")
    has(of_topic(), "  retention.ms=-1 ")
    for which in (one, every):
        refused(config("--alter", *which, "--add-config", "log.retention.ms=x"), "log.retention.ms", "whole number from -1")
        refused(config("--alter", *which, "--add-config", "num.partitions=3"), "Cannot update these configs dynamically: [num.partitions]")
        refused(config("--alter", *which, "--add-config", "no.such=1"), "no.such")
        expect("=" not in config("--describe", *which).stdout, "something is left")
    return "described, set, kept, deleted, refused"


def not_here(broker):
    """What belongs to protocols that are not spoken is refused by name."""
    share = TOOLS + "consumer.ConsoleShareConsumer"
    has(said(tool(broker, share, "--topic", TOPIC, "--group", "s", "--timeout-ms", "10000", check=False)), SHARE)
    show = ["--describe", "--group", "s"]
    has(said(tool(broker, TOOLS + "consumer.group.ShareGroupCommand", *show, check=False)), "SHARE_GROUP_DESCRIBE")
    has(said(tool(broker, TOOLS + "streams.StreamsGroupCommand", *show, check=False)), "STREAMS_GROUP_DESCRIBE")
    refused(tool(broker, "AclCommand", "--list", check=False), "SecurityDisabled")


def run(report, plan):
    broker = Broker("tools", **SETS).start()
    [jar] = (place.HOME / "kafka").glob("kafka-tools-[0-9]*.jar")
    report.ok("Kafka's tools", f"tools: {jar.stem.removeprefix('kafka-tools-')}")
    tester = CompactionTester(broker)
    try:
        stamps = feed(broker)
        # Side by side: a tool waits for most of its life.
        about_groups = [
            ("consumer-groups", "reset-offsets, shown and done", lambda: resets(broker, stamps)),
            ("consumer-groups", "offsets, state and members of one that reads", lambda: members(broker)),
            ("consumer-groups", "list, delete-offsets, delete", lambda: deletes(broker)),
            ("reassign", "generate, execute, verify, list, cancel", lambda: reassignment(broker)),
            ("leader-election", "preferred, unclean", lambda: elections(broker)),
            ("features", "describe, upgrade", lambda: features(broker)),
            ("metadata-quorum", "describe", lambda: quorum(broker)),
            ("client-metrics", "list, alter", lambda: client_metrics(broker)),
            ("configs", "topics, groups, quotas, SCRAM", lambda: configs(broker)),
        ]
        about_records = [
            ("get-offsets", "both ends of both tiers, by time", lambda: offsets(broker, stamps)),
            ("perf-test", "producer, consumer, end to end", lambda: performance(broker)),
            ("verifiable", "producer, consumer", lambda: verifiable(broker)),
            ("message-copier", "in transactions, with aborts", lambda: copier(broker)),
            ("console", "producer, consumer", lambda: console(broker)),
            ("transactions", "list, describe, find-hanging, abort, terminate", lambda: transactions(broker)),
            ("other tools", "cluster, log-dirs, replica-verification", lambda: cluster(broker)),
            ("other tools", "client-compatibility-test", lambda: compatibility(broker)),
            ("other tools", "share and streams groups, ACLs are refused", lambda: not_here(broker)),
        ]
        one_by_one = lambda checks: [report.check(client, f"tools: {words}", check) for client, words, check in checks]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one_by_one, (about_groups, about_records)))
        report.check("configs", "tools: brokers, one and all, through kill -9", lambda: brokers_configs(broker))
        report.check("compaction-tester", "tools: keys again and again, tombstones", tester.result)
    finally:
        tester.child.kill()
        tester.child.wait()
        broker.end()
