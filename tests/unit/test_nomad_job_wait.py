# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a job is what it was asked to be."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad import job_wait


def alloc(client_status: str = "running", healthy: bool | None = None, version: int = 1, followup: str = "") -> dict[str, Any]:
    return {
        "ID": "a1",
        "ClientStatus": client_status,
        "JobVersion": version,
        "FollowupEvalID": followup,
        "DeploymentStatus": {"Healthy": healthy},
    }


def status(kind: str = "service", *allocs: dict[str, Any], deployment: str = "", wanted: int = 1, **more: Any) -> dict[str, Any]:
    found = {"ID": "j", "Namespace": "default", "Type": kind, "Version": 1, "GroupCountSum": wanted, "Allocs": list(allocs)}
    if deployment:
        found["LatestDeployment"] = {"JobVersion": 1, "Status": deployment, "StatusDescription": "because"}
    return found | more


YES, NO, NOT_YET = "yes", "no", "not yet"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (status(), NOT_YET),
        (status("service", alloc("pending")), NOT_YET),
        (status("service", alloc("running")), YES),
        (status("service", alloc("running"), deployment="running"), NOT_YET),
        (status("service", alloc("running", True), deployment="running"), YES),
        (status("service", alloc("running", True), deployment="running", wanted=2), NOT_YET),
        (status("service", alloc("running", True, version=0), deployment="running"), NOT_YET),
        (status("service", alloc("failed", False), deployment="failed"), NO),
        (status("service", alloc("failed", False, followup="e"), deployment="running"), NOT_YET),
        (status("service", alloc("failed")), NO),
        (status("service", alloc("failed"), alloc("pending")), NOT_YET),
        (status("service", alloc("running", False), deployment="running"), NO),
        (status("service", wanted=0), YES),
        (status("service", alloc("running"), Stop=True), NO),
        (status("service", ChildStatuses=[]), YES),
        (status("batch", alloc("running")), NOT_YET),
        (status("batch", alloc("complete")), YES),
        (status("batch", alloc("complete"), wanted=2), NOT_YET),
        (status("batch", alloc("complete"), alloc("failed")), YES),
        (status("batch", alloc("failed")), NO),
        (status("sysbatch", alloc("complete"), alloc("running")), NOT_YET),
        (status("sysbatch", alloc("complete"), alloc("complete"), wanted=1), YES),
        (status("system", alloc("running"), alloc("running")), YES),
        (status("system", alloc("running"), alloc("pending")), NOT_YET),
        (status("system", alloc("running"), alloc("running", version=0)), NOT_YET),
        (None, NO),
    ],
)
def test_judge(given: dict[str, Any] | None, expected: str) -> None:
    verdict = job_wait.judge(given)
    assert (NOT_YET if verdict is None else NO if verdict.error else YES) == expected


@pytest.mark.parametrize(
    ("given", "ended"),
    [
        (None, True),
        (status(), True),
        (status("service", alloc("running")), False),
        (status("service", alloc("complete"), alloc("failed"), alloc("lost")), True),
        (status("service", alloc("unknown")), True),  # its node is gone; nobody knows when it will tell
    ],
)
def test_judge_stopped(given: dict[str, Any] | None, ended: bool) -> None:
    assert (job_wait.judge_stopped(given) is not None) is ended


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"NodesEvaluated": 0}, "no eligible node"),
        ({"NodesEvaluated": 2, "DimensionExhausted": {"memory": 2}}, "memory (exhausted on 2 nodes)"),
        ({"NodesEvaluated": 1, "ConstraintFiltered": {"missing compatible host volumes": 1}}, "missing compatible host volumes"),
        ({"NodesEvaluated": 1}, "1 nodes evaluated"),
    ],
)
def test_why_it_was_not_placed(metric: dict[str, Any], said: str) -> None:
    assert said in job_wait.unplaced({"FailedTGAllocs": {"db": metric}})
    assert bool(job_wait.unplaced({"FailedTGAllocs": {"db": metric}}, exhausted=True)) is ("DimensionExhausted" in metric)


def test_events_are_those_of_the_task_that_failed() -> None:
    event = {"Type": "Terminated", "DisplayMessage": "Exit Code: 1", "Time": 1}
    later = {"Type": "Started", "DisplayMessage": "Task started", "Time": 2}
    found = {"TaskStates": {"bad": {"Failed": True, "Events": [event]}, "good": {"Failed": False, "Events": [later]}}}
    assert job_wait.last_events(found) == ("bad", ["Terminated: Exit Code: 1"])
