# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restarts databases' servers in place, all at once. https://developer.hashicorp.com/nomad/api-docs/client#restart-allocation"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient
from ansible_collections.infinite.databases.plugins.module_utils.errors import BatchFailed, InvalidInput, JobFailed
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

TASK = "postgres"
# A fast shutdown writes a checkpoint, for which the job allows 120 s.
RESTART_SECONDS = 150.0
POLL_SECONDS = 0.1

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "names": {"type": "list", "elements": "str", "required": True},
}


def running_allocs(client: NomadClient, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the ids of each database's running allocations.

    https://developer.hashicorp.com/nomad/api-docs/jobs#read-job-statuses
    """
    if not names:
        return {}
    body = {"Jobs": [{"Namespace": client.namespace, "ID": name} for name in names]}
    found: dict[str, list[str]] = {name: [] for name in names}
    for status in client.jobs.post("statuses", json=body):
        found[status["ID"]] = [alloc["ID"] for alloc in status["Allocs"] or [] if alloc["ClientStatus"] == "running"]
    return found


def running(client: NomadClient, names: list[str]) -> dict[str, str]:
    """Return each database's running allocation."""
    allocs = running_allocs(client, names)
    idle = [name for name, ids in allocs.items() if not ids]
    if idle:
        raise InvalidInput(
            f"Nothing was restarted: {', '.join(idle)} {'is' if len(idle) == 1 else 'are'} not running; "
            "`start` first, or see `list` for the names there are"
        )
    return {name: ids[0] for name, ids in allocs.items()}


def restart(client: NomadClient, alloc: str) -> None:
    """Ask for the restart, and wait until another server has started."""
    allocations = client.endpoint("allocation")

    def task() -> dict[str, Any]:
        return dict(allocations.get(alloc)["TaskStates"][TASK])

    before = task()["StartedAt"]
    client.endpoint("client/allocation").put(alloc, "restart", json={"TaskName": TASK}, timeout=RESTART_SECONDS)
    end = time.monotonic() + RESTART_SECONDS
    while True:
        now = task()
        if now["State"] == "running" and now["StartedAt"] != before:
            return
        if time.monotonic() > end:
            raise JobFailed(
                f"did not restart within {RESTART_SECONDS:g} s (it is {now['State']}); see `nomad alloc status {alloc}`"
            )
        time.sleep(POLL_SECONDS)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    allocs = running(client, params["names"])
    outcomes = [] if check_mode else client.map(lambda name: restart(client, allocs[name]), params["names"])
    failures = [f"{outcome.item}: {outcome.error}" for outcome in outcomes if outcome.error]
    if failures:
        raise BatchFailed("; ".join(failures), changed=True)
    return {"changed": bool(allocs), "restarted": sorted(allocs), "api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
