"""The client programs of `clients/`: their commands, and the protocol that all of them speak."""
import json
import queue
import subprocess
import sys
import threading

from . import place, process
from .report import Failed, log_tail

TASK_TIMEOUT_S = 60

_PYTHON = [sys.executable, "-m"]
_JAVA = ["java", "-Xmx192M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={place.HERE}/log4j2.xml"]
COMMANDS = {
    "aiokafka": [*_PYTHON, "clients.aiokafka.main"],
    "kafka-python": [*_PYTHON, "clients.kafka_python.main"],
    "confluent-kafka": [*_PYTHON, "clients.confluent.main"],
    "kafkajs": ["node", place.HOME / "clients" / "kafkajs" / "main.js"],
    "franz-go": [place.HOME / "clients" / "go" / "franz"],
    "sarama": [place.HOME / "clients" / "go" / "sarama"],
    "Java client": [*_JAVA, "-cp", f"{place.HOME}/clients/java:{place.HOME}/kafka/*", "Client"],
    "kcat": [*_PYTHON, "clients.kcat.main"],
}


class Program:
    """One process of a client; lines that are no outcome are its events."""

    def __init__(self, client, broker, name):
        self.name = name
        self.log = place.work() / f"clients-{name}.log"
        command = [*COMMANDS[client], broker.bootstrap]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.child = process.start(command, self.log, **pipes)
        self.lines = queue.Queue()
        # Checks of several clients ask the same one at the same time.
        self.turn = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.child.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def send(self, **task):
        try:
            self.child.stdin.write(json.dumps(task).encode() + b"\n")
            self.child.stdin.flush()
        except OSError:
            raise self.ended() from None

    def ended(self):
        return Failed(f"{self.name} ended with {self.child.wait()}:\n{log_tail(self.log)}")

    def line(self, timeout_s):
        """The next line, or None when there is none within that time."""
        try:
            line = self.lines.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if line is None:
            self.lines.put(None)
            raise self.ended()
        found = json.loads(line)
        if "failed" in found:
            raise Failed(f"{self.name}: {found['failed']}")
        return found

    def outcome(self):
        while True:
            line = self.line(TASK_TIMEOUT_S)
            if line is None:
                self.kill()  # what comes later would be taken for the outcome of the next task
                raise Failed(f"{self.name}: no outcome within {TASK_TIMEOUT_S} s:\n{log_tail(self.log)}")
            if "done" in line:
                return line["done"]

    def ask(self, do, **task):
        """Does one task; returns what it gives."""
        with self.turn:
            try:
                self.send(do=do, **task)
                return self.outcome()
            except Failed as failure:
                raise Failed(f"{do}: {failure}") from None

    def kill(self):
        self.child.kill()
        self.child.wait()
