"""One member of a group, of a library for Python: says on stdout, one JSON object a line, what it is given, what is taken away
and what it reads. It commits what it has said, and leaves at SIGTERM.

member.py LIBRARY BOOTSTRAP TOPIC GROUP INSTANCE STRATEGY    (an empty text for what is not wanted; the strategy `consumer` is
the protocol of KIP-848)
"""
import json
import signal
import sys

SESSION_MS, HEARTBEAT_MS = 6000, 500
stopped = False


def stop(*_):
    global stopped
    stopped = True


def say(**event):
    print(json.dumps(event), flush=True)


def numbers(partitions):
    return sorted(one.partition for one in partitions)


def settle(commit):
    """Commits; what speaks against it is part of what happens to members."""
    try:
        commit()
    except Exception as error:
        say(error=str(error))


def confluent(bootstrap, topic, group, instance, strategy):
    from confluent_kafka import Consumer

    options = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": HEARTBEAT_MS,
        "enable.auto.commit": False,
        "log_level": 3,
    }
    if instance:
        options["group.instance.id"] = instance
    if strategy == "consumer":  # the protocol of KIP-848: its times are the broker's
        options["group.protocol"] = strategy
        del options["session.timeout.ms"], options["heartbeat.interval.ms"]
    elif strategy:
        options["partition.assignment.strategy"] = strategy
    consumer = Consumer(options)
    given = lambda _, partitions: say(given=numbers(partitions))
    taken = lambda _, partitions: say(taken=numbers(partitions))
    consumer.subscribe([topic], on_assign=given, on_revoke=taken, on_lost=taken)
    while not stopped:
        messages = consumer.consume(100, 0.2)
        for message in messages:
            if message.error():
                say(error=str(message.error()))
            else:
                say(partition=message.partition(), offset=message.offset())
        if messages:
            settle(lambda: consumer.commit(asynchronous=False))
    consumer.close()


def kafka_python(bootstrap, topic, group, instance, _):
    from kafka import KafkaConsumer
    from kafka.consumer.subscription_state import ConsumerRebalanceListener

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            say(taken=numbers(revoked))

        def on_partitions_assigned(self, assigned):
            say(given=numbers(assigned))

    options = {"group_instance_id": instance} if instance else {}
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        enable_auto_commit=False,
        **options,
    )
    consumer.subscribe([topic], listener=Listener())
    while not stopped:
        found = consumer.poll(200)
        for messages in found.values():
            for message in messages:
                say(partition=message.partition, offset=message.offset)
        if found:
            settle(consumer.commit)
    consumer.close()


signal.signal(signal.SIGTERM, stop)
{"confluent": confluent, "kafka_python": kafka_python}[sys.argv[1]](*sys.argv[2:])
