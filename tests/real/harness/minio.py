"""MinIO on loopback, with scratch credentials that no other machine can reach."""
import os
import signal
import time
import urllib.request

import boto3
from botocore.config import Config

from . import place, process
from .report import expect, log_tail

ACCESS_KEY = "eskerreal"
READY_TIMEOUT_S = 60


class Minio:
    def __init__(self, name="minio"):
        self.data = place.fresh(name)
        self.log = place.work() / f"{name}.log"
        self.port = process.free_port()
        self.endpoint = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.endpoint}"
        # What a user sets for any S3 client.
        self.env = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }
        self.child = None

    def start(self):
        env = {
            **os.environ,
            "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": ACCESS_KEY,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        command = [place.MINIO, "server", "--quiet", "--address", self.endpoint, self.data]
        self.child = process.start(command, self.log, env=env)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.answers():
            expect(self.child.poll() is None, f"MinIO ended:\n{log_tail(self.log)}")
            expect(time.monotonic() < deadline, f"MinIO is not ready after {READY_TIMEOUT_S} s")
            time.sleep(0.05)
        return self

    def answers(self):
        try:
            with urllib.request.urlopen(f"{self.url}/minio/health/live", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def pause(self):
        """It accepts connections and never answers."""
        self.child.send_signal(signal.SIGSTOP)

    def resume(self):
        self.child.send_signal(signal.SIGCONT)

    def kill(self):
        """It refuses connections."""
        self.child.kill()
        self.child.wait()
        self.child = None

    def client(self):
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=ACCESS_KEY,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )

    def bucket(self, name):
        """Makes a bucket; returns its URL."""
        self.client().create_bucket(Bucket=name)
        return f"s3://{name}/log"
