"""ZooKeeper as its package has it, from among Samza's packages."""
import socket
import time

from . import place, process
from .report import expect, log_tail

READY_TIMEOUT_S = 30


class ZooKeeper:
    def __init__(self):
        self.port = process.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = place.work() / "zookeeper.log"
        self.child = None

    def start(self):
        jars = place.HOME / "clients" / "samza" / "jars"
        options = ["-Xmx128M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dzookeeper.admin.enableServer=false"]
        options += [f"-Dlog4j.configuration=file:{place.HERE}/log4j.properties", "-cp", f"{jars}/*"]
        main = ["org.apache.zookeeper.server.ZooKeeperServerMain", self.port, place.fresh("zookeeper")]
        self.child = process.start(["java", *options, *main], self.log)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.answers():
            expect(self.child.poll() is None, f"ZooKeeper ended:\n{log_tail(self.log)}")
            expect(time.monotonic() < deadline, f"ZooKeeper is not ready after {READY_TIMEOUT_S} s")
            time.sleep(0.1)
        return self

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def kill(self):
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None
