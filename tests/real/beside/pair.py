"""One call to both brokers. Values that each of them makes up (member ids, producer ids, ...) become names by their first
appearance together, `$member:3`; a name in a later call is each broker's own value again. What remains must be equal.
"""
import json
import time
from collections import Counter
from dataclasses import dataclass

from harness.report import Failed

from . import batches, differences, shape

ABSENT = "(absent)"
# How long what runs in the background of a broker may take until both give the same answer.
SETTLE_S = 3.0
SETTLE_READS_S = 0.4
PAUSE_S = 0.05
TAKE_MS = 8_000
SIDES = ("kafka", "esker")


@dataclass
class Difference:
    """A field in which two answers differ; `path` is `topics[name=t].partitions[partitionIndex=0].errorCode`."""

    api: str
    version: int
    body: dict
    path: str
    kafka: object
    esker: object

    def __str__(self):
        shown = lambda value: json.dumps(value)[:300]
        return f"{self.path or '(the answer)'}: Kafka {shown(self.kafka)}, Esker {shown(self.esker)}"


class Pair:
    def __init__(self, relay, kafka, esker, journal):
        self.relay = relay
        self.addresses = (kafka, esker)
        self.journal = journal
        self.values = {}
        self.names = ({}, {})
        self.kinds = Counter()
        self.versions = {}
        self.step = 0
        self.where = ""
        self.unexpected = []
        self.expected = Counter()
        self.calls = Counter()

    # Calls.

    def call(self, api, body, version=None, on="main", client="beside", timeout=TAKE_MS):
        """Asks both, compares, and returns the answer with names in it (None where there was none)."""
        self.send(api, body, version, on, client)
        return self.take(on, timeout)

    def send(self, api, body, version=None, on="main", client="beside", answered=True):
        """Sends only; `take` on the same connection gets the answer."""
        version = self.versions[api][1] if version is None else version
        self.step += 1
        self.calls[api] += 1
        call = dict(api=api, version=version, body=body, client=client, step=self.step, answered=answered)
        for done in self.relay.follow(*[self._sending(side, on, call) for side in (0, 1)]):
            if "failed" in done:
                raise Failed(f"step {self.step}, {api} v{version} {body}: {done['failed']}")
        self.due = getattr(self, "due", {})
        if answered:
            self.due.setdefault(on, []).append(call)

    def take(self, on="main", timeout=TAKE_MS):
        call = self.due[on].pop(0)
        outcomes = self.relay.follow(*[self._taking(side, on, timeout) for side in (0, 1)])
        began = time.monotonic()
        while True:
            found, whole, fresh = self._compare(call, outcomes)
            unexpected = [one for one in found if differences.rule_of(one, found) is None]
            waited = time.monotonic() - began
            again = self._worth_asking_again(call, unexpected, waited)
            if not again:
                break
            time.sleep(PAUSE_S)
            for side in again:
                sent, taken = self.relay.follow(self._sending(side, on, call), self._taking(side, on, timeout))
                outcomes[side] = taken if "sent" in sent else sent
        self._note({**call, "waited": round(waited, 2)}, outcomes, found, unexpected, fresh)
        if "answer" not in outcomes[0]:
            self.due[on] = []
        return whole.get("answer")

    def is_silent(self, on, timeout=300):
        """Whether both let the call wait. Its connection is lost if they do."""
        outcomes = self.relay.follow(*[self._taking(side, on, timeout) for side in (0, 1)])
        return all("silent" in one for one in outcomes)

    def hang_up(self, on):
        """Leaves a connection, with whatever is due on it."""
        self.due[on] = []
        self.relay.follow(*[dict(do="close", to=address, on=on) for address in self.addresses])

    def _sending(self, side, on, call):
        body = self._own(call["body"], side)
        order = dict(do="send", to=self.addresses[side], on=on, api=shape.APIS[call["api"]], version=call["version"], client=call["client"])
        return {**order, "body": body, "unanswered": not call["answered"]}

    def _taking(self, side, on, timeout):
        return dict(do="take", to=self.addresses[side], on=on, timeout=timeout)

    def _own(self, value, side):
        """A body for one broker: its values instead of names, bytes instead of batches."""
        if isinstance(value, dict):
            return {key: self._own(one, side) for key, one in value.items()}
        if isinstance(value, list):
            return [self._own(one, side) for one in value]
        if isinstance(value, batches.Batch):
            return value.encode(lambda name: self._own(name, side))
        if isinstance(value, str) and value in self.values:
            return self.values[value][side]
        return value

    def _worth_asking_again(self, call, unexpected, waited):
        if not unexpected:
            return ()
        in_session = call["body"].get("sessionId", 0) != 0
        if call["api"] in shape.READS and not in_session and waited < SETTLE_READS_S:
            return (0, 1)
        if waited < SETTLE_S:
            for side, name in enumerate(SIDES):
                if any(getattr(one, name) in shape.TRANSIENT and one.path.endswith("rrorCode") for one in unexpected):
                    return (side,)
        return ()

    def _note(self, call, outcomes, found, unexpected, fresh):
        for name, values in fresh.items():
            self.values[name] = values
            for side in (0, 1):
                self.names[side][(name.split(":")[0], values[side])] = name
        covered = [(rule.name, one) for one in found if (rule := differences.rule_of(one, found)) is not None]
        self.expected.update(name for name, _ in covered)
        if unexpected:
            self.unexpected.append((self.where, call, unexpected))
        line = {**call, "where": self.where, "body": repr(call["body"]), "kafka": outcomes[0], "esker": outcomes[1]}
        line["differences"] = [str(one) for one in unexpected]
        line["expected"] = [f"{name}: {one}" for name, one in covered]
        self.journal.write(json.dumps(line) + "\n")

    # Comparing.

    def _compare(self, call, outcomes):
        """The differences, Kafka's outcome with names, and the names that are new."""
        found, fresh = [], {}
        known = lambda outcome: {"answer": outcome["answer"]} if "answer" in outcome else dict.fromkeys(outcome, True)
        walk = _Walk(self, call, found, fresh)
        whole = walk.value("", "", *[walk.prepared(known(outcome)) for outcome in outcomes])
        return found, whole, fresh


class _Walk:
    """Through two answers at once."""

    def __init__(self, pair, call, found, fresh):
        self.pair, self.call, self.found, self.fresh = pair, call, found, fresh

    def prepared(self, value, key=""):
        if isinstance(value, dict):
            return {key: self.prepared(one, key) for key, one in value.items() if key not in shape.WORDS}
        if isinstance(value, list):
            return [self.prepared(one, key) for one in value]
        if key == "records" and isinstance(value, str):
            return batches.decoded(value)
        if key in shape.FREE:
            return shape.is_given(value)
        return value

    def differ(self, path, kafka, esker):
        call = self.call
        path = path.removeprefix(".answer").removeprefix(".")
        self.found.append(Difference(call["api"], call["version"], call["body"], path, kafka, esker))

    def value(self, path, key, kafka, esker):
        if isinstance(kafka, dict) and isinstance(esker, dict):
            return self.struct(path, kafka, esker)
        if isinstance(kafka, list) and isinstance(esker, list):
            return self.list(path, key, kafka, esker)
        if kafka == esker:
            return kafka
        name = self.name(shape.NAMED.get(key), kafka, esker)
        if name is None:
            self.differ(path, kafka, esker)
            return kafka
        return name

    def struct(self, path, kafka, esker):
        if "records" in kafka and "records" in esker:
            kafka, esker = _common_part(kafka, esker)
        for key in esker.keys() - kafka.keys():
            self.differ(f"{path}.{key}", ABSENT, esker[key])
        out = {}
        for key, value in kafka.items():
            if key in esker:
                out[key] = self.value(f"{path}.{key}", key, value, esker[key])
            else:
                self.differ(f"{path}.{key}", value, ABSENT)
                out[key] = value
        return out

    def list(self, path, key, kafka, esker):
        sides = [sorted(((self.identity(one, side), self.rank(one), n, one) for n, one in enumerate(list_)), key=lambda e: e[:3])
                 for side, list_ in enumerate((kafka, esker))]  # fmt: skip
        waiting = {}
        for identity, _, _, one in sides[1]:
            waiting.setdefault(identity, []).append(one)
        out = []
        for identity, _, _, one in sides[0]:
            if waiting.get(identity):
                out.append(self.value(f"{path}[{identity}]", key, one, waiting[identity].pop(0)))
            else:
                self.differ(f"{path}[{identity}]", one, ABSENT)
                out.append(one)
        for identity, left in waiting.items():
            for one in left:
                self.differ(f"{path}[{identity}]", ABSENT, one)
        return out

    def identity(self, one, side):
        if not isinstance(one, dict):
            return "" if isinstance(one, list) else str(one)
        told = [f"baseOffset={one['baseOffset']}"] if shape.DECODED in one and "baseOffset" in one else []
        for key in shape.IDENTITY:
            if key in one and one[key] is not None:
                told.append(f"{key}={one[key]}")
        for key, kind in shape.NAMED.items():
            value = one.get(key)
            name = None if value in shape.NOTHING else self.pair.names[side].get((f"${kind}", value))
            if name is not None and kind != "epoch":
                told.append(f"{key}={name}")
        return ",".join(told)

    def rank(self, one):
        """An order that both sides share: of the element without what each makes up."""
        return json.dumps(_masked(one), sort_keys=True)

    def name(self, kind, kafka, esker):
        """The name of two values that stand for each other; None if they do not."""
        if kind is None or kafka in shape.NOTHING and kind != "epoch" or esker in shape.NOTHING:
            return None
        names = self.pair.names
        known = [names[side].get((f"${kind}", value)) for side, value in ((0, kafka), (1, esker))]
        for name, values in self.fresh.items():
            if name.startswith(f"${kind}:"):
                known = [known[0] or (name if values[0] == kafka else None), known[1] or (name if values[1] == esker else None)]
        if known == [None, None]:
            self.pair.kinds[kind] += 1
            name = f"${kind}:{self.pair.kinds[kind]}"
            self.fresh[name] = (kafka, esker)
            return name
        return known[0] if known[0] == known[1] else None


def _common_part(*partitions):
    """What two fetches of a partition have in common, where both brought something: how much comes at once is each broker's choice."""
    records = [one["records"] or [] for one in partitions]
    count = min(map(len, records))
    if count == 0 or not all(isinstance(batches, list) and "baseOffset" in batches[0] for batches in records):
        return partitions
    last = records[0][count - 1]["baseOffset"] + records[0][count - 1]["lastOffsetDelta"]
    out = []
    for one, batches in zip(partitions, records):
        aborted = one.get("abortedTransactions")
        if aborted is not None:
            aborted = [transaction for transaction in aborted if transaction["firstOffset"] <= last]
        out.append({**one, "records": batches[:count], "abortedTransactions": aborted})
    return out


def _masked(value, key=""):
    if isinstance(value, dict):
        return {key: _masked(one, key) for key, one in value.items() if key not in shape.NAMED and key not in shape.FREE}
    if isinstance(value, list):
        return sorted((_masked(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value
