"""`esker consume --format json` against the broker."""
import base64

import orjson

from harness.fingerprint import Fingerprint

from .common import lines_of, task, tell


def decoded(event, name):
    """A key or value: text, base64, or null."""
    text = event.get(name)
    if text is not None:
        return text.encode()
    coded = event.get(f"{name}_base64")
    return None if coded is None else base64.b64decode(coded)


def header(pair):
    name, value = pair
    if isinstance(value, dict):
        return name, base64.b64decode(value["base64"])
    return name, None if value is None else value.encode()


def consume(todo, *where):
    found = Fingerprint()

    def read(out):
        for line in out:
            event = orjson.loads(line)
            key, value = decoded(event, "key"), decoded(event, "value")
            headers = [header(pair) for pair in event["headers"]]
            found.add(event["partition"], event["offset"], event["timestamp"], key, value, headers)

    lines_of([todo["esker"], "consume", todo["topic"], "--from", "earliest", "--format", "json", *where], read)
    tell(found)


if __name__ == "__main__":
    work = task()
    consume(work, "--broker", work["bootstrap"])
