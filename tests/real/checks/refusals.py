"""What must not start, and what must stop: each names the thing, the place and the way out."""
import time

from checks.history import create
from harness import place, process
from harness.broker import Broker
from harness.contents import by_confluent
from harness.crew import Crew
from harness.minio import Minio
from harness.report import expect, log_tail

TOPIC = "owners"
# Looks at the owner come every 10 s.
FENCED_WITHIN_S = 25


def says(words, *needed):
    for word in needed:
        expect(str(word) in words, f"the refusal does not say '{word}':\n{words[-1500:]}")


def beside(broker, name, **changed):
    """A second broker, on other ports, with the first one's bucket and its own directory unless changed."""
    other = Broker(name, broker.store, broker.env, **broker.sets)
    for key, value in changed.items():
        setattr(other, key, value)
    return other


def fenced(first, second):
    """A take-over of a broker that lives: it stops by itself, and what it had sealed is the other's."""
    crew = Crew(first, TOPIC, 1, producers=1, rate=200, name="fenced")
    try:
        time.sleep(1)
        first.esker("seal", TOPIC)
        sealed = by_confluent(first, TOPIC, 1)
        sealed_to = int(first.esker("seal", TOPIC).stdout.splitlines()[1].split()[2])
        began = time.monotonic()
        second.start("--take-over")
        code = first.ended(FENCED_WITHIN_S)
        seconds = time.monotonic() - began
    finally:
        crew.end()
    expect(code == 1, f"a fenced broker ended with {code}")
    says(log_tail(first.log), "epoch", "owne")
    found = by_confluent(second, TOPIC, 1)[0]
    for offset, value in sealed[0].items():
        expect(offset >= sealed_to or found.get(offset) == value, f"offset {offset}, sealed before, has other content")
    return f"stopped after {seconds:.0f} s"


def on_folder(report):
    broker = Broker("owner", f"file://{place.fresh('owner-bucket')}", **{"esker.seal.ms": 1000}).start()
    same_dir = beside(broker, "same-dir", data=broker.data)
    same_bucket = beside(broker, "same-bucket")
    foreign = beside(broker, "foreign", store=f"file://{place.fresh('foreign-bucket')}")
    same_port = beside(broker, "same-port", kafka_port=broker.kafka_port, bootstrap=broker.bootstrap, store=foreign.store)
    try:
        create(broker, TOPIC, 1)

        def check(what, run):
            report.check("esker serve", f"refusals: {what}", run)

        check("two brokers on one directory", lambda: says(same_dir.refused(), broker.data, "in use"))
        check("two brokers on one bucket", lambda: says(same_bucket.refused(), broker.store, broker.bootstrap, "--take-over"))
        check("an address that is taken", lambda: says(same_port.refused(), broker.bootstrap, "--listen"))
        check("beyond loopback without --insecure", lambda: says(open_to_all(foreign), "--insecure"))
        check("a WAL larger than the disk", lambda: says(foreign.refused("--set", "wal.bytes=900TiB"), "wal.bytes", "free"))
        check("a setting that does not exist", lambda: says(wrong_setting(foreign), "wal.byte", "wal.bytes"))
        check("--take-over while the owner lives: it stops", lambda: fenced(broker, same_bucket))
        foreign.start().stop()
        same_bucket.stop()
        same_bucket.store, foreign.store = foreign.store, same_bucket.store
        check("the directory of another bucket", lambda: says(same_bucket.refused(), "cluster", "--store", "--data"))
    finally:
        for one in (broker, same_dir, same_bucket, foreign):
            one.end()


def open_to_all(broker):
    command = broker.command()
    command[command.index("--listen") + 1] = f"0.0.0.0:{broker.kafka_port},advertised={broker.bootstrap}"
    done = process.run(command, env=broker.env, timeout_s=30, check=False)
    expect(done.returncode == 2, f"wrong usage ended with {done.returncode}:\n{done.stderr}")
    return done.stderr


def wrong_setting(broker):
    done = broker.esker("serve", "--data", broker.data, "--set", "wal.byte=1GiB", check=False)
    expect(done.returncode == 2, f"wrong usage ended with {done.returncode}")
    return done.stderr


def on_minio(report):
    minio = Minio("refusals-minio").start()
    broker = Broker("denied", minio.bucket("there"), minio.env)

    def with_env(env, store, *words):
        broker.env = {**minio.env, **env, "PATH": "/usr/bin:/bin"}
        broker.store = store
        says(broker.refused(timeout_s=60), *words)

    wrong = {"AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    try:
        missing = "s3://not-there/log"
        checks = {
            "a bucket that is missing": lambda: with_env({}, missing, "not-there"),
            "a bucket that is denied": lambda: with_env(wrong, "s3://there/log", "there"),
        }
        for what, run in checks.items():
            report.check("esker serve", f"refusals: {what}", run)
    finally:
        broker.end()
        minio.kill()


def run(report, plan):
    on_folder(report)
    on_minio(report)
