"""Kafka's protocol by hand: as much as checks need that no client can do, wrong bytes among it."""
import socket
import struct

API_PRODUCE, API_FETCH, API_METADATA, API_VERSIONS = 0, 1, 3, 18
UNSUPPORTED_VERSION = 35
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
_BATCH_OVERHEAD = 12


def text(word):
    return struct.pack(">h", len(word)) + word.encode()


def request(api, version, body, correlation=7):
    """A request with its length, header version 1."""
    whole = struct.pack(">hhi", api, version, correlation) + text("by-hand") + body
    return struct.pack(">i", len(whole)) + whole


def exactly(s, n):
    """Exactly n bytes; ConnectionError when the other side ends before."""
    out = bytearray()
    while len(out) < n:
        some = s.recv(n - len(out))
        if not some:
            raise ConnectionError(f"closed after {len(out)} of {n} bytes")
        out += some
    return bytes(out)


def answer(s):
    """One answer, from its correlation id on."""
    return exactly(s, struct.unpack(">i", exactly(s, 4))[0])


def connect(broker, timeout_s=10):
    s = socket.create_connection(("127.0.0.1", broker.kafka_port), timeout_s)
    s.settimeout(timeout_s)
    return s


def ask(broker, api, version, body):
    with connect(broker) as s:
        s.sendall(request(api, version, body))
        return answer(s)


def healthy(broker):
    """Another connection is answered: ApiVersions v0 without an error."""
    error = struct.unpack_from(">h", ask(broker, API_VERSIONS, 0, b""), 4)[0]
    return error == 0


def batches(broker, topic, partition, offset):
    """(base offset, records, codec) of the batches that a Fetch v4 from `offset` brings."""
    body = struct.pack(">iiiibi", -1, 500, 1, 64 << 20, 0, 1) + text(topic)
    body += struct.pack(">iiqi", 1, partition, offset, 64 << 20)
    found = ask(broker, API_FETCH, 4, body)
    at = 4 + 4 + 4 + 2 + len(topic) + 4
    at += 4 + 2 + 8 + 8  # partition, error, high watermark, last stable offset
    [aborted] = struct.unpack_from(">i", found, at)
    at += 4 + 16 * max(aborted, 0) + 4
    out = []
    while at + 61 <= len(found):
        base, length = struct.unpack_from(">qi", found, at)
        [attributes] = struct.unpack_from(">h", found, at + 21)
        [count] = struct.unpack_from(">i", found, at + 57)
        if at + _BATCH_OVERHEAD + length > len(found):
            break
        out.append((base, count, CODECS[attributes & 7]))
        at += _BATCH_OVERHEAD + length
    return out
