"""Real input: the history of a real project as a log, in time order. Where it is absent: as much, made from a seed."""
import hashlib
import itertools
import random
import subprocess

import orjson

from . import place
from .report import say

LINES_ALL = 2_036_054
LINES_SHORT = 400_000


def lines(limit):
    """Its first `limit` lines, as bytes without the line feed."""
    if not place.DATA.exists():
        yield from itertools.islice(_made(), limit)
        return
    with subprocess.Popen(["zstd", "-dcq", str(place.DATA)], stdout=subprocess.PIPE) as unpack:
        for line in itertools.islice(unpack.stdout, limit):
            yield line.rstrip(b"\n")
        unpack.kill()


def records(limit):
    """(key, value, timestamp in ms, headers) of each line: keyed by the path, or by who made the commit."""
    for line in lines(limit):
        event = orjson.loads(line)
        path = event.get("path")
        kind = event["type"].encode()
        if path is None:
            headers = [("type", kind), ("sha", event["sha"].encode()), ("type", b"again")]
        else:
            headers = [("type", kind), ("status", event["status"].encode())]
        yield (path or event["actor"]).encode(), line, event["ts"], headers


def announce():
    if place.DATA.exists():
        say(f"data set: {place.DATA}")
    else:
        say(f"the data set is not at {place.DATA}: a history of the same size is made from a seed instead")


def _made():
    """Lines of the same shape and about the same size, the same at every run."""
    chance = random.Random(20241023)
    paths = [f"src/{chance.choice(['main', 'test'])}/module{i % 40}/File{i}.java" for i in range(12_000)]
    actors = [hashlib.sha1(str(i).encode()).hexdigest()[:16] for i in range(900)]
    ts = 1_312_242_084_000
    for n in range(LINES_ALL):
        if chance.random() < 0.06:
            ts += chance.randrange(-20_000, 4_000_000, 1000)
        event = {"type": "file", "ts": ts, "sha": f"{n // 17:012x}", "actor": chance.choice(actors)}
        if n % 17 == 0:
            event |= {"type": "commit", "message": "Change " * chance.randrange(1, 60)}
        else:
            event |= {"path": chance.choice(paths), "status": chance.choice("AMD"), "blob": f"{chance.getrandbits(48):012x}"}
        yield orjson.dumps(event)
