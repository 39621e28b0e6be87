"""DuckDB over the live objects that `esker segments --paths` names, on the folder or through its httpfs extension."""
import os
import subprocess

import duckdb
import duckdb_extension_httpfs

from harness.fingerprint import Fingerprint

from .common import task, tell

QUERY = """
    SELECT partition, log_offset, coalesce(epoch_ms(timestamp), -1),
           coalesce(encode(key), key_raw), coalesce(encode(value), value_raw),
           headers
    FROM read_parquet($paths)
"""
ROWS = 20_000


def connect(todo):
    db = duckdb.connect(config={"threads": 1})
    if todo["minio"]:
        [folder] = duckdb_extension_httpfs.__path__
        db.execute(f"LOAD '{folder}/extensions/v{duckdb.__version__}/httpfs.duckdb_extension'")
        db.execute(
            f"""CREATE SECRET (TYPE s3, KEY_ID '{os.environ["AWS_ACCESS_KEY_ID"]}', REGION 'us-east-1',
                SECRET '{os.environ["AWS_SECRET_ACCESS_KEY"]}',
                ENDPOINT '{todo["minio"]}', URL_STYLE 'path', USE_SSL false)"""
        )
    return db


def main():
    todo = task()
    command = [todo["esker"], "segments", todo["topic"], "--paths", "--store", todo["store"]]
    paths = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    found = Fingerprint()
    rows = connect(todo).execute(QUERY, {"paths": paths})
    while some := rows.fetchmany(ROWS):
        for partition, offset, timestamp, key, value, headers in some:
            pairs = [(h["key"], h["value"]) for h in headers]
            found.add(partition, offset, timestamp, key, value, pairs)
    tell(found)


main()
