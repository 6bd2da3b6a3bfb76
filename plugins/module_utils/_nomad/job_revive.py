# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs system jobs again that have failed for good on a node. Nomad does not try again there until something evaluates the job."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Mapping
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_wait import ENDED, Verdict, explain, newest
from ansible_collections.infinite.databases.plugins.module_utils.errors import JobFailed, NomadNotFound
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

POLL_SECONDS = 0.5

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "jobs": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "id": {"type": "str", "required": True},
            "namespace": {"type": "str"},
        },
    },
    "wait_timeout": {"type": "int", "default": 60},
}


def ended(allocs: Iterable[Mapping[str, Any]], ready: Container[str]) -> dict[str, Mapping[str, Any]]:
    """Return, by the node's id, the newest allocation of each ready node on which it has ended although it should run."""
    found = list(allocs)
    last = {node: newest(alloc for alloc in found if alloc["NodeID"] == node) or {} for node in {one["NodeID"] for one in found}}
    return {
        node: alloc
        for node, alloc in last.items()
        if node in ready and alloc["DesiredStatus"] == "run" and alloc["ClientStatus"] in ENDED
    }


def ended_of(client: NomadClient, job: str, namespace: str) -> dict[str, Mapping[str, Any]]:
    try:
        allocs = client.job.get(job, "allocations", namespace=namespace)
    except NomadNotFound:
        return {}
    # Mostly, all allocations run. Then the list of nodes is not needed.
    if not ended(allocs, {alloc["NodeID"] for alloc in allocs}):
        return {}
    nodes = client.endpoint("nodes").get()
    ready = {node["ID"] for node in nodes if node["Status"] == "ready" and node["SchedulingEligibility"] == "eligible"}
    return ended(allocs, ready)


def revive(client: NomadClient, job: str, namespace: str, timeout: float) -> None:
    """Have the job evaluated, and wait until it runs again on the nodes where it had ended.

    With a ``timeout`` of 0, do not wait.
    """
    before = ended_of(client, job, namespace)
    client.job.put(job, "evaluate", json={"JobID": job, "EvalOptions": {"ForceReschedule": True}}, namespace=namespace)
    deadline = time.monotonic() + timeout
    while timeout:
        allocs = client.job.get(job, "allocations", namespace=namespace)
        running = {alloc["NodeID"] for alloc in allocs if alloc["ClientStatus"] == "running"}
        if not (missing := set(before) - running):
            return
        if time.monotonic() > deadline:
            last = newest(alloc for alloc in allocs if alloc["NodeID"] in missing) or {}
            why = explain(client, (namespace, job), Verdict({}, f"it has failed for good on {last['NodeName']}", last["ID"]))
            raise JobFailed(f"Nomad at {client.address}: job {job}: {why['reason']}")
        time.sleep(POLL_SECONDS)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    revived = []
    for job in params["jobs"]:
        namespace = job["namespace"] or client.namespace
        found = ended_of(client, job["id"], namespace)
        if not found:
            continue
        revived.append({"id": job["id"], "nodes": sorted(alloc["NodeName"] for alloc in found.values())})
        if not check_mode:
            revive(client, job["id"], namespace, params["wait_timeout"])
    return {"changed": bool(revived), "revived": revived, "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
