# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The power goes while clients write.

What stands in for it is XFS's own emergency shutdown without flushing its log (xfs_io's `shutdown`, the ioctl XFS_IOC_GOINGDOWN):
from that moment nothing reaches the disk any more, and what was written but not synced is gone, as with a power cut; a disk
that lies about its cache is not shown by it. Then the node starts anew.
"""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest

from .conftest import MOUNT, Faults, NoAnswer
from .load import Load

NAME = "infinite-test-power"
OTHERS = [f"infinite-test-lights-{number}" for number in range(3)]
SERVICES = ("docker", "nomad", "infinite-disk-guard")


def power_cut(faults: Faults, options: dict[str, Any]) -> Load:
    """The load, after the node has started anew and the database answers."""
    faults.run("provision", databases=[{"name": NAME, "settings": options}])
    open_ = faults.opener(NAME)
    with Load(open_) as load:
        load.wait_for(500)
        faults.host.run("xfs_io", "-x", "-c", "shutdown", MOUNT)
    faults.host.reboot()
    print(f"the name answers {faults.answers_within(open_, 120):.0f} s after the start")
    return load


@pytest.mark.quick
def test_nothing_is_lost(faults: Faults) -> None:
    load = power_cut(faults, {})
    assert load.failures, "the power was there all the time"
    assert load.lost() == set()
    print(f"acknowledged {len(load.ledger)}, in doubt {len(load.in_doubt)}")


def test_control_without_fsync(faults: Faults) -> None:
    """The same finds what is lost, be it rows or the whole server, which then may not even start."""
    try:
        whole = power_cut(faults, {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}).lost() == set()
    except (NoAnswer, psycopg.Error) as error:
        print(f"the server is lost: {error}")
        whole = False
    faults.erase([NAME])
    assert not whole


@pytest.mark.quick
def test_a_reboot_with_services_in_any_order(faults: Faults) -> None:
    """Every database answers, each name leads to its own data."""
    faults.run("provision", databases=[{"name": one} for one in OTHERS])
    openers = {one: faults.opener(one) for one in OTHERS}
    for one in OTHERS:
        faults.query(one, f"create table me as select '{one}' as name")
    faults.host.reboot()
    order = random.sample(SERVICES, len(SERVICES))
    print(f"started in this order: {', '.join(order)}")
    faults.host.run("systemctl", "stop", *SERVICES, "docker.socket")
    for service in order:
        faults.host.run("systemctl", "start", service)
    for one, open_ in openers.items():
        faults.answers_within(open_, 120)
        with open_() as connection:
            assert connection.execute("select name from me").fetchone() == (one,)
    faults.erase(OTHERS)
