"""Ready again after kill -9 with 5,000 groups, each with a member and offsets of six partitions, and 1,000 transactional ids."""
import asyncio

from harness import process
from harness.report import expect
from peers import ESKER, create, peer, show
from talk import spread

GROUPS, IDS, PARTITIONS, TIMES = 5000, 1000, 6, 3


def fill(broker):
    def group(number):
        async def job(talk):
            committed = await talk.commit(f"group-{number}", "restart", [number] * PARTITIONS)
            return [*committed, await talk.member(f"group-{number}")]

        return job

    def transactional(number):
        return lambda talk: talk.transaction(f"id-{number}", "restart")

    jobs = [group(number) for number in range(GROUPS)] + [transactional(number) for number in range(IDS)]
    return asyncio.run(spread(broker, 1000, jobs))


def run():
    with peer(ESKER) as broker:
        create(broker, "restart", PARTITIONS)
        before = process.rss_bytes(broker.child)
        wrong = [codes for codes in fill(broker) if any(codes)]
        expect(not wrong, f"error codes: {wrong[:3]}")
        grown = process.rss_bytes(broker.child) - before
        broker.ready_s.clear()
        for _ in range(TIMES):
            broker.kill()
            broker.start()
        found = broker.esker("group", "list").stdout.splitlines()
        show("restart", ESKER, ready_s=max(broker.ready_s), groups=len(found), grown_mib=grown / 2**20)
