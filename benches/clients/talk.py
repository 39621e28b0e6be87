"""Kafka's protocol on many connections at once, as far as the sessions need it that no client library is small enough for."""
import asyncio
import struct

from harness import wire

FIND_COORDINATOR, OFFSET_COMMIT, JOIN_GROUP, SYNC_GROUP = 10, 8, 11, 14
INIT_PRODUCER_ID, ADD_PARTITIONS, END_TXN = 22, 24, 26


class Talk:
    """One connection; one request at a time."""

    @classmethod
    async def open(cls, broker):
        self = cls()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", broker.kafka_port)
        return self

    async def ask(self, api, version, body):
        """The answer's body, behind the correlation id."""
        self.writer.write(wire.request(api, version, body))
        [length] = struct.unpack(">i", await self.reader.readexactly(4))
        return (await self.reader.readexactly(length))[4:]

    async def coordinator(self, key, kind=0):
        """Asks until there is one: Kafka makes its topic at the first question."""
        while True:
            found = await self.ask(FIND_COORDINATOR, 1, wire.text(key) + struct.pack(">b", kind))
            if struct.unpack_from(">h", found, 4)[0] == 0:
                return
            await asyncio.sleep(0.2)

    async def commit(self, group, topic, offsets):
        """A commit of partitions 0 and up without membership; the error codes."""
        body = wire.text(group) + struct.pack(">i", -1) + wire.text("") + struct.pack(">h", -1)
        body += struct.pack(">i", 1) + wire.text(topic) + struct.pack(">i", len(offsets))
        for partition, offset in enumerate(offsets):
            body += struct.pack(">iqi", partition, offset, -1) + wire.text("")
        found = await self.ask(OFFSET_COMMIT, 7, body)
        at = 4 + 4 + 2 + len(topic) + 4
        return [struct.unpack_from(">ih", found, at + 6 * one)[1] for one in range(len(offsets))]

    async def member(self, group):
        """One member joins and is given its assignment, all in the classic protocol."""
        def join(member):
            body = wire.text(group) + struct.pack(">ii", 1_800_000, 60_000) + wire.text(member) + struct.pack(">h", -1)
            body += wire.text("consumer") + struct.pack(">i", 1) + wire.text("range") + struct.pack(">i", 4) + b"meta"
            return self.ask(JOIN_GROUP, 5, body)

        def member_of(found):
            at = 4 + 2 + 4  # throttle, error, generation
            for _ in range(2):  # protocol, leader
                at += 2 + struct.unpack_from(">h", found, at)[0]
            length = struct.unpack_from(">h", found, at)[0]
            return found[at + 2 : at + 2 + length].decode()

        member = member_of(await join(""))
        found = await join(member)
        error, generation = struct.unpack_from(">hi", found, 4)
        if error == 0:
            body = wire.text(group) + struct.pack(">i", generation) + wire.text(member) + struct.pack(">h", -1)
            body += struct.pack(">i", 1) + wire.text(member) + struct.pack(">i", 4) + b"mine"
            error = struct.unpack_from(">h", await self.ask(SYNC_GROUP, 3, body), 4)[0]
        return error

    async def transaction(self, transactional_id, topic):
        """A transactional id is begun, gets a partition and is committed; the error codes."""
        body = wire.text(transactional_id) + struct.pack(">i", 60_000)
        error, producer, epoch = struct.unpack_from(">hqh", await self.ask(INIT_PRODUCER_ID, 1, body), 4)
        body = wire.text(transactional_id) + struct.pack(">qh", producer, epoch)
        await self.ask(ADD_PARTITIONS, 1, body + struct.pack(">i", 1) + wire.text(topic) + struct.pack(">ii", 1, 0))
        ended = await self.ask(END_TXN, 1, body + b"\x01")
        return [error, struct.unpack_from(">h", ended, 4)[0]]


async def spread(broker, connections, jobs):
    """Runs `jobs` (each an async function of a Talk) over so many connections; what they return."""
    results, waiting = [], iter(jobs)

    async def work():
        talk = await Talk.open(broker)
        for job in waiting:
            results.append(await job(talk))

    await asyncio.gather(*(work() for _ in range(connections)))
    return results
