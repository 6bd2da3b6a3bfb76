# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counts the memory and CPU of the nodes, and how much of it is free, in the same way as Nomad's scheduler: an allocation holds
what it reserves until it has ended.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.infinite.databases.plugins.module_utils._nomad.client import NomadClient, map_concurrently, paged, values
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

ENDED = ("complete", "failed", "lost")
CURE = "ask for less, or add a node"
# A message names at most this many nodes.
SHOWN = 5


@dataclass(frozen=True)
class Amount:
    """An amount of memory in MiB and of CPU in MHz."""

    memory: int
    cpu: int

    def __str__(self) -> str:
        return f"{self.memory} MiB and {self.cpu} MHz"

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.memory + other.memory, self.cpu + other.cpu)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.memory - other.memory, self.cpu - other.cpu)

    def holds(self, other: Amount) -> bool:
        return self.memory >= other.memory and self.cpu >= other.cpu


NOTHING = Amount(0, 0)


def taking_work(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the ids of the nodes on which Nomad places jobs. On other nodes, a prepared volume cannot be used.

    https://developer.hashicorp.com/nomad/api-docs/nodes#list-nodes
    """
    return [
        node["ID"]
        for node in nodes
        if node["Status"] == "ready" and node["SchedulingEligibility"] == "eligible" and not node["Drain"]
    ]


def amount(resources: Mapping[str, Any] | None) -> Amount:
    """Return the amount of a node's or a task's resources.

    https://developer.hashicorp.com/nomad/api-docs/allocations#list-allocations
    """
    found = resources or {}
    return Amount(int((found.get("Memory") or {}).get("MemoryMB") or 0), int((found.get("Cpu") or {}).get("CpuShares") or 0))


def reserved(alloc: Mapping[str, Any]) -> Amount:
    return sum(map(amount, ((alloc.get("AllocatedResources") or {}).get("Tasks") or {}).values()), NOTHING)


def wanted_by(job: Mapping[str, Any]) -> Amount:
    """Return what the tasks in a job's specification reserve, with one allocation for each group."""
    tasks = [task.get("Resources") or {} for group in job.get("TaskGroups") or [] for task in group.get("Tasks") or []]
    return sum((Amount(int(one.get("MemoryMB") or 0), int(one.get("CPU") or 0)) for one in tasks), NOTHING)


class Capacity:
    """The free and the total amounts of the nodes that take work, by the nodes' ids."""

    def __init__(self, nodes: Iterable[Mapping[str, Any]], allocs: Iterable[Mapping[str, Any]]) -> None:
        working = {node["ID"]: node for node in nodes}
        self.nodes = taking_work(working.values())
        # The order is random, so that volumes are spread over the nodes even if each run makes only one.
        random.shuffle(self.nodes)
        self.names = {node: working[node]["Name"] for node in self.nodes}
        self.all = {
            node: amount(working[node].get("NodeResources")) - amount(working[node].get("ReservedResources")) for node in self.nodes
        }
        self.free = dict(self.all)
        for alloc in allocs:
            if alloc["NodeID"] in self.free and alloc["ClientStatus"] not in ENDED:
                self.free[alloc["NodeID"]] -= reserved(alloc)

    def take(self, node: str, wanted: Amount) -> bool:
        """Count the amount as reserved on the node, and return whether there was room for it."""
        fits = node in self.free and self.free[node].holds(wanted)
        if fits:
            self.free[node] -= wanted
        return fits

    def place(self, wanted: Amount) -> str | None:
        """Reserve the amount on the node with the most free memory that has room for it, and return the node."""
        for node in sorted(self.nodes, key=lambda one: -self.free[one].memory):
            if self.take(node, wanted):
                return node
        return None

    def __str__(self) -> str:
        """Describe what is free, for a message about lack of room."""
        said = [
            f"{self.names[node]} has {self.free[node].memory} of {self.all[node].memory} MiB "
            f"and {self.free[node].cpu} of {self.all[node].cpu} MHz free"
            for node in sorted(self.nodes, key=lambda one: self.names[one])
        ]
        rest = len(said) - SHOWN
        return ", ".join(said[:SHOWN]) + (f" and {rest} more nodes have no room" if rest > 0 else "")


def read_capacity(client: NomadClient, but: str = "") -> Capacity:
    """Read the capacity from two lists.

    What the job ``but`` holds counts as free, because it becomes free when the job is replaced.
    """
    lists: list[Callable[[], list[dict[str, Any]]]] = [
        lambda: list(client.endpoint("nodes").get(resources="true")),
        lambda: paged(client.endpoint("allocations"), namespace="*", resources="true", task_states="false"),
    ]
    nodes, allocs = values(map_concurrently(lambda read: read(), lists, workers=2))
    found = Capacity(nodes, [one for one in allocs if one["JobID"] != but or one["Namespace"] != client.namespace])
    if not found.nodes:
        raise InvalidInput(
            f"Nomad at {client.address} has no ready client to put a database on; see `nomad node status`, or run site.yml"
        )
    return found
