"""Esker beside Apache Kafka 4.3.1: the same calls to both, in scripts and at random from the seed, and the answers compared field by
field. What may differ, and why, stands in `beside/differences.py` and in COMPATIBILITY.md. REAL_SCRIPTS="fenced chance" runs these
parts only.
"""
import os
import random
import time

from beside import scripts_groups, scripts_log, scripts_topics, scripts_txn
from beside.chance import Chance
from beside.differences import RULES
from beside.pair import Pair
from beside.relay import Relay
from beside.shape import APIS
from beside.world import World
from harness import place
from harness.broker import Broker
from harness.kafka import Kafka
from harness.report import Failed, expect, say

# So that neither waits where the other does not.
COMMON = {
    "group_initial_rebalance_delay_ms": 0,
    "group_consumer_heartbeat_interval_ms": 5000,
    "num_partitions": 1,
    "group_consumer_session_timeout_ms": 1_800_000,
    "group_consumer_assignment_interval_ms": 0,
}
KAFKAS_OWN = {
    # The records are of a fixed time, which its retention would delete.
    "log_initial_task_delay_ms": 86_400_000,
    "group_consumer_max_session_timeout_ms": 1_800_000,
    "offsets_topic_num_partitions": 7,
    "transaction_state_log_num_partitions": 3,
    "group_consumer_min_assignment_interval_ms": 0,
    "group_consumer_assignor_offload_enable": "false",
    "transaction_abort_timed_out_transaction_cleanup_interval_ms": 200,
}
# Of each kind of failure this many are shown; all are in the journal.
SHOWN = 40
# The short form makes the same calls every time, so that what fails is the change. --seed and --full take others.
SHORT_SEED = 1
CALLS_SHORT = 2_500
CALLS_FULL = 30_000
SCRIPTS = [*scripts_topics.ALL, *scripts_log.ALL, *scripts_groups.ALL, *scripts_txn.ALL]


def versions(pair):
    """The versions of each API that both speak, and what they are called."""
    spoken = []
    for address in pair.addresses:
        order = dict(to=address, on="main")
        asked = dict(order, do="send", api=18, version=0, client="beside", body={})
        outcome = pair.relay.follow(asked, dict(order, do="take", timeout=20_000))[1]
        expect("answer" in outcome, f"ApiVersions of {address}: {outcome}")
        spoken.append({one["apiKey"]: (one["minVersion"], one["maxVersion"]) for one in outcome["answer"]["apiKeys"]})
    both = {}
    for name, key in APIS.items():
        if key in spoken[0] and key in spoken[1]:
            low, high = (choose(pair_) for choose, pair_ in zip((max, min), zip(spoken[0][key], spoken[1][key])))
            both[name] = (low, high)
    return both


def await_coordinators(pair):
    """Kafka creates the topics of its coordinators when somebody asks for one."""
    deadline = time.monotonic() + 60
    for kind in (0, 1):
        while True:
            order = dict(to=pair.addresses[0], on="main")
            asked = dict(order, do="send", api=10, version=1, client="beside", body={"key": "g", "keyType": kind})
            if pair.relay.follow(asked, dict(order, do="take", timeout=20_000))[1]["answer"]["errorCode"] == 0:
                break
            expect(time.monotonic() < deadline, "Kafka has no coordinator")
            time.sleep(0.1)


def take_the_first_id(pair):
    """Kafka's first producer id is 0, which is also what stands where there is none."""
    order = dict(to=pair.addresses[0], on="main")
    body = {"transactionalId": None, "transactionTimeoutMs": 1000}
    asked = dict(order, do="send", api=22, version=4, client="beside", body=body)
    deadline = time.monotonic() + 60
    while pair.relay.follow(asked, dict(order, do="take", timeout=20_000))[1]["answer"]["errorCode"] != 0:
        expect(time.monotonic() < deadline, "Kafka gives out no producer ids")
        time.sleep(0.1)


def report_of(pair, began):
    """The differences that nobody expected since the call number `began`."""
    found = [one for one in pair.unexpected if one[1]["step"] > began]
    lines = []
    for where, call, differences in found[:SHOWN]:
        lines.append(f"step {call['step']} of {where}: {call['api']} v{call['version']} {call['body']}")
        lines += [f"    {one}" for one in differences[:6]]
    if len(found) > SHOWN:
        lines.append(f"... and {len(found) - SHOWN} more calls")
    if found:
        raise Failed(f"{len(found)} calls differ; both whole answers are in {place.work()}/beside.jsonl\n" + "\n".join(lines))


def page():
    """COMPATIBILITY.md names each rule, and no other; and the programs and how they are run stand above."""
    programs, text = (place.HERE / "COMPATIBILITY.md").read_text().split("\n## Differences from Kafka 4.3.1\n", 1)
    expect("\n## Programs\n" in programs and "`samza`" in programs, "the page has no table of programs")
    told = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")} - {"rule"}
    known = {rule.name for rule in RULES}
    expect(told == known, f"only on the page: {sorted(told - known)}; only rules: {sorted(known - told)}")
    return f"{len(known)} rules"


def unused(pair):
    """A rule that covers nothing any more is a difference that is gone."""
    idle = sorted({rule.name for rule in RULES} - pair.expected.keys())
    expect(not idle, f"rules that cover nothing: {', '.join(idle)}")


def part(pair, name, run):
    began, pair.where = pair.step, name
    try:
        run()
    except Failed as failure:
        pair.unexpected.append((name, dict(api="the script", version=0, body={}, step=pair.step), [str(failure)]))
    report_of(pair, began)
    return f"{pair.step - began} calls"


def run(report, plan):
    report.check("Kafka 4.3.1", "beside: the page of differences", page)
    kafka = Kafka("beside-kafka", **COMMON, **KAFKAS_OWN).start()
    esker = Broker("beside-esker", **COMMON).start()
    relay = Relay()
    with open(place.work() / "beside.jsonl", "w") as journal:
        try:
            pair = Pair(relay, kafka.bootstrap, esker.bootstrap, journal)
            pair.versions = versions(pair)
            await_coordinators(pair)
            take_the_first_id(pair)
            world = World(pair)
            wanted = os.environ.get("REAL_SCRIPTS", "").split()
            for script in [script for script in SCRIPTS if not wanted or script.__name__ in wanted]:
                report.check("Kafka 4.3.1", f"beside: {script.__name__}", lambda: part(pair, script.__name__, lambda: script(world)))
            if not wanted or "chance" in wanted:
                calls = CALLS_FULL if plan.full else CALLS_SHORT
                seed = plan.seed if plan.full or plan.seeded else SHORT_SEED
                random_part = lambda: Chance(world, random.Random(seed)).run(calls)
                report.check("Kafka 4.3.1", f"beside: at random, seed {seed}", lambda: part(pair, "chance", random_part))
            if plan.full and not wanted:
                report.check("Kafka 4.3.1", "beside: every rule still covers something", lambda: unused(pair))
            say(f"{pair.step} calls, {sum(pair.expected.values())} expected differences by {len(pair.expected)} rules")
        finally:
            relay.end()
            esker.end()
            kafka.end()
