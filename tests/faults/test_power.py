# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The power goes while clients write.

What stands in for it is XFS's own emergency shutdown without flushing its log (xfs_io's `shutdown`, the ioctl XFS_IOC_GOINGDOWN):
from that moment nothing reaches the disk any more, and what was written but not synced is gone, as with a power cut; a disk
that lies about its cache is not shown by it. Then the node starts anew.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
import pytest

from tests.support.faults import MOUNT, Faults, NoAnswer
from tests.support.load import Load

NAME = "infinite-test-power"
OTHERS = [f"infinite-test-lights-{number}" for number in range(3)]
SERVICES = ("docker", "nomad", "infinite-disk-guard")
SEED = int(os.environ.get("INFINITE_FAULTS_SEED", "0")) or random.randrange(1, 1_000_000)
# Seconds from the node's start.
BACK = 120.0
# What a server says that has too little left to recover from, or to let anybody in.
UNRECOVERABLE = re.compile(
    "aborting startup due to startup process failure|control file|could not (open|read) file|relation mapping file|invalid page"
    "|its volume holds no data"
)


@pytest.fixture(autouse=True)
def nothing_left(faults: Faults) -> Iterator[None]:
    yield
    faults.erase([NAME, *OTHERS])


def power_cut(faults: Faults, options: dict[str, Any]) -> Load:
    """The load, after the node has started anew."""
    faults.run("provision", databases=[{"name": NAME, "settings": options}])
    with Load(faults.opener(NAME)) as load:
        load.wait_for(500)
        faults.host.run("xfs_io", "-x", "-c", "shutdown", MOUNT)
    faults.host.reboot()
    return load


@pytest.mark.quick
def test_nothing_is_lost(faults: Faults) -> None:
    load = power_cut(faults, {})
    assert load.failures, "the power was there all the time"
    print(f"the name answers {faults.answers_within(load.connect, BACK):.0f} s after the start")
    assert load.lost() == set()
    print(f"acknowledged {len(load.ledger)}, in doubt {len(load.in_doubt)}")


def logs(faults: Faults) -> str:
    """Those of its server, for the node's shell."""
    allocs = [alloc["ID"] for alloc in faults.client.job.get(NAME, "allocations")]
    return " ".join(f"/var/lib/nomad/alloc/{alloc}/alloc/data/postgres.stderr.*" for alloc in allocs)


def loss(faults: Faults, load: Load) -> str:
    """What is missing after a power cut, be it rows, their table or the whole server, which cannot recover; or nothing."""
    # What it says from here on: a server that does not come up tries again and again.
    faults.host.shell(f"rm -f {logs(faults)}")
    try:
        faults.answers_within(load.connect, BACK)
    except NoAnswer:
        found = UNRECOVERABLE.search(faults.host.shell(f"cat {logs(faults)} 2> /dev/null || true"))
        return found.group() if found else ""
    try:
        return f"{len(lost)} of {len(load.ledger)} rows" if (lost := load.lost()) else ""
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFile, psycopg.InternalError) as error:
        return str(error)


def test_control_without_fsync(faults: Faults) -> None:
    load = power_cut(faults, {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
    found = loss(faults, load)
    print(f"lost: {found}")
    assert found


def start_in_any_order(faults: Faults) -> None:
    """The node starts anew, with its services one by one; what starts before Docker does without it for a while."""
    order = random.Random(SEED).sample(SERVICES, len(SERVICES))
    print(f"INFINITE_FAULTS_SEED={SEED}: started in this order: {', '.join(order)}")
    own = [service for service in SERVICES if service != "docker"]
    faults.host.run("systemctl", "disable", *own)
    # Nomad wants Docker, and would start it.
    faults.host.run("systemctl", "mask", "docker.service", "docker.socket")
    try:
        faults.host.reboot()
        assert faults.host.pids("^postgres|nomad agent") == [], "nothing runs yet"
        for service in order:
            if service == "docker":
                faults.host.run("systemctl", "unmask", "docker.service", "docker.socket")
            faults.host.run("systemctl", "start", service)
    finally:
        faults.host.run("systemctl", "unmask", "docker.service", "docker.socket")
        faults.host.run("systemctl", "enable", *own)


def astray(openers: Mapping[str, Callable[[], psycopg.Connection[Any]]]) -> list[str]:
    """The names that lead to other data than their own."""
    found = []
    for one, open_ in openers.items():
        with open_() as connection:
            if connection.execute("select name from me").fetchone() != (one,):
                found.append(one)
    return found


@pytest.mark.quick
def test_a_reboot_with_services_in_any_order(faults: Faults) -> None:
    """Every database answers, each name leads to its own data."""
    faults.run("provision", databases=[{"name": one} for one in OTHERS])
    openers = {one: faults.opener(one) for one in OTHERS}
    for one in OTHERS:
        faults.query(one, f"create table me as select '{one}' as name")
    started = "select pg_postmaster_start_time()::text"
    before = {one: faults.query(one, started) for one in OTHERS}
    start_in_any_order(faults)
    waited = max(faults.answers_within(open_, BACK) for open_ in openers.values())
    print(f"all answer {waited:.0f} s after the last service's start")
    assert [one for one in OTHERS if faults.query(one, started) == before[one]] == [], "these did not stop"
    assert astray(openers) == []
    # The control: data that was exchanged is noticed.
    for one, other in (OTHERS[:2], OTHERS[1::-1]):
        faults.query(one, f"update me set name = '{other}'")
    assert astray(openers) == OTHERS[:2]
