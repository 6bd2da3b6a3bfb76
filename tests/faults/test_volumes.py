# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the data is gone or somebody else's, no server starts: lost data is never covered up by an empty database."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from .conftest import MOUNT, Faults

NAME = "infinite-test-volume"
LOST = "its volume holds no data and a database is never created over lost data"


@pytest.fixture
def directory(faults: Faults) -> Iterator[str]:
    """That of its volume, on the node."""
    faults.run("provision", databases=[{"name": NAME}])
    faults.query(NAME, "create table if not exists kept as select 42 as answer")
    name = faults.variable(f"databases/{NAME}")["volume"]
    (volume,) = [one for one in faults.client.volumes.list() if one["Name"] == name]
    yield faults.host.shell(f"echo {MOUNT}/*/{volume['ID']}").strip()
    faults.erase([NAME])


def stop(faults: Faults) -> None:
    faults.run("stop", db=NAME)


def refused(faults: Faults) -> str:
    """What is said where it does not answer."""
    return faults.run("start", plain=True, fails=True, db=NAME, database_timeout=8).err


def comes_back(faults: Faults) -> None:
    """By itself, within two minutes."""
    faults.answers_within(faults.opener(NAME), 120)
    assert faults.query(NAME, "select answer from kept") == 42


@pytest.mark.quick
def test_an_empty_volume_is_refused(faults: Faults, directory: str) -> None:
    stop(faults)
    faults.host.shell(f"mkdir {directory}.away && mv {directory}/* {directory}.away/")
    said = refused(faults)
    assert LOST in said
    assert not faults.host.shell(f"ls {directory}/data 2> /dev/null || true").strip(), "nothing was initialised"
    faults.host.shell(f"rm -rf {directory}/* && mv {directory}.away/* {directory}/ && rmdir {directory}.away")
    comes_back(faults)


def test_control_somebody_initialises_it(faults: Faults, directory: str) -> None:
    """What is refused above is an empty volume, not every volume: on a new cluster the server starts, and the data is not there."""
    stop(faults)
    faults.host.shell(f"mv {directory}/data {directory}/data.away")
    image = faults.known["database_images"]["17"]
    initdb = "PATH=$PATH:/usr/lib/postgresql/17/bin initdb -D /volume/data -A peer > /dev/null"
    faults.host.run(
        "docker", "run", "--rm", "--user", "postgres", "--entrypoint", "sh", "-v", f"{directory}:/volume", image, "-c", initdb
    )
    faults.run("start", db=NAME)
    with pytest.raises(psycopg.errors.UndefinedTable):
        faults.query(NAME, "select answer from kept")


@pytest.mark.quick
def test_somebody_elses_volume_is_refused(faults: Faults, directory: str) -> None:
    """Whoever removes jobs and variables by hand may bring a used volume back to the pool."""
    stop(faults)
    owner = faults.host.run("cat", f"{directory}/database")
    assert owner == f"{NAME}\n"
    faults.host.shell(f"echo somebody > {directory}/database")
    assert "its volume holds the data of database somebody" in refused(faults)
    faults.host.shell(f"echo {NAME} > {directory}/database")
    comes_back(faults)


@pytest.mark.quick
def test_a_missing_file_system(faults: Faults, directory: str) -> None:
    """Not mounted, there is no volume; mounted again, everything is as it was."""
    stop(faults)
    faults.host.run("systemctl", "stop", "infinite-disk-guard")
    faults.host.shell(f"docker ps --quiet | xargs -r docker stop --time 60 > /dev/null; umount {MOUNT}")
    try:
        said = refused(faults)
        assert said
        assert not faults.host.shell(f"ls {MOUNT}").strip(), "nothing was made where the file system belongs"
    finally:
        faults.host.shell(f"mount {MOUNT}; systemctl start infinite-disk-guard")
    comes_back(faults)


def lock(faults: Faults, directory: str) -> str:
    return faults.host.shell(f"flock -n {directory}/lock echo free || echo taken").strip()


@pytest.mark.quick
def test_two_servers_on_one_volume(faults: Faults, directory: str) -> None:
    """Nomad gives a volume to one allocation; a second server that comes by another way finds the lock."""
    assert lock(faults, directory) == "taken"
    twin = faults.client.job.get(NAME)
    twin["ID"] = twin["Name"] = f"{NAME}-twin"
    twin["TaskGroups"][0]["Tasks"][0]["Services"] = None
    faults.client.jobs.put(json={"Job": twin})
    try:
        time.sleep(5)
        allocs = faults.client.job.get(twin["ID"], "allocations")
        assert not [alloc for alloc in allocs if alloc["ClientStatus"] == "running"]
        assert faults.query(NAME, "select answer from kept") == 42
    finally:
        faults.client.job.delete(twin["ID"], purge="true")
    # The control: once the first has stopped, the lock is free.
    stop(faults)
    assert lock(faults, directory) == "free"
