# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists the databases from Nomad's lists.

With details, it also reads the record of each and queries its server, several at once.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._backup.state import of_database, read_states
from ansible_collections.infinite.databases.plugins.module_utils._database import details
from ansible_collections.infinite.databases.plugins.module_utils._database.checks import (
    check_names,
    check_selector,
    natural,
    option_seconds,
)
from ansible_collections.infinite.databases.plugins.module_utils._database.failing import failing
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import (
    RECORDS,
    PoolState,
    read_lists,
    read_state,
)
from ansible_collections.infinite.databases.plugins.module_utils._database.record import find_record
from ansible_collections.infinite.databases.plugins.module_utils._database.restart import running_allocs
from ansible_collections.infinite.databases.plugins.module_utils._nomad.capacity import taking_work
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import blocked_for_room
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

NO_ROOM, FAILING = "no room", "failing"
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "details": {"type": "bool", "default": False},
    "retention": {"type": "str", "default": "7d"},
    "statistics": {"type": "bool", "default": False},
    "backups": {"type": "bool", "default": False},
    "domain": {"type": "str"},
    "port": {"type": "int", "default": 5432},
    "ca_cert": {"type": "str", "default": ""},
    "names": {"type": "raw", "aliases": ["name"]},
    "labels": {"type": "raw"},
}


def state_of(job: Mapping[str, Any] | None, without_room: Container[str] = ()) -> str:
    """Return running, starting, failed, stopped (its data and credentials are kept) or no room (no node can take it).

    A database that is starting may turn out to be failing (failing.py).
    """
    if job is None or job["Stop"]:
        return "stopped"
    counts = ((job.get("JobSummary") or {}).get("Summary") or {}).get("postgres") or {}
    if counts.get("Running"):
        return "running"
    if job["ID"] in without_room:
        return NO_ROOM
    return "failed" if counts.get("Failed") and not counts.get("Starting") else "starting"


def jobs_without_room(client: NomadClient) -> dict[str, str]:
    """Return, for each job that no node can take, the reason."""
    return {job: reason for (_namespace, job), reason in blocked_for_room(client, client.namespace).items()}


def with_reasons(
    client: NomadClient, found: list[dict[str, Any]], without_room: Mapping[str, str], with_log: bool = True
) -> list[dict[str, Any]]:
    """Add the key ``reason`` to each database: why it does not run although it should; empty for the others."""
    down = [one["name"] for one in found if one["state"] in ("starting", "failed")]
    reasons = failing(client, down, with_log)
    for one in found:
        one["reason"] = reasons.get(one["name"], "")
        if one["reason"] and one["state"] == "starting":
            one["state"] = FAILING
        if one["state"] == NO_ROOM:
            one["reason"] = without_room[one["name"]]
    return found


def nodes_of_volumes(volumes: Iterable[Mapping[str, Any]], nodes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the name of each volume's node, by the volume's name."""
    names = {node["ID"]: node["Name"] for node in nodes}
    return {volume["Name"]: names.get(volume["NodeID"], "") for volume in volumes}


def describe(
    names: Iterable[str], jobs: Iterable[Mapping[str, Any]], nodes: Mapping[str, str], without_room: Container[str] = ()
) -> list[dict[str, Any]]:
    """Describe each database that has a record. The other values come from its job, as long as Nomad remembers the job."""
    by_id = {job["ID"]: job for job in jobs}
    found = []
    for name in sorted(names, key=natural):
        job = by_id.get(name)
        meta = (job or {}).get("Meta") or {}
        found.append(
            {
                "name": name,
                "state": state_of(job, without_room),
                "host": meta.get("infinite_host", ""),
                "version": meta.get("infinite_version", ""),
                "volume": meta.get("infinite_volume", ""),
                "node": nodes.get(meta.get("infinite_volume", ""), ""),
            }
        )
    return found


def pool_counts(state: PoolState) -> dict[str, dict[str, int]]:
    """Count the volumes of each version in each state."""
    counts: dict[str, dict[str, int]] = {}
    for volume in state.volumes:
        if volume.state != "claimed":
            of_version = counts.setdefault(volume.version, {"ready": 0, "preparing": 0})
            of_version["ready" if volume.state == "ready" else "preparing"] += 1
    return counts


def with_details(
    client: NomadClient, params: Mapping[str, Any], found: list[dict[str, Any]], labels: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Add the details of its record and of its server to each database. Databases that vanish meanwhile are left out."""
    retention = option_seconds("retention", params["retention"])
    now = time.time()
    running = [one["name"] for one in found if one["state"] == "running"] if params["statistics"] else []
    allocs = running_allocs(client, running)
    states = read_states(client) if params["backups"] else {}

    def add(one: dict[str, Any]) -> dict[str, Any] | None:
        record = find_record(client, one["name"])
        if record is None:
            return None
        full = details.merged(one, record, retention or int(now), now)
        if not details.selected(full["labels"], labels):
            return None
        if params["backups"]:
            full["backup"] = of_database(states, record, now)
        if params["statistics"] and one["state"] == "running":
            full |= details.statistics(record, f"{one['name']}.{params['domain']}", params["port"], params["ca_cert"])
            full["memory_used"] = details.memory_used(client, allocs[one["name"]])
        return full | {"notice": details.notice(full.get("out_of_memory"))}

    return [one for one in values(client.map(add, found)) if one]


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    try:
        wanted, labels = check_names(params.get("names")), check_selector(params.get("labels"))
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    if labels and not params["details"]:
        raise InvalidInput("labels: they need details, because Nomad's lists have no labels")
    client = NomadClient(params)
    volumes, jobs, variables = read_lists(client)
    names = [one["Path"].removeprefix(RECORDS) for one in variables if one["Path"].startswith(RECORDS)]
    missing = [name for name in wanted if name not in names]
    if wanted:
        names = [name for name in names if name in wanted]
    nodes = client.endpoint("nodes").get()
    without_room = jobs_without_room(client)
    found = describe(names, jobs, nodes_of_volumes(volumes, nodes), without_room)
    if params["details"]:
        found = with_reasons(client, found, without_room)
    return {
        "databases": with_details(client, params, found, labels) if params["details"] else found,
        "missing": missing,
        "pool": pool_counts(read_state(volumes, jobs, variables).on(taking_work(nodes))),
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run, required_if=[["statistics", True, ["details", "domain"]]])
