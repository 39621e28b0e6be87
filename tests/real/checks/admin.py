"""Administration: Kafka's own command line tools, and `esker topic`, see and change the same things."""
from confluent_kafka import Producer

from harness import place, process
from harness.broker import Broker
from harness.report import expect

TOPIC = "admin"
TOOLS = "org.apache.kafka.tools."


def tool(broker, name, *arguments, check=True):
    name = name if "." in name else TOOLS + name
    return process.run(place.java(name, "--bootstrap-server", broker.bootstrap, *arguments), check=check)


def has(text, *words):
    for word in words:
        expect(word in text, f"'{word}' is not in:\n{text}")


def refused(done, *words):
    expect(done.returncode != 0, f"it was done: {done.stdout}")
    has(done.stdout + done.stderr, *words)


def create(broker):
    topics = lambda *more, **how: tool(broker, "TopicCommand", *more, **how)
    topics("--create", "--topic", TOPIC, "--partitions", 3, "--config", "retention.ms=86400000")
    refused(topics("--create", "--topic", TOPIC, check=False), "already exists")
    refused(topics("--create", "--topic", "b", "--config", "no.such=1", check=False), "no.such")
    has(topics("--list").stdout, TOPIC)


def describe(broker):
    found = tool(broker, "TopicCommand", "--describe", "--topic", TOPIC).stdout
    has(found, "PartitionCount: 3", "ReplicationFactor: 1", "retention.ms=86400000", "Leader: 1", "Isr: 1")
    has(broker.esker("topic", "describe", TOPIC).stdout, "retention.ms", "86400000")


def alter(broker):
    tool(broker, "TopicCommand", "--alter", "--topic", TOPIC, "--partitions", 5)
    has(broker.esker("topic", "describe", TOPIC).stdout, "4")
    fewer = tool(broker, "TopicCommand", "--alter", "--topic", TOPIC, "--partitions", 2, check=False)
    refused(fewer, "5")


def configs(broker):
    config = lambda *more: tool(broker, "kafka.admin.ConfigCommand", "--entity-type", "topics", "--entity-name", TOPIC, *more)
    config("--alter", "--add-config", "esker.seal.ms=1234,message.timestamp.type=LogAppendTime")
    config("--alter", "--delete-config", "retention.ms")
    found = config("--describe").stdout
    has(found, "esker.seal.ms=1234", "message.timestamp.type=LogAppendTime")
    expect("retention.ms=86400000" not in found, f"retention.ms is still there: {found}")
    all_of_them = config("--describe", "--all").stdout
    has(all_of_them, "retention.ms=-1", "DEFAULT_CONFIG")


def offsets(broker):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 3})
    for n in range(10):
        producer.produce(TOPIC, b"%d" % n, partition=n % 2)
    producer.flush(30)
    at = lambda *more: tool(broker, "GetOffsetShell", "--topic", TOPIC, *more).stdout
    has(at(), f"{TOPIC}:0:5", f"{TOPIC}:1:5", f"{TOPIC}:4:0")
    has(at("--time", "earliest"), f"{TOPIC}:0:0")
    has(at("--time", "max-timestamp"), f"{TOPIC}:0:")


def delete_records(broker):
    wanted = place.work() / "delete-records.json"
    wanted.write_text(f'{{"partitions":[{{"topic":"{TOPIC}","partition":0,"offset":3}}],"version":1}}')
    has(tool(broker, "DeleteRecordsCommand", "--offset-json-file", wanted).stdout, "low_watermark: 3")
    has(tool(broker, "GetOffsetShell", "--topic", TOPIC, "--time", "earliest").stdout, f"{TOPIC}:0:3", f"{TOPIC}:1:0")


def cluster(broker):
    has(process.run(place.java(TOOLS + "ClusterTool", "cluster-id", "--bootstrap-server", broker.bootstrap)).stdout, "Cluster ID:")
    has(tool(broker, "BrokerApiVersionsCommand").stdout, "Produce(0): 0 to 13", "Fetch(1): 4 to 18")
    has(tool(broker, "LogDirsCommand", "--describe", "--topic-list", TOPIC).stdout, f'"partition":"{TOPIC}-0"')


def delete(broker):
    tool(broker, "TopicCommand", "--delete", "--topic", TOPIC)
    expect(TOPIC not in broker.esker("topic", "list").stdout.split(), "the topic is still listed")
    gone = broker.esker("consume", TOPIC, check=False)
    expect(gone.returncode == 1 and TOPIC in gone.stderr, f"reading a deleted topic: exit {gone.returncode}, {gone.stderr}")


def by_esker(broker):
    """The same through `esker topic`, and Kafka's tool sees it; the bucket alone does too."""
    broker.esker("topic", "create", "ours", "--partitions", "2", "--config", "esker.seal.ms=5000")
    has(tool(broker, "TopicCommand", "--describe", "--topic", "ours").stdout, "PartitionCount: 2", "esker.seal.ms=5000")
    broker.esker("topic", "alter", "ours", "--partitions", "4", "--config", "retention.bytes=1000000")
    has(broker.esker_store("topic", "list").stdout, "ours")
    has(broker.esker_store("topic", "describe", "ours").stdout, "retention.bytes")
    broker.esker("topic", "delete", "ours")
    expect("ours" not in broker.esker("topic", "list").stdout.split(), "the topic is still listed")


def usage(broker):
    """Exit 2 for wrong usage, 1 for what failed, with words."""
    for arguments, code in ((["consume"], 2), (["consume", "no-such"], 1), (["topic", "delete", "no-such"], 1), (["group", "reset", "g"], 2)):
        done = broker.esker(*arguments, check=False)
        expect(done.returncode == code and done.stderr, f"esker {arguments}: exit {done.returncode} {done.stderr}")


def run(report, plan):
    broker = Broker("admin").start()
    checks = {
        "topics: create, list": ("TopicCommand", create),
        "topics: describe": ("TopicCommand", describe),
        "topics: more partitions": ("TopicCommand", alter),
        "configs: alter, delete, describe": ("ConfigCommand", configs),
        "get-offsets": ("GetOffsetShell", offsets),
        "delete-records": ("DeleteRecords", delete_records),
        "cluster-id, api-versions, log-dirs": ("other tools", cluster),
        "topics: delete": ("TopicCommand", delete),
        "the same through esker topic": ("esker topic", by_esker),
        "exit codes": ("esker", usage),
    }
    try:
        for what, (client, run_it) in checks.items():
            report.check(client, f"admin: {what}", lambda: run_it(broker))
    finally:
        broker.end()
