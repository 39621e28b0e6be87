"""A group of many consumers in one process.

crowd.py BOOTSTRAP TOPIC PARTITIONS GROUP MEMBERS PROTOCOL. Prints a JSON line when the group has settled (every partition is
with exactly one member, all members have as many but for one, and nothing has moved for 7 s): seconds from the first subscription to the last move, and the rebalances
of the member that saw most of them, from the client's own statistics. Then it does what stdin says, a word a line: `leave` (the
first member leaves in order; answers with such a line again) or `churn S` (every S seconds one member leaves, or one joins,
until stdin ends).
"""
import json
import select
import sys
import time

from confluent_kafka import Consumer

# Longer than the 5 s between two heartbeats of KIP-848: who must give something up hears of it in an answer.
QUIET_S, LIMIT_S = 7, 180


class Member:
    def __init__(self, bootstrap, topic, group, protocol):
        self.has = set()
        self.moved = time.monotonic()
        self.rebalances = 0
        own = {"partition.assignment.strategy": "range"} if protocol == "classic" else {}
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "group.protocol": protocol,
                "enable.auto.commit": False,
                "statistics.interval.ms": 1000,
                "stats_cb": self.statistics,
                "log_level": 3,
                **own,
            }
        )
        self.consumer.subscribe([topic], on_assign=self.given, on_revoke=self.taken, on_lost=self.taken)

    def statistics(self, text):
        self.rebalances = json.loads(text).get("cgrp", {}).get("rebalance_cnt", 0)

    def given(self, consumer, partitions):
        self.moved = time.monotonic()
        self.has |= {one.partition for one in partitions}

    def taken(self, consumer, partitions):
        self.moved = time.monotonic()
        self.has -= {one.partition for one in partitions}


class Crowd:
    def __init__(self, bootstrap, topic, partitions, group, members, protocol):
        self.partitions = int(partitions)
        self.make = lambda: Member(bootstrap, topic, group, protocol)
        self.began = time.monotonic()
        self.members = [self.make() for _ in range(int(members))]

    def poll(self):
        for member in self.members:
            member.consumer.poll(0)
        time.sleep(0.02)

    def settled(self):
        held = [one for member in self.members for one in member.has]
        counts = [len(member.has) for member in self.members]
        return len(held) == len(set(held)) == self.partitions and max(counts) - min(counts) <= 1

    def settle(self):
        before = {id(member): member.rebalances for member in self.members}
        while True:
            self.poll()
            now = time.monotonic()
            last = max(member.moved for member in self.members)
            if self.settled() and now - last > QUIET_S:
                break
            if now - self.began > LIMIT_S:
                raise SystemExit(f"not settled after {LIMIT_S} s: {sum(len(m.has) for m in self.members)} are held")
        most = max(member.rebalances - before.get(id(member), 0) for member in self.members)
        print(json.dumps({"seconds": last - self.began, "rebalances": most}), flush=True)

    def leave(self):
        self.began = time.monotonic()
        self.members.pop(0).consumer.close()

    def churn(self, every_s):
        due = time.monotonic() + every_s
        full = len(self.members)
        while not asked():
            self.poll()
            if time.monotonic() > due:
                due += every_s
                if len(self.members) == full:
                    self.leave()
                else:
                    self.members.append(self.make())


def asked():
    return select.select([sys.stdin], [], [], 0)[0]


def main():
    crowd = Crowd(*sys.argv[1:])
    crowd.settle()
    while True:
        while not asked():
            crowd.poll()
        words = sys.stdin.readline().split()
        if not words:
            break
        if words[0] == "leave":
            crowd.leave()
            crowd.settle()
        else:
            crowd.churn(float(words[1]))


main()
