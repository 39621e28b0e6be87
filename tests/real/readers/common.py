"""What every reader does first and last."""
import subprocess
import sys

import orjson


def task():
    return orjson.loads(sys.argv[1])


def tell(fingerprint):
    sys.stdout.buffer.write(orjson.dumps(fingerprint.result()))


def lines_of(command, read):
    """Runs a command and gives its standard output to `read`; its failure is ours."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1 << 20) as child:
        read(child.stdout)
        words = child.stderr.read().decode(errors="replace")
    if child.returncode:
        sys.exit(f"exit {child.returncode}: {words[-1500:]}")
