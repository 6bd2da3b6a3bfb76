# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The disk that all databases share becomes full while clients write.

With the disk guard, the database that fills it is stopped before, and its neighbours go on. Where the file system is really
full, by what the guard has no power over or is too slow for, nothing is promised to them: they fail too. But nothing that was
acknowledged is lost, and all come back by themselves. The write-ahead log is on the same volume as the tables, so that a full disk
is both: tables that cannot grow, and a server that has to stop since it cannot write its log.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.integration.databases.disk import FILLER, WRITE, fill, space
from tests.support.faults import Faults
from tests.support.load import Load

NAME = "infinite-test-filling"
NEIGHBOUR = "infinite-test-beside"
# Seconds after there is space again: the guard looks every ten, Nomad starts a server again within two minutes.
RESUMES = 120.0
# 16 MB of write-ahead log, one segment, and nothing else.
WRITE_LOG = "select pg_logical_emit_message(false, 'infinite-test', repeat('x', 16000000))"
NO_SPACE = "No space left on device"


@pytest.fixture
def openers(faults: Faults) -> Iterator[dict[str, Callable[[], psycopg.Connection[Any]]]]:
    """How to connect to the database that fills the disk, and to its neighbour."""
    faults.run("provision", databases=[{"name": one} for one in (NAME, NEIGHBOUR)])
    faults.query(NAME, "create table if not exists big (filler text)")
    yield {one: faults.opener(one) for one in (NAME, NEIGHBOUR)}
    faults.host.run("systemctl", "start", "infinite-disk-guard")
    faults.host.run("rm", "-f", FILLER)
    faults.erase([NAME, NEIGHBOUR])


def write_until_refused(faults: Faults) -> str:
    """20 MB at a time; PostgreSQL's message in the end."""
    for _time in range(space(faults)[0] // 20_000_000):
        try:
            faults.query(NAME, WRITE)
        except psycopg.errors.AdminShutdown:
            # The guard ends transactions. What does the next one meet?
            continue
        except psycopg.Error as error:
            return str(error)
        # Two of the guard's looks: a file system so small could else be full between them.
        time.sleep(0.5)
    raise AssertionError("nothing stopped it")


def free_space(faults: Faults, *loads: Load) -> None:
    """All of them go on within the time that is promised, by themselves."""
    faults.host.run("rm", FILLER)
    freed = time.monotonic()
    for load in loads:
        load.wait_for(50, seconds=RESUMES - (time.monotonic() - freed))
    print(f"all go on {time.monotonic() - freed:.1f} s after there was space again")


def test_neighbours_are_unharmed_and_the_database_resumes(faults: Faults, openers: dict[str, Any]) -> None:
    with Load(openers[NEIGHBOUR], clients=2) as beside, Load(openers[NAME]) as load:
        fill(faults, 6.4)
        assert "read-only transaction" in write_until_refused(faults)
        assert any("read-only transaction" in failure for failure in load.failures)
        beside.wait_for(50)
        free_space(faults, load)
    assert (beside.failures, beside.in_doubt) == ([], set())
    assert (load.lost(), beside.lost()) == (set(), set())
    print(f"acknowledged {len(load.ledger)}, in doubt {len(load.in_doubt)}, no answer for {load.gap:.1f} s")
    print(f"the neighbour: acknowledged {len(beside.ledger)}, no answer for {beside.gap:.2f} s")


def write_log_until_refused(open_: Callable[[], psycopg.Connection[Any]]) -> None:
    """Nothing but write-ahead log: a table would be refused before, and the server go on."""
    try:
        with open_() as connection:
            for _segment in range(100):
                connection.execute(WRITE_LOG)
    except psycopg.Error:
        return
    raise AssertionError("nothing stopped it")


def wait_for_log(faults: Faults, alloc: str, level: str) -> None:
    """The allocation may be between two starts of its server, which keep two pieces of the log."""
    deadline = time.monotonic() + 30
    while not re.search(
        f"{level}: .*{NO_SPACE}", said := faults.host.shell(f"cat /var/lib/nomad/alloc/{alloc}/alloc/data/postgres.stderr.*")
    ):
        assert time.monotonic() < deadline, said[-2000:]
        time.sleep(0.1)


def wait_for_no_space(load: Load) -> None:
    deadline = time.monotonic() + 30
    while not any(NO_SPACE in failure for failure in load.failures):
        assert time.monotonic() < deadline, load.failures[-3:]
        time.sleep(0.1)


def without_space(faults: Faults, openers: dict[str, Any], unlogged: bool = False) -> tuple[Load, Load]:
    """The loads of a database and its neighbour, after not one block was free and the first had to stop."""
    faults.host.run("systemctl", "stop", "infinite-disk-guard")
    alloc = faults.alloc(NAME)["ID"]
    with Load(openers[NEIGHBOUR], clients=2, unlogged=unlogged) as beside, Load(openers[NAME], unlogged=unlogged) as load:
        fill(faults, 0.5)
        faults.host.shell(f"cat /dev/zero >> {FILLER} 2> /dev/null || true")
        write_log_until_refused(openers[NAME])
        wait_for_log(faults, alloc, "PANIC")
        # It starts again, and cannot.
        wait_for_log(faults, alloc, "FATAL")
        # The control of the above: without the guard, the neighbour's writes fail.
        wait_for_no_space(beside)
        free_space(faults, load, beside)
    return load, beside


@pytest.mark.quick
def test_nothing_is_lost_without_space_for_the_write_ahead_log(faults: Faults, openers: dict[str, Any]) -> None:
    load, beside = without_space(faults, openers)
    assert (load.lost(), beside.lost()) == (set(), set())
    print(f"acknowledged {len(load.ledger)}, in doubt {len(load.in_doubt)}, no answer for {load.gap:.1f} s")
    print(f"the neighbour: acknowledged {len(beside.ledger)}, no answer for {beside.gap:.1f} s")


def test_control_without_write_ahead_log(faults: Faults, openers: dict[str, Any]) -> None:
    """An unlogged table is emptied when the server starts again: the same finds it."""
    load, _beside = without_space(faults, openers, unlogged=True)
    assert load.lost() != set()
