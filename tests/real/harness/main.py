"""Runs the checks that are named, all by default; each is a module in `checks`."""
import argparse
import importlib
import time
import traceback
from dataclasses import dataclass

from . import history, place
from .report import Report, say

CHECKS = ["history", "codecs", "shapes", "crash", "eos", "groups", "migration", "lost", "refusals", "away", "wire"]
CHECKS += ["admin", "topics", "tools", "clients", "streams", "samza", "beside"]
# Only with --full, or by name.
FULL_CHECKS = ["damage", "power"]
MIB = 1 << 20


@dataclass
class Plan:
    """How much of everything."""

    lines: int
    rounds: int
    seed: int
    wal_bytes: int
    full: bool
    seeded: bool


def main():
    parser = argparse.ArgumentParser(prog="tests/real/run", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the whole data set, 200 rounds of kill -9")
    parser.add_argument("--lines", type=int, help="this much of the data set")
    parser.add_argument("--rounds", type=int, help="rounds of kill -9")
    parser.add_argument("--seed", type=int, help="of everything that is left to chance")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=" ".join(CHECKS + FULL_CHECKS))
    asked = parser.parse_args()
    lines = asked.lines or (history.LINES_ALL if asked.full else history.LINES_SHORT)
    rounds = asked.rounds or (200 if asked.full else 10)
    seed = int(time.time()) if asked.seed is None else asked.seed
    plan = Plan(lines, rounds, seed, max(48 * MIB, lines * 64), asked.full, asked.seed is not None)

    report = Report()
    say(f"{place.ESKER}, seed {plan.seed}")
    for name in asked.checks or CHECKS + (FULL_CHECKS if asked.full else []):
        began = time.monotonic()
        try:
            importlib.import_module(f"checks.{name}").run(report, plan)
        except Exception:  # what breaks one check must not hide the others
            report.fail("harness", name, traceback.format_exc())
        say(f"{name}: {time.monotonic() - began:.0f} s")
    if report.failed:
        say(f"what the processes said is kept in {place.work()}")
    else:
        place.forget()
    raise SystemExit(report.close())


main()
