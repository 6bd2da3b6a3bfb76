# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds out why a database is down or slow: how its server ended, whether memory ran out, which sessions wait or take long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.details import statistics
from ansible_collections.infinite.databases.plugins.module_utils._database.failing import TASK, cause, task_of, telling
from ansible_collections.infinite.databases.plugins.module_utils._database.record import find_record
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import newest_allocation
from ansible_collections.infinite.databases.plugins.module_utils._nomad.task_log import last_log
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

LOG_BYTES = 200_000
# The line in the server's log after the kernel's out-of-memory killer has ended a process.
# https://www.postgresql.org/docs/current/kernel-resources.html
KILLED = re.compile(r"^(\S+ \S+ \S+) .*was terminated by signal 9", re.MULTILINE)
# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
# The owner sees that other roles have sessions, but not their statements.
SESSIONS = """
select pid, usename as user, application_name as application, state,
       coalesce(wait_event_type || ': ' || wait_event, '') as waits_for,
       extract(epoch from clock_timestamp() - coalesce(xact_start, query_start))::float8 as seconds,
       left(regexp_replace(query, '\\s+', ' ', 'g'), 200) as statement, pg_blocking_pids(pid) as blocked_by
  from pg_stat_activity
 where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
"""
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "name": {"type": "str", "required": True},
    "domain": {"type": "str"},
    "port": {"type": "int", "default": 5432},
    "ca_cert": {"type": "str", "default": ""},
    "longest": {"type": "int", "default": 5},
}


def ends(alloc: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return when (in seconds since 1970) and how the server's task ended, for each time that Nomad remembers, the latest first."""
    return [{"when": one["Time"] // 10**9, "how": one["DisplayMessage"]} for one in reversed(telling(task_of(alloc)))]


def longest(found: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the sessions that have been in a statement or a transaction for the longest time, the longest first."""
    busy = [one for one in found if one["state"] not in ("idle", None) and one["seconds"] is not None]
    return sorted(busy, key=lambda one: -float(one["seconds"]))[:count]


def waiting(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the sessions that wait for a lock, each with the sessions that hold the lock."""
    by_pid = {one["pid"]: one for one in found}
    return [
        one | {"holders": [by_pid.get(pid, {"pid": pid, "user": "", "state": "", "statement": ""}) for pid in one["blocked_by"]]}
        for one in found
        if one["blocked_by"]
    ]


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client, name = NomadClient(params), params["name"]
    record = find_record(client, name)
    if record is None:
        raise InvalidInput(f"{name}: there is no such database; see `list` for the names there are")
    last = newest_allocation(client, name, client.namespace)
    alloc = client.endpoint("allocation").get(last["ID"]) if last else {}
    log = last_log(client, alloc["ID"], TASK, client.namespace, LOG_BYTES) if alloc else ""
    said: dict[str, Any] = {}
    if alloc.get("ClientStatus") == "running":
        said = statistics(record, f"{name}.{params['domain']}", params["port"], params["ca_cert"], SESSIONS)
    found = said.get("sessions", [])
    return {
        "state": said.get("state", ""),
        "answers": said.get("started") is not None,
        "full": bool(said.get("full")),
        "restarts": int(task_of(alloc).get("Restarts") or 0),
        "ends": ends(alloc),
        "reason": "" if said.get("started") else cause(log),
        "out_of_memory": KILLED.findall(log),
        "longest": longest(found, params["longest"]),
        "waiting": waiting(found),
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run, required_together=[["name", "domain"]])
