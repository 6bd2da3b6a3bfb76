# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logins, their rotation, and when a database's time is over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.infinite.databases.plugins.module_utils._database import details, rotate
from ansible_collections.infinite.databases.plugins.module_utils._database import record as record_of
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

NOW = 1_800_000_000


def record(name: str = "mydb", **changes: Any) -> dict[str, Any]:
    made = {"name": name, "logins": record_of.new_logins(name), "spec": {}, "created_at": NOW - 3600, "destroyed": 0}
    return made | changes


@given(st.from_regex(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True))
def test_logins_are_names_of_their_own(name: str) -> None:
    first = [login["user"] for login in record_of.new_logins(name).values()]
    second = [record_of.other_login(name, role, login) for role, login in zip(record_of.ROLES, first, strict=True)]
    assert len({*first, *second}) == 6
    assert all(len(login) <= 63 for login in [*first, *second])
    assert [record_of.other_login(name, role, login) for role, login in zip(record_of.ROLES, second, strict=True)] == first


def test_what_the_server_shall_have() -> None:
    lines = [line.split() for line in record_of.wanted(record(spec={"extensions": ["vector"]})).splitlines()]
    assert [line[:3] for line in lines] == [
        ["login", "mydb", "mydb"],
        ["login", "mydb_rw", "mydb_rw"],
        ["login", "mydb_ro", "mydb_ro"],
        ["extension", "vector", "-"],
    ]
    assert all(len(line) == 4 for line in lines)
    assert all(line[3].startswith("SCRAM-SHA-256$") for line in lines[:3])


def test_what_is_tried_is_asked_of_the_server() -> None:
    made = record(spec={"extensions": ["vector"], "memory": 64}, trying={"extensions": ["citext"]})
    lines = [line.split() for line in record_of.wanted(made).splitlines()]
    assert [line[1] for line in lines if line[0] == "extension"] == ["citext"]


def test_passwords_are_in_no_line() -> None:
    made = record()
    text = record_of.wanted(made)
    assert not [login for login in made["logins"].values() if login["password"] in text]


def test_rotation() -> None:
    made = record()
    offer = rotate.offered(made, "ro")
    assert {key: offer["logins"]["ro"][key] for key in ("user", "password")} == made["logins"]["ro"], "the URL's is as it was"
    assert record_of.wanted(offer).count("login mydb_ro ") == 2, "both work"
    assert rotate.offered(offer, "ro") == offer, "an interrupted run's is used"
    turned = rotate.rotated(offer, "ro", NOW + 60)
    assert turned["logins"]["owner"] == made["logins"]["owner"]
    assert turned["logins"]["ro"]["user"] == "mydb_ro_b"
    assert turned["logins"]["ro"]["ending"] == made["logins"]["ro"] | {"until": NOW + 60}
    lines = [set(record_of.wanted(one).splitlines()) for one in (offer, turned)]
    assert lines[0] == lines[1], "nothing new for the server"
    with pytest.raises(InvalidInput, match="the old password of its role ro works until 2027-01-15"):
        rotate.offered(turned, "ro")
    with pytest.raises(InvalidInput, match="the password of its role ro was changed by another run meanwhile"):
        rotate.rotated(turned, "ro", NOW)
    assert rotate.ended(turned, record_of.ROLES, NOW) == turned, "not yet"
    after = rotate.ended(turned, record_of.ROLES, NOW + 60)
    assert "ending" not in after["logins"]["ro"]
    assert rotate.ended(turned, ("rw",), float("inf")) == turned, "another role's"
    assert rotate.offered(after, "ro")["logins"]["ro"]["next"]["user"] == "mydb_ro", "they take turns"


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({}, ""),
        ({"spec": {"ttl": "2h"}}, ""),
        ({"spec": {"ttl": "1h"}}, "destroy"),
        ({"spec": {"ttl": "1h", "protect": True}}, ""),
        ({"spec": {"ttl": "never"}}, ""),
        ({"destroyed": NOW - 10}, ""),
        ({"destroyed": NOW - 100}, "erase"),
        ({"destroyed": NOW - 10, "spec": {"ttl": "1h"}}, ""),
        ({"destroyed": NOW - 100, "spec": {"protect": True}}, ""),
    ],
)
def test_due(changes: dict[str, Any], due: str) -> None:
    assert details.due(record(**changes), 100, NOW) == due


def test_labels_select() -> None:
    assert details.selected({"team": "web", "pr": "1"}, {"pr": 1})
    assert not details.selected({"team": "web"}, {"team": "db"})
    assert details.selected({}, {})
