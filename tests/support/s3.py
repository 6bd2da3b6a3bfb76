# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An S3 for the tests: Versity's gateway, which keeps objects as files, with TLS by a CA that nobody else knows.

Unlike moto's server it checks signatures, so that wrong keys are refused.
"""

from __future__ import annotations

import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.certificates import write_certificate
from tests.support.go import program

# Go module proxies may lack newer ones.
VERSION = "1.2.0"
MODULE = "github.com/versity/versitygw/cmd/versitygw"
REGION = "eu-central-1"


class S3Failed(Exception):
    """It does not run."""


def free_port(address: str) -> int:
    """None of those that the kernel gives to whoever connects: it must still be free when the server comes back."""
    for port in random.sample(range(20000, 30000), 100):
        try:
            socket.create_server((address, port)).close()
        except OSError:
            continue
        return port
    raise S3Failed(f"{address} has no free port, or is no address of this machine")


class S3:
    """A running S3 with a bucket; a context manager. In its directory are ca.pem, s3.log and the objects.

    It ends with the thread that started it or let it come back, even if that is killed.
    """

    def __init__(
        self, directory: Path, address: str = "127.0.0.1", port: int = 0, names: Iterable[str] = (), bucket: str = "backups"
    ) -> None:
        """``address`` is the one to listen on, such as the gateway of the nodes' network; ``names`` also lead there."""
        self.directory, self.address, self.port, self.bucket = directory, address, port, bucket
        self.names = [address, "localhost", *names]
        self.region = REGION
        self.access_key, self.secret_key = f"test{secrets.token_hex(8)}", secrets.token_hex(20)
        self.ca_file = directory / "ca.pem"
        self.objects_directory = directory / "objects"
        self.log_file = directory / "s3.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"https://{self.address}:{self.port}"

    def start(self) -> S3:
        self.directory.mkdir(parents=True, exist_ok=True)
        write_certificate(self.directory, "S3", self.names)
        self.port = self.port or free_port(self.address)
        self._run()
        self.make_bucket(self.bucket)
        return self

    def stop(self) -> None:
        if self.process:
            # While it is silent, it heeds no other signal.
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self) -> S3:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        for name in ("objects", "attributes", "accounts"):
            (self.directory / name).mkdir(exist_ok=True)
        binary = program(MODULE, VERSION)
        setpriv = shutil.which("setpriv")
        assert setpriv, "setpriv (util-linux) is missing"
        address = f"{self.address}:{self.port}"
        certificate = ["--cert", str(self.directory / "cert.pem"), "--key", str(self.directory / "key.pem")]
        # Not every file system has the extended attributes that it uses by default.
        backend = ["posix", "--sidecar", str(self.directory / "attributes"), str(self.objects_directory)]
        # Without accounts, an unknown key has an error that AWS does not know.
        accounts = ["--iam-dir", str(self.directory / "accounts")]
        command = [str(binary), "--port", address, "--region", self.region, *certificate, *accounts, *backend]
        # No other variables: it would read many, and they are the user's.
        keys = {"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key}
        with self.log_file.open("ab") as log:
            # The kernel's signal reaches it however the tests end, also while it is silent.
            self.process = subprocess.Popen([setpriv, "--pdeathsig", "KILL", *command], env=keys, stdout=log, stderr=log)
        self._wait()

    def _wait(self, timeout: float = 30) -> None:
        """Until it answers."""
        from botocore.exceptions import BotoCoreError

        assert self.process
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.client(timeout=5).list_buckets()
                return
            except BotoCoreError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    end = self.log_file.read_text(errors="replace").strip()[-600:]
                    raise S3Failed(f"S3 at {self.endpoint} does not answer ({error}); its log ends: {end}") from error
                time.sleep(0.1)

    def client(
        self,
        *,
        access_key: str | None = None,
        secret_key: str | None = None,
        verify: Path | bool | None = None,
        timeout: float = 30,
    ) -> Any:
        """boto3's, with its keys and by its CA; it asks once. ``verify``: another CA's file, or as boto3 has it."""
        # It takes a second to import, which those who only collect tests need not wait for.
        import boto3
        from botocore.config import Config

        session = boto3.Session(
            aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=secret_key or self.secret_key,
            region_name=self.region,
        )
        # Of the variables, AWS_CA_BUNDLE would be taken where verify is None.
        by = verify if isinstance(verify, bool) else str(verify or self.ca_file)
        config = Config(
            proxies={},
            connect_timeout=timeout,
            read_timeout=timeout,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        )
        return session.client("s3", endpoint_url=self.endpoint, verify=by, config=config)

    def make_bucket(self, name: str) -> None:
        self.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region})

    def objects(self, prefix: str = "", bucket: str | None = None) -> list[str]:
        """The keys of what is there, whether it answers or not. Each is a file below ``objects_directory / bucket``."""
        top = self.objects_directory / (bucket or self.bucket)
        keys = (path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file())
        # The gateway's own directory has what is not yet whole.
        return sorted(key for key in keys if key.startswith(prefix) and not key.startswith(".sgwtmp/"))

    def go_away(self, silent: bool = False) -> None:
        """Nothing listens any more; or, ``silent``: connections are taken, and nobody answers."""
        if silent:
            assert self.process
            self.process.send_signal(signal.SIGSTOP)
        else:
            self.stop()

    def come_back(self) -> None:
        """With the same address, port, certificate, keys and objects."""
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self._wait()
        else:
            self._run()

    @contextmanager
    def away(self, silent: bool = False) -> Iterator[None]:
        self.go_away(silent)
        try:
            yield
        finally:
            self.come_back()
