# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a database gets that does not say: database_defaults, over the collection's own, and beside the environment's allow-list."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.user import PREFIX, User

NAME = f"{PREFIX}defaults"
# This machine, and nobody else.
ONLY_US = ["172.16.0.0/12"]


@pytest.fixture(scope="module")
def given(user: User) -> dict[str, Any]:
    """A short override, in an environment with an allow-list; as text, as `-e` and surveys give it."""
    given: dict[str, Any] = {"database_defaults": {"memory": "300"}, "database_allowed_cidrs": ONLY_US}
    user.run("provision", db=NAME, **given)
    return given


def test_the_others_stay(user: User, given: dict[str, Any]) -> None:
    shown = json.loads(user.run("info", plain=True, db=NAME, output="json", **given).out)
    assert (shown["memory"], shown["memory_max"], shown["cpu"]) == (300, 300, 5)
    assert shown["allowed_cidrs"] == ONLY_US


def test_the_allow_list_stays(user: User, given: dict[str, Any]) -> None:
    tags = [
        tag for task in user.client.job.get(NAME)["TaskGroups"][0]["Tasks"] for one in task["Services"] or [] for tag in one["Tags"]
    ]
    assert f"traefik.tcp.middlewares.{NAME}.ipallowlist.sourcerange={ONLY_US[0]}" in tags


def test_the_same_is_listed_and_measured(user: User, given: dict[str, Any]) -> None:
    listed = user.run("list", plain=True, db=NAME, **given).out
    assert "of 300-300 " in next(line for line in listed.splitlines() if line.startswith(NAME))
    figures = user.run("metrics", plain=True, **given).out.splitlines()
    for figure in ("reserved", "limit"):
        assert f'infinite_database_memory_{figure}_bytes{{database="{NAME}"}} {300 * 1024 * 1024}' in figures


def test_an_allow_list_among_them_is_refused(user: User) -> None:
    """Where it was once; database_allowed_cidrs is its place."""
    refused = user.run("provision", plain=True, fails=True, db=NAME, database_defaults={"allowed_cidrs": ONLY_US})
    assert "database_defaults.allowed_cidrs" in refused.err
