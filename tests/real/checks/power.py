"""Power cuts: the file system under the WAL and the bucket stops without flushing anything, at random moments under four
idempotent producers. Only what was synced is there afterwards; nothing that was acknowledged may be missing.

Needs root, for a file system of its own (ext4 on a loop file). Runs with --full, or when it is named.
"""
import ctypes
import fcntl
import os
import random
import time

from checks.history import create
from harness import place, process
from harness.broker import Broker
from harness.contents import Single, by_confluent, by_esker
from harness.crew import Crew
from harness.report import expect

TOPIC = "power"
PARTITIONS = 6
MIB = 1 << 20
DISK_BYTES = 4 << 30
# FS_IOC_SHUTDOWN, without flushing the journal.
SHUTDOWN, NO_FLUSH = 0x8004587D, 2


class Disk:
    """ext4 on a loop file, whose power can be cut."""

    def __init__(self):
        self.folder = place.fresh("power-disk")
        self.image = place.work() / "power.img"
        with open(self.image, "wb") as f:
            f.truncate(DISK_BYTES)
        process.run(["mkfs.ext4", "-q", "-F", self.image])
        self.mount()

    def mount(self):
        process.run(["mount", "-o", "loop", self.image, self.folder])

    def cut(self):
        fd = os.open(self.folder, os.O_RDONLY)
        fcntl.ioctl(fd, SHUTDOWN, ctypes.c_uint32(NO_FLUSH))
        os.close(fd)

    def unmount(self):
        for _ in range(50):
            if process.run(["umount", self.folder], check=False).returncode == 0:
                return
            time.sleep(0.2)


def rounds(broker, disk, plan, chance, single):
    count = max(5, plan.rounds // 5)
    for n in range(count):
        time.sleep(chance.uniform(0.3, 3))
        disk.cut()
        broker.kill()
        disk.unmount()
        disk.mount()
        broker.start()
        single.add(by_confluent(broker, TOPIC, PARTITIONS), f"cut {n}")
    return f"{count} cuts, ready after at most {max(broker.ready_s):.2f} s"


def run(report, plan):
    disk = Disk()
    broker = Broker("power", **{"esker.seal.ms": 700, "wal.bytes": 256 * MIB, "wal.file.bytes": 8 * MIB})
    broker.data = disk.folder / "data"
    chance = random.Random(plan.seed)
    single = Single()
    crew = None
    try:
        broker.start()
        create(broker, TOPIC, PARTITIONS)
        crew = Crew(broker, TOPIC, PARTITIONS, name="power")
        if not report.check("confluent-kafka", "power cuts under four producers", lambda: rounds(broker, disk, plan, chance, single)):
            return
        crew.stop()

        def proven(read, which):
            return f"{crew.prove(single.add(read, which))} records"

        hot = lambda: proven(by_confluent(broker, TOPIC, PARTITIONS), "at the end")
        report.check("confluent-kafka", "power cuts: nothing lost, nothing twice, in order", hot)
        broker.lose_disk()
        consume = lambda: broker.esker_store("consume", TOPIC, "--format", "json", timeout_s=300).stdout
        cold = lambda: proven(by_esker(consume(), PARTITIONS), "of the bucket")
        report.check("consume --store", "power cuts: the same, of the bucket alone", cold)
        report.check("esker fsck", "power cuts: the bucket is whole", lambda: expect(broker.esker_store("fsck"), ""))
    finally:
        if crew:
            crew.end()
        broker.end()
        disk.unmount()
