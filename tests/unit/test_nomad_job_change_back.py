# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which version a job is changed back to."""

from __future__ import annotations

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_change_back import former


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([(4, False, False), (3, True, False), (2, True, False)], 3),
        # A start that failed: before it, the job was stopped.
        ([(4, False, False), (3, True, True)], None),
        # An update before this one was not healthy either.
        ([(4, False, False), (3, False, False), (2, True, False)], None),
        # Nomad or somebody else was quicker.
        ([(5, False, False), (4, False, False), (3, True, False)], None),
        # Nomad has forgotten it.
        ([(4, False, False)], None),
        ([], None),
    ],
)
def test_the_version_before(versions: list[tuple[int, bool, bool]], expected: int | None) -> None:
    found = [{"Version": version, "Stable": stable, "Stop": stop} for version, stable, stop in versions]
    assert former(found, failed=4) == expected
