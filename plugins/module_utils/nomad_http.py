# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How requests travel to Nomad: every request of every endpoint passes through Session.request."""

from __future__ import annotations

import random
import re
import socket
import time
from threading import Lock
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from nomad.api.base import Requester
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    NomadConflict,
    NomadDenied,
    NomadError,
    NomadNoLeader,
    NomadNotFound,
    NomadTlsError,
    NomadUnreachable,
)
from ansible_collections.infinite.databases.plugins.module_utils.validity import not_valid_now

NO_LEADER = re.compile(r"No cluster leader|Not ready to serve consistent reads|No path to region")
# Requests that only read, though they are no GET.
READING = re.compile(r"/v1/(jobs/statuses|jobs/parse|job/.+/plan)(\?|$)")
UNIX = "unix://"
CONFLICT = re.compile(r"Enforcing job modify index|cas error")
CA_ADVICE = "set nomad_ca_cert (or NOMAD_CACERT) to the CA that signed Nomad's certificate"


def base_url(address: str) -> str:
    """What URLs begin with: a socket has no host, and needs one in them."""
    return "http://localhost" if address.startswith(UNIX) else address


def tls_problem(text: str, address: str) -> NomadTlsError | None:
    """Say which of the ways in which TLS can fail this is; None if it is not about TLS."""
    if "hostname mismatch" in text.lower() or "doesn't match" in text or "IP address mismatch" in text:
        return NomadTlsError(
            f"Nomad at {address}: its certificate is for another name; use an address that the certificate names, "
            "or set nomad_tls_server_name"
        )
    if wrong := not_valid_now(text):
        return NomadTlsError(f"Nomad at {address}: {wrong}")
    if "CERTIFICATE_VERIFY_FAILED" in text:
        reason = re.search(r"certificate verify failed: ([^(]+)", text)
        return NomadTlsError(
            f"Nomad at {address}: its certificate is not trusted ({reason.group(1).strip() if reason else 'unknown CA'}); "
            + CA_ADVICE
        )
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text or "HTTP_REQUEST" in text:
        return NomadTlsError(f"Nomad at {address} does not speak TLS on this port; use an http:// address or the right port")
    if "CERTIFICATE_REQUIRED" in text or "alert bad certificate" in text.lower():
        return NomadTlsError(f"Nomad at {address} wants a client certificate; set nomad_client_cert and nomad_client_key")
    if "SSLError" in text or "[SSL" in text:
        return NomadTlsError(f"Nomad at {address}: TLS failed ({text[-160:]}); " + CA_ADVICE)
    return None


def connection_problem(error: Exception, address: str, timeout: float) -> NomadError:
    """Classify what requests raised where no answer came."""
    text = str(error)
    tls = tls_problem(text if not isinstance(error, requests.exceptions.SSLError) else f"SSLError {text}", address)
    if tls:
        return tls
    advice = "is Nomad running there, and is nomad_address right?"
    if isinstance(error, requests.exceptions.Timeout):
        return NomadUnreachable(f"Nomad at {address} did not answer within {timeout:g} s; {advice}")
    reason = re.search(r"\[Errno -?\d+\] ([\w ,]+)", text)
    return NomadUnreachable(f"Nomad at {address} is unreachable ({reason.group(1) if reason else 'connection lost'}); {advice}")


def answer_problem(response: requests.Response, method: str, has_token: bool) -> NomadError:
    """Classify an answer with an error status. The text is Nomad's own; a conflict's body is a variable and is never quoted."""
    parts = urlsplit(response.request.url or "")
    where = f"Nomad at {parts.scheme}://{parts.netloc}"
    what = f"{method} {parts.path}"
    status = response.status_code
    if status == 409:
        return NomadConflict(f"{where}: {what}: somebody else changed it since it was read; run again", status)
    text = " ".join(response.text.split())[:600]
    if status == 403:
        if "token not found" in text or "token expired" in text or "token is invalid" in text:
            return NomadDenied(f"{where} does not know this token ({text}); check nomad_token or nomad_token_file", status)
        who = "the token's policies do not allow it" if has_token else "no token was given; set nomad_token or nomad_token_file"
        return NomadDenied(f"{where} refuses {what} ({text}): {who}", status)
    if status == 404:
        return NomadNotFound(f"{where}: {what}: {text or 'not found'}", status)
    if "Client sent an HTTP request to an HTTPS server" in text:
        return NomadTlsError(f"{where} speaks TLS on this port; use an https:// address", status)
    if NO_LEADER.search(text):
        return NomadNoLeader(f"{where} has no leader ({text}); are enough of its servers running?", status)
    if CONFLICT.search(text):
        return NomadConflict(f"{where}: {what}: somebody else changed it since it was read; run again", status)
    return NomadError(f"{where}: {what}: {text or response.reason} (status {status})", status)


class _Adapter(HTTPAdapter):
    """Checks the certificate against the name that the operator gave, where that differs from the address."""

    def __init__(self, server_name: str | None, **kwargs: Any) -> None:
        self.server_name = server_name
        super().__init__(**kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        if self.server_name:
            kwargs.update(server_hostname=self.server_name, assert_hostname=self.server_name)
        super().init_poolmanager(*args, **kwargs)


class _SocketConnection(HTTPConnection):
    """HTTP over the Unix socket whose path is in place of the host."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
        try:
            self.sock.connect(self._path)
        except OSError as error:
            raise NewConnectionError(self, f"{error}") from error

    _path = ""


class _SocketAdapter(HTTPAdapter):
    """All requests go through one Unix socket: the API that Nomad gives to each task."""

    def __init__(self, path: str, **kwargs: Any) -> None:
        connection = type("TaskConnection", (_SocketConnection,), {"_path": path})
        self.pool = HTTPConnectionPool("localhost", maxsize=kwargs["pool_maxsize"])
        self.pool.ConnectionCls = connection
        super().__init__(**kwargs)

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:
        return self.pool


class Session(requests.Session):
    """Pooling, retries, classification of errors and counting, in one place for every endpoint."""

    def __init__(self, address: str, retries: int, timeout: float, workers: int, server_name: str | None) -> None:
        super().__init__()
        # Otherwise REQUESTS_CA_BUNDLE would stand in for a CA that was not given, and ~/.netrc for a token.
        # The proxy variables are read all the same, as Nomad's own CLI does.
        self.trust_env = False
        self.address, self.retries, self.timeout = address, retries, timeout
        if address.startswith(UNIX):
            self.mount(base_url(address), _SocketAdapter(address.removeprefix(UNIX), pool_maxsize=workers + 1))
        else:
            self.proxies.update(get_environ_proxies(address))
            self.mount(address, _Adapter(server_name, pool_connections=1, pool_maxsize=workers + 1))
        self.calls = 0
        self._lock = Lock()

    def request(self, method: str | bytes, url: str | bytes, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        verb = str(method).upper()
        kwargs["timeout"] = kwargs.get("timeout") or self.timeout
        reads = verb == "GET" or bool(READING.search(str(url)))
        for attempt in range(self.retries + 1):
            if attempt:
                # Jitter, so that many workers that failed together do not return together.
                time.sleep(0.1 * 2**attempt * random.uniform(0.5, 1.0))
            with self._lock:
                self.calls += 1
            try:
                response = super().request(verb, url, **kwargs)
            except requests.exceptions.RequestException as error:
                problem = connection_problem(error, self.address, kwargs["timeout"])
                if not self._worth_repeating(reads, error, problem):
                    raise problem from None
                continue
            if response.ok:
                return response
            problem = self._explain(answer_problem(response, verb, bool(self._token(kwargs))), kwargs)
            if not ((reads and response.status_code >= 500) or response.status_code == 429 or isinstance(problem, NomadNoLeader)):
                raise problem
        raise problem

    @staticmethod
    def _token(kwargs: dict[str, Any]) -> str | None:
        return (kwargs.get("headers") or {}).get("X-Nomad-Token")

    def _explain(self, problem: NomadError, kwargs: dict[str, Any]) -> NomadError:
        """Many endpoints say "Permission denied" to a token that does not exist at all; asking for the token itself tells."""
        if not isinstance(problem, NomadDenied) or not self._token(kwargs):
            return problem
        url = f"{base_url(self.address)}/v1/acl/token/self"
        options = {key: kwargs.get(key) for key in ("headers", "cert", "verify", "timeout")}
        try:
            response = super().request("GET", url, **options)  # type: ignore[arg-type]
        except requests.exceptions.RequestException:
            return problem
        # Of one that has expired, Nomad says so with status 500 until it has collected it.
        if response.status_code != 403 and "token expired" not in response.text:
            return problem
        return NomadDenied(
            f"Nomad at {self.address} does not know this token, or it has expired; check nomad_token or nomad_token_file", 403
        )

    @staticmethod
    def _worth_repeating(reads: bool, error: Exception, problem: NomadError) -> bool:
        """A request that never arrived may be repeated whatever it is; one that may have been done only if it reads."""
        if isinstance(problem, NomadTlsError) or isinstance(error, requests.exceptions.Timeout):
            return False
        return reads or "NewConnectionError" in str(error)


class Endpoint(Requester):  # type: ignore[misc]
    """A part of Nomad's API that python-nomad lacks: ``ENDPOINT`` is its path below /v1/."""

    def _endpoint_builder(self, *args: str) -> str:
        return str(super()._endpoint_builder(*(quote(str(part), safe="/") for part in args if part)))

    def _required_namespace(self, endpoint: str) -> bool:
        return True

    def send(self, method: str, *path: str, json: Any = None, timeout: float | None = None, **params: Any) -> requests.Response:
        # python-nomad updates the dictionary that it is given, and keeps parameters that are None.
        query = {key: value for key, value in params.items() if value is not None}
        return self.request(  # type: ignore[no-any-return]
            *path, method=method, json=json, params=query, timeout=timeout or self.timeout
        )

    def get(self, *path: str, **params: Any) -> Any:
        return self.send("get", *path, **params).json()

    def put(self, *path: str, json: Any = None, **params: Any) -> Any:
        response = self.send("put", *path, json=json, **params)
        return response.json() if response.content else None

    def post(self, *path: str, json: Any = None, **params: Any) -> Any:
        response = self.send("post", *path, json=json, **params)
        return response.json() if response.content else None

    def delete(self, *path: str, **params: Any) -> Any:
        response = self.send("delete", *path, **params)
        return response.json() if response.content and response.content != b"null" else None


def endpoint(name: str) -> type[Endpoint]:
    """The class of the endpoint below /v1/``name``."""
    return type(name.title().replace("/", ""), (Endpoint,), {"ENDPOINT": name})
