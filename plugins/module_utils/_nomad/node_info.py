# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which nodes Nomad has and how they are, and which servers have joined; and a wait for those that shall be there.

https://developer.hashicorp.com/nomad/api-docs/nodes#list-nodes, https://developer.hashicorp.com/nomad/api-docs/status#list-peers
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, paged
from ansible_collections.infinite.databases.plugins.module_utils.errors import NomadError, NotReady
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec
from ansible_collections.infinite.databases.plugins.module_utils.waiting import some, waiting

POLL_SECONDS = 1.0
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "wait_nodes": {"type": "list", "elements": "str", "default": []},
    "wait_driver": {"type": "str"},
    "wait_servers": {"type": "list", "elements": "str", "default": []},
    "wait_timeout": {"type": "float", "default": 60},
}


def described(node: Mapping[str, Any]) -> dict[str, Any]:
    drivers = node.get("Drivers") or {}
    return {
        "id": node["ID"],
        "name": node["Name"],
        "status": node["Status"],
        "eligible": node["SchedulingEligibility"] == "eligible",
        "address": node["Address"],
        "datacenter": node["Datacenter"],
        "pool": node["NodePool"],
        "version": node["Version"],
        # A driver that was healthy is told so even of a node that is down.
        "drivers": sorted(name for name, driver in drivers.items() if driver["Healthy"]),
    }


def unready(found: Mapping[str, Sequence[Any]], wanted: Mapping[str, Any]) -> list[str]:
    """What is waited for and lacking. A node that was replaced has left another of its name, which is down."""
    missing = [f"server {server} (has not joined)" for server in wanted["wait_servers"] if server not in found["servers"]]
    driver = wanted["wait_driver"]
    for name in wanted["wait_nodes"]:
        states = {node["status"] for node in found["nodes"] if node["name"] == name}
        ready = [node for node in found["nodes"] if node["name"] == name and node["status"] == "ready"]
        if not ready:
            missing.append(f"client {name} ({', '.join(sorted(states)) or 'unknown'})")
        elif driver and not any(driver in node["drivers"] for node in ready):
            missing.append(f"client {name} (no healthy {driver})")
    return missing


def read(client: NomadClient) -> dict[str, list[Any]]:
    nodes = sorted(map(described, paged(client.endpoint("nodes"))), key=lambda one: (one["name"], one["id"]))
    return {"nodes": nodes, "servers": sorted(client.endpoint("status/peers").get())}


def read_ready(client: NomadClient, wanted: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Once all that is waited for is ready. Until then servers may have no leader, or not be there."""
    deadline = time.monotonic() + wanted["wait_timeout"]
    lacking: list[str] = []
    with waiting(lambda: some(lacking) if lacking else ""):
        while True:
            late = time.monotonic() >= deadline
            try:
                found = read(client)
            except NomadError:
                if late:
                    raise
            else:
                if not (lacking := unready(found, wanted)):
                    return found
                if late:
                    break
            time.sleep(POLL_SECONDS)
    docker = " and at `systemctl status docker`" if wanted["wait_driver"] == "docker" else ""
    raise NotReady(
        f"Nomad at {client.address} is not ready after {wanted['wait_timeout']:g} s: {', '.join(lacking)}. Look at `journalctl -u "
        f"nomad` there{docker}; ports 4646 to 4648 must be open between the hosts.",
        **found,
    )


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    found = read_ready(client, params) if params["wait_nodes"] or params["wait_servers"] else read(client)
    return {"changed": False, **found, "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
