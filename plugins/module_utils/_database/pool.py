# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps the pool of prepared volumes at its size. prepared_volumes.py says what the pool is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import (
    CLAIMS,
    PREPARATION,
    Pool,
    PoolState,
    end_job,
    read_lists,
    read_state,
)
from ansible_collections.infinite.databases.plugins.module_utils._nomad.capacity import Capacity, read_capacity, taking_work
from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import CONNECTION_SPEC, NomadClient, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput
from ansible_collections.infinite.databases.plugins.module_utils.runner import ModuleSpec

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "size": {"type": "dict", "required": True},
    "images": {"type": "dict", "required": True},
    "pool_job": {"type": "str", "required": True},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "float", "default": 300},
}


def shortage(state: PoolState, size: Mapping[str, int]) -> dict[str, int]:
    """Return how many volumes of each version are to be created. Volumes that are being prepared count as existing."""
    waiting = {version: sum(1 for one in state.volumes if one.version == version and one.state != "claimed") for version in size}
    return {version: count - waiting[version] for version, count in size.items() if count > waiting[version]}


def finished_jobs(state: PoolState) -> list[str]:
    """Return the pool's jobs that are no longer needed: all of their volumes are claimed or gone."""
    waiting = {one.name for one in state.volumes if one.state != "claimed"}
    return [job for job, names in state.jobs.items() if not waiting & set(names)]


def usable(state: PoolState, nodes: Sequence[str]) -> PoolState:
    """Return the state with the volumes of nodes that take work.

    If no node takes work, for example while the only node is in maintenance, all volumes count.
    """
    return state.on(nodes) if nodes else state


def places(capacity: Capacity, lacking: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return a version and a node for each lacking volume. If the nodes are full, there are fewer: no database would fit there."""
    versions = [version for version, count in lacking.items() for _number in range(count)]
    return [(version, node) for version in versions if (node := capacity.place(PREPARATION))]


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    client = NomadClient(params)
    pool = Pool(client, params["images"], params["pool_job"])
    size = {str(version): int(count) for version, count in params["size"].items()}
    without_image = sorted(version for version, count in size.items() if count and version not in params["images"])
    if without_image:
        raise InvalidInput(
            f"Nothing was changed: there is no image of PostgreSQL {', '.join(without_image)} here for the pool; "
            "add it to postgres_image_versions and run site.yml, or take it out of database_pool_size"
        )
    nodes = taking_work(client.endpoint("nodes").get())
    volumes, jobs, variables = read_lists(client)
    unused = pool.unused_claims(read_state(volumes, jobs, variables), time.time())
    returned = [claim["Path"].removeprefix(CLAIMS) for claim in unused]
    # The rest is planned as if the returned volumes were free already: they count for the pool, and may need their jobs again.
    whole = read_state(volumes, jobs, [one for one in variables if one not in unused])
    state = usable(whole, nodes)
    again = [one for one in state.volumes if one.state in ("failed", "unknown") and one.version in params["images"]]
    lacking = shortage(state, size)
    finished = finished_jobs(whole)
    result = {
        "changed": bool(returned or again or lacking),
        "ready": {version: len(state.having("ready", version)) for version in size},
        "created": lacking,
        "returned": returned,
        "prepared_again": [one.name for one in again],
    }
    if not check_mode:
        values(client.map(pool.give_back, unused))
        created = pool.create_volumes(places(read_capacity(client), lacking) if lacking else [])
        result["created"] = dict(Counter(one.version for one in created))
        preparing = pool.prepare(again + created)
        values(client.map(lambda job: end_job(client, job, purge=True), finished))
        if params["wait"]:
            pool.wait(preparing, params["wait_timeout"])
            now = usable(pool.read(), nodes)
            result["ready"] = {version: len(now.having("ready", version)) for version in size}
    return result | {"api_calls": client.api_calls}


SPEC = ModuleSpec(ARGUMENT_SPEC, run)
