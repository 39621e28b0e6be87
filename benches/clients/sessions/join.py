"""100 consumers join a group on a topic of 300 partitions, one process, started together; then one leaves."""
import json
import subprocess
import sys
from pathlib import Path

from harness import place, process
from peers import ESKER, KAFKA, create, peer, show

MEMBERS, PARTITIONS = 100, 300
CROWD = Path(__file__).resolve().parent.parent / "crowd.py"


def crowd(broker, topic, protocol, members=MEMBERS):
    command = [sys.executable, CROWD, broker.bootstrap, topic, PARTITIONS, f"crowd-{protocol}", members, protocol]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    return process.start(command, place.work() / "crowd.log", **pipes)


def answer(child):
    line = child.stdout.readline()
    if not line:
        raise SystemExit(f"the group did not settle: {place.work()}/crowd.log")
    return json.loads(line)


def run():
    for name in (ESKER, KAFKA):
        with peer(name) as broker:
            create(broker, "wide", PARTITIONS)
            for protocol in ("classic", "consumer"):
                before = process.cpu_s(broker.child)
                child = crowd(broker, "wide", protocol)
                joined = answer(child)
                used = process.cpu_s(broker.child) - before
                print("leave", file=child.stdin)
                left = answer(child)
                child.kill()
                show(
                    "join", f"{name} {protocol}",
                    settled_s=joined["seconds"], rebalances=joined["rebalances"],
                    after_leave_s=left["seconds"], rebalances_after=left["rebalances"], broker_cpu_s=used,
                )
