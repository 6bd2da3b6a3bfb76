# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked for, against what there is."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database.fit import Offer, check_fit
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

NOW = 100_000
OFFER = Offer("17", {"15": "postgres:15", "17": "postgres:17"}, {"17": ["hstore", "vector"]})


def record(version: str = "17", created_at: int = NOW - 7200, spec: dict[str, Any] | None = None, **more: int) -> dict[str, Any]:
    return {"version": version, "created_at": created_at, "spec": spec or {}} | more


RECORDS = {
    "old": record("15"),
    "new": record(),
    "big": record(spec={"memory": 300, "ttl": "1h"}),
    "gone": record(destroyed=NOW - 60),
    "renewed": record(renewed=NOW - 60),
}
FITS: list[dict[str, Any]] = [
    {"name": "fresh", "version": "15", "memory_max": 64, "ttl": "1m"},
    {"name": "old", "version": "15", "extensions": ["whatever"], "ttl": "121m"},
    {"name": "new", "version": "17", "extensions": ["vector"], "memory_max": 64},
    {"name": "big", "memory": 64, "memory_max": 128, "ttl": "1h"},
    {"name": "gone", "ttl": "1m"},
    {"name": "renewed", "ttl": "1h"},
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": "old", "version": "17"}, "old: is PostgreSQL 15 and cannot become 17 in place; leave its version out, or "),
    ({"name": "fresh", "version": "16"}, "fresh: there is no image of PostgreSQL 16 here; add the version to "),
    (
        {"name": "new", "extensions": ["postgis", "vector"]},
        "new: PostgreSQL 17 has no extension postgis here; it has hstore, vector",
    ),
    ({"name": "big", "memory_max": 299}, "big: memory_max 299 is less than its memory, 300; give a smaller memory, too"),
    ({"name": "new", "ttl": "1h"}, "new: a ttl of 1h counts from its creation 120 minutes ago and would already be over"),
]


def test_what_fits() -> None:
    check_fit(FITS, RECORDS, OFFER, renew=False, now=NOW)


@pytest.mark.parametrize(("asked", "message"), REFUSED)
def test_what_does_not(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_fit([asked, *FITS], RECORDS, OFFER, renew=False, now=NOW)
    assert str(caught.value).startswith(f"Nothing was changed: {message}")
    assert ";" not in str(caught.value).removeprefix(f"Nothing was changed: {message}"), "nothing else is wrong"


def test_a_version_off_offer_is_for_databases_that_there_are() -> None:
    fewer = Offer("17", {"17": "postgres:17"}, {})
    with pytest.raises(InvalidInput, match=r"^Nothing was changed: old: there is no image of PostgreSQL 15 here"):
        check_fit([{"name": "old"}], RECORDS, fewer, renew=False, now=NOW)
    check_fit([{"name": "old"}], RECORDS, fewer, renew=False, now=NOW, existing=True)
    with pytest.raises(InvalidInput, match="old: is PostgreSQL 15 and cannot become 17 in place"):
        check_fit([{"name": "old", "version": "17"}], RECORDS, fewer, renew=False, now=NOW, existing=True)


def test_a_ttl_that_begins_now() -> None:
    check_fit([{"name": "new", "ttl": "1h"}], RECORDS, OFFER, renew=True, now=NOW)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_fit([asked for asked, _message in REFUSED], RECORDS, OFFER, renew=False, now=NOW)
    assert [message for _asked, message in REFUSED if message not in str(caught.value)] == []
