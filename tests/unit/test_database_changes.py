# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `updated` and --diff say of a description."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database.changes import changes, differing, shown

DEFAULTS = {"memory": 64, "memory_max": 256, "cpu": 5, "allowed_cidrs": []}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({}, {}, []),
        ({}, {"memory": 128}, ["memory 64 -> 128"]),
        ({}, {"memory": 64}, []),
        ({"memory": 128}, {"memory": 64}, ["memory 128 -> 64"]),
        ({"memory": 128, "ttl": "1h"}, {"memory": 64, "ttl": "2h"}, ["memory 128 -> 64", "ttl 1h -> 2h"]),
        ({}, {"ttl": "2h", "protect": True}, ["ttl never -> 2h", "protect no -> yes"]),
        ({"protect": True}, {"protect": False}, ["protect yes -> no"]),
        ({}, {"protect": False, "ttl": "never"}, []),
        ({"labels": {"team": "a"}}, {"labels": {"team": "b", "tier": "x"}}, ["labels team=a -> team=b", "labels none -> tier=x"]),
        ({"labels": {"team": "a"}}, {"labels": {}}, ["labels team=a -> none"]),
        (
            {"settings": {"jit": "on"}},
            {"settings": {"geqo": "on"}},
            ["settings jit=on -> none", "settings none -> geqo=on"],
        ),
        ({}, {"allowed_cidrs": ["10.99.0.0/16"]}, ["allowed_cidrs anywhere -> 10.99.0.0/16"]),
        ({"allowed_cidrs": ["10.0.0.0/8"]}, {"allowed_cidrs": []}, ["allowed_cidrs 10.0.0.0/8 -> anywhere"]),
        ({"extensions": ["hstore"]}, {"extensions": ["hstore", "vector"]}, ["extensions hstore -> hstore, vector"]),
        ({}, {"connections": 40, "disk": 0}, ["connections none -> 40", "disk none -> 0"]),
    ],
)
def test_changes(old: dict[str, Any], new: dict[str, Any], said: list[str]) -> None:
    assert changes(differing(old, new, DEFAULTS)) == said


def test_diff() -> None:
    found = list(differing({"labels": {"team": "web"}}, {"labels": {"team": "db"}, "ttl": "7d"}, DEFAULTS))
    headers = {"before_header": "a", "after_header": "a"}
    assert shown("a", found) == {"before": "labels team=web\nttl never\n", "after": "labels team=db\nttl 7d\n"} | headers
