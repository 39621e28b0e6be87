"""The Python side of the protocol in `__init__.py`."""
import base64
import json
import select
import sys
import traceback


def tell(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def serve(operations):
    """Answers tasks until stdin ends; `operations`: an object with a method per task."""
    while line := sys.stdin.readline():
        task = json.loads(line)
        try:
            tell({"done": getattr(operations, task.pop("do"))(**task) or {}})
        except Exception:  # whatever it is, the check fails by it
            tell({"failed": traceback.format_exc()[-3000:]})


def asked_to_stop():
    """A member goes on until the next line."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def encoded(data):
    return None if data is None else base64.b64encode(data).decode()


def decoded(text):
    return None if text is None else base64.b64decode(text)


def decoded_record(record):
    """(partition, timestamp, key, value, headers) of a record to be sent."""
    headers = [(name, decoded(value)) for name, value in record["headers"]]
    return record["partition"], record["timestamp"], decoded(record["key"]), decoded(record["value"]), headers


def record(partition, offset, timestamp, key, value, headers):
    return {
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": encoded(key),
        "value": encoded(value),
        "headers": [[name, encoded(data)] for name, data in headers or ()],
    }


class Reading:
    """Collects records until every partition came to its last offset."""

    def __init__(self, topics):
        self.records = {topic: [] for topic in topics}
        self.left = {(topic, int(p)): last for topic, parts in topics.items() for p, last in parts.items()}
        self.partitions = list(self.left)

    def add(self, topic, found):
        self.records[topic].append(found)
        place = topic, found["partition"]
        if found["offset"] >= self.left.get(place, 1 << 62):
            del self.left[place]
