# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sends requests to Nomad. Every request of every endpoint passes through Session.request."""

from __future__ import annotations

import itertools
import random
import re
import socket
import time
from collections.abc import Sequence
from functools import partial
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

from ansible_collections.infinite.databases.plugins.module_utils._nomad.servers import ANSWER_SECONDS, UNIX, Servers
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    NomadConflict,
    NomadDenied,
    NomadError,
    NomadNoLeader,
    NomadNotFound,
    NomadTimeout,
    NomadTlsError,
    NomadUnreachable,
)
from ansible_collections.infinite.databases.plugins.module_utils.validity import not_valid_now

# Messages of a server that has no leader to pass a request to. With NO_LEADER, the request was not carried out; with LEADER_LOST,
# it may have been.
NO_LEADER = re.compile(
    "No cluster leader|Not ready to serve consistent reads|No path to region|failed to get conn|lead thread didn't get connection"
    "|node is not the leader"
)
LEADER_LOST = re.compile(
    r"leadership (lost|transfer)|raft is already shutdown|rpc error: (EOF|unexpected EOF|session shutdown|stream closed|shutdown|"
    r"keepalive timeout|(read|write) (tcp|unix) .*|.*broken pipe|.*connection reset.*)$"
)
# Requests that only read, although their method is not GET.
READING = re.compile(r"/v1/(jobs/statuses|jobs/parse|job/.+/plan)(\?|$)")
# Requests that write how something should be (variables and jobs with check-and-set). Sent twice, they do the same as once.
IDEMPOTENT = re.compile(
    r"/v1/(var/.+|jobs|namespace/[^/]+|acl/policy/[^/]+|acl/token/[^/]+|operator/scheduler/configuration)(\?|$)"
)
CONFLICT = re.compile(r"Enforcing job modify index|cas error")
CA_ADVICE = "set nomad_ca_cert (or NOMAD_CACERT) to the CA that signed Nomad's certificate"


def base_url(address: str) -> str:
    """Return the beginning of URLs for this address. A socket has no host, but a URL needs one."""
    return "http://localhost" if address.startswith(UNIX) else address


def proxies(address: str) -> dict[str, str]:
    return {} if address.startswith(UNIX) else get_environ_proxies(address)


def tls_problem(text: str, address: str) -> NomadTlsError | None:
    """Return an error that explains this failure of TLS; None if the text is not about TLS."""
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
    """Return our error for an exception of requests, when no answer came."""
    text = str(error)
    tls = tls_problem(text if not isinstance(error, requests.exceptions.SSLError) else f"SSLError {text}", address)
    if tls:
        return tls
    advice = "is Nomad running there, and is nomad_address right?"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return NomadTimeout(f"Nomad at {address} did not answer within {timeout:g} s; {advice}")
    if isinstance(error, requests.exceptions.Timeout):
        return NomadTimeout(f"Nomad at {address} did not answer within {timeout:g} s; {advice}", uncertain=True)
    reason = re.search(r"\[Errno -?\d+\] ([\w ,]+)", text)
    return NomadUnreachable(
        f"Nomad at {address} is unreachable ({reason.group(1) if reason else 'connection lost'}); {advice}",
        uncertain="NewConnectionError" not in text,
    )


def answer_problem(response: requests.Response, method: str, has_token: bool) -> NomadError:
    """Return our error for an answer with an error status.

    The message quotes Nomad's text. The body of a conflict is a variable, so it is never quoted.
    """
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
    if NO_LEADER.search(text) or LEADER_LOST.search(text):
        advice = "are enough of its servers running?"
        return NomadNoLeader(f"{where} has no leader ({text}); {advice}", status, uncertain=not NO_LEADER.search(text))
    if CONFLICT.search(text):
        return NomadConflict(f"{where}: {what}: somebody else changed it since it was read; run again", status)
    return NomadError(f"{where}: {what}: {text or response.reason} (status {status})", status)


class _Adapter(HTTPAdapter):
    """Checks the certificate against the name that the operator gave, if that name differs from the address."""

    def __init__(self, server_name: str | None, **kwargs: Any) -> None:
        self.server_name = server_name
        super().__init__(**kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        if self.server_name:
            kwargs.update(server_hostname=self.server_name, assert_hostname=self.server_name)
        super().init_poolmanager(*args, **kwargs)


class _SocketConnection(HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
        try:
            self.sock.connect(self._path)
        except OSError as error:
            raise NewConnectionError(self, f"{error}") from error

    _path = ""


class _SocketAdapter(HTTPAdapter):
    """Sends all requests through one Unix socket. Nomad offers its API to each task on such a socket."""

    def __init__(self, path: str, **kwargs: Any) -> None:
        connection = type("TaskConnection", (_SocketConnection,), {"_path": path})
        self.pool = HTTPConnectionPool("localhost", maxsize=kwargs["pool_maxsize"])
        self.pool.ConnectionCls = connection
        super().__init__(**kwargs)

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:
        return self.pool


class Session(requests.Session):
    """Pools connections, repeats requests, classifies errors and counts requests, for all endpoints."""

    def __init__(self, addresses: Sequence[str], retries: int, timeout: float, workers: int, server_name: str | None) -> None:
        super().__init__()
        # Without this, REQUESTS_CA_BUNDLE would replace a CA that was not given, and ~/.netrc a token that was not given.
        # The variables for proxies are read all the same, as by Nomad's own command.
        self.trust_env = False
        self.base, self.retries, self.timeout = base_url(addresses[0]), retries, timeout
        self.servers = Servers(addresses, timeout)
        for address in addresses:
            if address.startswith(UNIX):
                self.mount(base_url(address), _SocketAdapter(address.removeprefix(UNIX), pool_maxsize=workers + 1))
            else:
                self.mount(address, _Adapter(server_name, pool_connections=1, pool_maxsize=workers + 1))
        self.calls = 0
        self._lock = Lock()

    def request(self, method: str | bytes, url: str | bytes, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        verb = str(method).upper()
        reads = verb == "GET" or bool(READING.search(str(url)))
        # A request that may have been carried out is repeated only if the repetition does no harm.
        repeatable = reads or verb == "DELETE" or bool(IDEMPOTENT.search(str(url)))
        deadline, uncertain = 0.0, False
        for attempt in itertools.count():
            if attempt:
                # The pause is random, so that workers that failed together do not all come back together.
                time.sleep(min(1.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.0))
            address = self.servers.choose(partial(self._find_leader, kwargs))
            try:
                return self._ask(verb, address, str(url).removeprefix(self.base), kwargs)
            except NomadError as problem:
                lost = isinstance(problem, NomadUnreachable | NomadNoLeader)
                if lost:
                    self.servers.failed(address)
                # If a server is lost, the other servers need some seconds to elect a leader.
                deadline = deadline or time.monotonic() + self.timeout
                last = attempt >= self.retries and not (lost and self.servers.several and time.monotonic() < deadline)
                uncertain = problem.uncertain = uncertain or problem.uncertain
                if last or not self._worth_repeating(problem, reads, repeatable):
                    raise
        raise AssertionError

    def _ask(self, verb: str, address: str, path: str, kwargs: dict[str, Any], seconds: float = 0) -> requests.Response:
        """Send the request once to one server. Return its answer, or raise an error."""
        seconds = seconds or kwargs.get("timeout") or self.timeout
        connect = min(ANSWER_SECONDS, seconds) if self.servers.several else seconds
        options = kwargs | {"timeout": (connect, seconds), "proxies": proxies(address)}
        with self._lock:
            self.calls += 1
        try:
            response = super().request(verb, base_url(address) + path, **options)
        except requests.exceptions.RequestException as error:
            late = connect if isinstance(error, requests.exceptions.ConnectTimeout) else seconds
            raise connection_problem(error, address, late) from None
        if response.ok:
            return response
        raise self._explain(answer_problem(response, verb, bool(self._token(kwargs))), address, kwargs)

    def _find_leader(self, kwargs: dict[str, Any], address: str) -> None:
        """Check that one of several servers answers and knows a leader, so that no write is sent to a dead server."""
        options = {key: kwargs.get(key) for key in ("cert", "verify")}
        if not self._ask("GET", address, "/v1/status/leader?stale=true", options, ANSWER_SECONDS).json():
            raise NomadNoLeader(f"Nomad at {address} has no leader")

    @staticmethod
    def _token(kwargs: dict[str, Any]) -> str | None:
        return (kwargs.get("headers") or {}).get("X-Nomad-Token")

    def _explain(self, problem: NomadError, address: str, kwargs: dict[str, Any]) -> NomadError:
        """Find out whether a denied token exists.

        Many endpoints answer "Permission denied" for a token that does not exist. A request for the token itself tells the
        difference.
        """
        if not isinstance(problem, NomadDenied) or not self._token(kwargs):
            return problem
        options = {key: kwargs.get(key) for key in ("headers", "cert", "verify", "timeout")} | {"proxies": proxies(address)}
        try:
            response = super().request("GET", f"{base_url(address)}/v1/acl/token/self", **options)  # type: ignore[arg-type]
        except requests.exceptions.RequestException:
            return problem
        # For a token that has expired, Nomad answers with status 500 until it has removed the token.
        if response.status_code != 403 and "token expired" not in response.text:
            return problem
        return NomadDenied(
            f"Nomad at {address} does not know this token, or it has expired; check nomad_token or nomad_token_file", 403
        )

    def _worth_repeating(self, problem: NomadError, reads: bool, repeatable: bool) -> bool:
        if isinstance(problem, NomadTimeout) and not self.servers.several:
            return False
        if isinstance(problem, NomadUnreachable | NomadNoLeader):
            return repeatable or not problem.uncertain
        return problem.status == 429 or (reads and problem.status >= 500)


class Endpoint(Requester):  # type: ignore[misc]
    """A part of Nomad's API that python-nomad lacks. ``ENDPOINT`` is its path below /v1/."""

    def _endpoint_builder(self, *args: str) -> str:
        return str(super()._endpoint_builder(*(quote(str(part), safe="/") for part in args if part)))

    def _required_namespace(self, endpoint: str) -> bool:
        return True

    def send(self, method: str, *path: str, json: Any = None, timeout: float | None = None, **params: Any) -> requests.Response:
        # python-nomad changes the dictionary that it is given, and sends parameters that are None.
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
    """Return the class of the endpoint /v1/``name``."""
    return type(name.title().replace("/", ""), (Endpoint,), {"ENDPOINT": name})
