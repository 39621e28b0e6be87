"""The p99 of produce (2,000 records of 1 KiB a second, Kafka's own perf tool) beside a group of 100 members: at rest, and while one
leaves or joins every 10 s."""
import re

from harness import place, process
from peers import ESKER, KAFKA, create, peer, show
from sessions.join import PARTITIONS, answer, crowd

RATE, SECONDS, WARM_S = 2000, 45, 5


def perf(broker):
    """(p50, p99) in milliseconds of the records after the warm-up."""
    tool = place.java(
        "org.apache.kafka.tools.ProducerPerformance", "--topic", "pace", "--record-size", 1024, "--throughput", RATE,
        "--num-records", RATE * (SECONDS + WARM_S), "--warmup-records", RATE * WARM_S,
        "--command-property", f"bootstrap.servers={broker.bootstrap}", "acks=all",
    )
    said = process.run(tool, timeout_s=SECONDS * 3).stdout
    steady = said.strip().splitlines()[-1]
    found = re.search(r"([\d.]+) ms 50th.*?([\d.]+) ms 99th", steady)
    if not found:
        raise SystemExit(f"no percentiles in: {steady}")
    return float(found[1]), float(found[2])


def run():
    for name in (ESKER, KAFKA):
        with peer(name) as broker:
            create(broker, "pace", 6)
            create(broker, "wide", PARTITIONS)
            for protocol in ("classic", "consumer"):
                child = crowd(broker, "wide", protocol)
                answer(child)
                p50, p99 = perf(broker)
                print("churn 10", file=child.stdin)
                p50_moving, p99_moving = perf(broker)
                child.kill()
                show("pace", f"{name} {protocol}", p50_ms=p50, p99_ms=p99, p50_rebalancing_ms=p50_moving, p99_rebalancing_ms=p99_moving)
