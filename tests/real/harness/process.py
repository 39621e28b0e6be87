"""Child processes that never outlive the run, and free ports."""
import ctypes
import os
import random
import signal
import socket
import subprocess

from .report import Failed

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
# Below the range that the kernel hands out by itself: a broker that is down must find its port free when it returns.
_PORTS = range(20000, 30000)
_given = set()


def die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, log, **options):
    """Starts a process whose words go to the file `log`."""
    out = open(log, "ab")
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", out)
    return subprocess.Popen([*map(str, command)], stderr=out, preexec_fn=die_with_parent, **options)


def run(command, timeout_s=120, check=True, **options):
    """Runs a command to its end; returns it with text in `stdout` and `stderr`."""
    command = [*map(str, command)]
    options.setdefault("text", True)
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, preexec_fn=die_with_parent, **options)
    except subprocess.TimeoutExpired:
        raise Failed(f"{shown(command)}: no end within {timeout_s} s") from None
    if check and done.returncode != 0:
        raise Failed(f"{shown(command)}: exit {done.returncode}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
    return done


def shown(command):
    """A command in a length that a report can hold."""
    text = " ".join(map(str, command))
    return text if len(text) <= 400 else f"{text[:150]} ... {text[-240:]}"


def answers(port):
    """Whether something accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def cpu_s(child):
    """CPU seconds that a running child has used so far, in user and system."""
    with open(f"/proc/{child.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(child):
    with open(f"/proc/{child.pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def free_port():
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port
