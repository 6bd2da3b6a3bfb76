# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the data is gone or somebody else's, no server starts: lost data is never covered up by an empty database."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.support.faults import MOUNT, Faults

NAME = "infinite-test-volume"
TWIN = f"{NAME}-twin"
STARTED = "database system is ready to accept connections"
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
    (one,) = json.loads(faults.run("list", plain=True, db=NAME, output="json").out)["databases"]
    assert (one["state"], one["reason"].partition(";")[0]) == ("failing", "its volume holds the data of database somebody")
    assert f"state        failing: {one['reason']}" in faults.run("info", plain=True, db=NAME).out
    faults.host.shell(f"echo {NAME} > {directory}/database")
    comes_back(faults)


@pytest.mark.quick
def test_a_missing_file_system(faults: Faults, directory: str) -> None:
    """Not mounted, there is no volume; mounted again, everything is as it was."""
    stop(faults)
    faults.host.run("systemctl", "stop", "infinite-disk-guard")
    try:
        # A volume that is being prepared for the pool comes in between.
        unmount = f"docker ps --quiet | xargs -r docker stop --time 60 > /dev/null; umount {MOUNT}"
        faults.host.shell(f"for _try in $(seq 20); do if {unmount}; then exit 0; fi; sleep 1; done; exit 1")
        assert f"bind source path does not exist: {directory}" in refused(faults)
        assert not faults.host.shell(f"ls {MOUNT}").strip(), "nothing was made where the file system belongs"
    finally:
        faults.host.shell(f"mount {MOUNT}; systemctl start infinite-disk-guard")
    comes_back(faults)


def second_server(faults: Faults, lock: str = "/volume/lock") -> str:
    """What a second server logs, until it has started or given up: the first one's script and volume, but not by way of Nomad."""
    (known,) = json.loads(faults.host.run("docker", "inspect", faults.container(NAME)))
    script = faults.host.run("cat", f"/var/lib/nomad/alloc/{faults.alloc(NAME)['ID']}/postgres/local/start.sh")
    # It waits for a server that is about to end, which this one is not.
    hasty = script.replace("flock -w 150", "flock -w 1").replace("exec 9> /volume/lock", f"exec 9> {lock}")
    assert hasty != script
    options = ["--detach", "--name", TWIN, "--init", "--user", "postgres", "--entrypoint", "/bin/sh"]
    options += [f"--env={one}" for one in known["Config"]["Env"]]
    options += [f"--volume={one['Source']}:{one['Destination']}" for one in known["Mounts"] if one["Type"] == "bind"]
    before, deadline = faults.log(NAME), time.monotonic() + 30
    faults.host.run("docker", "run", *options, known["Image"], "-c", hasty, "sh", *known["Config"]["Cmd"])
    try:
        while time.monotonic() < deadline:
            running = faults.host.run("docker", "inspect", "--format", "{{.State.Running}}", TWIN).strip()
            said = faults.log_since(NAME, before)
            if running == "false" or STARTED in said:
                return said
            time.sleep(0.2)
        pytest.fail(f"it neither started nor gave up: {said}")
    finally:
        faults.host.run("docker", "rm", "--force", TWIN)


@pytest.mark.quick
def test_two_servers_on_one_volume(faults: Faults, directory: str) -> None:
    postmaster = faults.postmaster(NAME)
    said = second_server(faults)
    assert "another server uses this volume; stop that one first" in said
    assert STARTED not in said
    assert faults.postmaster(NAME) == postmaster
    assert faults.query(NAME, "select answer from kept") == 42


def test_control_another_lock(faults: Faults, directory: str) -> None:
    """It is the lock that stops the second server: nothing else does, and it starts on the first one's data."""
    said = second_server(faults, lock="/volume/another-lock")
    assert "another server uses this volume" not in said
    assert STARTED in said
