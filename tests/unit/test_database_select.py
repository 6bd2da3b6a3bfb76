# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which databases a verb is about, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.infinite.databases.plugins.module_utils._database import select
from ansible_collections.infinite.databases.plugins.module_utils._database.checks import check_names
from ansible_collections.infinite.databases.plugins.module_utils.errors import InvalidInput

STATES = {"a": "running", "b": "stopped", "c": "destroyed"}
GONE = "x: there is no such database; see `list` for the names there are"
NOTHING = "No database has the labels k=v; see `list`"
NOT_B = "b: is stopped; `start` it first"
NOT_C = "c: is destroyed; `undestroy` brings it back"


@pytest.mark.parametrize(
    ("wanted", "labels", "states", "missing", "fit", "notes"),
    [
        (["a", "b"], "", select.STATES, "refuse", ["a", "b"], []),
        (["a", "x"], "", select.STATES, "tell", ["a"], [f"{GONE}."]),
        (["x"], "", select.STATES, "tell", [], [f"{GONE}."]),
        ([], "k=v", ["running"], "refuse", ["a"], [f"{NOT_B}; skipped.", f"{NOT_C}; skipped."]),
        ([], "k=v", select.STATES, "tell", ["a", "b", "c"], []),
    ],
)
def test_chosen(wanted: list[str], labels: str, states: list[str], missing: str, fit: list[str], notes: list[str]) -> None:
    found = {name: state for name, state in STATES.items() if labels or name in wanted}
    assert select.choose({"states": states, "missing": missing}, wanted, labels, found) == (fit, notes)


@pytest.mark.parametrize(
    ("wanted", "labels", "found", "states", "missing", "message"),
    [
        (["x"], "", "", select.STATES, "refuse", GONE),
        (["a", "b", "x"], "", "ab", ["running"], "refuse", f"{NOT_B}; {GONE}; nothing was changed"),
        (["a", "b"], "", "ab", ["running"], "tell", f"{NOT_B}; nothing was changed"),
        (["a"], "", "a", ["destroyed"], "refuse", "a: is running, not destroyed; there is nothing to bring back"),
        (["b"], "", "b", ["destroyed"], "refuse", "b: is stopped, not destroyed; `start` it"),
        ([], "k=v", "", ["running"], "refuse", NOTHING),
        ([], "k=v", "bc", ["running"], "refuse", f"{NOT_B}; {NOT_C}"),
    ],
)
def test_refused(wanted: list[str], labels: str, found: str, states: list[str], missing: str, message: str) -> None:
    params = {"states": states, "missing": missing}
    with pytest.raises(InvalidInput) as caught:
        select.choose(params, wanted, labels, {name: STATES[name] for name in found})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "Which database?"),
        ({"names": "", "labels": {}}, "Which database?"),
        ({"names": [], "labels": ""}, "Which database?"),
        ({"names": "a", "labels": "b=c"}, "db and labels were given"),
        ({"names": "a,B"}, "db: 'B' is not a name"),
        ({"labels": ["a"]}, "labels: ['a'] is not a mapping"),
    ],
)
def test_nothing_is_asked_of_nomad_before_the_arguments_are_good(params: dict[str, Any], message: str) -> None:
    nowhere = {"names": None, "labels": None, "nomad_address": "no address"}
    assert message in select.SPEC.execute(nowhere | params, False)["msg"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, []), ("", []), ("a", ["a"]), ("a, b,a", ["a", "b"]), (["b", "a"], ["b", "a"])],
)
def test_names(given: Any, expected: list[str]) -> None:
    assert check_names(given) == expected


@pytest.mark.parametrize("given", [7, {"a": 1}, [""], "a,,b", "a,", ["a,b"], [None], "postgres", True])
def test_no_names(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^db: "):
        check_names(given)
