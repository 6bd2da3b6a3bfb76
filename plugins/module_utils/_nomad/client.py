# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The client for Nomad's API, and the connection options that all modules share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from ansible.module_utils.common.parameters import env_fallback

from ansible_collections.infinite.databases.plugins.module_utils._nomad.servers import read_addresses
from ansible_collections.infinite.databases.plugins.module_utils.errors import (
    InfiniteError,
    InvalidInput,
    NomadConflict,
    NomadNotFound,
)

try:
    import nomad

    from ansible_collections.infinite.databases.plugins.module_utils._nomad.http import Endpoint, Session, base_url, endpoint
except ImportError as error:
    IMPORT_ERROR: ImportError | None = error
else:
    IMPORT_ERROR = None

CONNECTION_SPEC: dict[str, dict[str, Any]] = {
    "nomad_address": {
        "type": "list",
        "elements": "str",
        "default": ["http://127.0.0.1:4646"],
        "fallback": (env_fallback, ["NOMAD_ADDR"]),
    },
    "nomad_token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["NOMAD_TOKEN"])},
    "nomad_token_file": {"type": "path", "no_log": False},
    "nomad_ca_cert": {"type": "path", "fallback": (env_fallback, ["NOMAD_CACERT"])},
    "nomad_client_cert": {"type": "path", "fallback": (env_fallback, ["NOMAD_CLIENT_CERT"])},
    "nomad_client_key": {"type": "path", "no_log": False, "fallback": (env_fallback, ["NOMAD_CLIENT_KEY"])},
    "nomad_region": {"type": "str", "fallback": (env_fallback, ["NOMAD_REGION"])},
    "nomad_namespace": {"type": "str", "fallback": (env_fallback, ["NOMAD_NAMESPACE"])},
    "nomad_tls_server_name": {"type": "str", "fallback": (env_fallback, ["NOMAD_TLS_SERVER_NAME"])},
    "nomad_timeout": {"type": "float", "default": 10},
    "nomad_retries": {"type": "int", "default": 3},
    "workers": {"type": "int", "default": 8},
}

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass
class Outcome(Generic[Item, Value]):
    """The result of one item of a list: its value, or its error."""

    item: Item
    value: Value | None = None
    error: InfiniteError | None = None


def map_concurrently(fn: Callable[[Item], Value], items: Iterable[Item], workers: int = 8) -> list[Outcome[Item, Value]]:
    """Apply fn to all items, several at once, and return the outcomes in the items' order.

    If an item fails with an expected error, the others go on.
    """

    def attempt(item: Item) -> Outcome[Item, Value]:
        try:
            return Outcome(item, value=fn(item))
        except InfiniteError as failure:
            return Outcome(item, error=failure)

    todo = list(items)
    if len(todo) < 2 or workers < 2:
        return [attempt(item) for item in todo]
    with ThreadPoolExecutor(max_workers=min(workers, len(todo))) as pool:
        return list(pool.map(attempt, todo))


def values(outcomes: Sequence[Outcome[Item, Value]]) -> list[Value]:
    """Return the values of all outcomes, or raise the first error."""
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    return [outcome.value for outcome in outcomes]  # type: ignore[misc]


def read_token(params: Mapping[str, Any]) -> str | None:
    """Return the token.

    A file wins, because nobody names a file by accident, but NOMAD_TOKEN may be left over in the environment.
    """
    path = params.get("nomad_token_file")
    if not path:
        return params.get("nomad_token") or None
    try:
        with open(path, encoding="utf-8") as file:
            token = file.read().strip()
    except OSError as failure:
        raise InvalidInput(
            f"Cannot read the Nomad token from {path} ({failure.strerror}); was the environment set up (site.yml)?"
        ) from None
    if not token:
        raise InvalidInput(f"The Nomad token file {path} is empty; write the token's secret to it")
    return token


def existing_file(params: Mapping[str, Any], option: str) -> str | None:
    """Return the path of an option. It is checked here, because the message of requests would not name the option."""
    path: str | None = params.get(option)
    if path and not os.access(path, os.R_OK):
        raise InvalidInput(f"{option}: {path} does not exist or cannot be read")
    return path or None


class NomadClient:
    """Nomad's API with verified TLS. ``api`` is python-nomad's client; the other attributes are endpoints that it lacks."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        if IMPORT_ERROR:
            raise InvalidInput(f"The Python that runs this module lacks a library ({IMPORT_ERROR}); install python-nomad for it")
        addresses = read_addresses(params.get("nomad_address"))
        self.namespace: str = params.get("nomad_namespace") or "default"
        self.workers: int = max(1, int(params.get("workers") or 8))
        self.timeout = float(params.get("nomad_timeout") or 10)
        self.session = Session(
            addresses=addresses,
            retries=max(0, int(params.get("nomad_retries") or 0)),
            timeout=self.timeout,
            workers=self.workers,
            server_name=params.get("nomad_tls_server_name"),
        )
        cert, key = existing_file(params, "nomad_client_cert"), existing_file(params, "nomad_client_key")
        if bool(cert) != bool(key):
            raise InvalidInput("nomad_client_cert and nomad_client_key are needed together")
        self.settings: dict[str, Any] = {
            "address": base_url(addresses[0]),
            "token": read_token(params),
            "namespace": self.namespace,
            "region": params.get("nomad_region"),
            "timeout": self.timeout,
            # python-nomad's default, which is never used, would not verify certificates at all.
            "verify": existing_file(params, "nomad_ca_cert") or True,
            "cert": (cert, key) if cert else (),
            "session": self.session,
        }

    @property
    def address(self) -> str:
        """The address of the server that is asked, for messages."""
        return str(self.session.servers)

    @property
    def api_calls(self) -> int:
        """How many requests were sent, retries included."""
        return self.session.calls

    @cached_property
    def api(self) -> Any:
        """python-nomad's client, for the endpoints that it has."""
        return nomad.Nomad(**self.settings)

    def endpoint(self, name: str) -> Endpoint:
        """Return an endpoint below /v1/ with get, put, post and delete: ``client.endpoint("volumes").get(type="host")``."""
        return endpoint(name)(**self.settings)

    @cached_property
    def jobs(self) -> Endpoint:
        return self.endpoint("jobs")

    @cached_property
    def job(self) -> Endpoint:
        return self.endpoint("job")

    @cached_property
    def variables(self) -> Variables:
        return Variables(self)

    @cached_property
    def volumes(self) -> HostVolumes:
        return HostVolumes(self)

    def services(self, name: str, **params: Any) -> list[dict[str, Any]]:
        """Return the registrations of one service."""
        return list(self.endpoint("service").get(name, **params))

    def map(self, fn: Callable[[Item], Value], items: Iterable[Item]) -> list[Outcome[Item, Value]]:
        return map_concurrently(fn, items, self.workers)


class Variables:
    """Nomad Variables: small secrets with check-and-set."""

    def __init__(self, client: NomadClient) -> None:
        self._one, self._list = client.endpoint("var"), client.endpoint("vars")

    def list(self, prefix: str = "", namespace: str | None = None) -> list[dict[str, Any]]:
        """Return the paths and indices (but no values) of all variables below a prefix."""
        return paged(self._list, prefix=prefix, namespace=namespace)

    def read(self, path: str, namespace: str | None = None) -> dict[str, Any]:
        return dict(self._one.get(path, namespace=namespace))

    def write(self, path: str, items: Mapping[str, str], namespace: str | None = None, cas: int | None = None) -> dict[str, Any]:
        """Write all items at once.

        With ``cas``, write only if this is still the ModifyIndex (0: if the variable does not exist).
        """
        body = {"Path": path, "Items": dict(items)} | ({"Namespace": namespace} if namespace else {})
        try:
            return dict(self._one.put(path, json=body, namespace=namespace, cas=cas))
        except NomadConflict as conflict:
            # The request was sent twice, because the first answer was lost. The conflict may be with our own first write.
            found = self._find(path, namespace) if conflict.uncertain else None
            if found and found["Items"] == dict(items):
                return found
            raise

    def delete(self, path: str, namespace: str | None = None, cas: int | None = None) -> None:
        try:
            self._one.delete(path, namespace=namespace, cas=cas)
        except NomadConflict as conflict:
            if not conflict.uncertain or self._find(path, namespace):
                raise

    def _find(self, path: str, namespace: str | None) -> dict[str, Any] | None:
        try:
            return self.read(path, namespace)
        except NomadNotFound:
            return None


class HostVolumes:
    """Dynamic host volumes."""

    def __init__(self, client: NomadClient) -> None:
        self._one, self._list = client.endpoint("volume/host"), client.endpoint("volumes")

    def list(self, namespace: str | None = None, **params: Any) -> list[dict[str, Any]]:
        """Return stubs of all volumes: ID, Name, Namespace, NodeID, NodePool, PluginID, CapacityBytes, State."""
        return paged(self._list, type="host", namespace=namespace, **params)

    def read(self, volume_id: str, namespace: str | None = None) -> dict[str, Any]:
        return dict(self._one.get(volume_id, namespace=namespace))

    def create(self, volume: Mapping[str, Any], namespace: str | None = None) -> dict[str, Any]:
        """Create a volume (or update it, if it has an ID), and return it."""
        answer = self._one.put("create", json={"Volume": dict(volume)}, namespace=namespace, timeout=60)
        return dict(answer["Volume"])

    def delete(self, volume_id: str, namespace: str | None = None, force: bool = False) -> None:
        self._one.delete(volume_id, namespace=namespace, force="true" if force else None, timeout=60)


def paged(listing: Endpoint, **params: Any) -> list[dict[str, Any]]:
    """Return all pages of a list. Without a page size, Nomad sends everything at once, so this is usually one request."""
    found: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        response = listing.send("get", next_token=token, **params)
        found += response.json() or []
        token = response.headers.get("X-Nomad-Nexttoken")
        if not token:
            return found
