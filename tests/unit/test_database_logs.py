# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which lines are shown, and what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database.logs import SPEC, Lines


@pytest.mark.parametrize(
    ("count", "expected"), [(0, ["4", "5"]), (1, ["3", "4", "5"]), (2, ["2", "3", "4", "5"]), (9, ["1", "2", "3", "4", "5"])]
)
def test_the_last_lines_and_then_all(count: int, expected: list[str]) -> None:
    shown: list[str] = []
    lines = Lines(count, shown.append)
    lines.add(b"1\n2\n3\n4")
    assert shown == []
    lines.go_live()
    lines.add(b"\n5\nunfinis")
    assert shown == expected


@pytest.mark.parametrize(
    ("option", "message"),
    [({"lines": -1}, "lines: -1 is negative"), ({"seconds": -1}, "seconds: -1"), ({"follow": True}, "give seconds, too")],
)
def test_refused_before_anything_is_asked(option: dict[str, int], message: str) -> None:
    params = {"name": "a", "lines": 1, "seconds": 0, "follow": False, "nomad_address": "no address"}
    assert message in SPEC.execute(params | option, False)["msg"]
