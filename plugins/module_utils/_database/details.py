# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The details of a database that `list` shows besides Nomad's lists: those in its record (never a password) and its server's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import seconds
from ansible_collections.infinite.databases.plugins.module_utils._database.connection import IMPORT_ERROR, connect
from ansible_collections.infinite.databases.plugins.module_utils._database.record import role_name
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadError

if not IMPORT_ERROR:
    import psycopg
    from psycopg.rows import dict_row

ANSWER_SECONDS = 2
STATISTICS = """
select pg_database_size(current_database()) as size,
       (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()) as connections,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as connection_limit,
       extract(epoch from pg_postmaster_start_time())::bigint as started,
       (select coalesce(array_agg(extname::text order by extname), '{}')
          from pg_extension where extname <> 'plpgsql') as extensions,
       current_setting('default_transaction_read_only') = 'on' as read_only,
       to_regproc('pg_catalog.infinite_out_of_memory') is not null as counts
"""
# grant.sh makes this function at the server's start. A server that was started by an older job does not have it.
OUT_OF_MEMORY = "select pg_catalog.infinite_out_of_memory()"
MEASURED = ("size", "connections", "connection_limit", "started", "extensions", "out_of_memory")
# PostgreSQL's message to a user whose login the disk guard has closed.
CLOSED = "is not permitted to log in"
FULL = re.compile("too many clients|remaining connection slots")


def due(record: Mapping[str, Any], retention: int, now: float) -> str:
    """Return what is due: destroy (the ttl is over), erase (the retention time is over), or nothing."""
    if record.get("erasing"):
        return "erase"
    if record["spec"].get("protect"):
        return ""
    if record["destroyed"]:
        return "erase" if record["destroyed"] + retention <= now else ""
    ends = expiry(record)
    return "destroy" if ends is not None and ends <= now else ""


def expiry(record: Mapping[str, Any]) -> int | None:
    """Return when the ttl is over, in seconds since 1970. A ttl counts from the database's creation or its renewal."""
    length = seconds(record["spec"].get("ttl") or "")
    return None if length is None else int(record.get("renewed") or record["created_at"]) + length


def described(record: Mapping[str, Any], retention: int, now: float) -> dict[str, Any]:
    spec, logins = record["spec"], record["logins"]
    return {
        "user": record["user"],
        "roles": {
            role: {
                "user": login["user"],
                "acts_as": role_name(record["name"], role),
                "ending": login.get("ending", {}).get("until"),
            }
            for role, login in logins.items()
        },
        "version": record["version"],
        "volume": record["volume"],
        "labels": spec.get("labels") or {},
        "description": {key: value for key, value in spec.items() if key != "labels"},
        "created": record["created_at"],
        "expires": expiry(record),
        "destroyed": record["destroyed"] or None,
        "erased_from": record["destroyed"] + retention if record["destroyed"] else None,
        "due": due(record, retention, now),
    }


def merged(one: Mapping[str, Any], record: Mapping[str, Any], retention: int, now: float) -> dict[str, Any]:
    """Add the record's details to what Nomad's lists say of a database (info.describe)."""
    full = dict(one) | described(record, retention, now)
    full["state"] = "erasing" if record["erasing"] else "destroyed" if record["destroyed"] else one["state"]
    # A run may have been killed after it had noted the destruction and before it had ended the job.
    if record["destroyed"] and not full["due"] and one["state"] != "stopped":
        full["due"] = "destroy"
    return full


def statistics(record: Mapping[str, Any], host: str, port: int, ca_cert: str, sessions: str = "") -> dict[str, Any]:
    """Ask the server for its size in bytes, its other connections and their limit, its start in seconds since 1970, its
    extensions, and how often it was out of memory since its start. The values are None if the server does not answer soon.

    The result also has ``state`` if the database is read-only or closed, and ``full`` if the server has no connection left. It has
    ``sessions``, the rows of that query, if there is one and the server answers it.
    """
    found: dict[str, Any] = dict.fromkeys(MEASURED)
    # Without psycopg the values are None, too.
    if IMPORT_ERROR:
        return found
    place = {"host": host, "port": port}
    try:
        with connect({**record, **place}, ca_cert, ANSWER_SECONDS, f"-c statement_timeout={ANSWER_SECONDS}s") as connection:
            cursor = connection.cursor(row_factory=dict_row)
            (row,) = cursor.execute(STATISTICS)
            found |= {key: row[key] for key in MEASURED if key in row} | ({"state": "read-only"} if row["read_only"] else {})
            if row["counts"]:
                ((found["out_of_memory"],),) = connection.execute(OUT_OF_MEMORY)
            if sessions:
                found["sessions"] = cursor.execute(sessions.encode()).fetchall()
    except psycopg.Error as error:
        found |= {"state": "closed"} if CLOSED in str(error) else {"full": True} if FULL.search(str(error)) else {}
    return found


def notice(out_of_memory: int | None) -> str:
    """Return what is wrong with a database although it runs; empty if nothing is known to be."""
    times = "once" if out_of_memory == 1 else f"{out_of_memory} times"
    return f"out of memory {times} since its start: provision it with more memory_max" if out_of_memory else ""


def memory_used(client: NomadClient, allocs: Sequence[str]) -> int | None:
    """Return the bytes in use that count against the memory limit, or None if the node does not tell.

    The bytes include files that the kernel caches; the kernel frees this memory when it is needed.
    https://developer.hashicorp.com/nomad/api-docs/client#read-allocation-statistics
    """
    try:
        found = [client.endpoint("client/allocation").get(alloc, "stats") for alloc in allocs[:1]]
    except NomadError:
        return None
    memory = found[0]["ResourceUsage"]["MemoryStats"] if found else None
    return int(memory["Usage"]) if memory else None


def selected(labels: Mapping[str, str], selector: Mapping[str, Any]) -> bool:
    return all(labels.get(key) == str(value) for key, value in selector.items())
