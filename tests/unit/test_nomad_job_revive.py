# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""On which nodes a system job has failed for good."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_revive import ended


def alloc(node: str, index: int, client: str, desired: str = "run") -> dict[str, Any]:
    return {"NodeID": node, "CreateIndex": index, "ClientStatus": client, "DesiredStatus": desired}


@pytest.mark.parametrize(
    ("allocs", "expected"),
    [
        ([], []),
        ([alloc("a", 1, "running")], []),
        ([alloc("a", 1, "pending")], []),
        ([alloc("a", 1, "failed")], ["a"]),
        ([alloc("a", 1, "lost"), alloc("b", 2, "complete")], ["a", "b"]),
        # Replaced since.
        ([alloc("a", 9, "running"), alloc("a", 1, "failed")], []),
        ([alloc("a", 9, "failed"), alloc("a", 10, "running"), alloc("b", 11, "failed")], ["b"]),
        # Stopped by somebody, and on a node that takes nothing.
        ([alloc("a", 1, "complete", desired="stop")], []),
        ([alloc("gone", 1, "failed")], []),
    ],
)
def test_ended(allocs: list[dict[str, Any]], expected: list[str]) -> None:
    assert sorted(ended(allocs, {"a", "b"})) == expected
