"""Where things are: binaries, jars, the data set, and a folder for this run that is removed when all went well."""
import os
import shutil
import tempfile
from pathlib import Path

HOME = Path(os.environ["REAL_HOME"])
ESKER = os.environ["REAL_ESKER"]
DATA = Path(os.environ["REAL_DATA"])
MINIO = HOME / "bin" / "minio"
HERE = Path(__file__).resolve().parent.parent

_work = None


def work():
    """The folder of this run, on a real disk: direct I/O is part of what is tested."""
    global _work
    if _work is None:
        _work = Path(tempfile.mkdtemp(prefix="esker-real-", dir=os.environ.get("REAL_WORK", "/var/tmp")))
    return _work


def fresh(name):
    """An empty folder of that name."""
    folder = work() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def forget():
    """Removes the folder of this run."""
    if _work is not None:
        shutil.rmtree(_work, ignore_errors=True)


def java(tool, *arguments):
    """The command line of one of Kafka's tools, by its class; tuned to start quickly."""
    options = ["-Xmx256M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={HERE}/log4j2.xml"]
    return ["java", *options, "-cp", f"{HOME}/kafka/*", tool, *map(str, arguments)]
