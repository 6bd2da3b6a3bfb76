# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs at once that want different things of one database: it ends as one or the other of them, whole.

INFINITE_RACES (1) is how often each race is run, INFINITE_RACE_SEED which ones.
"""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.user import PREFIX, Done, User

from .whole import answers, state

ROUNDS = int(os.environ.get("INFINITE_RACES", "1"))
SEED = int(os.environ.get("INFINITE_RACE_SEED", "0")) or random.randrange(1, 1_000_000)
# What provisioning races with, and what the database's record says before.
RACES: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "stop": ("stop", {}, {}),
    "destroy": ("destroy", {}, {}),
    "purge": ("destroy", {"purge": True}, {}),
    "rotate": ("rotate", {}, {}),
    "expire": ("expire", {}, {"renewed": "1"}),
    "erase": ("expire", {}, {"destroyed": "1"}),
}
# How long the later one of the two waits at most: about as long as a run takes.
SECONDS = 2.5


def race(user: User, kind: str, name: str, dice: random.Random) -> str:
    """One after the other, or so nearly at once that nobody could tell; how it ended."""
    verb, given, noted = RACES[kind]
    if noted:
        user.client.variables.write(f"databases/{name}", user.variable(f"databases/{name}") | noted)
    # Each second time something is asked for that the database is not yet.
    changed: dict[str, Any] = {"labels": {"round": str(dice.random())}} if dice.random() < 0.5 else {}
    changed |= {"memory": dice.choice([64, 72, 80])} if dice.random() < 0.5 else {}
    other = {} if verb == "expire" else {"db": name}
    steps = [("provision", {"db": name, "database_timeout": 30, **changed}), (verb, {**other, **given})]
    dice.shuffle(steps)
    runs = [user.start(steps[0][0], plain=True, **steps[0][1])]
    time.sleep(dice.uniform(0, SECONDS))
    runs.append(user.start(steps[1][0], plain=True, **steps[1][1]))
    ended = []
    for run in runs:
        out, err = run.communicate(timeout=180)
        ended.append(Done(run.returncode, out, err))
    said = " / ".join(f"{step[0]} {done.code} {done.err.strip()}" for step, done in zip(steps, ended, strict=True))
    return f"{state(user, name)} ({said})"


@pytest.fixture(scope="module")
def names(user: User) -> dict[str, str]:
    found = {kind: f"{PREFIX}at-once-{kind}" for kind in RACES}
    user.run("provision", databases=[{"name": name, "ttl": "1h"} for name in found.values()])
    return found


def test_a_database_ends_whole(user: User, names: dict[str, str]) -> None:
    print(f"INFINITE_RACES={ROUNDS} INFINITE_RACE_SEED={SEED}")

    def rounds(kind: str) -> list[str]:
        dice, found = random.Random(f"{SEED}{kind}"), []
        for number in range(ROUNDS):
            if number:
                user.run("provision", db=names[kind], ttl="1h", protect=False)
            found.append(f"{kind}: {race(user, kind, names[kind], dice)}")
        return found

    # The two that run expire would each do the other's.
    lanes = [["stop", "rotate"], ["destroy", "purge"], ["expire", "erase"]]
    with ThreadPoolExecutor(len(lanes)) as pool:
        found = [end for ends in pool.map(lambda lane: [end for kind in lane for end in rounds(kind)], lanes) for end in ends]
    print("\n".join(found))
    assert [end for end in found if end.split(": ", 1)[1].split(" (")[0] not in ("running", "kept", "gone")] == []
    # What is not gone can be had again, and nothing but a purge or the end of the retention time lets it go.
    lost = [kind for kind, name in names.items() if not user.variable(f"databases/{name}")]
    assert set(lost) <= {"purge", "erase"}
    user.run("provision", databases=[{"name": name} for name in names.values()])
    assert [name for name in names.values() if not answers(user, name)] == []


def test_many_runs_for_one_name(user: User) -> None:
    """New, and brought back: one database, one password, and each run says that it is there."""
    name = f"{PREFIX}many"
    for databases in ({"name": name}, {"name": name, "labels": {"team": "web"}}):
        runs = [user.start("provision", databases=[databases]) for _run in range(3)]
        codes = [(run.wait(180), *run.communicate()) for run in runs]
        assert [code for code in codes if code[0]] == []
        assert state(user, name) == "running"
        record = user.variable(f"databases/{name}")
        assert "destroyed" not in record
        user.run("destroy", db=name)
    assert user.variable(f"databases/{name}")["logins"] == record["logins"]
