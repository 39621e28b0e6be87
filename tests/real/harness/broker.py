"""A broker of its own: start, kill, stop, and the command line beside it."""
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from . import place, process
from .report import Failed, expect, log_tail

READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 90


class Broker:
    """`esker serve` on fixed ports, with one data directory and one bucket over all its lives."""

    def __init__(self, name, store=None, env=None, **sets):
        self.name = name
        self.data = place.fresh(name) / "data"
        self.store = store
        self.env = {**os.environ, **(env or {}), "RUST_BACKTRACE": "1"}
        self.sets = sets
        self.log = place.work() / f"{name}.log"
        self.kafka_port = process.free_port()
        self.http_port = process.free_port()
        self.bootstrap = f"127.0.0.1:{self.kafka_port}"
        self.http = f"127.0.0.1:{self.http_port}"
        self.child = None
        self.ready_s = []

    def command(self, *extra):
        command = [place.ESKER, "serve", "--data", self.data, "--listen", self.bootstrap, "--http", self.http]
        if self.store:
            command += ["--store", self.store]
        for key, value in self.sets.items():
            command += ["--set", f"{key.replace('_', '.')}={value}"]
        return [*command, *extra]

    @property
    def store_url(self):
        return self.store or f"file://{self.data}/bucket"

    def start(self, *extra, wait=True):
        expect(self.child is None, f"{self.name} already runs")
        self.began = time.monotonic()
        self.child = process.start(self.command(*extra), self.log, env=self.env)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout_s=READY_TIMEOUT_S):
        deadline = time.monotonic() + timeout_s
        while not (self.get("/readyz")[0] == 200 and self.answers()):
            if self.child.poll() is not None:
                code, self.child = self.child.returncode, None
                raise Failed(f"{self.name} ended with {code} instead of serving:\n{log_tail(self.log)}")
            expect(time.monotonic() < deadline, f"{self.name} is not ready after {timeout_s} s:\n{log_tail(self.log)}")
            time.sleep(0.01)
        self.ready_s.append(time.monotonic() - self.began)

    def refused(self, *extra, timeout_s=30):
        """Starts what must refuse to start; returns its words."""
        expect(self.child is None, f"{self.name} already runs")
        done = process.run(self.command(*extra), timeout_s=timeout_s, check=False, env=self.env)
        expect(done.returncode == 1, f"a start that must be refused ended with {done.returncode}:\n{done.stderr[-1500:]}")
        expect("panicked" not in done.stderr, f"a panic instead of a refusal:\n{done.stderr[-1500:]}")
        return done.stderr

    def answers(self):
        return process.answers(self.kafka_port)

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        """kill -9."""
        self.child.kill()
        self.child.wait()
        self.child = None

    def stop(self):
        """A clean stop; returns what was said since."""
        with open(self.log, "rb") as f:
            f.seek(0, 2)
            began = f.tell()
            self.child.terminate()
            try:
                code = self.child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Failed(f"{self.name} did not stop within {STOP_TIMEOUT_S} s:\n{log_tail(self.log)}") from None
            self.child = None
            words = f.read().decode(errors="replace")
        expect(code == 0, f"a clean stop ended with {code}:\n{words[-1500:]}")
        return words

    def lose_disk(self):
        """A clean stop, everything gone but the bucket, a start."""
        self.stop()
        for kept in self.data.iterdir():
            if kept.name != "bucket":
                shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
        self.start()

    def end(self):
        """Whatever it does: it is over."""
        if self.child is not None:
            self.kill()

    def ended(self, timeout_s):
        """Waits for an end that must come by itself; returns the exit code."""
        try:
            code = self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} still runs after {timeout_s} s:\n{log_tail(self.log)}") from None
        self.child = None
        return code

    def get(self, path):
        """Status (0: no answer) and text of a GET on the HTTP port."""
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metric(self, name):
        """The sum of a metric's samples."""
        status, text = self.get("/metrics")
        expect(status == 200, f"/metrics answered {status}")
        rows = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        values = [float(value) for label, value in rows if label.split("{")[0] == name]
        expect(values, f"no metric {name}")
        return sum(values)

    def rss_bytes(self):
        return process.rss_bytes(self.child)

    def esker(self, *arguments, **options):
        """The command line against this broker: its addresses come from the environment."""
        env = {**self.env, "ESKER_BROKER": self.bootstrap, "ESKER_HTTP": self.http}
        return process.run([place.ESKER, *arguments], env=env, **options)

    def esker_store(self, *arguments, **options):
        """The command line against the bucket alone."""
        return process.run([place.ESKER, *arguments, "--store", self.store_url], env=self.env, **options)
