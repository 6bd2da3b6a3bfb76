# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `list` says of a database beyond Nomad's lists: what its record says (never a password), and what its server says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils.database_keys import seconds
from ansible_collections.infinite.databases.plugins.module_utils.postgresql import IMPORT_ERROR, connect

if not IMPORT_ERROR:
    import psycopg

ANSWER_SECONDS = 2
STATISTICS = """
select pg_database_size(current_database()),
       (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       extract(epoch from pg_postmaster_start_time())::bigint,
       case current_setting('default_transaction_read_only') when 'on' then 'read-only' end
"""
# What PostgreSQL says to a login whose role the disk guard ended.
CLOSED = "is not permitted to log in"
FULL = re.compile("too many clients|remaining connection slots")


def due(record: Mapping[str, Any], retention: int, now: float) -> str:
    """What is to be done with it: destroy (its ttl is over), erase (so is the retention time), or nothing."""
    if record.get("erasing"):
        return "erase"
    if record["spec"].get("protect"):
        return ""
    if record["destroyed"]:
        return "erase" if record["destroyed"] + retention <= now else ""
    ends = expiry(record)
    return "destroy" if ends is not None and ends <= now else ""


def expiry(record: Mapping[str, Any]) -> int | None:
    """When its ttl, which counts from its creation or its renewal, is over; seconds since 1970."""
    length = seconds(record["spec"].get("ttl") or "")
    return None if length is None else int(record.get("renewed") or record["created_at"]) + length


def described(record: Mapping[str, Any], retention: int, now: float) -> dict[str, Any]:
    spec, logins = record["spec"], record["logins"]
    return {
        "user": record["user"],
        "roles": {role: {"user": login["user"], "ending": login.get("ending", {}).get("until")} for role, login in logins.items()},
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
    """What Nomad's lists say of a database (database_info.describe), and what its record says."""
    full = dict(one) | described(record, retention, now)
    full["state"] = "erasing" if record["erasing"] else "destroyed" if record["destroyed"] else one["state"]
    # A run that was killed between its note and the end of the job.
    if record["destroyed"] and not full["due"] and one["state"] != "stopped":
        full["due"] = "destroy"
    return full


def statistics(record: Mapping[str, Any], host: str, port: int, ca_cert: str) -> dict[str, Any]:
    """Size in bytes, other connections and how many there may be, and the server's start in seconds since 1970; nothing where it
    does not answer soon. And its state, where it is not simply running, or that it answers and is full."""
    nothing: dict[str, Any] = {"size": None, "connections": None, "connection_limit": None, "started": None}
    # Without the library the table has gaps, as for a server that does not answer.
    if IMPORT_ERROR:
        return nothing
    place = {"host": host, "port": port}
    try:
        with connect({**record, **place}, ca_cert, ANSWER_SECONDS, f"-c statement_timeout={ANSWER_SECONDS}s") as connection:
            row = connection.execute(STATISTICS).fetchone()
    except psycopg.Error as error:
        return nothing | ({"state": "closed"} if CLOSED in str(error) else {"full": True} if FULL.search(str(error)) else {})
    *numbers, state = row or (*nothing.values(), None)
    return dict(zip(nothing, numbers, strict=True)) | ({"state": state} if state else {})


def selected(labels: Mapping[str, str], selector: Mapping[str, Any]) -> bool:
    return all(labels.get(key) == str(value) for key, value in selector.items())
