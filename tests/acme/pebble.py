# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An ACME server for the tests: Pebble, Let's Encrypt's own, which takes every challenge for solved.

It forgets everything when it stops, its root included.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.support.certificates import write_certificate
from tests.support.go import GoFailed, program

VERSION = "2.8.0"
MODULE = "github.com/letsencrypt/pebble/v2/cmd/pebble"
# Seconds. Traefik renews certificates of less than a day 20 minutes before their end: "brief" ones after half a minute.
PROFILES = {"default": 90 * 86400, "brief": 20 * 60 + 30}


class PebbleFailed(Exception):
    """Pebble cannot be had, or does not run."""


class Pebble:
    """A running Pebble; a context manager. Its directory gets ca.pem (of the API), root.pem (of what is issued) and pebble.log."""

    def __init__(self, directory: Path, host: str = "127.0.0.1", port: int = 14000) -> None:
        self.directory, self.host, self.port = directory, host, port
        self.url = f"https://{host}:{port}/dir"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 30) -> Pebble:
        try:
            binary = program(MODULE, VERSION)
        except GoFailed as error:
            raise PebbleFailed(str(error)) from error
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "root.pem").unlink(missing_ok=True)
        write_certificate(self.directory, "Pebble's API", [self.host])
        configuration = {
            "listenAddress": f"{self.host}:{self.port}",
            "managementListenAddress": f"{self.host}:{self.port + 1}",
            "certificate": str(self.directory / "cert.pem"),
            "privateKey": str(self.directory / "key.pem"),
            "retryAfter": {"authz": 1, "order": 1},
            "profiles": {name: {"description": name, "validityPeriod": period} for name, period in PROFILES.items()},
        }
        path = self.directory / "pebble.json"
        path.write_text(json.dumps({"pebble": configuration}, indent=2))
        environment = os.environ | {"PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_VA_NOSLEEP": "1"}
        with (self.directory / "pebble.log").open("wb") as log:
            self.process = subprocess.Popen([binary, "-config", path], env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + timeout
        while True:
            try:
                # Last, as whole: this file is what says that Pebble is ready.
                (self.directory / "root.part").write_bytes(self.root())
                os.replace(self.directory / "root.part", self.directory / "root.pem")
                return self
            except (urllib.error.URLError, OSError) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    end = (self.directory / "pebble.log").read_text().strip()[-600:]
                    raise PebbleFailed(f"Pebble at {self.url} does not answer ({error}); its log ends: {end}") from error
                time.sleep(0.1)

    def wait(self) -> None:
        """Until it ends by itself, which it should not."""
        assert self.process
        raise PebbleFailed(f"Pebble at {self.url} ended with {self.process.wait()}; see {self.directory / 'pebble.log'}")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()

    def __enter__(self) -> Pebble:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def root(self) -> bytes:
        """The root of the certificates that it issues."""
        context = ssl.create_default_context(cafile=self.directory / "ca.pem")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        with opener.open(f"https://{self.host}:{self.port + 1}/roots/0", timeout=5) as answer:
            found: bytes = answer.read()
        return found

    def orders(self) -> int:
        """How many orders it has had."""
        return (self.directory / "pebble.log").read_text().count("Added order ")
