# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which jobs the parameters speak of, and their digests."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._nomad.job import settled
from ansible_collections.infinite.databases.plugins.module_utils._nomad.job_item import digest_of, items_of
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

EMPTY: dict[str, Any] = {"state": "present", "jobs": None, "job": None, "id": None, "namespace": None, "digest_service": None}


def items(**given: Any) -> list[tuple[str, str, str]]:
    return [(item.id, item.namespace, item.state) for item in items_of(EMPTY | given, "default")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"job": 'job "x" {}'}, [("", "", "present")]),
        ({"job": {"ID": "x"}}, [("x", "default", "present")]),
        ({"job": {"Job": {"ID": "x", "Namespace": "n"}}}, [("x", "n", "present")]),
        ({"job": '{"Job": {"Name": "x"}}'}, [("x", "default", "present")]),
        ({"id": "x", "state": "absent"}, [("x", "", "absent")]),
        ({"jobs": [{"id": "x", "state": "stopped"}, {"job": {"ID": "y"}}]}, [("x", "", "stopped"), ("y", "default", "present")]),
        ({"jobs": []}, []),
    ],
)
def test_items(given: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert items(**given) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"id": "x"}, "needs its specification"),
        ({"jobs": [{"state": "absent"}]}, "give its id"),
        ({"job": "{not json"}, "looks like JSON"),
        ({"job": 7}, "must be HCL"),
    ],
)
def test_bad_items(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        items(**given)


def test_digests() -> None:
    same = digest_of({"ID": "x", "Type": "batch"}, {}, "n")
    assert digest_of({"Type": "batch", "ID": "x"}, {}, "n") == same
    assert len({same, digest_of({"ID": "y"}, {}, "n"), digest_of({"ID": "x", "Type": "batch"}, {}, "m")}) == 3
    assert digest_of("job", {"a": "1"}, "n") != digest_of("job", {"a": "2"}, "n")


def group(**counts: int) -> dict[str, int]:
    return dict.fromkeys(("Queued", "Complete", "Failed", "Running", "Starting", "Lost", "Unknown"), 0) | counts


@pytest.mark.parametrize(
    ("kind", "state", "groups", "expected"),
    [
        ("service", "running", [group(Running=1)], True),
        ("service", "running", [group(Running=1, Failed=3)], True),
        ("service", "running", [group(Running=1), group()], False),
        ("service", "pending", [group(Queued=1)], False),
        ("service", "running", [group(Starting=1)], False),
        ("service", "dead", [group(Failed=1)], False),
        ("batch", "dead", [group(Complete=1)], True),
        ("batch", "dead", [group()], True),  # its allocations were collected as garbage
        ("batch", "dead", [group(Failed=1)], False),
        ("batch", "running", [group(Running=1)], False),
    ],
)
def test_settled(kind: str, state: str, groups: list[dict[str, int]], expected: bool) -> None:
    summary = {"Summary": {str(number): counts for number, counts in enumerate(groups)}}
    assert settled({"Type": kind, "Status": state, "JobSummary": summary}) is expected
    assert settled(None) is False
