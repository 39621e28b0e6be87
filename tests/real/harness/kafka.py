"""Apache Kafka itself, of the packages that are installed for its tools: one node, its defaults, its own disk."""
import time

from . import place, process
from .report import expect, log_tail

READY_TIMEOUT_S = 90
CLUSTER_ID = "EskerBesideKafka00000w"
# Heap and collector as Kafka's own start script sets them.
_JVM = ["-Xms1G", "-Xmx1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"]


class Kafka:
    """A combined broker and controller, with the same calls as `Broker` where both can do it."""

    def __init__(self, name="kafka", **sets):
        self.name = name
        folder = place.fresh(name)
        self.log = place.work() / f"{name}.log"
        self.kafka_port, controller = process.free_port(), process.free_port()
        self.bootstrap = f"127.0.0.1:{self.kafka_port}"
        self.config = folder / "server.properties"
        self.child = None
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": folder / "log",
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
        }
        settings |= {key.replace("_", "."): value for key, value in sets.items()}
        self.config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        process.run(place.java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", self.config))

    def start(self):
        expect(self.child is None, f"{self.name} already runs")
        options = [*_JVM, "-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={place.HERE}/log4j2.xml"]
        self.child = process.start(["java", *options, "-cp", f"{place.HOME}/kafka/*", "kafka.Kafka", self.config], self.log)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not process.answers(self.kafka_port):
            expect(self.child.poll() is None, f"{self.name} ended:\n{log_tail(self.log)}")
            expect(time.monotonic() < deadline, f"{self.name} is not ready after {READY_TIMEOUT_S} s")
            time.sleep(0.1)
        return self

    def kill(self):
        """kill -9."""
        self.child.kill()
        self.child.wait()
        self.child = None

    def end(self):
        """Whatever it does: it is over."""
        if self.child is not None:
            self.kill()
