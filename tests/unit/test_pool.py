# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Nomad's lists say of the pool and of the databases."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import info
from ansible_collections.infinite.databases.plugins.module_utils._database import pool as database_pool
from ansible_collections.infinite.databases.plugins.module_utils._database import prepared_volumes as pool
from ansible_collections.infinite.databases.plugins.module_utils._nomad import capacity

NAMES = [f"pg17-{place:012x}" for place in range(6)]


def stub(name: str, node: str = "n1") -> dict[str, Any]:
    return {"ID": f"id-{name}", "Name": name, "NodeID": node}


def pool_job(job_id: str, volumes: list[str], status: str = "running", **counts: int) -> dict[str, Any]:
    summary = {"Summary": {"initdb": counts}} if counts else {"Summary": {}}
    return {"ID": f"_pool-{job_id}", "Status": status, "Meta": {pool.META_VOLUMES: " ".join(volumes)}, "JobSummary": summary}


def database_job(name: str, stop: bool = False, **counts: int) -> dict[str, Any]:
    meta = {"infinite_host": f"{name}.x", "infinite_version": "17", "infinite_volume": f"volume-of-{name}"}
    return {"ID": name, "Status": "running", "Stop": stop, "Meta": meta, "JobSummary": {"Summary": {"postgres": counts}}}


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (pool_job("a", [], Complete=1), "ready"),
        (pool_job("a", [], "dead", Complete=1, Failed=1), "ready"),
        (pool_job("a", [], "dead", Failed=1), "failed"),
        (pool_job("a", [], "running", Failed=1), "preparing"),
        (pool_job("a", [], "pending", Queued=1), "preparing"),
        (pool_job("a", [], "pending"), "preparing"),
        ({"Status": "pending", "JobSummary": None}, "preparing"),
        ({"Status": "dead", "JobSummary": {"Summary": None}}, "failed"),
    ],
)
def test_job_state(job: dict[str, Any], expected: str) -> None:
    assert pool.job_state(job) == expected


def test_read_state() -> None:
    ready, preparing, failed, claimed, retried, unknown = NAMES
    state = pool.read_state(
        [*map(stub, NAMES), stub("somebody-elses"), stub("pg17-short"), stub("pg17-0123456789ab-clone")],
        [
            pool_job("a", [ready, claimed], Complete=1),
            pool_job("b", [preparing], Starting=1),
            pool_job("c", [failed, retried], "dead", Failed=1),
            pool_job("d", [retried], Complete=1),
            database_job("mydb"),
            {"ID": "foreign", "Status": "running", "Meta": None},
        ],
        [{"Path": f"pool/{claimed}", "CreateTime": 1}, {"Path": "databases/mydb"}, {"Path": "nomad/jobs/mydb"}],
    )
    assert {one.name: one.state for one in state.volumes} == {
        ready: "ready",
        preparing: "preparing",
        failed: "failed",
        claimed: "claimed",
        retried: "ready",
        unknown: "unknown",
    }
    assert state.used == {"volume-of-mydb"}
    assert [claim["Path"] for claim in state.claims] == [f"pool/{claimed}"]
    assert [one.name for one in state.having("ready")] == [ready, retried]
    assert state.having("ready", "15") == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_best_of_several_jobs_counts(order: tuple[int, ...]) -> None:
    name = NAMES[0]
    jobs = [pool_job("a", [name], Complete=1), pool_job("b", [name], "dead", Failed=1), pool_job("c", [name], Starting=1)]
    for left_out, expected in ((None, "ready"), (0, "preparing")):
        listed = [jobs[place] for place in order if place != left_out]
        assert [one.state for one in pool.read_state([stub(name)], listed, []).volumes] == [expected]


def state_of(**states: str) -> pool.PoolState:
    """A pool with a volume for each keyword, named by it; versions are in the name: pg17_a."""
    volumes = [pool.Volume(name, name, name[2:4], "n", state) for name, state in states.items()]
    return pool.PoolState(volumes, {}, set(), [])


@pytest.mark.parametrize(
    ("volumes", "size", "expected"),
    [
        ({}, {"17": 3}, {"17": 3}),
        ({}, {"17": 0}, {}),
        ({"pg17_a": "ready", "pg17_b": "preparing"}, {"17": 3}, {"17": 1}),
        ({"pg17_a": "ready", "pg17_b": "claimed"}, {"17": 2}, {"17": 1}),
        ({"pg17_a": "ready", "pg17_b": "ready"}, {"17": 1}, {}),
        ({"pg17_a": "failed", "pg17_b": "unknown"}, {"17": 2}, {}),
        ({"pg17_a": "ready"}, {"17": 1, "15": 2}, {"15": 2}),
        ({"pg15_a": "ready"}, {"17": 1}, {"17": 1}),
    ],
)
def test_shortage(volumes: dict[str, str], size: dict[str, int], expected: dict[str, int]) -> None:
    assert database_pool.shortage(state_of(**volumes), size) == expected


def node(name: str, **other: Any) -> dict[str, Any]:
    return {"ID": name, "Status": "ready", "SchedulingEligibility": "eligible", "Drain": False} | other


def test_volumes_where_no_job_is_placed_do_not_count() -> None:
    nodes = [
        node("up"),
        node("down", Status="down"),
        node("lost", Status="disconnected"),
        node("kept", SchedulingEligibility="ineligible"),
        node("left", SchedulingEligibility="ineligible", Drain=True),
    ]
    volumes = [pool.Volume(f"on-{one['ID']}", f"on-{one['ID']}", "17", one["ID"], "ready") for one in nodes]
    state = pool.PoolState(volumes, {}, set(), []).on(capacity.taking_work(nodes))
    assert [one.name for one in state.volumes] == ["on-up"]
    assert database_pool.shortage(state, {"17": 3}) == {"17": 2}
    assert info.pool_counts(state) == {"17": {"ready": 1, "preparing": 0}}


@pytest.mark.parametrize(
    ("jobs", "finished"),
    [
        ({"_pool-1": ["ready"]}, []),
        ({"_pool-1": ["claimed"]}, ["_pool-1"]),
        ({"_pool-1": ["claimed", "ready"]}, []),
        ({"_pool-1": ["gone"]}, ["_pool-1"]),
        ({"_pool-1": ["preparing"], "_pool-2": ["gone", "claimed"], "_pool-3": []}, ["_pool-2", "_pool-3"]),
    ],
)
def test_finished_jobs(jobs: dict[str, list[str]], finished: list[str]) -> None:
    volumes = [pool.Volume(state, state, "17", "n", state) for state in ("ready", "claimed", "preparing")]
    assert database_pool.finished_jobs(pool.PoolState(volumes, jobs, set(), [])) == finished


def test_pool_counts() -> None:
    state = state_of(pg17_a="ready", pg17_b="claimed", pg17_c="preparing", pg17_d="unknown", pg15_a="claimed", pg16_a="ready")
    assert info.pool_counts(state) == {"17": {"ready": 1, "preparing": 2}, "16": {"ready": 1, "preparing": 0}}


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (None, "stopped"),
        (database_job("a", stop=True, Running=1), "stopped"),
        (database_job("a", Running=1), "running"),
        (database_job("a", Running=1, Failed=2), "running"),
        (database_job("a", Starting=1, Failed=2), "starting"),
        (database_job("a", Failed=1), "failed"),
        (database_job("a", Queued=1), "starting"),
        (database_job("a"), "starting"),
        ({"ID": "a", "Stop": False, "JobSummary": None}, "starting"),
        (database_job("full", Queued=1), "no room"),
        (database_job("full", Running=1, Queued=1), "running"),
        (database_job("full", stop=True, Queued=1), "stopped"),
    ],
)
def test_state_of_a_database(job: dict[str, Any] | None, expected: str) -> None:
    assert info.state_of(job, {"full"}) == expected


def test_describe() -> None:
    jobs = [database_job("b", Running=1), database_job("foreign", Running=1), pool_job("a", [])]
    nodes = info.nodes_of_volumes(
        [{"Name": "volume-of-b", "NodeID": "1"}, {"Name": "v-c", "NodeID": "9"}], [{"ID": "1", "Name": "node-1"}]
    )
    assert nodes == {"volume-of-b": "node-1", "v-c": ""}
    found = info.describe(["b", "a"], jobs, nodes)
    assert [(one["name"], one["state"], one["host"], one["version"], one["node"]) for one in found] == [
        ("a", "stopped", "", "", ""),
        ("b", "running", "b.x", "17", "node-1"),
    ]
