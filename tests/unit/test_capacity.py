# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is free on which node, and where new databases are put."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._database import placement
from ansible_collections.infinite.databases.plugins.module_utils._database.prepared_volumes import Volume
from ansible_collections.infinite.databases.plugins.module_utils._nomad.capacity import Amount, Capacity, wanted_by

DEFAULTS = {"memory": 64, "cpu": 5}
ON_A = ("d", "17", "id-a")
TOO_MUCH = "e (64 MiB and 9 MHz)"
PLENTY = 1_000_000


def resources(memory: int, cpu: int) -> dict[str, Any]:
    return {"Memory": {"MemoryMB": memory}, "Cpu": {"CpuShares": cpu}}


def node(name: str, memory: int = PLENTY, cpu: int = PLENTY, **other: Any) -> dict[str, Any]:
    return {
        "ID": f"id-{name}",
        "Name": name,
        "Status": "ready",
        "SchedulingEligibility": "eligible",
        "Drain": False,
        "NodeResources": resources(memory, cpu),
        "ReservedResources": None,
    } | other


def alloc(name: str, memory: int, cpu: int, status: str = "running") -> dict[str, Any]:
    tasks = {"a": resources(memory, 0), "b": resources(0, cpu)}
    return {"NodeID": f"id-{name}", "ClientStatus": status, "AllocatedResources": {"Tasks": tasks}}


@pytest.mark.parametrize(
    ("nodes", "allocs", "said"),
    [
        ([node("a", 1000, 500)], [], "a has 1000 of 1000 MiB and 500 of 500 MHz free"),
        ([node("a", 1000, 500, ReservedResources=resources(100, 50))], [], "a has 900 of 900 MiB and 450 of 450 MHz free"),
        ([node("a", 1000, 500)], [alloc("a", 64, 5), alloc("a", 64, 5)], "a has 872 of 1000 MiB and 490 of 500 MHz free"),
        ([node("a", 1000, 500)], [alloc("a", 64, 5, "pending"), alloc("a", 64, 5, "unknown")], "a has 872 of 1000 MiB"),
        ([node("a", 1000, 500)], [alloc("a", 64, 5, status) for status in ("complete", "failed", "lost")], "1000 of 1000 MiB"),
        ([node("a", 1000, 500), node("b", 9, 9, Drain=True)], [alloc("b", 1, 1)], "a has 1000 of 1000 MiB and 500 of 500 MHz free"),
        ([node("b", 2, 2), node("a", 1, 1)], [], "a has 1 of 1 MiB and 1 of 1 MHz free, b has 2 of 2 MiB"),
        ([node(f"n{number}", 1, 1) for number in range(7)], [], "and 2 more nodes"),
    ],
)
def test_what_is_free(nodes: list[dict[str, Any]], allocs: list[dict[str, Any]], said: str) -> None:
    assert said in str(Capacity(nodes, allocs))


def test_what_a_job_wants() -> None:
    tasks = [{"Resources": {"MemoryMB": 64, "CPU": 5}}, {"Resources": {"MemoryMB": 32, "CPU": 2}}, {"Resources": None}]
    assert wanted_by({"TaskGroups": [{"Tasks": tasks[:1]}, {"Tasks": tasks[1:]}, {"Tasks": None}]}) == Amount(96, 7)


def spare(name: str, place: str = "a", version: str = "17") -> Volume:
    return Volume(name, name, version, f"id-{place}", "ready")


def assign(wanted: list[dict[str, Any]], ready: list[Volume], *nodes: dict[str, Any]) -> tuple[list[Any], list[Any], list[str]]:
    pairs, lacking, nowhere = placement.assign(wanted, ready, Capacity(nodes, []), DEFAULTS)
    return [(name, volume.name) for name, volume in pairs], lacking, nowhere


def database(name: str, version: str = "17", **spec: int) -> dict[str, Any]:
    return {"name": name, "version": version} | spec


@pytest.mark.parametrize(
    ("wanted", "ready", "nodes", "expected"),
    [
        ([], [spare("v")], [node("a")], ([], [], [])),
        ([database("d")], [spare("v")], [node("a")], ([("d", "v")], [], [])),
        ([database("d"), database("e")], [spare("v")], [node("a")], ([("d", "v")], [("e", "17", "id-a")], [])),
        ([database("d", "15")], [spare("v")], [node("a")], ([], [("d", "15", "id-a")], [])),
        # The prepared volume is on a full node.
        ([database("d")], [spare("v", "a")], [node("a", 63), node("b", 64)], ([], [("d", "17", "id-b")], [])),
        ([database("d")], [spare("v", "a"), spare("w", "b")], [node("a", 63), node("b", 64)], ([("d", "w")], [], [])),
        ([database("d")], [spare("v", "gone")], [node("a", 64)], ([], [("d", "17", "id-a")], [])),
        # The first takes the last room.
        ([database("d"), database("e")], [spare("v"), spare("w")], [node("a", 127)], ([("d", "v")], [], ["e (64 MiB and 5 MHz)"])),
        ([database("d"), database("e", cpu=9)], [], [node("a", 64, 9), node("b", 500, 4)], ([], [("d", "17", "id-a")], [TOO_MUCH])),
        ([database("d", memory=999999)], [spare("v")], [node("a", 9216)], ([], [], ["d (999999 MiB and 5 MHz)"])),
        ([database("d", cpu=600)], [spare("v")], [node("a", cpu=500)], ([], [], ["d (64 MiB and 600 MHz)"])),
        ([database("d", memory=500), database("e")], [], [node("a", 500), node("b", 80)], ([], [ON_A, ("e", "17", "id-b")], [])),
    ],
)
def test_assign(wanted: list[dict[str, Any]], ready: list[Volume], nodes: list[dict[str, Any]], expected: Any) -> None:
    assert assign(wanted, ready, *nodes) == expected


@given(st.lists(st.sampled_from(["15", "16", "17"])), st.lists(st.sampled_from(["15", "16", "17"])), st.integers(0, 2000))
def test_each_volume_is_given_once_and_nobody_is_lost(wanted: list[str], ready: list[str], memory: int) -> None:
    databases = [database(f"db{place}", version) for place, version in enumerate(wanted)]
    volumes = [spare(f"v{place}", version=version) for place, version in enumerate(ready)]
    pairs, lacking, nowhere = placement.assign(databases, volumes, Capacity([node("a", memory)], []), DEFAULTS)
    versions = {one["name"]: one["version"] for one in databases}
    assert all(versions[name] == one.version for name, one in pairs)
    assert len({one.name for _name, one in pairs}) == len(pairs)
    placed = [name for name, _volume in pairs] + [name for name, _version, _node in lacking]
    assert Counter(placed + [one.split()[0] for one in nowhere]) == Counter([*versions])
    assert len(placed) == min(len(wanted), memory // DEFAULTS["memory"]), "memory is used to its end, and not beyond"
