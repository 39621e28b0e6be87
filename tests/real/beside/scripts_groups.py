"""Committed offsets and groups, classic and of KIP-848."""
from .world import NO_ID, subscription

UNHEARD_ID = "AAAAAAAAAAAAAAAAAAAAAg"
BIG = (1 << 31) - 1


def simple_offsets(w):
    """Commits and fetches of clients without a membership, in each version."""
    w.topic("committed", 3)
    for version in range(w.pair.versions["OffsetCommit"][0], w.pair.versions["OffsetCommit"][1] + 1):
        w.commit(f"simple-{version}", "committed", 5, version=version)
        w.commit(f"simple-{version}", "committed", 6, 9, version=version)
        w.commit(f"simple-{version}", "unheard" if version < 10 else UNHEARD_ID, 6, version=version)
    for version in range(w.pair.versions["OffsetFetch"][0], w.pair.versions["OffsetFetch"][1] + 1):
        w.committed("simple-9", {"committed": [0, 1, 9]}, version)
        w.committed("simple-9", {"unheard" if version < 10 else UNHEARD_ID: [0]}, version)
        w.committed("never", {"committed": [0]}, version)
        w.committed("simple-9", {}, version)
        if version >= 2:
            w.committed("simple-9", None, version)
            w.committed("never", None, version)
        w.committed("", {"committed": [0]}, version)
    commit = lambda offset=1, **more: w.commit("simple", "committed", offset, **more)
    commit(metadata="x" * 4096)
    commit(metadata="x" * 4097)
    commit(metadata="é" * 2048)
    commit(metadata=None)
    commit(-1)
    commit(-2)
    commit(1 << 62)
    commit(generation=0)
    commit(generation=5)
    commit(member="stranger")
    commit(member="stranger", generation=0)
    commit(instance="static")
    w.commit("", "committed", 1)
    w.commit("x" * 300, "committed", 1)
    w.commit("simple", "a/b", 1)
    w.commit("simple", "", 1)
    w.commit("simple", NO_ID, 1, version=10)
    w.call("OffsetCommit", {"groupId": "simple", "topics": []}, 9)
    w.call("OffsetCommit", {"groupId": "empty-commit", "topics": []}, 9)
    parts = [{"partitionIndex": 0, "committedOffset": 1}, {"partitionIndex": 0, "committedOffset": 2}]
    w.call("OffsetCommit", {"groupId": "simple", "topics": [{"name": "committed", "partitions": parts}]}, 9)
    w.committed("simple", {"committed": [0, 0]})
    w.committed("simple", None)
    w.committed("simple", {"committed": [0]}, memberId="stranger", memberEpoch=0)
    w.committed("simple", {"committed": [0]}, memberId=None, memberEpoch=7)
    many = [{"groupId": group, "topics": None} for group in ("simple", "simple", "never", "")]
    w.call("OffsetFetch", {"groups": many}, 9)
    w.call("OffsetFetch", {"groups": []}, 9)
    described(w, "simple")
    listed(w)


def recreated(w):
    """Offsets of a topic that is gone, and of another with its name."""
    w.topic("passing", 2)
    w.commit("heirs", "passing", 7)
    w.commit("heirs", "passing", 8, 1)
    w.delete_topic("passing")
    w.commit("heirs", "passing", 9)
    w.committed("heirs", {"passing": [0]})
    w.committed("heirs", None)
    w.topic("passing")
    w.committed("heirs", {"passing": [0, 1]})
    w.commit("heirs", "passing", 3, 1)
    w.commit("heirs", "passing", 3)
    w.committed("heirs", None)


def described(w, *groups, version=None):
    low, high = w.pair.versions["DescribeGroups"]
    for version in (low, high) if version is None else (version,):
        w.call("DescribeGroups", {"groups": list(groups)}, version)


def listed(w):
    low, high = w.pair.versions["ListGroups"]
    for version in range(low, high + 1):
        w.call("ListGroups", {}, version)
    for states in (["Empty"], ["stable"], ["Stable", "Empty"], ["Nonsense"], ["Dead"], [""]):
        w.call("ListGroups", {"statesFilter": states}, high)
    for types in (["classic"], ["Consumer"], ["Nonsense"], ["share"], ["streams"]):
        w.call("ListGroups", {"typesFilter": types}, high)


def deleted(w):
    """OffsetDelete and DeleteGroups."""
    w.topic("dropped", 2)
    w.commit("drop", "dropped", 1)
    w.commit("drop", "dropped", 2, 1)
    drop = lambda group, topic, *partitions: w.call(
        "OffsetDelete", {"groupId": group, "topics": [{"name": topic, "partitions": [{"partitionIndex": p} for p in partitions]}]}
    )
    drop("drop", "dropped", 0)
    drop("drop", "dropped", 0, 9, -1)
    drop("drop", "unheard", 0)
    drop("drop", "dropped")
    drop("no-group", "dropped", 0)
    drop("", "dropped", 0)
    w.call("OffsetDelete", {"groupId": "drop", "topics": []})
    w.committed("drop", None)
    w.call("OffsetDelete", {"groupId": "drop", "topics": [{"name": "dropped", "partitions": [{"partitionIndex": 1}]}]})
    w.committed("drop", None)
    described(w, "drop")
    w.commit("drop", "dropped", 1)
    for version in range(w.pair.versions["DeleteGroups"][0], w.pair.versions["DeleteGroups"][1] + 1):
        w.call("DeleteGroups", {"groupsNames": ["drop", "drop", "no-group", ""]}, version)
    w.call("DeleteGroups", {"groupsNames": []})
    w.committed("drop", None)
    w.joined("busy-drop", "dropper", metadata=subscription(["dropped"]))
    w.commit("busy-drop", "dropped", 1)
    w.call("DeleteGroups", {"groupsNames": ["busy-drop"]})
    drop("busy-drop", "dropped", 0)
    drop("busy-drop", "committed", 0)


def joining(w):
    """Bad arguments of JoinGroup, and each version of it."""
    low, high = w.pair.versions["JoinGroup"]
    for version in range(low, high + 1):
        group = f"joins-{version}"
        found = w.join(group, version, client=f"joiner-{version}")
        if found["errorCode"] == 79:
            found = w.join(group, version, client=f"joiner-{version}", member=found["memberId"])
        described(w, group)
        w.join(group, version, client=f"joiner-{version}", member=found["memberId"])
        w.sync(group, found["memberId"], found["generationId"] + 1, {found["memberId"]: "AAEC"}, version=min(version, 5))
        described(w, group)
    for more in (
        {"sessionTimeoutMs": 5999},
        {"sessionTimeoutMs": 1_800_001},
        {"sessionTimeoutMs": -1},
        {"sessionTimeoutMs": 0},
        {"member": "stranger"},
        {"protocols": ()},
        {"kind": ""},
        {"kind": "connect"},
        {"instance": ""},
        {"instance": "a/b"},
        {"instance": "x" * 300},
        {"instance": "."},
        {"protocols": ("range", "range")},
    ):
        w.join("bad-join", **more)
    w.join("")
    w.join("x" * 300)
    described(w, "bad-join")


def one_member(w):
    """Sync, heartbeat, commit, leave of one member, with stale and strange ids and generations."""
    w.topic("classic", 2)
    group = "one"
    me = w.joined(group, "solo", metadata=subscription(["classic"]))
    for member, generation in ((me, 1), (me, 0), (me, 2), (me, -1), ("stranger", 1), ("", 1), ("", -1)):
        for version in (0, 3, 4):
            w.heartbeat(group, member, generation, version=version)
        for version in (2, 7, 9, 10):
            w.commit(group, "classic", 3, member=member, generation=generation, version=version)
        w.sync(group, member, generation)
        w.committed(group, {"classic": [0]}, memberId=member, memberEpoch=generation)
    w.sync(group, me, 1, protocolType="other")
    w.sync(group, me, 1, protocolName="other")
    w.sync(group, me, 1, protocolType=None, protocolName=None)
    w.heartbeat("unheard-group", me, 1)
    w.heartbeat("", me, 1)
    w.sync("unheard-group", me, 1)
    w.sync("", me, 1)
    w.commit("unheard-group", "classic", 1, member=me, generation=1)
    w.leave("unheard-group", (me, None))
    w.leave("", (me, None))
    w.join(group, member=me, kind="connect")
    w.join(group, member=me, protocols=("other",))
    described(w, group)
    w.join(group, member=me, metadata=subscription(["classic"]))
    described(w, group)
    w.heartbeat(group, me, 2)
    w.sync(group, me, 2, {me: "AQID"})
    described(w, group)
    w.commit(group, "classic", 4, member=me, generation=2)
    w.commit(group, "classic", 4, 9, member=me, generation=2)
    w.leave(group, ("stranger", None), (me, "not-static"), ("", "not-there"))
    w.leave(group)
    w.leave(group, (me, None), (me, None))
    w.heartbeat(group, me, 2)
    w.commit(group, "classic", 4, member=me, generation=2)
    described(w, group)
    w.commit(group, "classic", 5)
    w.committed(group, {"classic": [0]})
    w.join(group, member=me)
    for version in range(0, 6):
        left = w.joined(f"leaves-{version}", f"leaver-{version}")
        w.leave(f"leaves-{version}", (left, None), version=version)
        w.leave(f"leaves-{version}", (left, None), version=version)


def two_members(w):
    """A rebalance of two, who wait for each other."""
    pair, group = w.pair, "two"
    first = w.joined(group, "first")
    asked = w.join(group, client="second", on="second")
    pair.send("JoinGroup", w.joining(group, asked["memberId"], protocols=("roundrobin", "range")), 9, "second", "second")
    pair.call("DescribeGroups", {"groups": [group]})
    w.heartbeat(group, first, 1)
    w.commit(group, "classic", 1, member=first, generation=1)
    w.sync(group, first, 1)
    pair.send("JoinGroup", w.joining(group, first, protocols=("range", "roundrobin")), 9, "first", "first")
    one, two = pair.take("first"), pair.take("second")
    described(w, group)
    leader, follower = (one, two) if one["members"] else (two, one)
    generation = leader["generationId"]
    waiting = {"groupId": group, "generationId": generation, "memberId": follower["memberId"], "assignments": []}
    pair.send("SyncGroup", {**waiting, "protocolType": "consumer", "protocolName": leader["protocolName"]}, 5, "follower")
    w.heartbeat(group, leader["memberId"], generation)
    w.commit(group, "classic", 1, member=leader["memberId"], generation=generation)
    given = {leader["memberId"]: "AAAA", "stranger": "AQ=="}
    w.sync(group, leader["memberId"], generation, given, protocolName=leader["protocolName"])
    pair.take("follower")
    described(w, group)
    w.heartbeat(group, follower["memberId"], generation)
    w.commit(group, "classic", 1, member=follower["memberId"], generation=generation)
    w.join(group, client="third", on="third", protocols=("sticky",))
    w.join(group, client="third", on="third", kind="connect")
    w.leave(group, (leader["memberId"], None))
    w.heartbeat(group, follower["memberId"], generation)
    w.join(group, client="second", on="second", member=follower["memberId"], protocols=("roundrobin", "range"))
    described(w, group)


def statics(w):
    """Static members: returned, replaced, fenced, removed by their instance id."""
    group = "static"
    found = w.join(group, instance="i1", client="s1", on="s1", metadata=subscription(["classic"]))
    old = found["memberId"]
    w.sync(group, old, 1, {old: "AAAA"}, "i1")
    described(w, group)
    again = w.join(group, instance="i1", client="s2", on="s2", metadata=subscription(["classic"]))
    new = again["memberId"]
    described(w, group)
    for member, instance in ((old, "i1"), (old, None), (new, "i1"), (new, "i2"), ("stranger", "i1"), ("stranger", "i9"), ("", "i1")):
        w.heartbeat(group, member, again["generationId"], instance)
        w.commit(group, "classic", 1, member=member, generation=again["generationId"], instance=instance)
        w.sync(group, member, again["generationId"], instance=instance)
    w.join(group, member=old, instance="i1")
    w.join(group, member="stranger", instance="i1")
    w.join(group, member="stranger", instance="i7")
    w.leave(group, (old, "i1"), ("", "i9"))
    w.leave(group, ("", "i1"))
    described(w, group)
    changed = w.join(group, instance="i1", client="s3", on="s3", metadata=subscription(["other"]))
    w.sync(group, changed["memberId"], changed["generationId"], {changed["memberId"]: "AAAA"}, "i1")
    other = w.join(group, instance="i1", client="s4", on="s4", metadata=subscription(["classic"]), version=8)
    described(w, group)
    w.leave(group, (other["memberId"], "i1"))
    described(w, group)


def consumers(w):
    """ConsumerGroupHeartbeat: joining, epochs, what is refused."""
    w.topic("modern", 2)
    w.topic("modern-2", 1)
    group = "kip848"
    for more in (
        {"rebalanceTimeoutMs": -1},
        {"subscribedTopicNames": None},
        {"topicPartitions": None},
        {"topicPartitions": [{"topicId": UNHEARD_ID, "partitions": [0]}]},
        {"instanceId": ""},
        {"rackId": ""},
        {"serverAssignor": "sticky"},
        {"serverAssignor": ""},
        {"subscribedTopicRegex": "("},
        {"subscribedTopicRegex": "[a-"},
        {"subscribedTopicRegex": "(?=x)"},
        {"subscribedTopicRegex": "(a)\\1"},
        {"subscribedTopicRegex": "a{1,1001}"},
        {"subscribedTopicNames": ["a/b", ""]},
    ):
        w.enter("kip848-bad", "m", **{"topics": ["modern"], **more})
    for name, member, epoch in (("", "m", 0), ("kip848-bad", "", 0), ("kip848-bad", "m", 5), ("kip848-bad", "m", -1), ("kip848-bad", "m", -2),
                                ("kip848-bad", "m", -3), ("kip848-none", "m", 1), ("x" * 300, "m", 0)):  # fmt: skip
        w.beat(name, member, epoch, rebalanceTimeoutMs=5000, subscribedTopicNames=["modern"], topicPartitions=[])
    w.enter("kip848-deep", "m", subscribedTopicRegex="(" * 200 + "a" + ")" * 200)
    w.beat("kip848-v0", "", 0, 0, rebalanceTimeoutMs=5000, subscribedTopicNames=["modern"], topicPartitions=[])
    w.enter(group, "a", ["modern"])
    described_modern(w, group)
    for epoch in (1, 0, 2, -5, 7):
        w.beat(group, "a", epoch)
    w.enter(group, "a", ["modern"])
    w.beat(group, "b", 1)
    w.beat(group, "", 1)
    owned = lambda *partitions: [{"topicId": w.ids["modern"], "partitions": list(partitions)}]
    w.beat(group, "a", 1, topicPartitions=owned(0, 1))
    described_modern(w, group)
    w.beat(group, "a", 1, topicPartitions=owned(7))
    w.beat(group, "a", 1, topicPartitions=owned(0, 1))
    w.beat(group, "a", 1, subscribedTopicNames=["modern", "modern-2"])
    w.beat(group, "a", 2)
    w.beat(group, "a", 2, subscribedTopicNames=["unheard"])
    w.beat(group, "a", 3)
    w.beat(group, "a", 3, serverAssignor="range")
    w.beat(group, "a", 3, serverAssignor="nonsense")
    w.beat(group, "a", 4, rackId="r1")
    w.beat(group, "a", 4, subscribedTopicNames=[])
    described_modern(w, group, "kip848-none", "")
    w.beat(group, "a", -1)
    w.beat(group, "a", -1)
    w.beat(group, "a", 4)
    described_modern(w, group)
    described(w, group)


def described_modern(w, *groups):
    for version in (0, 1):
        w.call("ConsumerGroupDescribe", {"groupIds": list(groups)}, version)


def modern_pair(w):
    """Two members: revocation, commits with epochs, static instances, the other protocol."""
    group = "kip848-two"
    ids = w.ids["modern"]
    owned = lambda *partitions: [{"topicId": ids, "partitions": list(partitions)}] if partitions else []
    w.enter(group, "a", ["modern"], client="ca")
    w.beat(group, "a", 1, topicPartitions=owned(0, 1))
    w.enter(group, "b", ["modern"], client="cb")
    described_modern(w, group)
    w.beat(group, "a", 1)
    for epoch in (0, 1, 2, 3, -1):
        for version in (9, 10) if epoch else (8, 9, 10):
            w.commit(group, "modern", 5, member="a", generation=epoch, version=version)
            w.committed(group, {"modern": [0]}, version if version > 8 else 9, memberId="a", memberEpoch=epoch)
    w.commit(group, "modern", 5, member="", generation=-1)
    w.commit(group, "modern", 5, member="stranger", generation=1)
    w.committed(group, {"modern": [0]}, memberId="stranger", memberEpoch=1)
    w.committed(group, {"modern": [0]})
    w.beat(group, "b", 2)
    given = w.beat(group, "a", 1)
    w.beat(group, "a", 1, topicPartitions=owned(0))
    w.beat(group, "a", 1, topicPartitions=owned(1))
    w.beat(group, "a", 2)
    w.beat(group, "b", 2)
    w.beat(group, "b", 2, topicPartitions=owned(1))
    described_modern(w, group)
    w.call("DeleteGroups", {"groupsNames": [group]})
    w.call("OffsetDelete", {"groupId": group, "topics": [{"name": "modern", "partitions": [{"partitionIndex": 0}]}]})
    w.call("OffsetDelete", {"groupId": group, "topics": [{"name": "modern-2", "partitions": [{"partitionIndex": 0}]}]})
    w.heartbeat(group, "a", 2)
    w.sync(group, "a", 2)
    w.leave(group, ("stranger", None))
    w.beat(group, "a", -1)
    w.beat(group, "b", -1)
    described_modern(w, group)
    return given


def modern_statics(w):
    group = "kip848-static"
    owned = [{"topicId": w.ids["modern"], "partitions": [0, 1]}]
    w.enter(group, "a", ["modern"], instanceId="i1")
    w.beat(group, "a", 1, instanceId="i1", topicPartitions=owned)
    w.enter(group, "b", ["modern"], instanceId="i1")
    w.beat(group, "b", 1, instanceId="i1")
    w.beat(group, "a", -2, instanceId="i1")
    described_modern(w, group)
    w.beat(group, "a", 1, instanceId="i1")
    w.enter(group, "b", ["modern"], instanceId="i1")
    w.beat(group, "a", 1, instanceId="i1")
    w.commit(group, "modern", 1, member="a", generation=1)
    w.commit(group, "modern", 1, member="b", generation=1)
    w.beat(group, "b", 1, instanceId="i2")
    w.beat(group, "b", -2)
    w.beat(group, "c", -2, instanceId="i1")
    w.beat(group, "c", -1, instanceId="i7")
    w.beat(group, "b", -1, instanceId="i1")
    described_modern(w, group)


def patterns(w):
    """Subscriptions by regular expression."""
    w.topic("pat-a")
    w.topic("pat-b", 2)
    group = "kip848-pattern"
    w.enter(group, "a", subscribedTopicRegex="pat-.*", subscribedTopicNames=None)
    w.beat(group, "a", -1)


def other_protocol(w):
    """Groups of one protocol, asked in the other."""
    w.join("kip848-static", client="x", on="x")
    w.enter("static-left", "m", ["modern"])
    listed(w)
    w.call("DescribeGroups", {"groups": ["kip848-static", "no-such-group"]}, 5)
    w.call("DescribeGroups", {"groups": ["kip848-static", "no-such-group", ""]}, 6)
    w.call("ConsumerGroupDescribe", {"groupIds": ["static", "no-such-group", ""]})
    w.call("ConsumerGroupDescribe", {"groupIds": []})
    w.call("DescribeGroups", {"groups": []})


ALL = (simple_offsets, recreated, deleted, joining, one_member, two_members, statics, consumers, modern_pair, modern_statics, patterns,
       other_protocol)  # fmt: skip
