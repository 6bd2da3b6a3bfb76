# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for AWS: moto's server with Route53's own rules, and a proxy before it that counts calls and can answer with errors.

The tested programs (boto3, amazon.aws, Traefik) find the proxy by AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tests.support.aws.proxy import Fault, Proxy

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
    """Return ``base`` without its settings of AWS, and with those of the AWS at the endpoint."""
    kept = {name: value for name, value in base.items() if not name.startswith("AWS_") and not name.endswith("CA_BUNDLE")}
    # A proxy for other networks cannot reach this machine.
    host = str(urlsplit(endpoint).hostname)
    unproxied = {name: f"{base[name]},{host}" for name in ("no_proxy", "NO_PROXY") if name in base}
    return kept | unproxied | environment(endpoint)


class Aws:
    """A context manager that runs moto and its proxy."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host, self.port = host, port
        self.endpoint = ""

    def start(self) -> Aws:
        # These imports take a second. pytest does not need them to collect the tests.
        from moto.server import ThreadedMotoServer

        from tests.support.aws.route53 import be_strict

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
        """Return the variables for a process that shall use this AWS. ``environ`` also removes other settings of AWS."""
        return environment(self.endpoint)

    def environ(self, base: Mapping[str, str]) -> dict[str, str]:
        return environ(self.endpoint, base)

    @property
    def calls(self) -> list[str]:
        """Return all calls since the start, or since clear(), in order."""
        return list(self._proxy.calls)

    def clear(self) -> None:
        self._proxy.calls.clear()

    def reset(self) -> None:
        """Forget everything: what exists in moto, calls, and faults that no call got."""
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
        """Answer the next calls of the action with this error. With ``after``, do the call and lose the answer."""
        with self._proxy.lock:
            self._proxy.faults.setdefault(action, []).append(Fault(times, code, status, message, after))

    def pending(self, times: int) -> None:
        """Say of changes of records that they are PENDING, until route53:GetChange was called ``times`` times."""
        with self._proxy.lock:
            self._proxy.pending = times

    def boto(self, service: str) -> Any:
        """Return a client that talks to moto directly. Its calls are not counted."""
        import boto3
        from botocore.config import Config

        host, port = self._moto.get_host_and_port()
        return boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION).client(
            service, endpoint_url=f"http://{host}:{port}", verify=False, config=Config(proxies={})
        )
