"""kcat: its command line, as a person at a terminal would use it. It has no admin calls and sets no timestamps."""
import json
import os
import re
import select
import signal
import subprocess
import sys

from clients import talk
from harness import process

TIMEOUT_S = 30
KEY, END = "\x01", "\x02"
# What stands for null in both directions: kcat knows null only as empty (-Z), and says so with a length of -1.
SHOWN = "%p %o %T %K %S %h\\n%k%s\\n"


class Client:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def run(self, *arguments, given=b""):
        command = ["kcat", "-b", self.bootstrap, *map(str, arguments)]
        done = subprocess.run(command, input=given, capture_output=True, timeout=TIMEOUT_S, preexec_fn=process.die_with_parent)
        assert done.returncode == 0, f"{command}: exit {done.returncode} {done.stderr.decode(errors='replace')}"
        return done

    def hello(self):
        words = subprocess.run(["kcat", "-V"], capture_output=True, text=True).stdout
        return {"version": "{}, librdkafka {}".format(*re.search(r"Version (\S+) .*librdkafka (\S+)", words).groups())}

    # -- records

    def send(self, topic, records, *how):
        """One run for each run of records with the same partition and headers: they are arguments."""
        groups = []
        for record in records:
            partition, _, key, value, headers = talk.decoded_record(record)
            if not groups or groups[-1][0] != (partition, headers):
                groups.append(((partition, headers), []))
            groups[-1][1].append((key or b"") + KEY.encode() + (value or b"") + END.encode())
        for (partition, headers), lines in groups:
            heads = [word for name, value in headers for word in ("-H", name if value is None else f"{name}={value.decode()}")]
            where = ["-P", "-t", topic, "-p", partition, "-K", KEY, "-D", END, "-Z", *heads]
            self.run(*where, *how, given=b"".join(lines))

    def produce(self, topic, codec, idempotent, records):
        self.send(topic, records, "-z", codec, "-X", f"enable.idempotence={str(idempotent).lower()}")
        return {"offsets": None}

    @staticmethod
    def parsed(out):
        """Records in the form of SHOWN."""
        at = 0
        while at < len(out):
            end = out.index(b"\n", at)
            partition, offset, timestamp, key_len, value_len, headers = out[at:end].split(b" ", 5)
            at = end + 1
            parts = []
            for length in (int(key_len), int(value_len)):
                parts.append(out[at : at + length] if length >= 0 else None)
                at += max(length, 0)
            at += 1
            pairs = [pair.split(b"=", 1) for pair in headers.split(b",")] if headers else []
            pairs = [(name.decode(), None if data == b"NULL" else data) for name, data in pairs]
            yield talk.record(int(partition), int(offset), int(timestamp), *parts, pairs)

    def read(self, topics, committed):
        isolation = "read_committed" if committed else "read_uncommitted"
        records = {}
        for topic in topics:
            how = ["-o", "beginning", "-e", "-q", "-f", SHOWN, "-X", "check.crcs=true", "-X", f"isolation.level={isolation}"]
            records[topic] = list(self.parsed(self.run("-C", "-t", topic, *how).stdout))
        return {"records": records}

    def since(self, topic, partition, timestamp):
        at = self.run("-Q", "-t", f"{topic}:{partition}:{timestamp}").stdout.decode()
        offset = re.search(r"offset (\d+)", at)[1]
        out = self.run("-C", "-t", topic, "-p", partition, "-o", offset, "-c", 1, "-q", "-f", SHOWN).stdout
        return {"record": next(self.parsed(out))}

    def member(self, topic, group, protocol):
        """Commits by itself, when it is stopped at the latest."""
        assert protocol == "classic"
        settings = ["session.timeout.ms=6000", "heartbeat.interval.ms=500", "auto.offset.reset=earliest"]
        settings += ["auto.commit.interval.ms=200"]
        how = [word for setting in settings for word in ("-X", setting)]
        command = ["kcat", "-b", self.bootstrap, *how, "-u", "-f", "%p %o\\n", "-G", group, topic]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        child = subprocess.Popen(command, **pipes, preexec_fn=process.die_with_parent)
        names = {child.stdout.fileno(): "out", child.stderr.fileno(): "err"}
        rest = {fd: b"" for fd in names}
        while True:
            ready = select.select([*names, sys.stdin], [], [])[0]
            if sys.stdin in ready:
                break
            for fd in ready:
                some = os.read(fd, 1 << 16)
                assert some, f"kcat ended: {child.wait()} {rest}"
                *lines, rest[fd] = (rest[fd] + some).split(b"\n")
                self.tell(names[fd], [line.decode() for line in lines])
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=TIMEOUT_S)

    @staticmethod
    def tell(pipe, lines):
        if pipe == "out":
            return talk.tell({"records": [[int(n) for n in line.split()] for line in lines]})
        for line in lines:
            if found := re.search(r"rebalanced \(.*\): assigned: (.*)", line):
                talk.tell({"assigned": [int(p) for p in re.findall(r"\[(\d+)\]", found[1])]})

    # -- transactions: everything that stands on its stdin is one

    def transact(self, topic, id, rounds):
        for work in rounds:
            records = work["records"]
            assert work["commit"] and len({json.dumps(r["headers"]) for r in records}) == 1
            self.send(topic, records, "-X", f"transactional.id={id}")


talk.serve(Client(sys.argv[1]))
