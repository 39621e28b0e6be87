"""Producer ids and transactions, of the first version and of TV2 (KIP-890)."""
import time

from .batches import Batch, keyed

TX = "tx"


def ids(w):
    """InitProducerId, in each version, with good and bad arguments."""
    low, high = w.pair.versions["InitProducerId"]
    for version in range(low, high + 1):
        w.producer(None, version=version)
        w.producer(f"tx-{version}", version=version)
        w.producer(f"tx-{version}", version=version)
        for name, timeout in (("", 1000), (None, 0), ("bad", 0), ("bad", -1), ("bad", 900_001), ("bad", (1 << 31) - 1)):
            w.producer(name, timeout, version)
    for producer, epoch in ((5, 0), (-1, 0), (5, -1), (-2, -2), (1 << 40, 3)):
        w.producer(None, producerId=producer, producerEpoch=epoch)
        w.producer("tx-of-other", producerId=producer, producerEpoch=epoch)
    known = w.producer("tx-known")
    for epoch in (known["producerEpoch"], known["producerEpoch"], 7, 0, -1):
        w.producer("tx-known", producerId=known["producerId"], producerEpoch=epoch)
    other = w.producer("tx-second")["producerId"]
    w.producer("tx-known", producerId=other, producerEpoch=0)


def first_version(w):
    """A transaction as producers before TV2 make it, and what goes wrong around it."""
    w.topic("v1", 3)
    w.topic("v1-other")
    who = w.producer("v1-tx", version=4)
    pid, epoch = who["producerId"], who["producerEpoch"]
    put = lambda partition, sequence, epoch=epoch, name="v1-tx", topic="v1", transactional=True: w.produce(
        topic, Batch(keyed(b"x"), pid, epoch, sequence, transactional), partition, version=11, transactional_id=name
    )
    end = lambda commit=True, epoch=epoch, pid=pid, version=4, name="v1-tx": w.end_txn(name, pid, epoch, commit, version)
    end()
    end(False)
    put(0, 0)
    w.add_partitions("v1-tx", pid, epoch, {"v1": [0]})
    w.add_partitions("v1-tx", pid, epoch, {"v1": [0, 1]})
    for places in ({"v1": [9]}, {"unheard": [0]}, {"v1": [2], "unheard": [0]}, {"a/b": [0]}, {"v1": [-1]}, {}, {"__consumer_offsets": [0]}):
        w.add_partitions("v1-tx", pid, epoch, places)
    for wrong in ((pid, epoch + 1), (pid, -1), (77, epoch), (-1, -1)):
        w.add_partitions("v1-tx", *wrong, {"v1": [0]})
    w.add_partitions("no-such-tx", pid, epoch, {"v1": [0]})
    w.add_partitions("", pid, epoch, {"v1": [0]})
    put(0, 0)
    put(0, 0)
    put(0, 5)
    put(2, 0)
    put(1, 0, transactional=False, name=None)
    put(1, 0, name=None)
    put(1, 0, name="other-tx")
    put(1, 0, epoch=epoch + 1)
    w.read("v1", isolation=1)
    w.read("v1")
    w.offsets_at("v1", 0, -1, isolation=1)
    w.offsets_at("v1", 0, -1)
    described(w, "v1-tx", "no-such-tx", "")
    w.call("DescribeProducers", {"topics": [{"name": "v1", "partitionIndexes": [0, 1, 2]}]})
    for wrong in ((True, epoch + 1), (True, -1)):
        end(*wrong)
    end(pid=77)
    end(name="no-such-tx")
    end(name="")
    end()
    settled(w, "v1-tx")
    end()
    end(False)
    described(w, "v1-tx")
    w.read("v1", isolation=1)
    put(0, 1)
    w.add_partitions("v1-tx", pid, epoch, {"v1": [0]})
    put(0, 1)
    end(False)
    settled(w, "v1-tx")
    end(False)
    end()
    w.read("v1", isolation=1)
    w.read("v1")
    w.call("DescribeProducers", {"topics": [{"name": "v1", "partitionIndexes": [0]}]})


def settled(w, name):
    """Until the end of the transaction is written everywhere."""
    for _ in range(100):
        states = w.call("DescribeTransactions", {"transactionalIds": [name]})["transactionStates"]
        if not states[0]["transactionState"].startswith("Prepare"):
            return


def described(w, *names):
    w.call("DescribeTransactions", {"transactionalIds": list(names)})


def versions(w):
    """One transaction with everything in it, in each version of the calls."""
    w.topic("every", 2)
    for version in range(0, 6):
        name = f"every-{version}"
        who = w.producer(name, version=min(version, w.pair.versions["InitProducerId"][1]))
        pid, epoch = who["producerId"], who["producerEpoch"]
        w.add_partitions(name, pid, epoch, {"every": [0, 1]}, min(version, 3))
        w.add_offsets(name, pid, epoch, f"g-{version}", min(version, 4))
        w.commit_in_txn(name, pid, epoch, f"g-{version}", "every", 5, min(version, 4))
        w.committed(f"g-{version}", {"every": [0]})
        w.committed(f"g-{version}", {"every": [0]}, stable=True)
        w.end_txn(name, pid, epoch, version % 2 == 0, min(version, 4))
        settled(w, name)
        w.committed(f"g-{version}", {"every": [0]}, stable=True)
        w.add_partitions(name, pid, epoch + 9, {"every": [0]}, min(version, 3))
        w.end_txn(name, pid, epoch + 9, True, min(version, 4))
        w.add_offsets(name, pid, epoch + 9, "g", min(version, 4))
        w.commit_in_txn(name, pid, epoch + 9, "g", "every", 5, min(version, 4))
        w.producer(name, version=min(version, 2))
        w.end_txn(name, pid, epoch, True, min(version, 4))
        w.add_partitions(name, pid, epoch, {"every": [0]}, min(version, 3))


def second_version(w):
    """TV2: partitions are added by what is produced, the epoch rises with every end."""
    w.topic("v2", 2)
    who = w.producer("v2-tx")
    pid, epoch = who["producerId"], who["producerEpoch"]
    put = lambda partition, sequence, epoch, name="v2-tx", version=12: w.produce(
        "v2", Batch(keyed(b"x"), pid, epoch, sequence, True), partition, version=version, transactional_id=name
    )
    w.end_txn("v2-tx", pid, epoch)
    settled(w, "v2-tx")
    who = w.producer("v2-tx")
    pid, epoch = who["producerId"], who["producerEpoch"]
    put(0, 0, epoch)
    put(1, 0, epoch, version=13)
    put(0, 1, epoch + 1)
    put(0, 1, epoch, name=None)
    put(9, 0, epoch)
    described(w, "v2-tx")
    w.end_txn("v2-tx", pid, epoch + 1)
    w.end_txn("v2-tx", pid, epoch + 2)
    ended = w.end_txn("v2-tx", pid, epoch)
    settled(w, "v2-tx")
    w.end_txn("v2-tx", pid, epoch)
    w.end_txn("v2-tx", pid, epoch, False)
    described(w, "v2-tx")
    put(0, 1, epoch)
    later = ended["producerEpoch"]
    put(0, 0, later)
    w.read("v2", isolation=1)
    w.end_txn("v2-tx", pid, later, False)
    settled(w, "v2-tx")
    w.read("v2", isolation=1)
    w.end_txn("v2-tx", pid, later, False)
    w.end_txn("v2-tx", pid, later, True)
    w.end_txn("v2-tx", pid, later + 1, True)
    w.commit_in_txn("v2-tx", pid, later + 1, "v2-g", "v2", 7)
    described(w, "v2-tx")


def verified(w):
    """AddPartitionsToTxn of brokers: many at once, and only to verify."""
    w.topic("verified", 2)
    who = w.producer("ver-tx", version=4)
    pid, epoch = who["producerId"], who["producerEpoch"]
    w.add_partitions("ver-tx", pid, epoch, {"verified": [0]})
    for version in (4, 5):
        for name, number, places in (("ver-tx", epoch, [0]), ("ver-tx", epoch, [0, 1]), ("ver-tx", epoch + 1, [0]), ("no-such", 0, [0]),
                                     ("ver-tx", epoch, [9])):  # fmt: skip
            topics = [{"name": "verified", "partitions": places}]
            for only in (True, False):
                one = {"transactionalId": name, "producerId": pid, "producerEpoch": number, "verifyOnly": only, "topics": topics}
                if only:
                    w.call("AddPartitionsToTxn", {"transactions": [one]}, version)


def fenced(w):
    """One transactional id, two producers."""
    w.topic("shared-log")
    first = w.producer("shared", version=4)
    pid, epoch = first["producerId"], first["producerEpoch"]
    w.add_partitions("shared", pid, epoch, {"shared-log": [0]})
    w.produce("shared-log", Batch(keyed(b"1"), pid, epoch, 0, True), version=11, transactional_id="shared")
    second = w.producer("shared", version=4)
    for _ in range(100):
        if second["errorCode"] != 51:
            break
        second = w.producer("shared", version=4)
    settled(w, "shared")
    for version in (0, 1, 2, 3):
        w.add_partitions("shared", pid, epoch, {"shared-log": [0]}, version)
        w.end_txn("shared", pid, epoch, True, version)
        w.add_offsets("shared", pid, epoch, "g", version)
    w.produce("shared-log", Batch(keyed(b"2"), pid, epoch, 1, True), version=11, transactional_id="shared")
    w.produce("shared-log", Batch(keyed(b"2"), pid, epoch, 1, True), version=12, transactional_id="shared")
    w.producer("shared", producerId=pid, producerEpoch=epoch, version=4)
    w.read("shared-log", isolation=1)
    described(w, "shared")
    now = second["producerEpoch"]
    w.add_partitions("shared", pid, now, {"shared-log": [0]})
    w.produce("shared-log", Batch(keyed(b"3"), pid, now, 0, True), version=11, transactional_id="shared")
    w.end_txn("shared", pid, now, True, 4)
    settled(w, "shared")
    w.read("shared-log", isolation=1)


def timed_out(w):
    """A transaction that nobody ends."""
    w.topic("late")
    who = w.producer("late-tx", timeout=1000, version=4)
    pid, epoch = who["producerId"], who["producerEpoch"]
    w.add_partitions("late-tx", pid, epoch, {"late": [0]})
    w.produce("late", Batch(keyed(b"1"), pid, epoch, 0, True), version=11, transactional_id="late-tx")
    time.sleep(2.5)
    described(w, "late-tx")
    w.read("late", isolation=1)
    w.end_txn("late-tx", pid, epoch, True, 4)
    w.end_txn("late-tx", pid, epoch, False, 4)
    w.add_partitions("late-tx", pid, epoch, {"late": [0]})
    w.produce("late", Batch(keyed(b"2"), pid, epoch, 1, True), version=11, transactional_id="late-tx")
    w.producer("late-tx", producerId=pid, producerEpoch=epoch, version=4)


def offsets_in(w):
    """Offsets in a transaction: members, generations, what does not exist, what is too long."""
    w.topic("in-txn", 2)
    who = w.producer("off-tx", version=4)
    pid, epoch = who["producerId"], who["producerEpoch"]
    commit = lambda group="off-g", topic="in-txn", offset=1, version=4, **more: w.commit_in_txn("off-tx", pid, epoch, group, topic, offset, version, **more)
    commit()
    w.add_offsets("off-tx", pid, epoch, "off-g")
    w.add_offsets("off-tx", pid, epoch, "")
    w.add_offsets("off-tx", pid, epoch, "x" * 300)
    w.add_offsets("off-tx", 77, epoch, "off-g")
    w.add_offsets("no-such", pid, epoch, "off-g")
    commit()
    commit(group="never-added")
    commit(group="")
    commit(topic="unheard")
    commit(partition=9)
    commit(metadata="x" * 4097)
    commit(metadata=None)
    commit(offset=-1)
    commit(offset=-5)
    commit(memberId="stranger", generationId=1)
    commit(memberId="", generationId=5)
    commit(groupInstanceId="static", memberId="m", generationId=1)
    w.committed("off-g", {"in-txn": [0, 1]}, stable=True)
    w.committed("off-g", None, stable=True)
    w.call("OffsetDelete", {"groupId": "off-g", "topics": [{"name": "in-txn", "partitions": [{"partitionIndex": 0}]}]})
    w.call("DeleteGroups", {"groupsNames": ["off-g"]})
    w.end_txn("off-tx", pid, epoch, True, 4)
    settled(w, "off-tx")
    w.committed("off-g", {"in-txn": [0, 1]}, stable=True)


def first_sequences(w):
    """The first batch of a producer that a partition knows not at all, by a marker alone, or by a batch that it refused."""
    w.topic("first", 3)
    who = w.producer("first-tx", version=4)
    pid, epoch = who["producerId"], who["producerEpoch"]
    put = lambda partition, sequence: w.produce(
        "first", Batch(keyed(b"x"), pid, epoch, sequence, True), partition, version=11, transactional_id="first-tx"
    )
    known = lambda: w.call("DescribeProducers", {"topics": [{"name": "first", "partitionIndexes": [0, 1, 2]}]})
    w.add_partitions("first-tx", pid, epoch, {"first": [0]})
    known()
    w.end_txn("first-tx", pid, epoch, False, 4)
    settled(w, "first-tx")
    known()
    w.add_partitions("first-tx", pid, epoch, {"first": [0, 1]})
    put(0, 3)
    put(0, 0)
    put(1, 3)
    put(1, 0)
    put(2, 0)
    w.add_partitions("first-tx", pid, epoch, {"first": [2]})
    put(2, 1)
    w.end_txn("first-tx", pid, epoch, True, 4)
    settled(w, "first-tx")


def administered(w):
    """Listing with filters, and markers from outside."""
    for version in range(w.pair.versions["ListTransactions"][0], w.pair.versions["ListTransactions"][1] + 1):
        for states in ([], ["Ongoing"], ["Empty"], ["CompleteCommit", "CompleteAbort"], ["Nonsense"], ["Nonsense", "Ongoing"], ["ongoing"]):
            w.call("ListTransactions", {"stateFilters": states, "producerIdFilters": []}, version)
    open_ = w.producer("open-tx", version=4)
    w.topic("open", 2)
    w.add_partitions("open-tx", open_["producerId"], open_["producerEpoch"], {"open": [0]})
    for duration in (-1, 0, 60_000, -5):
        w.call("ListTransactions", {"durationFilter": duration}, 1)
    for who in ([open_["producerId"]], [77], [-1]):
        w.call("ListTransactions", {"producerIdFilters": who}, 1)
    for pattern in ("open-.*", "", None, "open", "(", "zzz", ".*-tx"):
        w.call("ListTransactions", {"transactionalIdPattern": pattern}, 2)
    w.produce("open", Batch(keyed(b"1"), open_["producerId"], open_["producerEpoch"], 0, True), version=11, transactional_id="open-tx")
    mark = lambda topic, partitions, who=open_["producerId"], epoch=open_["producerEpoch"], commit=False: w.call(
        "WriteTxnMarkers",
        {"markers": [{"producerId": who, "producerEpoch": epoch, "transactionResult": commit, "coordinatorEpoch": 0,
                      "topics": [{"name": topic, "partitionIndexes": partitions}]}]},
    )  # fmt: skip
    mark("unheard", [0])
    mark("open", [9])
    mark("open", [0], epoch=open_["producerEpoch"] - 1)
    mark("open", [0])
    described(w, "open-tx")
    w.call("DescribeTransactions", {"transactionalIds": []})
    w.call("DescribeTransactions", {"transactionalIds": ["open-tx", "open-tx"]})


ALL = (ids, first_version, versions, second_version, verified, fenced, timed_out, offsets_in, first_sequences, administered)
