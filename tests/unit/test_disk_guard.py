# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom the host's disk guard blames, and what it does about it."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "roles" / "disk_guard" / "files" / "disk_guard.py"
found = importlib.util.spec_from_file_location("disk_guard", PROGRAM)
assert found
assert found.loader
disk_guard: Any = importlib.util.module_from_spec(found)
sys.modules["disk_guard"] = disk_guard
found.loader.exec_module(disk_guard)

LIMITS = disk_guard.Limits(warn=15, lift=10, read_only=6, last=3)


def moment(free: float, **sizes: int) -> Any:
    """Of a file system of 1000 bytes."""
    return disk_guard.Moment(disk_guard.Room(1000, int(free * 10)), sizes, 0)


@pytest.mark.parametrize(
    ("before", "now", "read_only", "expected"),
    [
        # While there is room nothing is done, but the cause is known.
        (moment(15, a=100, b=500), moment(14, a=110, b=500), "", ("a", True, "")),
        # Not the largest: the one that grew.
        (moment(6, a=100, b=500), moment(5, a=110, b=500), "", ("a", True, "read-only")),
        (moment(6, a=100, b=500), moment(5, a=108, b=502), "", ("a", True, "read-only")),
        # It had to stop, and did not altogether: some patience.
        (moment(5, a=100, b=500), moment(4, a=110, b=500), "a", ("a", True, "")),
        (moment(3, a=100, b=500), moment(2.5, a=105, b=500), "a", ("a", True, "end-logins")),
        # Quicker than all thresholds.
        (moment(9, a=100, b=500), moment(1, a=180, b=500), "", ("a", True, "read-only")),
        # The next one, after the first was stopped.
        (moment(5, a=100, b=500), moment(4, a=100, b=510), "a", ("b", True, "read-only")),
        # Something else: no database is harmed until the last threshold, and none that stands still.
        (moment(6, a=100, b=500), moment(5, a=101, b=500), "", ("a", False, "")),
        (moment(3, a=100, b=500), moment(2, a=101, b=500), "", ("a", False, "read-only")),
        (moment(3, a=100, b=500), moment(2, a=100, b=500), "", ("a", False, "")),
        # A volume that was not there before counts in full.
        (moment(6, b=500), moment(5, a=10, b=500), "", ("a", True, "read-only")),
    ],
)
def test_judge(before: Any, now: Any, read_only: str, expected: tuple[str, bool, str]) -> None:
    verdict = disk_guard.judge(LIMITS, before, now, ["a", "b"], set(read_only))
    assert (verdict.volume, verdict.is_cause, verdict.deed) == expected


def test_nobody_to_judge() -> None:
    assert disk_guard.judge(LIMITS, moment(3), moment(2), [], set()) == disk_guard.Verdict("", False, "")


def test_size(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "1").write_bytes(b"x" * 100_000)
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(10**9)
    assert 100_000 <= disk_guard.size(str(tmp_path)) < 300_000
    assert disk_guard.size(str(tmp_path / "gone")) == 0


def test_room_of_a_file_that_takes_space_as_it_fills(tmp_path: Path) -> None:
    """What it has not taken yet has to be free where it lies."""
    plain = disk_guard.room(tmp_path, None)
    held = os.statvfs(tmp_path)
    assert plain.total == held.f_blocks * held.f_frsize
    file = tmp_path / "file"
    file.touch()
    used = plain.total - plain.free
    assert disk_guard.room(tmp_path, file).free <= max(0, plain.free - used) + 2**26
