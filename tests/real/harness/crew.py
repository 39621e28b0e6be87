"""Several steady producers at once, and what all their acknowledgements promise about a reading."""
import subprocess
import sys

import orjson

from . import place, process, steady
from .report import expect


class Crew:
    def __init__(self, broker, topic, partitions, producers=4, rate=1500, codec="lz4", name="crew"):
        self.children = []
        self.partitions = partitions
        self.acknowledged = {}
        self.sent = {}
        self.failed = []
        for n in range(producers):
            task = {"bootstrap": broker.bootstrap, "topic": topic, "producer": n, "partitions": partitions}
            task |= {"rate": rate, "codec": codec}
            command = [sys.executable, "-m", "harness.steady", orjson.dumps(task).decode()]
            log = place.work() / f"{name}-{n}.log"
            self.children.append(process.start(command, log, stdout=subprocess.PIPE))

    def stop(self):
        """Lets everything be delivered, with the broker up; gathers (producer, partition, number) -> offset."""
        for child in self.children:
            child.terminate()
        for n, child in enumerate(self.children):
            told = orjson.loads(child.communicate(timeout=steady.FLUSH_TIMEOUT_S + 30)[0])
            self.failed += [f"producer {n}: {why}" for why in told["failed"]]
            for partition, number, offset in told["acknowledged"]:
                self.acknowledged[n, partition, number] = offset
            for partition, count in enumerate(told["sent"]):
                self.sent[n, partition] = count
        self.children = []
        return self

    def end(self):
        for child in self.children:
            child.kill()
            child.wait()

    def prove(self, contents):
        """`contents`: partition -> offset -> value, of one whole reading. I1 to I6 as far as a reader can see them."""
        expect(not self.failed, f"{len(self.failed)} sends failed, the first: {self.failed[:1]}")
        places = {}
        last = {}
        for partition, records in contents.items():
            for offset in sorted(records):
                name, whole = steady.parse(records[offset])
                expect(whole, f"partition {partition} offset {offset}: not the bytes that were sent")
                expect(name[1] == partition, f"partition {partition} offset {offset} holds a record of partition {name[1]}")
                expect(name not in places, f"{name} is twice: offsets {places.get(name)} and {offset} of {partition}")
                places[name] = offset
                before = last.get(name[:2], -1)
                expect(name[2] > before, f"order: {name} at offset {offset} of {partition}, after number {before}")
                last[name[:2]] = name[2]
        lost = [(name, offset) for name, offset in self.acknowledged.items() if places.get(name) != offset]
        expect(not lost, f"{len(lost)} acknowledged records are not at their offset, the first: {lost[:3]}")
        phantoms = [name for name in places if name[2] >= self.sent[name[:2]]]
        expect(not phantoms, f"never sent: {phantoms[:3]}")
        return len(places)
