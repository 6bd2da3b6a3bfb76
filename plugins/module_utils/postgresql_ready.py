# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether databases answer the way their users will ask them: `select 1` by public host name, TLS verified."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.errors import BatchFailed, InfiniteError, InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.nomad import map_concurrently
from ansible_collections.infinite.databases.plugins.module_utils.postgresql import IMPORT_ERROR, certificate_problem, connect
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec
from ansible_collections.infinite.databases.plugins.module_utils.validity import not_valid_now

if not IMPORT_ERROR:
    import psycopg

RETRY_SECONDS = 0.03
# Each attempt is a TLS handshake that Traefik refuses, on the processors that the databases start on: wait a tenth longer
# than was waited anyway.
RETRY_PART = 0.1
RETRY_MOST = 1.0
CONNECT_SECONDS = 5
# They are made after the server answers.
EXTENSION_SECONDS = 30
# Many servers that start on one small node start one after the other.
SECONDS_PER_DATABASE = 1

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "databases": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 5432},
            "name": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "extensions": {"type": "list", "elements": "str", "default": []},
        },
    },
    "ca_cert": {"type": "path"},
    "timeout": {"type": "float", "default": 60},
    "workers": {"type": "int", "default": 8},
}

# The way in which a connection failed, what it means, and what to do; the first that matches is said.
CAUSES = (
    (
        r"could not translate host name|Name or service not known",
        "its name does not resolve; is there a DNS record or hosts entry?",
    ),
    (
        r"certificate verify failed|signature failure|root certificate file",
        "its certificate is not trusted; is ca_cert the environment's CA?",
    ),
    (r"does not match host name", "its certificate is for another name; does the wildcard certificate cover the domain?"),
    (r"Connection refused", "nothing listens there; is Traefik running (site.yml)?"),
    (
        r"password authentication failed",
        "it refuses the password; where its owner changed that by ALTER ROLE, `restart` sets it back",
    ),
    (r"does not exist", "the server runs but has no such database yet; see its log"),
    (
        r"unrecognized name|SSL error|closed the connection unexpectedly|SSL SYSCALL",
        "Traefik has no running server for this name, or its allowed_cidrs leave this machine out; see its job",
    ),
    (r"timeout expired", "no answer; does a firewall (database_allowed_cidrs on EC2) let this machine in?"),
)


class NotReady(InfiniteError):
    """The database did not answer in time."""


def explain(text: str) -> str:
    """Why, in a few words, and libpq's own first words: what follows them are hints and other attempts."""
    first = text.strip().splitlines()[0] if text.strip() else "no reason given"
    first = re.sub(r"^(connection failed: )?(connection to server .*? failed: )?", "", first)
    for pattern, meaning in CAUSES:
        if re.search(pattern, text):
            return f"{meaning} ({first})"
    return first


def query(database: Mapping[str, Any], ca_cert: str | None) -> None:
    """Returns when it has answered, and has its extensions."""
    with connect(database, ca_cert, CONNECT_SECONDS) as connection:
        connection.execute("select 1")
        deadline = time.monotonic() + EXTENSION_SECONDS
        while lacking := lacking_extensions(connection, database.get("extensions") or []):
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{database['name']} answers, but has no extension {', '.join(lacking)} after {EXTENSION_SECONDS} s; "
                    "its log says why"
                )
            time.sleep(RETRY_SECONDS)


def lacking_extensions(connection: psycopg.Connection[Any], wanted: Sequence[str]) -> list[str]:
    if not wanted:
        return []
    there = {name for (name,) in connection.execute("select extname from pg_catalog.pg_extension")}
    return [name for name in wanted if name not in there]


def wrong_clock(database: Mapping[str, Any], ca_cert: str | None, text: str) -> str | None:
    """What to say where a certificate is not valid now; libpq keeps to itself why it trusts none."""
    if "certificate verify failed" not in text:
        return None
    return not_valid_now(certificate_problem(database["host"], database["port"], ca_cert, CONNECT_SECONDS))


def wait_for(database: Mapping[str, Any], ca_cert: str | None, start: float, timeout: float) -> float:
    """Seconds from the start to its answer. The start is that of all databases: the last one has no longer than the first."""
    where = f"{database['name']} at {database['host']}:{database['port']}"
    while True:
        try:
            query(database, ca_cert)
            return round(time.monotonic() - start, 3)
        except psycopg.Error as failure:
            waited = time.monotonic() - start
            if wrong := wrong_clock(database, ca_cert, str(failure)):
                # Waiting does not put it right.
                raise NotReady(f"{where}: {wrong}") from None
            if waited >= timeout:
                raise NotReady(f"{where} did not answer within {timeout:g} s: {explain(str(failure))}") from None
        time.sleep(min(RETRY_MOST, max(RETRY_SECONDS, waited * RETRY_PART)))


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    if IMPORT_ERROR:
        raise InvalidInput(f"The Python that runs this module lacks a library ({IMPORT_ERROR}); install psycopg[binary] for it")
    databases = params["databases"]
    start, timeout = time.monotonic(), params["timeout"] + SECONDS_PER_DATABASE * (len(databases) - 1)
    outcomes = map_concurrently(lambda one: wait_for(one, params["ca_cert"], start, timeout), databases, params["workers"])
    result = {
        "databases": [
            {"name": outcome.item["name"], "ready": outcome.error is None, "seconds": outcome.value} for outcome in outcomes
        ]
    }
    failures = [str(outcome.error) for outcome in outcomes if outcome.error]
    if failures:
        raise BatchFailed("; ".join(failures), **result)
    return result


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
