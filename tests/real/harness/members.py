"""A consumer group whose members are processes of one client: who has which partition, who read what, one of them killed."""
import time

from .program import Program
from .report import expect


class Members:
    def __init__(self, client, broker, topic, group, protocol, partitions, count):
        self.all = set(range(partitions))
        self.names = [f"{group}-{n}" for n in range(count)]
        self.programs = {}
        self.assigned = {name: [] for name in self.names}
        # (partition, offset) -> how often it was read
        self.seen = {}
        for name in self.names:
            self.programs[name] = Program(client, broker, name)
            self.programs[name].send(do="member", topic=topic, group=group, protocol=protocol)

    def listen(self):
        for name, program in self.programs.items():
            while line := program.line(0.02):
                if "assigned" in line:
                    self.assigned[name] = line["assigned"]
                for place in line.get("records", ()):
                    self.seen[tuple(place)] = self.seen.get(tuple(place), 0) + 1

    def wait(self, holds, words, timeout_s):
        deadline = time.monotonic() + timeout_s
        while not holds():
            state = f"assigned: {self.assigned}, {len(self.seen)} records read"
            expect(time.monotonic() < deadline, f"{words}: not within {timeout_s} s; {state}")
            self.listen()

    def settled(self):
        """Every partition is with exactly one member, and every member has some."""
        parts = [p for partitions in self.assigned.values() for p in partitions]
        return sorted(parts) == sorted(self.all) and all(self.assigned.values())

    def kill_one(self):
        name = self.names[0]
        self.programs.pop(name).kill()
        del self.assigned[name]

    def stop(self):
        """All leave by themselves."""
        for program in self.programs.values():
            program.send(do="stop")
        for program in self.programs.values():
            program.outcome()
            program.kill()
        self.programs = {}

    def end(self):
        for program in self.programs.values():
            program.kill()
