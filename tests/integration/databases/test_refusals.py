# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a verb refuses, it refuses in one line that says what, why and what to do, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .conftest import Done, User

RUNNING, STOPPED, DESTROYED, PROTECTED = (f"infinite-test-{kind}" for kind in ("running", "idle", "ended", "shielded"))
NOBODY = "infinite-test-nobody"
UNKNOWN = f"{NOBODY}: there is no such database; see `list`"
IS_STOPPED = f"{STOPPED}: is stopped; `start` it first"
IS_DESTROYED = f"{DESTROYED}: is destroyed; `undestroy` brings it back"
WHICH = "Which database? Add -e db=NAME"
SHAPE = "is not a name: 1 to 63 lower-case letters"

REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("url", {"db": NOBODY}, f"There is no database '{NOBODY}' in Nomad at"),
    ("env", {"db": NOBODY}, f"There is no database '{NOBODY}' in Nomad at"),
    ("info", {"db": NOBODY}, UNKNOWN),
    ("logs", {"db": NOBODY}, UNKNOWN),
    ("start", {"db": NOBODY}, UNKNOWN),
    ("undestroy", {"db": NOBODY}, UNKNOWN),
    ("rotate", {"db": f"{RUNNING},{NOBODY}"}, f"{UNKNOWN} for the names there are; nothing was changed"),
    ("restart", {"labels": "infinite-test=nothing"}, "No database has the labels infinite-test=nothing; see `list`"),
    ("url", {"db": DESTROYED}, IS_DESTROYED),
    ("env", {"db": DESTROYED}, IS_DESTROYED),
    ("start", {"db": DESTROYED}, IS_DESTROYED),
    ("restart", {"db": [RUNNING, DESTROYED]}, f"{IS_DESTROYED}; nothing was changed"),
    ("rotate", {"db": DESTROYED}, IS_DESTROYED),
    ("restart", {"db": STOPPED}, IS_STOPPED),
    ("rotate", {"db": f"{STOPPED},{DESTROYED},{NOBODY}"}, f"{IS_STOPPED}; {IS_DESTROYED}; {UNKNOWN}"),
    ("undestroy", {"db": STOPPED}, f"{STOPPED}: is stopped, not destroyed; `start` it"),
    (
        "destroy",
        {"db": f"{RUNNING},{PROTECTED}"},
        f"Nothing was changed: {PROTECTED} is protected; provision it with protect=false",
    ),
    ("purge", {"labels": "infinite-test=refusals"}, f"Nothing was changed: {PROTECTED} is protected"),
    ("stop", {}, WHICH),
    ("purge", {"db": "", "labels": {}}, WHICH),
    ("logs", {}, WHICH),
    ("stop", {"db": f"{RUNNING},No_Name,infinite_test"}, f"db: 'No_Name' {SHAPE}"),
    ("info", {"db": "a,b"}, f"db: 'a,b' {SHAPE}"),
    ("destroy", {"db": {"a": "b"}}, "is neither a name, nor names with commas between them, nor a list of names"),
    ("destroy", {"db": RUNNING, "labels": "a=b"}, "db and labels were given: give one of them"),
    ("stop", {"labels": "web"}, "labels: 'web' is not a mapping such as {team: web}, nor team=web"),
    ("rotate", {"db": RUNNING, "role": "admin"}, "must be one of: owner, rw, ro, got: admin"),
    ("rotate", {"db": RUNNING, "overlap": "soon"}, "overlap: 'soon' is not a time such as 90m, 12h, 7d or 2w"),
    ("rotate", {"db": RUNNING, "end": "maybe"}, "'maybe' is not a valid boolean"),
    ("list", {"output": "xml"}, "must be one of: text, json, got: xml"),
    ("logs", {"db": RUNNING, "lines": "-3"}, "lines: -3 is less than nothing"),
    ("provision", {"db": RUNNING, "ttl": "soon", "connections": 2}, f"2 problems, nothing was changed: {RUNNING}.connections: "),
]


def own(user: User) -> dict[str, Any]:
    """What there is of these databases."""
    everything = user.everything()
    paths = [f"{prefix}{name}" for name in (RUNNING, STOPPED, DESTROYED, PROTECTED) for prefix in ("", "databases/", "nomad/jobs/")]
    return {
        kind: {path: found[path] for path in paths if path in found}
        for kind, found in everything.items()
        if kind in ("jobs", "variables")
    }


@pytest.fixture(scope="module")
def answers(user: User) -> Iterator[list[Done]]:
    """Two runs at a time, of all."""
    names = [{"name": name, "labels": {"infinite-test": "refusals"}} for name in (RUNNING, STOPPED, DESTROYED)]
    user.run("provision", databases=[*names, {"name": PROTECTED, "protect": True, "labels": {"infinite-test": "refusals"}}])
    user.run("stop", db=STOPPED)
    user.run("destroy", db=DESTROYED)
    before = own(user)
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield list(pool.map(lambda row: user.run(row[0], plain=True, fails=True, **row[1]), REFUSALS))
    assert own(user) == before
    user.erase([RUNNING, STOPPED, DESTROYED, PROTECTED])


@pytest.mark.parametrize("number", range(len(REFUSALS)), ids=lambda number: f"{number}-{REFUSALS[number][0]}")
def test_refusal(answers: list[Done], number: int) -> None:
    said = answers[number]
    assert REFUSALS[number][2] in said.err
    assert said.err.count("\n") == 1, said.err
    assert said.out == ""
