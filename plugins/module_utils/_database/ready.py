# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waits until databases answer in the way their users will ask: `select 1` by the public host name, with verified TLS."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.connection import (
    IMPORT_ERROR,
    certificate_problem,
    connect,
)
from ansible_collections.infinite.databases.plugins.module_utils._database.node_witness import Witness
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, map_concurrently
from ansible_collections.infinite.databases.plugins.module_utils.errors import BatchFailed, InfiniteError, InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec
from ansible_collections.infinite.databases.plugins.module_utils.validity import not_valid_now
from ansible_collections.infinite.databases.plugins.module_utils.waiting import some, waiting

if not IMPORT_ERROR:
    import psycopg

RETRY_SECONDS = 0.03
# Each attempt is a TLS handshake that Traefik refuses, on the processors that the starting databases need. So the pause between two
# attempts is a tenth of the time that was waited already.
RETRY_PART = 0.1
RETRY_MOST = 1.0
CONNECT_SECONDS = 5
# Extensions are made after the server answers. EXTENSION_SECONDS is the longest time without any being made, EXTENSION_MOST the
# longest time for all.
EXTENSION_SECONDS = 8
EXTENSION_MOST = 120
EXTENSION_RETRY = 0.1
# The application_name of grant.sh in postgres.nomad.hcl.
MAKER = "infinite.grant"
# A server that is starting refuses its user for a moment, too, until it has its logins and its database.
REFUSAL_SECONDS = 15
# On a small node, many servers start one after the other.
SECONDS_PER_DATABASE = 1

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
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
            "allowed_cidrs": {"type": "list", "elements": "str", "default": []},
        },
    },
    "ca_cert": {"type": "path"},
    "timeout": {"type": "float", "default": 60},
    "refusal_timeout": {"type": "float", "default": REFUSAL_SECONDS},
    "report": {"type": "bool", "default": False},
}

# Patterns of libpq's messages, and for each its meaning and what to do. The first pattern that matches is used.
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
        "it refuses the password; if its owner changed it by ALTER ROLE, `provision` sets it back",
    ),
    (
        r"database \".*\" does not exist",
        "the server runs, but has no such database; if its owner dropped it, `provision` makes a new one, without its data",
    ),
    (
        r"too many connections for (database|role)",
        "its own limit of connections is reached (ALTER DATABASE ... CONNECTION LIMIT); `provision` lifts a limit of 0",
    ),
    (r"not currently accepting connections", "it was closed by ALTER DATABASE ... ALLOW_CONNECTIONS; `provision` opens it"),
    (r"permission denied for database", "its owner revoked its own right to connect; `provision` grants it again"),
    (r"not permitted to log in", "it fills the disk, so its logins were closed; `restart` it, then free space"),
    (
        r"unrecognized name|SSL error|closed the connection unexpectedly|SSL SYSCALL",
        "Traefik has no running server for this name, or its allowed_cidrs leave this machine out; see its job",
    ),
    (r"timeout expired", "no answer; does a firewall (ec2_host_database_cidrs on EC2) let this machine in?"),
)


# Failures that waiting does not cure. BY_OWNER is what an owner did by hand; database_grant puts it right.
BY_OWNER = re.compile(
    r"FATAL: +(password authentication failed|database \".*\" does not exist|too many connections for (database|role)"
    r"|database \".*\" is not currently accepting connections|permission denied for database)"
)
CLOSED = re.compile(r"FATAL: +role \".*\" is not permitted to log in")


class NotReady(InfiniteError):
    """The database did not answer in time."""


class Refused(NotReady):
    """The database's owner did something by hand that the server puts right when it is asked to."""


def explain(text: str) -> str:
    """Return the meaning of libpq's message, and its first line. The lines after it are hints and other attempts."""
    first = text.strip().splitlines()[0] if text.strip() else "no reason given"
    first = re.sub(r"^(connection failed: )?(connection to server .*? failed: )?", "", first)
    for pattern, meaning in CAUSES:
        if re.search(pattern, text):
            return f"{meaning} ({first})"
    return first


def query(database: Mapping[str, Any], ca_cert: str | None) -> None:
    """Return when the database has answered and has its extensions."""
    with connect(database, ca_cert, CONNECT_SECONDS) as connection:
        connection.execute("select 1")
        start = seen = time.monotonic()
        while lacking := lacking_extensions(connection, database.get("extensions") or []):
            now = time.monotonic()
            if connection.execute("select from pg_catalog.pg_stat_activity where application_name = %s", [MAKER]).rowcount:
                seen = now
            if now > min(seen + EXTENSION_SECONDS, start + EXTENSION_MOST):
                names = ", ".join(lacking)
                raise Refused(
                    f"{database['name']} answers, but has no extension {names} after {now - start:.0f} s; its log says why"
                )
            time.sleep(EXTENSION_RETRY)


def lacking_extensions(connection: psycopg.Connection[Any], wanted: Sequence[str]) -> list[str]:
    if not wanted:
        return []
    there = {name for (name,) in connection.execute("select extname from pg_catalog.pg_extension")}
    return [name for name in wanted if name not in there]


def wrong_clock(database: Mapping[str, Any], ca_cert: str | None, text: str) -> str | None:
    """Return a message if the certificate is not valid now. libpq does not say why it trusts no certificate."""
    if "certificate verify failed" not in text:
        return None
    return not_valid_now(certificate_problem(database["host"], database["port"], ca_cert, CONNECT_SECONDS))


def wait_for(
    database: Mapping[str, Any], ca_cert: str | None, start: float, timeout: float, patience: float, witness: Callable[[str], bool]
) -> tuple[float, bool]:
    """Return the seconds from the start to the answer, and whether the database itself answered.

    If the database leaves this machine out, its node may report that it is ready. ``start`` is the same for all databases, so the
    last database does not get more time than the first.
    """
    where = f"{database['name']} at {database['host']}:{database['port']}"
    refused: float | None = None
    while True:
        try:
            query(database, ca_cert)
            return round(time.monotonic() - start, 3), True
        except psycopg.Error as failure:
            waited = time.monotonic() - start
            if wrong := wrong_clock(database, ca_cert, str(failure)):
                # Waiting does not cure this.
                raise NotReady(f"{where}: {wrong}") from None
            if witness(str(failure)):
                return round(time.monotonic() - start, 3), False
            by_owner, closed = BY_OWNER.search(str(failure)), CLOSED.search(str(failure))
            refused = (waited if refused is None else refused) if by_owner or closed else None
            if refused is not None and waited - refused >= (patience if by_owner else REFUSAL_SECONDS):
                raise (Refused if by_owner else NotReady)(f"{where}: {explain(str(failure))}") from None
            if waited >= timeout:
                raise NotReady(f"{where} did not answer within {timeout:g} s: {explain(str(failure))}") from None
        time.sleep(min(RETRY_MOST, max(RETRY_SECONDS, waited * RETRY_PART)))


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    if IMPORT_ERROR:
        raise InvalidInput(f"The Python that runs this module lacks a library ({IMPORT_ERROR}); install psycopg[binary] for it")
    databases = params["databases"]
    start, timeout = time.monotonic(), params["timeout"] + SECONDS_PER_DATABASE * (len(databases) - 1)
    limits = (start, timeout, params["refusal_timeout"])
    silent = {one["name"] for one in databases}
    client = NomadClient(params) if any(one.get("allowed_cidrs") for one in databases) else None

    def ask(one: Mapping[str, Any]) -> tuple[float, bool]:
        witness = Witness(client, one) if client and one.get("allowed_cidrs") else lambda _failure: False
        found = wait_for(one, params["ca_cert"], *limits, witness)
        silent.discard(one["name"])
        return found

    with waiting(lambda: f"{len(silent)} of {len(databases)} databases to answer: {some(silent.copy())}"):
        outcomes = map_concurrently(ask, databases, params["workers"])
    answers = [(outcome, *(outcome.value or (None, False))) for outcome in outcomes]
    result = {
        "databases": [
            {"name": one.item["name"], "ready": one.error is None, "reachable": reachable, "seconds": seconds}
            | {"refused": isinstance(one.error, Refused), "problem": str(one.error or "")}
            for one, seconds, reachable in answers
        ]
    }
    failures = [str(outcome.error) for outcome in outcomes if outcome.error]
    if failures and not params["report"]:
        raise BatchFailed("; ".join(failures), **result)
    return result


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
