"""Runs the sessions that are named, all by default, on Esker and on Kafka by turns."""
import argparse
import importlib

from harness import place

SESSIONS = ["join", "pace", "transactions", "commits", "restart", "compaction"]


def main():
    parser = argparse.ArgumentParser(prog="benches/clients/run", description=__doc__)
    parser.add_argument("sessions", nargs="*", metavar="SESSION", choices=[[], *SESSIONS], help=" ".join(SESSIONS))
    for name in parser.parse_args().sessions or SESSIONS:
        importlib.import_module(f"sessions.{name}").run()
    place.forget()


main()
