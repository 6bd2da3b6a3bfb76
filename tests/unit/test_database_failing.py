# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which databases fail, from Nomad's list of allocations, and why, from their logs."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import failing


def alloc(job: str, index: int, state: str, restarts: int = 0, failed: bool = False) -> dict[str, Any]:
    events = [
        {"Type": "Terminated", "DisplayMessage": f"Exit Code: {index}"},
        {"Type": "Restarting", "DisplayMessage": "Task restarting in 1s"},
    ]
    task = {"State": state, "Failed": failed, "Restarts": restarts, "Events": events}
    return {"ID": f"{job}-{index}", "JobID": job, "CreateIndex": index, "TaskStates": {"postgres": task}}


def test_the_last_allocation_decides() -> None:
    allocs = [
        alloc("again", 9, "pending", restarts=2),
        alloc("again", 3, "running"),
        alloc("well", 3, "dead", failed=True),
        alloc("well", 20, "running", restarts=1),
        alloc("gone", 3, "dead", failed=True),
        alloc("new", 3, "pending"),
        {"ID": "none", "JobID": "none", "CreateIndex": 1, "TaskStates": None},
    ]
    assert {job: one["ID"] for job, one in failing.failed(allocs).items()} == {"again": "again-9", "gone": "gone-3"}


def test_what_nomad_says_of_it() -> None:
    assert failing.event(failing.task_of(alloc("a", 137, "pending", 1))) == "Exit Code: 137"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ('2026-11-30 12:00:00.1 UTC [7] FATAL:  unrecognized parameter "x"\n', 'unrecognized parameter "x"'),
        ("FATAL:  first\nLOG:  database system is shut down\nPANIC:  second\nHINT:  ask\n", "second"),
        ("database mydb: its volume holds no data\n", "its volume holds no data"),
        ("LOG:  checkpoint complete\nSTATEMENT:  select 'FATALIST'\n", ""),
        ("", ""),
    ],
)
def test_what_the_log_says_of_it(log: str, expected: str) -> None:
    assert failing.cause(log) == expected
