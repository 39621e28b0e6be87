"""Kafka's console consumer: one run per partition, as many records as there should be: it sees no end."""
from concurrent.futures import ThreadPoolExecutor

from harness import place
from harness.fingerprint import Fingerprint

from .common import lines_of, task, tell

# Characters that no key, value or header of the data set holds.
FIELD, HEADER, PAIR = "\x01", "\x02", ":"
IDLE_MS = 30_000


def read_partition(todo, partition, count):
    found = Fingerprint()

    def read(out):
        for line in out:
            kind, at, offset, headers, key, value = line.rstrip(b"\n").split(FIELD.encode(), 5)
            timestamp = int(kind.split(b":")[1]) if b":" in kind else -1
            pairs = () if headers == b"NO_HEADERS" else [h.split(PAIR.encode(), 1) for h in headers.split(HEADER.encode())]
            pairs = [(name.decode(), text) for name, text in pairs]
            found.add(int(at.split(b":")[1]), int(offset.split(b":")[1]), timestamp, key, value, pairs)

    show = ["timestamp", "partition", "offset", "headers", "key", "value"]
    properties = [f"print.{name}=true" for name in show] + [f"key.separator={FIELD}", f"headers.separator={HEADER}"]
    formatter = [word for p in properties for word in ("--formatter-property", p)]
    where = ["--bootstrap-server", todo["bootstrap"], "--topic", todo["topic"], "--partition", partition]
    how = ["--offset", "earliest", "--max-messages", count, "--timeout-ms", IDLE_MS]
    lines_of(place.java("org.apache.kafka.tools.consumer.ConsoleConsumer", *where, *how, *formatter), read)
    return found


def main():
    todo = task()
    runs = [(p, count) for p, count in todo["counts"].items() if count]
    total = Fingerprint()
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda run: read_partition(todo, *run), runs):
            total.parts |= found.parts
    tell(total)


main()
