# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which databases there are, from Nomad's lists alone; with details, a read and a query for each, several at once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils import database_details as details
from ansible_collections.infinite.databases.plugins.module_utils.database_keys import check_names, check_selector, option_seconds
from ansible_collections.infinite.databases.plugins.module_utils.database_record import find_record
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.nomad import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.pool import (
    RECORDS,
    PoolState,
    read_lists,
    read_state,
    taking_work,
)
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "details": {"type": "bool", "default": False},
    "retention": {"type": "str", "default": "7d"},
    "statistics": {"type": "bool", "default": False},
    "domain": {"type": "str"},
    "port": {"type": "int", "default": 5432},
    "ca_cert": {"type": "str", "default": ""},
    "names": {"type": "raw", "aliases": ["name"]},
    "labels": {"type": "raw"},
}


def state_of(job: Mapping[str, Any] | None) -> str:
    """running, starting, failed; stopped: destroyed, with its data and credentials kept."""
    if job is None or job["Stop"]:
        return "stopped"
    counts = ((job.get("JobSummary") or {}).get("Summary") or {}).get("postgres") or {}
    if counts.get("Running"):
        return "running"
    return "failed" if counts.get("Failed") and not counts.get("Starting") else "starting"


def nodes_of_volumes(volumes: Iterable[Mapping[str, Any]], nodes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Each volume's node, both by name."""
    names = {node["ID"]: node["Name"] for node in nodes}
    return {volume["Name"]: names.get(volume["NodeID"], "") for volume in volumes}


def describe(names: Iterable[str], jobs: Iterable[Mapping[str, Any]], nodes: Mapping[str, str]) -> list[dict[str, Any]]:
    """A database is what has a record; its job tells the rest, as long as Nomad remembers it."""
    by_id = {job["ID"]: job for job in jobs}
    found = []
    for name in sorted(names):
        job = by_id.get(name)
        meta = (job or {}).get("Meta") or {}
        found.append(
            {
                "name": name,
                "state": state_of(job),
                "host": meta.get("infinite_host", ""),
                "version": meta.get("infinite_version", ""),
                "volume": meta.get("infinite_volume", ""),
                "node": nodes.get(meta.get("infinite_volume", ""), ""),
            }
        )
    return found


def pool_counts(state: PoolState) -> dict[str, dict[str, int]]:
    """How many volumes of each version are in which state."""
    counts: dict[str, dict[str, int]] = {}
    for volume in state.volumes:
        if volume.state != "claimed":
            of_version = counts.setdefault(volume.version, {"ready": 0, "preparing": 0})
            of_version["ready" if volume.state == "ready" else "preparing"] += 1
    return counts


def with_details(
    client: NomadClient, params: Mapping[str, Any], found: list[dict[str, Any]], labels: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What is in the records, and said by the servers, added to each database; those that vanish meanwhile are left out."""
    retention = option_seconds("retention", params["retention"])
    now = time.time()

    def add(one: dict[str, Any]) -> dict[str, Any] | None:
        record = find_record(client, one["name"])
        if record is None:
            return None
        full = details.merged(one, record, retention or int(now), now)
        if not details.selected(full["labels"], labels):
            return None
        if params["statistics"] and one["state"] == "running":
            full |= details.statistics(record, f"{one['name']}.{params['domain']}", params["port"], params["ca_cert"])
        return full

    return [one for one in values(client.map(add, found)) if one]


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    try:
        wanted, labels = check_names(params.get("names")), check_selector(params.get("labels"))
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    if labels and not params["details"]:
        raise InvalidInput("labels: needs details, since Nomad's lists do not have them")
    client = NomadClient(params)
    volumes, jobs, variables = read_lists(client)
    names = [one["Path"].removeprefix(RECORDS) for one in variables if one["Path"].startswith(RECORDS)]
    missing = [name for name in wanted if name not in names]
    if wanted:
        names = [name for name in names if name in wanted]
    nodes = client.endpoint("nodes").get()
    found = describe(names, jobs, nodes_of_volumes(volumes, nodes))
    return {
        "databases": with_details(client, params, found, labels) if params["details"] else found,
        "missing": missing,
        "pool": pool_counts(read_state(volumes, jobs, variables).on(taking_work(nodes))),
        "api_calls": client.api_calls,
    }


SPEC = ModuleSpec(ARGUMENT_SPEC, run, required_if=[["statistics", True, ["details", "domain"]]])
