"""What two readings of the same log have in common: counts and sums of hashes, per partition.

The hash covers partition, offset, timestamp, key, value and headers. The bare one leaves the headers out, for clients that
cannot show them. Sums wrap at 2^64, so that the order of reading does not matter.
"""
import struct

from xxhash import xxh3_64_intdigest

_MASK = (1 << 64) - 1
_PLACE = struct.Struct("<iqqii").pack
_LENGTH = struct.Struct("<i").pack


def bare_hash(partition, offset, timestamp, key, value):
    """Hash of a record without its headers; key and value are bytes or None."""
    lengths = (-1 if key is None else len(key), -1 if value is None else len(value))
    return xxh3_64_intdigest(_PLACE(partition, offset, timestamp, *lengths) + (key or b"") + (value or b""))


def headers_bytes(headers):
    """Headers, (name as text, value as bytes or None) each, in a form that tells all of them apart."""
    out = bytearray(_LENGTH(len(headers)))
    for name, value in headers:
        name = name.encode()
        out += _LENGTH(len(name)) + name + _LENGTH(-1 if value is None else len(value)) + (value or b"")
    return bytes(out)


def full_hash(bare, headers):
    """Hash of a record with its headers; `headers` are `headers_bytes`, `bare` is `bare_hash`."""
    return xxh3_64_intdigest(headers, seed=bare)


class Fingerprint:
    """Per partition: count, sum of bare hashes, sum of full hashes."""

    def __init__(self, with_headers=True):
        self.with_headers = with_headers
        self.parts = {}
        self._headers = {}

    def add(self, partition, offset, timestamp, key, value, headers=()):
        part = self.parts.get(partition)
        if part is None:
            part = self.parts[partition] = [0, 0, 0]
        bare = bare_hash(partition, offset, timestamp, key, value)
        part[0] += 1
        part[1] += bare
        if self.with_headers:
            part[2] += full_hash(bare, headers_bytes(headers or ()))

    def result(self):
        """For JSON: partition -> [count, bare, full or null]."""
        rows = sorted(self.parts.items())
        return {str(p): [n, bare & _MASK, full & _MASK if self.with_headers else None] for p, (n, bare, full) in rows}


def difference(expected, found):
    """What is not equal, in words; None when all is."""
    words = []
    for partition in sorted({*expected, *found}, key=int):
        want = expected.get(partition, [0, 0, 0])
        have = found.get(partition, [0, 0, 0])
        if want[0] != have[0]:
            words.append(f"partition {partition}: {have[0]} records instead of {want[0]}")
        elif want[1] != have[1]:
            words.append(f"partition {partition}: other offsets, timestamps, keys or values ({want[0]} records)")
        elif have[2] is not None and want[2] != have[2]:
            words.append(f"partition {partition}: other headers ({want[0]} records)")
    return "; ".join(words) or None
