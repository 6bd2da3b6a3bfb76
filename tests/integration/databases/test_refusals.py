# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a verb refuses, it refuses in one line that says what, why and what to do, and nothing is changed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.user import ENVIRONMENT, ROOT, Done, User

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
    (
        "purge",
        {"db": f"{STOPPED},{DESTROYED}", "confirm": "production"},
        "Nothing was erased: 'production' is not the environment's name.",
    ),
    ("destroy", {"db": STOPPED, "purge": True, "confirm": "production"}, "Nothing was erased: 'production' is not"),
    ("rotate", {"db": RUNNING, "role": "admin"}, "must be one of: owner, rw, ro, got: admin"),
    ("rotate", {"db": RUNNING, "overlap": "soon"}, "overlap: 'soon' is not a time such as 90m, 12h, 7d or 2w"),
    ("rotate", {"db": RUNNING, "end": "maybe"}, "'maybe' is not a valid boolean"),
    (
        "provision",
        {"db": RUNNING, "mem": 512},
        "nothing here knows the extra variable mem (did you mean memory?). provision.yml takes",
    ),
    ("provision", {"database": RUNNING}, "nothing here knows the extra variable database (did you mean db?)"),
    ("stop", {"db": RUNNING, "memory": 512}, "nothing here knows the extra variable memory. stop.yml takes db, labels."),
    (
        "infinite.databases.logs",
        {"db": RUNNING, "lnes": 3},
        "the extra variable lnes (did you mean lines?). logs.yml takes db, lines,",
    ),
    ("list", {"output": "xml"}, "must be one of: text, json, got: xml"),
    ("logs", {"db": RUNNING, "lines": "-3"}, "lines: -3 is negative"),
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
    assert len(said.problems) == 1, said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("inventory", "said"),
    [
        ("{path}/prod", "Nothing was done: there is no inventory {path}/prod."),
        ("{path}/empty.yml", "Nothing was done: the inventory {path}/empty.yml names no host and sets no variable."),
        ("{path}/nowhere", "Environment 'test-nowhere' is not set up"),
        ("{path}/named.yml", "Environment 'test-named' is not set up"),
    ],
)
def test_an_inventory_that_names_nothing(user: User, first: str, tmp_path: Path, inventory: str, said: str) -> None:
    """Without it, playbooks are about the local environment, where there is such a database."""
    (tmp_path / "empty.yml").write_text("all:\n")
    (tmp_path / "nowhere" / "group_vars").mkdir(parents=True)
    (tmp_path / "nowhere" / "group_vars" / "all.yml").write_text("environment_name: test-nowhere\n")
    (tmp_path / "named.yml").write_text("all: {hosts: {db1: {}}, vars: {environment_name: test-named}}\n")
    command = [
        "ansible-playbook",
        "-i",
        inventory.format(path=tmp_path),
        "playbooks/purge.yml",
        "-e",
        f"db={first} confirm={ENVIRONMENT}",
    ]
    environ = os.environ | {"ANSIBLE_STDOUT_CALLBACK": "infinite.databases.plain"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert said.format(path=tmp_path) in done.stderr
    assert user.variable(f"databases/{first}")


def test_variables_that_somebody_knows(user: User, tmp_path: Path) -> None:
    """The inventory's own, also another host's; a role's; AWX's; and all, where a playbook of somebody else is run."""
    (tmp_path / "hosts.yml").write_text(
        f"all: {{hosts: {{db1: {{colour: red}}}}, vars: {{environment_name: {ENVIRONMENT}, size: 3}}}}\n"
    )
    (tmp_path / "theirs.yml").write_text("- import_playbook: infinite.databases.list\n")
    given: dict[str, Any] = {
        "colour": "blue",
        "size": 4,
        "awx_user_name": "x",
        "tower_user_name": "x",
        "database_timeout": 60,
        "admin_cidrs": [],
    }
    user.run("list", "-i", str(tmp_path / "hosts.yml"), **given)
    assert "variable size" in user.run("list", plain=True, fails=True, size=4).err
    user.run(str(tmp_path / "theirs.yml"), size=4)
    user.run("list", awx_job_id=7, preview_host="told by another job of its workflow")
