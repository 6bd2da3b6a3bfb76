# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From when on a token should be replaced."""

from __future__ import annotations

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.acl_token_info import described, seconds

MADE = "2026-01-01T00:00:00.123456789Z"


@pytest.mark.parametrize(
    ("expires", "ending_from"),
    [
        (None, None),
        ("2026-01-01T01:00:00.123456789Z", "2026-01-01T00:45:00Z"),
        ("2026-01-29T00:00:00.123456789Z", "2026-01-22T00:00:00Z"),
        ("2027-01-01T00:00:00.123456789Z", "2026-12-18T00:00:00Z"),
    ],
)
def test_the_last_quarter_and_no_more_than_two_weeks(expires: str | None, ending_from: str | None) -> None:
    token = {"AccessorID": "a", "Name": "ci", "Type": "client", "Policies": None, "CreateTime": MADE, "ExpirationTime": expires}
    found = described(token)
    assert found["ending_from"] == (seconds(ending_from) if ending_from else None)
    assert found["expires"] == (seconds(expires) if expires else None)
    assert found["policies"] == []
