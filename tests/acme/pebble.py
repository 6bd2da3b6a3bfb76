# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An ACME server for the tests: Pebble, Let's Encrypt's own, which takes every challenge for solved.

It forgets everything when it stops, its root included.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VERSION = "2.8.0"
MODULE = f"github.com/letsencrypt/pebble/v2/cmd/pebble@v{VERSION}"
# Seconds. Traefik renews certificates of less than a day 20 minutes before their end: "brief" ones after half a minute.
PROFILES = {"default": 90 * 86400, "brief": 20 * 60 + 30}


class PebbleFailed(Exception):
    """Pebble cannot be had, or does not run."""


def binary() -> Path:
    """Pebble in the cache, built by Go on first use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infinite.databases" / f"pebble-{VERSION}"
    path = cache / "pebble"
    if path.exists():
        return path
    go = shutil.which("go")
    if not go:
        raise PebbleFailed(f"Pebble {VERSION} is built from source and there is no Go here: install it, or put a binary at {path}")
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as part:
        environment = os.environ | {"GOBIN": part}
        built = subprocess.run([go, "install", MODULE], env=environment, capture_output=True, text=True, check=False)
        if built.returncode != 0:
            raise PebbleFailed(f"go install {MODULE}: {built.stderr.strip()[-600:]}")
        cache.mkdir(exist_ok=True)
        # Only a whole binary has the final name.
        os.replace(Path(part) / "pebble", path)
    return path


def write_certificate(directory: Path, host: str) -> None:
    """A CA (ca.pem), and the certificate of Pebble's own API by it. What Pebble issues has another root."""
    now = datetime.datetime.now(datetime.UTC)

    def build(name: str, key: ec.EllipticCurvePrivateKey, issuer: str, extension: x509.ExtensionType) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=7))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        )

    ca_name = "CA of Pebble's API"
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _number in range(2))
    ca = build(ca_name, ca_key, ca_name, x509.BasicConstraints(ca=True, path_length=0)).sign(ca_key, hashes.SHA256())
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    leaf = build("Pebble", key, ca_name, names).sign(ca_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (directory / "ca.pem").write_bytes(ca.public_bytes(pem))
    (directory / "cert.pem").write_bytes(leaf.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "key.pem").write_bytes(private)
    (directory / "key.pem").chmod(0o600)


class Pebble:
    """A running Pebble; a context manager. Its directory gets ca.pem (of the API), root.pem (of what is issued) and pebble.log."""

    def __init__(self, directory: Path, host: str = "127.0.0.1", port: int = 14000) -> None:
        self.directory, self.host, self.port = directory, host, port
        self.url = f"https://{host}:{port}/dir"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 30) -> Pebble:
        program = binary()
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "root.pem").unlink(missing_ok=True)
        write_certificate(self.directory, self.host)
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
            self.process = subprocess.Popen([program, "-config", path], env=environment, stdout=log, stderr=log)
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
