"""One line per client and check, and the closing count."""
import sys
import time
import traceback


class Failed(Exception):
    """A check did not hold; its text is for the reader of the report."""


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, client, what, run):
        """Runs one check. What it returns is printed behind the line; what it raises is the failure."""
        began = time.monotonic()
        try:
            note = run()
        except Failed as failure:
            return self.fail(client, what, str(failure), time.monotonic() - began)
        except Exception:  # a check that breaks is a failure, and the others go on
            return self.fail(client, what, traceback.format_exc(), time.monotonic() - began)
        self.ok(client, what, note, time.monotonic() - began)
        return True

    def ok(self, client, what, note="", seconds=0.0):
        self.passed += 1
        self._line("ok  ", client, what, note or "", seconds)

    def fail(self, client, what, why, seconds=0.0):
        self.failed += 1
        self._line("FAIL", client, what, "", seconds)
        for line in why.strip().splitlines():
            print(f"      {line}", flush=True)
        return False

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0

    @staticmethod
    def _line(word, client, what, note, seconds):
        print(f"{word}  {client:<16} {what:<64} {note:<34} {seconds:6.1f} s".rstrip(), flush=True)


def say(words):
    """Words that are not a result."""
    print(f"      {words}", flush=True)


def expect(holds, words):
    if not holds:
        raise Failed(words)


def log_tail(path, lines=15):
    """The end of a process's words, for a failure."""
    try:
        with open(path, errors="replace") as f:
            return "\n".join(f.read().splitlines()[-lines:])
    except OSError as error:
        return f"({path}: {error})"


def flush():
    sys.stdout.flush()
