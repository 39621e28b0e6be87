"""kcat (the distribution's, with its older librdkafka): keys and values with their lengths, so that null shows."""
from harness.fingerprint import Fingerprint

from .common import lines_of, task, tell


def main():
    todo = task()
    found = Fingerprint()

    def read(out):
        while head := out.readline():
            partition, offset, timestamp, key_len, value_len, headers = head[:-1].split(b" ", 5)
            key_len, value_len = int(key_len), int(value_len)
            key = out.read(key_len) if key_len >= 0 else None
            value = out.read(value_len) if value_len >= 0 else None
            out.read(1)
            pairs = [pair.split(b"=", 1) for pair in headers.split(b",")] if headers else ()
            pairs = [(name.decode(), text) for name, text in pairs]
            found.add(int(partition), int(offset), int(timestamp), key, value, pairs)

    form = "%p %o %T %K %S %h\\n%k%s\\n"
    options = ["-X", "check.crcs=true", "-X", "queued.min.messages=100000"]
    command = ["kcat", "-C", "-b", todo["bootstrap"], "-t", todo["topic"], "-o", "beginning", "-e", "-q", "-f", form]
    lines_of(command + options, read)
    tell(found)


main()
