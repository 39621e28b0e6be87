"""1,000 groups, each with a connection of its own, commit six partitions once a second; CPU of the broker."""
import asyncio
import time

from harness import process
from peers import ESKER, KAFKA, create, peer, show
from talk import Talk

GROUPS, SECONDS, WARM_S, PARTITIONS = 1000, 30, 10, 6


async def play(broker):
    talks = await asyncio.gather(*(Talk.open(broker) for _ in range(GROUPS)))
    await talks[0].coordinator("group-0")
    waits, wrong = [], 0
    began = time.monotonic()
    marks = {}

    async def one(number, talk):
        nonlocal wrong
        for turn in range(WARM_S + SECONDS):
            await asyncio.sleep(max(0, began + turn + number / GROUPS - time.monotonic()))
            asked = time.monotonic()
            codes = await talk.commit(f"group-{number}", "commits", [turn] * PARTITIONS)
            wrong += any(codes)
            if turn >= WARM_S:
                waits.append(time.monotonic() - asked)

    async def watch():
        for name, after in (("warm", WARM_S), ("end", WARM_S + SECONDS)):
            await asyncio.sleep(began + after - time.monotonic())
            marks[name] = process.cpu_s(broker.child)

    await asyncio.gather(watch(), *(one(number, talk) for number, talk in enumerate(talks)))
    return marks["end"] - marks["warm"], sorted(waits), wrong


def run():
    for name in (ESKER, KAFKA):
        with peer(name) as broker:
            create(broker, "commits", PARTITIONS)
            used, waits, wrong = asyncio.run(play(broker))
            show(
                "commits", name, cpu_percent_of_a_core=100 * used / SECONDS, commits=len(waits), refused=wrong,
                p50_ms=1000 * waits[len(waits) // 2], p99_ms=1000 * waits[len(waits) * 99 // 100],
            )
