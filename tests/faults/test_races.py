# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many runs at once that want the same or the opposite: one database or none, one password, and nothing is left over.

INFINITE_RACES (2) is how often provisioning races with an end, INFINITE_RACE_SEED in which order.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.databases.whole import orphans, state
from tests.support.faults import Faults
from tests.support.user import Done

NAME = "infinite-test-crowd"
ROUNDS = int(os.environ.get("INFINITE_RACES", "2"))
SEED = int(os.environ.get("INFINITE_RACE_SEED", "0")) or random.randrange(1, 1_000_000)
Run = tuple[str, dict[str, Any]]
PROVISION: Run = ("provision", {"db": NAME})
# With what provisioning races, and how that may leave the database.
ENDS: dict[str, tuple[Run, set[str]]] = {
    "destroy": (("destroy", {"db": NAME}), {"running", "kept"}),
    "purge": (("destroy", {"db": NAME, "purge": True}), {"running", "gone"}),
}
# What a run says that came too late.
OVERTAKEN = ("by another run meanwhile", "is being erased, or its erasure was interrupted")


def at_once(faults: Faults, runs: list[Run]) -> list[Done]:
    started = [faults.start(verb, plain=True, database_timeout=60, **extra) for verb, extra in runs]
    ended = []
    for run in started:
        out, err = run.communicate(timeout=300)
        ended.append(Done(run.returncode, out, err))
    return ended


def one_password(faults: Faults) -> dict[str, Any]:
    """The logins of the one database, whose server takes exactly these."""
    found: dict[str, Any] = json.loads(faults.variable(f"databases/{NAME}")["logins"])
    assert faults.has_taken(NAME)
    assert [sorted(login) for login in found.values()] == [["password", "user"]] * 3
    return found


@pytest.fixture
def nobody(faults: Faults) -> Iterator[None]:
    faults.erase([NAME])
    assert orphans(faults) == []
    yield
    faults.erase([NAME])


def crowd(faults: Faults, count: int, made: int = 0) -> dict[str, Any]:
    """The logins, after so many runs of which so many may say that they made it."""
    ended = at_once(faults, [PROVISION] * count)
    assert [done for done in ended if done.code] == []
    assert (state(faults, NAME), orphans(faults)) == ("running", [])
    created = sum(f"{NAME}: created" in done.out for done in ended)
    print(f"{count} runs at once: {created} said that they created it")
    assert created == made
    return one_password(faults)


@pytest.mark.usefixtures("nobody")
def test_twenty_runs_for_one_name(faults: Faults) -> None:
    """New, there already, and brought back."""
    made = crowd(faults, 20, made=1)
    faults.query(NAME, "create table kept as select 42 as answer")
    assert crowd(faults, 20) == made
    faults.run("destroy", db=NAME)
    assert crowd(faults, 20) == made
    assert faults.query(NAME, "select answer from kept") == 42


@pytest.mark.quick
@pytest.mark.usefixtures("nobody")
def test_some_runs_for_one_name(faults: Faults) -> None:
    crowd(faults, 5, made=1)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("end", ENDS)
def test_five_make_it_and_five_end_it(faults: Faults, end: str) -> None:
    print(f"INFINITE_RACES={ROUNDS} INFINITE_RACE_SEED={SEED}")
    dice = random.Random(f"{SEED}{end}")
    ending, possible = ENDS[end]
    for _round in range(ROUNDS):
        runs = [PROVISION] * 5 + [ending] * 5
        dice.shuffle(runs)
        ended = at_once(faults, runs)
        found = state(faults, NAME)
        print(f"{end}: {found}; {sum(done.code == 0 for done in ended)} of {len(runs)} runs ended well")
        assert found in possible
        assert orphans(faults) == []
        # Before it, what the run noticed of that.
        last = [done.err.splitlines()[-1] for done in ended if done.code]
        assert [line for line in last if not any(said in line for said in OVERTAKEN)] == []
        assert [done.err for done in ended if "no node can take it" in done.err] == [], "that is not why"
        faults.run("provision", db=NAME)
        assert (state(faults, NAME), orphans(faults)) == ("running", [])
        one_password(faults)


def a_second_volume(faults: Faults) -> list[str]:
    (free, *_others) = [one["Name"] for one in faults.client.volumes.list() if not faults.variable(f"pool/{one['Name']}")]
    faults.client.variables.write(f"pool/{free}", {"database": NAME})
    return [f"volume {free} claimed for {NAME}"]


def credentials_of_none(faults: Faults) -> list[str]:
    faults.client.variables.write(f"nomad/jobs/{NAME}-gone", {"wanted": ""})
    return [f"credentials of {NAME}-gone"]


def a_lost_claim(faults: Faults) -> list[str]:
    volume = faults.variable(f"databases/{NAME}")["volume"]
    faults.client.variables.delete(f"pool/{volume}")
    return [f"record {NAME} without its volume {volume}"]


def all_but_the_record(faults: Faults) -> list[str]:
    volume = faults.variable(f"databases/{NAME}")["volume"]
    faults.client.variables.delete(f"databases/{NAME}")
    return [f"volume {volume} claimed for {NAME}", f"credentials of {NAME}", f"job {NAME}", f"name {NAME}"]


ORPHANS: list[Callable[[Faults], list[str]]] = [a_second_volume, credentials_of_none, a_lost_claim, all_but_the_record]


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("leave", ORPHANS, ids=lambda leave: leave.__name__)
def test_control(faults: Faults, leave: Callable[[Faults], list[str]]) -> None:
    """What a race might leave is found."""
    faults.run("provision", db=NAME)
    record = faults.variable(f"databases/{NAME}")
    assert orphans(faults) == []
    expected = leave(faults)
    try:
        assert orphans(faults) == expected
    finally:
        for path in (f"nomad/jobs/{NAME}-gone", *(f"pool/{claim}" for claim in faults.claims_of(NAME))):
            faults.client.variables.delete(path)
        faults.client.variables.write(f"pool/{record['volume']}", {"database": NAME})
        faults.client.variables.write(f"databases/{NAME}", record)
    assert orphans(faults) == []
