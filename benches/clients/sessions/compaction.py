"""Compaction of 2 million records of 200,000 keys, sealed: from the broker's start to the end of the rewrite. It is restarted
before, so that what it took in does not count; a broker at rest with the same topic is what memory is compared with."""
import random
import time

from harness import place, process
from peers import ESKER, create, peer, show

RECORDS, KEYS, LIMIT_S = 2_000_000, 200_000, 120
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]


def lines():
    chance = random.Random(1)
    for number in range(RECORDS):
        words = " ".join(chance.choices(WORDS, k=9))
        yield f"user-{chance.randrange(KEYS)} {{\"n\":{number},\"amount\":{chance.randrange(10**6)},\"note\":\"{words}\"}}\n"


def peak_bytes(child):
    with open(f"/proc/{child.pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def run():
    written = place.fresh("compaction-lines") / "lines"
    with open(written, "w") as f:
        f.writelines(lines())
    with peer(ESKER) as broker:
        create(broker, "compacted", 1)
        with open(written) as f:
            broker.esker("produce", "compacted", "--key-separator", " ", stdin=f, timeout_s=300)
        broker.esker("seal", "compacted")
        broker.stop()
        broker.start()
        time.sleep(5)
        idle, before = process.rss_bytes(broker.child), process.cpu_s(broker.child)
        broker.esker("topic", "alter", "compacted", "--config", "cleanup.policy=compact")
        began = time.monotonic()
        while broker.metric("esker_rewritten_payload_bytes_total") == 0:
            if time.monotonic() - began > LIMIT_S:
                raise SystemExit(f"not compacted after {LIMIT_S} s")
            time.sleep(0.1)
        used = process.cpu_s(broker.child) - before
        show(
            "compaction", ESKER,
            mb_per_core_s=broker.metric("esker_rewritten_payload_bytes_total") / 1e6 / used,
            dropped=int(broker.metric("esker_compacted_records_total")),
            idle_mib=idle / 2**20, peak_above_idle_mib=(peak_bytes(broker.child) - idle) / 2**20,
        )
