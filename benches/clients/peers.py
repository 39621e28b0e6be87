"""The brokers that are measured, each with an empty folder, and how what was seen is printed."""
from contextlib import contextmanager

from confluent_kafka.admin import AdminClient, NewTopic
from harness.broker import Broker
from harness.kafka import Kafka

ESKER, KAFKA = "esker", "kafka"


@contextmanager
def peer(name, **sets):
    """A broker that runs until the block ends; `sets` are settings that both know."""
    broker = (Broker if name == ESKER else Kafka)(name, **sets)
    try:
        yield broker.start()
    finally:
        broker.end()


def create(broker, topic, partitions, **configs):
    configs = {key.replace("_", "."): str(value) for key, value in configs.items()}
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 3})
    for done in admin.create_topics([NewTopic(topic, partitions, 1, config=configs)]).values():
        done.result(60)


def show(session, who, **values):
    text = "  ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items())
    print(f"{session:<14} {who:<26} {text}", flush=True)
