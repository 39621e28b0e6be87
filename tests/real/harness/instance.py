"""A Java program of `clients/` that keeps state on disk: killed, it starts without it."""
import shutil

from . import place, process
from .report import expect, log_tail

_JVM = ["-Xmx256M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]


class Instance:
    """Its arguments are the broker, the state directory and settings; its folder holds its class, and its packages in `jars`."""

    def __init__(self, folder, main, broker, name, settings):
        home = place.HOME / "clients" / folder
        logging = [f"-Dlog4j2.configurationFile={place.HERE}/log4j2.xml", f"-Dlog4j.configuration=file:{place.HERE}/log4j.properties"]
        self.state = place.fresh(name)
        self.command = ["java", *_JVM, *logging, "-cp", f"{home}:{home}/jars/*", main, broker.bootstrap, self.state]
        self.command += [f"{key}={value}" for key, value in settings.items()]
        self.name = name
        self.log = place.work() / f"{name}.log"
        self.child = None

    def start(self):
        self.child = process.start(self.command, self.log)
        return self

    def alive(self):
        expect(self.child.poll() is None, f"{self.name} ended with {self.child.returncode}:\n{log_tail(self.log, 40)}")

    def kill(self):
        """kill -9, and its state is gone."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None
        shutil.rmtree(self.state, ignore_errors=True)

    def close(self):
        """SIGTERM: it ends what it has begun."""
        self.child.terminate()
        self.child.wait(60)


def version(folder, package):
    """Of a package, by the name of its jar."""
    [jar] = (place.HOME / "clients" / folder / "jars").glob(f"{package}-[0-9]*.jar")
    return jar.stem.removeprefix(f"{package}-")


