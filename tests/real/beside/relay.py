"""The process that speaks Kafka's protocol for the run: see clients/relay/Relay.java for its words."""
import json
import subprocess

from harness import place, process
from harness.report import Failed, log_tail

_JAVA = ["java", "-Xmx192M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={place.HERE}/log4j2.xml"]


class Relay:
    def __init__(self):
        self.log = place.work() / "relay.log"
        command = [*_JAVA, "-cp", f"{place.HOME}/clients/relay:{place.HOME}/kafka/*", "Relay"]
        self.child = process.start(command, self.log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def follow(self, *orders):
        """What came of each order."""
        self.child.stdin.write(json.dumps(orders).encode() + b"\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise Failed(f"the relay ended with {self.child.wait()}:\n{log_tail(self.log)}")
        return json.loads(line)

    def end(self):
        self.child.stdin.close()
        self.child.wait(10)
