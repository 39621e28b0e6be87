"""Record batches, good and bad, and what is in those that a fetch brings."""
import base64
import struct
from dataclasses import dataclass, field

from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c

from .shape import DECODED

# A fixed time, so that equal batches are equal bytes; within message.timestamp.after.max.ms of any clock.
TIME = 1_700_000_000_000
_HEADER = 61


@dataclass
class Batch:
    """A batch to produce; `producer` may be a name, for which each broker gets its own id."""

    records: list
    producer: object = -1
    epoch: int = -1
    sequence: int = -1
    transactional: bool = False
    codec: int = 0
    time: int = TIME
    # Offset in the batch -> bytes that are written there; the CRC is made anew unless it is itself among them.
    patches: dict = field(default_factory=dict)
    cut: int = 0

    def encode(self, value_of):
        """The bytes for one broker, in base64; `value_of` tells a name's value there."""
        builder = DefaultRecordBatchBuilder(
            2, self.codec, self.transactional, value_of(self.producer), self.epoch, self.sequence, 1 << 24
        )
        for n, (key, value) in enumerate(self.records):
            builder.append(n, self.time, key, value, [])
        data = bytearray(builder.build())
        for at, patch in self.patches.items():
            data[at : at + len(patch)] = patch
        if 17 not in self.patches:
            data[17:21] = struct.pack(">I", calc_crc32c(bytes(data[21:])))
        return base64.b64encode(bytes(data[: len(data) - self.cut])).decode()


def keyed(*values):
    """Records with those values, and keys of their number."""
    return [(b"k%d" % n, value) for n, value in enumerate(values)]


def decoded(records):
    """What stands in the base64 of a fetch: batches, without what each broker is free to choose."""
    data = base64.b64decode(records)
    out, at = [], 0
    while at + _HEADER <= len(data):
        length = 12 + struct.unpack_from(">i", data, at + 8)[0]
        if at + length > len(data):
            break  # a part of a batch, as room is left: clients ignore it
        out.append(_one(bytes(data[at : at + length])))
        at += length
    return out


def _one(data):
    batch = DefaultRecordBatch(data)
    out = {
        DECODED: "batch",
        "baseOffset": batch.base_offset,
        "lastOffsetDelta": batch.last_offset_delta,
        "attributes": batch.attributes,
        "producerId": batch.producer_id,
        "producerEpoch": batch.producer_epoch,
        "baseSequence": batch.base_sequence,
        "leaderEpoch": batch.leader_epoch,
    }
    texts = lambda data: None if data is None else data.decode("latin-1")
    if batch.is_control_batch:
        out["control"] = texts(list(batch)[0].key)
    else:
        out["records"] = [[r.offset, texts(r.key), texts(r.value)] for r in batch]
    return out
