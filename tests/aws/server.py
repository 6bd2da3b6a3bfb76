# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An AWS for the tests: moto's server, with Route53's own rules, and a proxy in front that counts calls and injects faults.

What is tested talks HTTP to the proxy, by AWS_ENDPOINT_URL, whether it is boto3, amazon.aws or Traefik.
"""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tests.aws.proxy import Fault, Proxy

REGION = "eu-central-1"


def environment(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def environ(endpoint: str, base: Mapping[str, str]) -> dict[str, str]:
    """``base`` with the AWS at the endpoint in place of whatever it knows of another."""
    kept = {name: value for name, value in base.items() if not name.startswith("AWS_") and not name.endswith("CA_BUNDLE")}
    # A proxy for the world outside has no way back to here.
    host = str(urlsplit(endpoint).hostname)
    unproxied = {name: f"{base[name]},{host}" for name in ("no_proxy", "NO_PROXY") if name in base}
    return kept | unproxied | environment(endpoint)


class Aws:
    """moto and its proxy; a context manager."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host, self.port = host, port
        self.endpoint = ""

    def start(self) -> Aws:
        # It takes a second to import, which those who only collect tests need not wait for.
        from moto.server import ThreadedMotoServer

        from tests.aws.route53 import be_strict

        be_strict()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._moto.start()
        self._proxy = Proxy(self.host, self.port, self._moto.get_host_and_port())
        threading.Thread(target=self._proxy.serve_forever, args=(0.05,), daemon=True).start()
        self.port = self._proxy.server_address[1]
        self.endpoint = f"http://{self.host}:{self.port}"
        return self

    def stop(self) -> None:
        self._proxy.shutdown()
        self._proxy.server_close()
        self._moto.stop()

    def __enter__(self) -> Aws:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """For a process that shall use it; ``environ`` also takes out what would lead elsewhere."""
        return environment(self.endpoint)

    def environ(self, base: Mapping[str, str]) -> dict[str, str]:
        return environ(self.endpoint, base)

    @property
    def calls(self) -> list[str]:
        """Every call since the start, or since clear(), in order."""
        return list(self._proxy.calls)

    def clear(self) -> None:
        self._proxy.calls.clear()

    def reset(self) -> None:
        """Everything forgotten: what exists in moto, calls, and faults that nobody met."""
        connection = http.client.HTTPConnection(*self._moto.get_host_and_port(), timeout=60)
        connection.request("POST", "/moto-api/reset")
        assert connection.getresponse().status == 200
        connection.close()
        with self._proxy.lock:
            self._proxy.faults.clear()
            self._proxy.pending = 0
        self.clear()

    def fail(
        self,
        action: str,
        times: int = 1,
        code: str = "Throttling",
        status: int = 400,
        after: bool = False,
        message: str = "Rate exceeded",
    ) -> None:
        """The next calls of the action are answered with this error; ``after``: they are done, and the answer is lost."""
        with self._proxy.lock:
            self._proxy.faults.setdefault(action, []).append(Fault(times, code, status, message, after))

    def pending(self, times: int) -> None:
        """Changes of records are PENDING, and in sync only after so many answers to route53:GetChange that said the same."""
        with self._proxy.lock:
            self._proxy.pending = times

    def boto(self, service: str) -> Any:
        """A client that goes straight to moto, so that what a test does itself is not counted."""
        import boto3
        from botocore.config import Config

        host, port = self._moto.get_host_and_port()
        return boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION).client(
            service, endpoint_url=f"http://{host}:{port}", verify=False, config=Config(proxies={})
        )
